//! What a step of training begins with and ends in: its crops, and its update of the parameters.

use crate::parameters::Bytes;

/// A square crop of images in device memory, for `begin_step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Where its first sample lies.
    pub first: i32,
    /// Samples from row to row.
    pub row: i32,
    /// Samples from plane to plane.
    pub plane: i32,
    /// Bits flip rows (1), flip columns (2), and transpose (4).
    pub symmetry: i32,
}

impl Crop {
    /// As the kernel reads it.
    pub fn to_array(self) -> [i32; 4] {
        [self.first, self.row, self.plane, self.symmetry]
    }

    /// Whether a crop of `channels` planes and `side` rows and columns lies within `samples`.
    pub fn fits(&self, channels: usize, side: usize, samples: usize) -> bool {
        let size = |n: i32| usize::try_from(n).ok();
        let end = || {
            let planes = size(self.plane)?.checked_mul(channels.checked_sub(1)?)?;
            let rows = size(self.row)?.checked_mul(side.checked_sub(1)?)?;
            let last = planes.checked_add(rows)?.checked_add(side)?;
            size(self.first)?.checked_add(last)
        };
        (0..8).contains(&self.symmetry) && end().is_some_and(|end| end <= samples)
    }
}

/// The constants of `adam`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// `1 - beta1`.
    pub complement1: f32,
    /// `1 - beta2`.
    pub complement2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl Adam {
    /// As the kernel reads it.
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut out = Bytes::new();
        for field in [
            self.beta1,
            self.beta2,
            self.complement1,
            self.complement2,
            self.epsilon,
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_stay_inside_their_images() {
        let crop = Crop {
            first: 10,
            row: 20,
            plane: 400,
            symmetry: 7,
        };
        // 10 + 400 + 4 * 20 + 5
        assert!(crop.fits(2, 5, 495) && !crop.fits(2, 5, 494));
        assert!(!Crop { first: -1, ..crop }.fits(1, 1, 1000));
        assert!(
            !Crop {
                symmetry: 8,
                ..crop
            }
            .fits(1, 1, 1000)
        );
    }
}
