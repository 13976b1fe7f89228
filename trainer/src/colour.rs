//! Colour conversions: full-range luma, and the studio-range YCbCr of MATLAB.

use msssim_core::{Error, Luma, Plane, PlaneMut, Size};

use crate::picture::Picture;

/// Luma over the picture's own range, in its own units and not rounded. A grey picture is its own luma.
///
/// # Panics
/// If a plane does not hold `width * height` samples.
pub fn luma(picture: &Picture, by: Luma) -> Vec<f32> {
    let size = Size {
        width: picture.width,
        height: picture.height,
    };
    let [red, green, blue] = &picture.planes[..] else {
        return picture.planes[0].clone();
    };
    let mut luma = vec![0.0; size.area()];
    let written = (|| -> Result<(), Error> {
        let planes = [
            &Plane::new(red, size)?,
            &Plane::new(green, size)?,
            &Plane::new(blue, size)?,
        ];
        let range = f64::from(picture.data_range);
        by.write(planes, range, &mut PlaneMut::new(&mut luma, size)?)
    })();
    match written {
        Ok(()) => luma,
        Err(error) => panic!("a picture of {size} does not hold together: {error}"),
    }
}

/// Weights of red, green and blue in MATLAB's `rgb2ycbcr`, for samples in 0 to 255, and offsets.
const YCBCR: [([f64; 3], f64); 3] = [
    ([65.481, 128.553, 24.966], 16.0),
    ([-37.797, -74.203, 112.0], 128.0),
    ([112.0, -93.786, -18.214], 128.0),
];

/// Y, Cb and Cr of MATLAB's `rgb2ycbcr` on 8-bit images: Y in 16 to 235, rounded to integers.
///
/// A grey picture is one plane, its samples in 0 to 255 as they are: that is how the
/// super-resolution literature treats grey files.
pub fn studio_ycbcr(picture: &Picture) -> Vec<Vec<f32>> {
    let to_bytes = 255.0 / f64::from(picture.data_range);
    match &picture.planes[..] {
        [red, green, blue] => YCBCR
            .iter()
            .map(|(weights, offset)| {
                let mut plane = weighted(red, green, blue, *weights, to_bytes / 255.0, *offset);
                for sample in &mut plane {
                    *sample = (*sample + 0.5).floor();
                }
                plane
            })
            .collect(),
        planes => {
            let byte = |sample: &f32| ((f64::from(*sample) * to_bytes + 0.5).floor()) as f32;
            vec![planes[0].iter().map(byte).collect()]
        }
    }
}

/// From Y, Cb and Cr as [`studio_ycbcr`] makes them, not necessarily rounded, to an 8-bit RGB
/// picture; samples beyond 0 to 255 are clamped.
///
/// # Panics
/// If a plane does not hold `width * height` samples.
pub fn rgb_from_studio(width: usize, height: usize, ycbcr: [&[f32]; 3]) -> Picture {
    assert!(
        ycbcr.iter().all(|plane| plane.len() == width * height),
        "planes of another size"
    );
    // The inverse of YCBCR's matrix over 255: ITU-R BT.601 with studio ranges of 219 and 224.
    let (y_gain, red_cr, blue_cb) = (255.0 / 219.0, 1.402 * 255.0 / 224.0, 1.772 * 255.0 / 224.0);
    let green_cb = blue_cb * 0.114 / 0.587;
    let green_cr = red_cr * 0.299 / 0.587;
    let mut planes = vec![Vec::new(); 3];
    for ((y, cb), cr) in ycbcr[0].iter().zip(ycbcr[1]).zip(ycbcr[2]) {
        let (y, cb, cr) = (
            f64::from(*y) - 16.0,
            f64::from(*cb) - 128.0,
            f64::from(*cr) - 128.0,
        );
        let rgb = [
            y_gain * y + red_cr * cr,
            y_gain * y - green_cb * cb - green_cr * cr,
            y_gain * y + blue_cb * cb,
        ];
        for (plane, sample) in planes.iter_mut().zip(rgb) {
            plane.push(sample.clamp(0.0, 255.0) as f32);
        }
    }
    Picture {
        width,
        height,
        planes,
        data_range: 255.0,
    }
}

fn weighted(
    red: &[f32],
    green: &[f32],
    blue: &[f32],
    weights: [f64; 3],
    scale: f64,
    offset: f64,
) -> Vec<f32> {
    let [r, g, b] = weights;
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .map(|((red, green), blue)| {
            let sum = r * f64::from(*red) + g * f64::from(*green) + b * f64::from(*blue);
            (sum * scale + offset) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(rgb: [f32; 3]) -> Picture {
        let planes = rgb.map(|sample| vec![sample]).to_vec();
        Picture {
            width: 1,
            height: 1,
            planes,
            data_range: 255.0,
        }
    }

    #[test]
    fn known_colours() {
        // MATLAB: rgb2ycbcr(uint8(cat(3, 255, 0, 0))) is 81, 90, 240; white is 235, 128, 128.
        let ycbcr = |rgb| studio_ycbcr(&pixel(rgb)).concat();
        assert_eq!(ycbcr([255.0, 0.0, 0.0]), [81.0, 90.0, 240.0]);
        assert_eq!(ycbcr([255.0; 3]), [235.0, 128.0, 128.0]);
        assert_eq!(ycbcr([0.0; 3]), [16.0, 128.0, 128.0]);
    }

    #[test]
    fn lumas_in_units_of_the_picture() {
        for (by, expected) in [
            (Luma::Bt601, 18.15),
            (Luma::Bt709, 18.596),
            (Luma::Matlab, 31.5877),
        ] {
            let mut picture = pixel([10.0, 20.0, 30.0]);
            assert!((luma(&picture, by)[0] - expected).abs() < 1e-4, "{by:?}");
            picture = picture.with_data_range(65535.0);
            let deep = expected * 257.0;
            assert!((luma(&picture, by)[0] - deep).abs() < 2e-2, "{by:?}");
        }
        assert_eq!(
            luma(&Picture::grey(1, 1, vec![7.0], 255.0), Luma::Matlab),
            [7.0]
        );
    }

    #[test]
    fn there_and_back_is_within_rounding() {
        for rgb in [[200.0, 30.0, 90.0], [0.0, 255.0, 128.0], [17.0, 17.0, 17.0]] {
            let ycbcr = studio_ycbcr(&pixel(rgb));
            let back = rgb_from_studio(1, 1, [&ycbcr[0], &ycbcr[1], &ycbcr[2]]);
            for (sample, plane) in rgb.iter().zip(&back.planes) {
                assert!(
                    (sample - plane[0]).abs() < 1.7,
                    "{rgb:?} became {:?}",
                    back.planes
                );
            }
        }
    }

    #[test]
    fn sixteen_bits_are_scaled_first() {
        let mut deep = pixel([255.0 * 257.0, 0.0, 0.0]);
        deep.data_range = 65535.0;
        assert_eq!(studio_ycbcr(&deep), studio_ycbcr(&pixel([255.0, 0.0, 0.0])));
    }
}
