//! What comparing two images gives.

use crate::params::MAX_SCALES;

/// The means of luminance, contrast and structure, each by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Apart {
    /// Mean luminance comparison.
    pub luminance: f64,
    /// Mean contrast comparison.
    pub contrast: f64,
    /// Mean structure comparison.
    pub structure: f64,
}

/// The means of one scale, over its map and over the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleMeans {
    /// Mean of contrast times structure.
    pub cs: f64,
    /// On the coarsest scale the mean of luminance times contrast times structure, which is that
    /// scale's factor; `None` on the others, whose factor is `cs`. [`crate::MsSsim::means`] has it for
    /// all.
    pub ssim: Option<f64>,
    /// Where the convention pools terms apart ([`crate::Terms::Apart`]), or all are asked for.
    pub apart: Option<Apart>,
}

/// What comparing two images gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// MS-SSIM, at most 1, and exactly 1 for identical images; the mean over the channels.
    pub value: f64,
    scales: [ScaleMeans; MAX_SCALES],
    len: usize,
}

impl Score {
    /// A score of `value` with the means of its scales, the finest first, as another backend has
    /// computed them.
    ///
    /// # Panics
    /// If there are more than [`MAX_SCALES`].
    pub fn new(value: f64, means: &[ScaleMeans]) -> Self {
        let mut scales = [ScaleMeans::default(); MAX_SCALES];
        scales[..means.len()].copy_from_slice(means);
        let len = means.len();
        Self { value, scales, len }
    }

    pub(crate) fn of(value: f64, scales: [ScaleMeans; MAX_SCALES], len: usize) -> Self {
        Self { value, scales, len }
    }

    /// The means of the scales, the finest first.
    pub fn scales(&self) -> &[ScaleMeans] {
        self.scales.get(..self.len).unwrap_or_default()
    }

    /// The score of several channels: the mean of each number over them.
    ///
    /// # Panics
    /// If there is none.
    pub fn mean(channels: impl IntoIterator<Item = Self>) -> Self {
        let mut channels = channels.into_iter();
        let Some(mut mean) = channels.next() else {
            panic!("the mean over no channels")
        };
        let mut count = 1.0;
        for channel in channels {
            mean.value += channel.value;
            for (mean, scale) in mean.scales.iter_mut().zip(channel.scales) {
                mean.cs += scale.cs;
                mean.ssim = mean.ssim.zip(scale.ssim).map(|(a, b)| a + b);
                mean.apart = mean.apart.zip(scale.apart).map(|(a, b)| Apart {
                    luminance: a.luminance + b.luminance,
                    contrast: a.contrast + b.contrast,
                    structure: a.structure + b.structure,
                });
            }
            count += 1.0;
        }
        mean.value /= count;
        for scale in &mut mean.scales {
            scale.cs /= count;
            scale.ssim = scale.ssim.map(|sum| sum / count);
            scale.apart = scale.apart.map(|sum| Apart {
                luminance: sum.luminance / count,
                contrast: sum.contrast / count,
                structure: sum.structure / count,
            });
        }
        mean
    }
}
