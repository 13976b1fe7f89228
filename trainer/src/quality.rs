//! PSNR, SSIM and MS-SSIM of one picture's plane.

use msssim_cpu::{Error, MsSsim, Params, Plane, Score, Size};
use serde::{Deserialize, Serialize};

/// Peak signal-to-noise ratio in decibels, `20 log10(data_range / rmse)`; infinite for equal planes.
///
/// # Panics
/// If the planes differ in length.
pub fn psnr(reference: &[f32], distorted: &[f32], data_range: f32) -> f64 {
    assert!(
        reference.len() == distorted.len(),
        "planes of different lengths"
    );
    let squares = reference.iter().zip(distorted).map(|(x, y)| {
        let difference = f64::from(*x) - f64::from(*y);
        difference * difference
    });
    let rmse = (squares.sum::<f64>() / reference.len() as f64).sqrt();
    20.0 * (f64::from(data_range) / rmse).log10()
}

/// The metric of `params` between two planes.
///
/// # Errors
/// [`Error::TooSmall`] names the smallest legal side.
///
/// # Panics
/// If a plane does not hold `size`.
pub fn ms_ssim(
    reference: &[f32],
    distorted: &[f32],
    size: Size,
    params: &Params,
) -> Result<Score, Error> {
    let metric = MsSsim::new(size, 1, params)?;
    let planes = [Plane::new(reference, size)?, Plane::new(distorted, size)?];
    metric.score(&mut metric.workspace(), &planes[..1], &planes[1..])
}

/// How good a restored plane is, or the mean of that over several images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// PSNR in decibels.
    pub psnr: f64,
    /// Single-scale SSIM with windows over the border, as MATLAB's `ssim`.
    pub ssim: f64,
    /// MS-SSIM as in msssim.m; `None` where an image is too small for its five scales.
    pub ms_ssim: Option<f64>,
}

impl Quality {
    /// Compares two planes of 8-bit samples.
    ///
    /// # Panics
    /// If a plane does not hold `size`, or `size` is empty.
    pub fn of(reference: &[f32], restored: &[f32], size: Size) -> Self {
        let score = |params| ms_ssim(reference, restored, size, params).map(|score| score.value);
        let Ok(ssim) = score(&Params::MATLAB_SSIM) else {
            panic!("a plane of {size} cannot be compared")
        };
        Self {
            psnr: psnr(reference, restored, 255.0),
            ssim,
            ms_ssim: score(&Params::WANG_2003).ok(),
        }
    }

    /// The mean of each measure; of MS-SSIM over the images that are large enough. `None` for no
    /// image at all.
    pub fn mean(images: &[Self]) -> Option<Self> {
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let (sum, count) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        Some(Self {
            psnr: mean(&mut images.iter().map(|image| image.psnr))?,
            ssim: mean(&mut images.iter().map(|image| image.ssim))?,
            ms_ssim: mean(&mut images.iter().filter_map(|image| image.ms_ssim)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_by_hand() {
        assert_eq!(psnr(&[0.0, 0.0], &[0.0, 0.0], 255.0), f64::INFINITY);
        assert!(
            (psnr(&[0.0, 0.0], &[25.5, -25.5], 255.0) - 20.0).abs() < 1e-9,
            "a tenth of white"
        );
    }

    #[test]
    fn a_mean_leaves_out_images_too_small_for_ms_ssim() {
        let image = |ms_ssim| Quality {
            psnr: 30.0,
            ssim: 0.5,
            ms_ssim,
        };
        let mean = Quality::mean(&[image(None), image(Some(0.25)), image(Some(0.75))]);
        assert_eq!(mean, Some(image(Some(0.5))));
        assert_eq!(Quality::mean(&[image(None)]), Some(image(None)));
        assert_eq!(Quality::mean(&[]), None);
    }
}
