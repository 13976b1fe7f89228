//! What is computed: a convention, and a batch of images.

use msssim_kernels::general::{Border, Convention, MAX_TAPS};
use msssim_kernels::{Halving, MAX_SCALES, Negative};

/// A batch of `f32` pairs, and by what convention they are compared.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) convention: Convention,
    /// Images, channels, rows, columns.
    pub(crate) batch: [usize; 4],
    /// Masks: none, one for all images, or one for each.
    pub(crate) masks: usize,
}

/// Two scales with windows of seven taps over replicated borders; tests change what they are about.
pub(crate) fn convention() -> Convention {
    let mut taps = [0.0; MAX_TAPS];
    taps[..4].copy_from_slice(&[0.3125, 0.234_375, 0.093_75, 0.015_625]);
    Convention {
        scales: 2,
        weights: [0.5; MAX_SCALES],
        apart: None,
        negative: Negative::Signed,
        borders: [Border::Replicate; MAX_SCALES],
        radius: 3,
        taps: [taps; MAX_SCALES],
        halving: Halving::Symmetric,
        per_pixel: false,
        joint: false,
        c1: 1e-4,
        c2: 9e-4,
        data_range: 1.0,
    }
}

impl Case {
    /// Two images of one channel, or one of two, whose sides are odd and no multiples of a tile's.
    pub(crate) fn new(convention: Convention, masks: usize) -> Self {
        let [images, channels] = if masks > 1 { [2, 1] } else { [1, 2] };
        Self {
            convention,
            batch: [images, channels, 15, 35],
            masks,
        }
    }

    /// Texture, and a distorted copy of it.
    pub(crate) fn pair(&self) -> [Vec<f32>; 2] {
        let mut noise = noise();
        let len = self.batch.iter().product();
        let mut smooth = 0.5;
        let x: Vec<f32> = (0..len)
            .map(|_| {
                smooth = 0.8 * smooth + 0.2 * noise();
                smooth
            })
            .collect();
        let y = x.iter().map(|x| 0.7 * x + 0.3 * noise()).collect();
        [x, y]
    }
}

/// Numbers in [0, 1), the same every time.
pub(crate) fn noise() -> impl FnMut() -> f32 {
    let mut state = 12345u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as f32 / 65536.0
    }
}

pub(crate) fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|v| v.to_le_bytes()).collect()
}
