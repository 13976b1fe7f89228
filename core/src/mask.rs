//! Masks: scores of a region, by normalised convolution through all scales.
//!
//! With weights `m` of the samples, the mean of anything around a window is `G[m f] / G[m]`, and a sample of
//! the next scale is `H[m f] / H[m]` with weight `H[m]`, where `G` is the window and `H` what halves a scale:
//! what lies outside the region is never seen, not even blurred into it. A window counts in its scale's
//! mean by `G[m]`, the part of it that is inside.
//!
//! The adjoint: a window's weight in the mean and the `1 / G[m]` of its moments cancel, so the maps that go
//! back are those without a mask, and their sum is multiplied by `m`; what a sample owes to the next scale is
//! `m H'[g / H[m]]`.

use crate::error::Error;
use crate::metric::{MsSsim, require};
use crate::params::Pooling;
use crate::plane::Plane;
use crate::pyramid::{halve_row, halve_sample};
use crate::sample::Sample;

/// A sample of a coarser scale that weighs less than this is outside.
const LEAST_WEIGHT: f32 = 1e-6;

/// The weights of an image's samples at all scales, made by [`MsSsim::mask`]; for any number of images.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'m> {
    weights: &'m [f32],
}

impl MsSsim {
    /// Samples of memory that [`MsSsim::mask`] needs.
    pub fn mask_len(&self) -> usize {
        self.pyramid_len()
    }

    /// Prepares a region of interest: `weights` has the images' size, 0 outside and any larger number
    /// inside, of which only the ratios count. `memory` is filled.
    ///
    /// A scale of which no window reaches into the region counts as equal.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`]; [`Error::Parameter`] for weights that are negative, not finite or all 0,
    /// and for products pixel by pixel, which have no masks.
    ///
    /// # Panics
    /// If `memory` is shorter than [`MsSsim::mask_len`].
    pub fn mask<'m, T: Sample>(
        &self,
        weights: &Plane<'_, T>,
        memory: &'m mut [f32],
    ) -> Result<Mask<'m>, Error> {
        require("memory of a mask", memory.len(), self.mask_len());
        if self.params().pooling == Pooling::PixelProduct {
            return Err(Error::Parameter {
                name: "pooling",
                must: "of means where there is a mask",
            });
        }
        let (expected, actual) = (self.size(), weights.size());
        if actual != expected {
            return Err(Error::SizeMismatch { expected, actual });
        }
        let mut largest = 0.0f32;
        for (i, row) in memory[..expected.area()]
            .chunks_exact_mut(expected.width)
            .enumerate()
        {
            for (weight, sample) in row.iter_mut().zip(weights.row(i)) {
                *weight = sample.to_f32();
                if !(0.0..=f32::MAX).contains(weight) {
                    return Err(Error::Parameter {
                        name: "mask",
                        must: "of finite weights, none of them negative",
                    });
                }
                largest = largest.max(*weight);
            }
        }
        if largest == 0.0 {
            return Err(Error::Parameter {
                name: "mask",
                must: "above 0 somewhere",
            });
        }
        for weight in &mut memory[..expected.area()] {
            *weight /= largest;
        }
        let halving = self.params().halving;
        for scale in 1..self.params().scales {
            let [size, coarser] = [self.scale_sizes()[scale - 1], self.scale_sizes()[scale]];
            let (fine, coarse) = memory[self.offset(scale - 1)..].split_at_mut(size.area());
            let rows = coarse[..coarser.area()].chunks_exact_mut(coarser.width);
            for (row, coarse) in rows.enumerate() {
                // Zeros that a convention puts beyond the image count there as samples.
                halve_row(halving, size, fine, 1.0, row, coarse);
                for weight in coarse {
                    if *weight < LEAST_WEIGHT {
                        *weight = 0.0;
                    }
                }
            }
        }
        Ok(Mask {
            weights: &memory[..self.mask_len()],
        })
    }

    /// The weights of a scale.
    pub(crate) fn mask_of<'m>(&self, mask: Option<&Mask<'m>>, scale: usize) -> Option<&'m [f32]> {
        mask.map(|mask| &mask.weights[self.offset(scale)..][..self.scale_sizes()[scale].area()])
    }

    /// Forgets what lies outside the region, whatever it is.
    pub(crate) fn hide(&self, mask: &Mask<'_>, plane: &mut [f32]) {
        for (v, weight) in plane.iter_mut().zip(mask.weights) {
            if *weight == 0.0 {
                *v = 0.0;
            }
        }
    }

    /// A coarser row from the weighted samples of the finer scale `scale - 1`.
    pub(crate) fn halve_masked_row(
        &self,
        mask: &Mask<'_>,
        scale: usize,
        fine: &[f32],
        outside: f32,
        row: usize,
        coarse: &mut [f32],
    ) {
        let size = self.scale_sizes()[scale - 1];
        let finer = &mask.weights[self.offset(scale - 1)..];
        let weights = &mask.weights[self.offset(scale) + row * coarse.len()..];
        let weighted = |i: usize, j: usize| {
            let at = i * size.width + j;
            finer[at] * fine[at]
        };
        let halving = self.params().halving;
        for (j, (coarse, weight)) in coarse.iter_mut().zip(weights).enumerate() {
            let sum = halve_sample(halving, size, &weighted, outside, row, j);
            *coarse = if *weight > 0.0 { sum / weight } else { 0.0 };
        }
    }

    /// Divides the gradient of scale `scale` by the weights that its samples were divided by.
    pub(crate) fn divide_by_weights(&self, mask: &Mask<'_>, scale: usize, gradient: &mut [f32]) {
        let weights = &mask.weights[self.offset(scale)..];
        for (gradient, weight) in gradient.iter_mut().zip(weights) {
            *gradient = if *weight > 0.0 {
                *gradient / weight
            } else {
                0.0
            };
        }
    }
}
