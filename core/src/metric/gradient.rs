//! The gradient of the score over whole images.

use super::{Factors, MsSsim, require};
use crate::error::Error;
use crate::gradient::{apart_gradient, gradient_rows};
use crate::mask::Mask;
use crate::params::{ChannelPooling, Halving, MAX_SCALES, Pooling, Terms};
use crate::plane::{Plane, PlaneMut, Size};
use crate::pyramid::halve_row_adjoint;
use crate::real::Real;
use crate::sample::Sample;
use crate::score::Score;
use crate::statistics::TermSums;

/// What weighs in a score and its gradient, beside the samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighting<'w> {
    /// The derivative of what is differentiated by each channel's score; 1 / channels without it, so that
    /// it is their mean that is differentiated. Where channels have one score together, it counts once
    /// for each.
    pub upstream: Option<&'w [f64]>,
    /// The region that counts, made by [`MsSsim::mask`] of the same plan.
    pub mask: Option<Mask<'w>>,
}

impl MsSsim {
    /// The score, and its gradient by `distorted`.
    ///
    /// `gradient` has the images' planes; a sample of it is the change of the score per unit of
    /// that sample of `distorted`. It is finite for finite input, exactly 0 at identical images,
    /// and NaN throughout a channel with a NaN sample.
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`] when an image does not fit the plan.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::gradient_scratch_len`].
    pub fn score_and_gradient<X: Sample, Y: Sample>(
        &self,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        gradient: &mut [PlaneMut<'_>],
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        let weighting = Weighting::default();
        self.differentiate(reference, distorted, &weighting, gradient, scratch)
    }

    /// The score, and the gradient by `distorted` of the channels' scores, each times its weight
    /// upstream, within a region.
    ///
    /// The metric is symmetric: with the two images exchanged it is the gradient by `reference`.
    ///
    /// # Errors
    /// As [`MsSsim::score_and_gradient`]; [`Error::ChannelMismatch`] for another number of weights.
    ///
    /// # Panics
    /// As [`MsSsim::score_and_gradient`]; if the mask is another plan's.
    pub fn differentiate<X: Sample, Y: Sample>(
        &self,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        weighting: &Weighting<'_>,
        gradient: &mut [PlaneMut<'_>],
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        self.check(reference.iter().map(Plane::size))?;
        self.check(distorted.iter().map(Plane::size))?;
        self.check(gradient.iter().map(PlaneMut::size))?;
        let Weighting { upstream, mask } = weighting;
        if let Some(upstream) = upstream
            && upstream.len() != self.channels
        {
            return Err(Error::ChannelMismatch {
                expected: self.channels,
                actual: upstream.len(),
            });
        }
        require("scratch", scratch.len(), self.gradient_scratch_len());
        let joint = (self.params.channels == ChannelPooling::Means).then(|| {
            let pairs = reference.iter().zip(distorted);
            let sums = self.sums_of_channels(pairs, mask.as_ref(), scratch);
            self.conclude(&sums, self.channels, mask.is_some())
        });
        // Relative to the mean of the channels, which `conclude` differentiates. One score of all channels
        // has the sum of the weights.
        let planes = self.channels as f64;
        let all = upstream.map_or(1.0, |upstream| upstream.iter().sum::<f64>());
        let share = |channel: usize| match (upstream, &joint) {
            (None, None) => 1.0,
            (Some(upstream), None) => upstream[channel] * planes,
            // `conclude` has divided by the number of planes twice: in the mean over them, and here.
            (_, Some(_)) => all * planes,
        };
        let channels = reference.iter().zip(distorted).zip(gradient).enumerate();
        let score = Score::mean(channels.map(|(channel, ((x, y), gradient))| {
            let known = joint.as_ref().map(|(_, factors)| factors);
            let (score, of_channel) = self.differentiate_known(x, y, mask.as_ref(), known, scratch);
            let share = share(channel) as f32;
            for (i, row) in of_channel.chunks_exact(self.size().width).enumerate() {
                let gradient = gradient.row_mut(i);
                gradient.copy_from_slice(row);
                if share != 1.0 {
                    gradient.iter_mut().for_each(|g| *g *= share);
                }
            }
            score
        }));
        Ok(joint.map_or(score, |(joint, _)| joint))
    }

    /// The score of one channel by itself, for planes that are known to fit, and the gradient of the mean
    /// over all channels by this one's distorted plane, row-major, left in `scratch`.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::gradient_scratch_len`] or a plane is too small.
    pub fn differentiate_channel<'s, X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        scratch: &'s mut [f32],
    ) -> (Score, &'s [f32]) {
        require("scratch", scratch.len(), self.gradient_scratch_len());
        self.differentiate_known(reference, distorted, None, None, scratch)
    }

    /// `known` are the factors where they do not come from this channel alone.
    fn differentiate_known<'s, X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        mask: Option<&Mask<'_>>,
        known: Option<&Factors>,
        scratch: &'s mut [f32],
    ) -> (Score, &'s [f32]) {
        let (levels, rest) = scratch.split_at_mut(2 * self.pyramid_len());
        self.fill_pyramid(reference, distorted, mask, levels);
        self.differentiate_filled(levels, mask, known, rest)
    }

    /// The score and the gradient of a filled pyramid; `rest` is scratch without that.
    pub(crate) fn differentiate_filled<'s>(
        &self,
        levels: &[f32],
        mask: Option<&Mask<'_>>,
        known: Option<&Factors>,
        rest: &'s mut [f32],
    ) -> (Score, &'s [f32]) {
        let (gradients, rest) = rest.split_at_mut(self.pyramid_len());
        let (maps, lines) = rest.split_at_mut(self.params.maps() * self.pyramid_len());
        let area = self.size().area();
        if self.params.pooling == Pooling::PixelProduct {
            let score = self.differentiate_products(levels, gradients, maps, lines);
            return (score, &gradients[..area]);
        }
        let apart = matches!(self.params.terms, Terms::Apart { .. });
        let mut sums = [TermSums::default(); MAX_SCALES];
        if apart {
            sums = self.sums_of_levels(levels, mask, lines);
        } else {
            for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
                let level = self.level(levels, mask, scale);
                let gradient = &mut gradients[self.offset(scale)..][..level.size.area()];
                let add = |row| *sums += row;
                gradient_rows(&self.constants[scale], &level, gradient, lines, add);
            }
        }
        let (score, own) = self.conclude(&sums[..self.params.scales], 1, mask.is_some());
        let factors = known.unwrap_or(&own);
        let mut scales = factors.map(|[first, ..]| first);
        if apart {
            for (scale, factors) in factors[..self.params.scales].iter().enumerate() {
                let level = self.level(levels, mask, scale);
                let gradient = &mut gradients[self.offset(scale)..][..level.size.area()];
                // Relative to the largest, so that none is lost in single precision.
                let largest = factors.iter().fold(0.0f64, |m, f| m.max(f.abs()));
                let relative = factors.map(|f| {
                    if largest > 0.0 {
                        (f / largest) as f32
                    } else {
                        f as f32
                    }
                });
                apart_gradient(&self.constants[scale], &level, relative, gradient, lines);
                scales[scale] = largest;
            }
        }
        self.combine_gradients(&scales, mask, gradients, lines);
        (score, &gradients[..area])
    }

    /// From the coarsest scale to the finest: each scale's gradient, scaled, plus what it owes to
    /// the coarser one. The finest is the gradient of the score.
    pub(super) fn combine_gradients(
        &self,
        factors: &[f64; MAX_SCALES],
        mask: Option<&Mask<'_>>,
        gradients: &mut [f32],
        lines: &mut [f32],
    ) {
        let halving = self.params.halving;
        for scale in (0..self.params.scales).rev() {
            let size = self.sizes[scale];
            let (fine, coarse) = gradients[self.offset(scale)..].split_at_mut(size.area());
            if let Some(mask) = mask.filter(|_| !self.is_coarsest(scale)) {
                let coarser = self.sizes[scale + 1].area();
                self.divide_by_weights(mask, scale + 1, &mut coarse[..coarser]);
            }
            for (row, fine) in fine.chunks_exact_mut(size.width).enumerate() {
                let coarser = (!self.is_coarsest(scale)).then_some(&*coarse);
                match (self.mask_of(mask, scale), coarser) {
                    (Some(weights), Some(coarser)) => {
                        let owed = &mut lines[..size.width];
                        owed.fill(0.0);
                        halve_row_adjoint(halving, size, coarser, row, owed);
                        let factor = factors[scale] as f32;
                        let weights = &weights[row * size.width..];
                        for ((fine, owed), weight) in fine.iter_mut().zip(owed).zip(weights) {
                            *fine = factor * *fine + weight * *owed;
                        }
                    }
                    _ => {
                        let factor = factors[scale] as f32;
                        combine_gradient_row(halving, size, factor, coarser, row, fine);
                    }
                }
            }
        }
    }
}

/// Row `row` of one scale's gradient: scales `fine`, the gradient of the scale's sum of terms, by
/// `factor` and adds what is owed to `coarser`, the finished gradient of the next scale.
#[inline(always)]
pub fn combine_gradient_row<T: Real>(
    halving: Halving,
    size: Size,
    factor: T,
    coarser: Option<&[T]>,
    row: usize,
    fine: &mut [T],
) {
    for v in fine.iter_mut() {
        *v = *v * factor;
    }
    if let Some(coarser) = coarser {
        halve_row_adjoint(halving, size, coarser, row, fine);
    }
}
