//! The super-resolution protocol of the paper: how an upscaled image is made and measured.
//!
//! Found by reproducing the digits that the paper prints: luma of MATLAB's `rgb2ycbcr`, rounded;
//! sides cropped to multiples of the factor; bicubic down and up, not rounded in between; the
//! result rounded to 8 bits; a border dropped from each side (8 pixels, what a 9-5-5 network
//! without padding loses); PSNR and SSIM on what is left; means over the images.

use msssim_cpu::{Luma, Size};

use crate::colour::{luma, studio_ycbcr};
use crate::picture::Picture;
use crate::quality::Quality;
use crate::resize::resize;

/// Pixels that are dropped from each side before measuring.
pub const SHAVE: usize = 8;

/// An image prepared for super-resolution: what it was, and what bicubic makes of a quarter of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The size of every plane, multiples of the factor.
    pub size: Size,
    /// The original planes in 0 to 1 (8-bit levels over 255): Y, or Y, Cb and Cr.
    pub truth: Vec<Vec<f32>>,
    /// The same planes after bicubic down- and upscaling, neither rounded nor clamped; none where the
    /// factor is 1 and they would be the same.
    pub bicubic: Vec<Vec<f32>>,
}

impl Pair {
    /// The planes that a network sees.
    pub fn seen(&self) -> &[Vec<f32>] {
        if self.bicubic.is_empty() {
            &self.truth
        } else {
            &self.bicubic
        }
    }
}

/// Which planes of an image a network works on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Luma alone.
    Y,
    /// Luma and both colour differences together.
    Ycbcr,
    /// Luma over the full range, for networks that do not enlarge.
    #[value(skip)]
    Grey,
    /// Red, green and blue, for networks that do not enlarge.
    #[value(skip)]
    Rgb,
}

impl Channels {
    /// The number of planes.
    pub fn count(self) -> usize {
        match self {
            Self::Y | Self::Grey => 1,
            Self::Ycbcr | Self::Rgb => 3,
        }
    }
}

/// Prepares `picture` for a network that enlarges `factor` times; `None` when the image is smaller
/// than `factor` on a side. The colour differences of a grey image are neutral, its red, green and blue
/// are alike.
pub fn prepare(picture: &Picture, factor: usize, channels: Channels) -> Option<Pair> {
    let (width, height) = (
        picture.width - picture.width % factor,
        picture.height - picture.height % factor,
    );
    if width == 0 || height == 0 {
        return None;
    }
    let planes = planes(picture, channels);
    let crop = |plane: &Vec<f32>| -> Vec<f32> {
        let rows = plane.chunks_exact(picture.width).take(height);
        rows.flat_map(|row| &row[..width])
            .map(|sample| sample / 255.0)
            .collect()
    };
    let truth: Vec<Vec<f32>> = planes.iter().map(crop).collect();
    let degraded: &[_] = if factor == 1 { &[] } else { &truth };
    let bicubic = degraded
        .iter()
        .map(|plane| {
            let (small_width, small_height) = (width / factor, height / factor);
            let small = resize(plane, width, height, small_width, small_height);
            resize(&small, small_width, small_height, width, height)
        })
        .collect();
    Some(Pair {
        size: Size { width, height },
        truth,
        bicubic,
    })
}

/// The planes that a network works on, in 0 to 255.
fn planes(picture: &Picture, channels: Channels) -> Vec<Vec<f32>> {
    let to_bytes = 255.0 / picture.data_range;
    let scaled = |plane: &Vec<f32>| plane.iter().map(|sample| sample * to_bytes).collect();
    match channels {
        Channels::Y | Channels::Ycbcr => {
            let mut planes = studio_ycbcr(picture);
            let neutral = vec![128.0; picture.width * picture.height];
            planes.resize(channels.count(), neutral);
            planes
        }
        Channels::Grey => vec![scaled(&luma(picture, Luma::Bt601))],
        Channels::Rgb => {
            let last = picture.planes.len() - 1;
            let planes = (0..3).map(|c| scaled(&picture.planes[c.min(last)]));
            planes.collect()
        }
    }
}

/// The middle `side` rows and columns of a picture's luma, in 0 to 1, as [`prepare`] has it for
/// [`Channels::Grey`]; `None` for a smaller picture.
pub fn centre(picture: &Picture, side: usize) -> Option<Vec<f32>> {
    let (width, height) = (picture.width, picture.height);
    let (row, column) = (height.checked_sub(side)? / 2, width.checked_sub(side)? / 2);
    let luma = planes(picture, Channels::Grey).swap_remove(0);
    let rows = luma.chunks_exact(width).skip(row).take(side);
    let samples = rows.flat_map(|row| &row[column..][..side]);
    Some(samples.map(|sample| sample / 255.0).collect())
}

/// A plane in 0 to 1 as 8-bit levels: rounded half up and clamped; NaN becomes 0.
pub fn to_levels(plane: &[f32]) -> Vec<f32> {
    plane
        .iter()
        .map(|sample| (sample * 255.0 + 0.5).floor().clamp(0.0, 255.0))
        .collect()
}

/// Measures a restored luma plane against the truth, both in 0 to 1; `None` when nothing is left of
/// the image after dropping [`SHAVE`] pixels from each side.
///
/// # Panics
/// If a plane does not hold `size`.
pub fn measure(truth: &[f32], restored: &[f32], size: Size) -> Option<Quality> {
    let inner = Size {
        width: size.width.checked_sub(2 * SHAVE).filter(|side| *side > 0)?,
        height: size
            .height
            .checked_sub(2 * SHAVE)
            .filter(|side| *side > 0)?,
    };
    let shaved = |plane: &[f32]| -> Vec<f32> {
        let levels = to_levels(plane);
        let rows = levels
            .chunks_exact(size.width)
            .skip(SHAVE)
            .take(inner.height);
        rows.flat_map(|row| &row[SHAVE..][..inner.width])
            .copied()
            .collect()
    };
    Some(Quality::of(&shaved(truth), &shaved(restored), inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_cropped_and_small_images_left_out() {
        let picture = Picture::grey(14, 9, vec![100.0; 126], 255.0);
        let pair = prepare(&picture, 4, Channels::Y).unwrap();
        assert_eq!(
            pair.size,
            Size {
                width: 12,
                height: 8
            }
        );
        assert!(
            pair.bicubic[0]
                .iter()
                .all(|v| (v - 100.0 / 255.0).abs() < 1e-6),
            "a constant"
        );
        assert_eq!(measure(&pair.truth[0], &pair.bicubic[0], pair.size), None);
        assert_eq!(prepare(&picture, 10, Channels::Y), None);
        let colour = prepare(&picture, 4, Channels::Ycbcr).unwrap();
        assert_eq!(
            (&colour.truth[0], colour.truth[2][0]),
            (&pair.truth[0], 128.0 / 255.0)
        );
    }

    #[test]
    fn levels_round_half_up_and_clamp() {
        let levels = to_levels(&[-0.1, 0.5 / 255.0, 1.2, f32::NAN]);
        assert_eq!(levels[..3], [0.0, 1.0, 255.0]);
    }

    #[test]
    fn the_border_does_not_count() {
        let size = Size {
            width: 20,
            height: 20,
        };
        let truth = vec![0.5; 400];
        let mut restored = truth.clone();
        restored[7 * 20 + 10] = 0.0;
        assert_eq!(
            measure(&truth, &restored, size).unwrap().psnr,
            f64::INFINITY
        );
        restored[8 * 20 + 8] = 0.0;
        assert!(
            measure(&truth, &restored, size).unwrap().psnr < 100.0,
            "an inner pixel counts"
        );
    }
}
