//! The metric over whole images: plan once, then score and differentiate any number of pairs.
//!
//! This is the portable form, on one thread and in the caller's scratch. It keeps every scale's
//! sums and differences in scratch; the passes over a scale need a few lines each.

use crate::combine::combine;
use crate::error::Error;
use crate::filter::map_size;
use crate::gradient::{gradient_rows, gradient_scratch_len, weighted_gradient};
use crate::params::{MAX_SCALES, Params, Pooling};
use crate::plane::{Plane, PlaneMut, Sample, Size};
use crate::product::{Factor, descend, rise, total};
use crate::pyramid::{halve_row, halve_row_adjoint, scale_sizes};
use crate::statistics::{
    Constants, Level, TermSums, row_scratch_len, row_sums, row_terms, sum_and_difference,
};

/// The means of one scale, over its map and over the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleMeans {
    /// Mean of contrast times structure.
    pub cs: f64,
    /// On the coarsest scale the mean of luminance times contrast times structure, which is that
    /// scale's factor; `None` on the others, whose factor is `cs`.
    pub ssim: Option<f64>,
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

    /// The means of the scales, the finest first.
    pub fn scales(&self) -> &[ScaleMeans] {
        &self.scales[..self.len]
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
            }
            count += 1.0;
        }
        mean.value /= count;
        for scale in &mut mean.scales {
            scale.cs /= count;
            scale.ssim = scale.ssim.map(|sum| sum / count);
        }
        mean
    }
}

/// MS-SSIM for images of one size: everything that does not depend on the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsSsim {
    params: Params,
    channels: usize,
    constants: Constants,
    sizes: [Size; MAX_SCALES],
}

impl MsSsim {
    /// Plans the metric for images of `size` with `channels` planes, each compared by itself.
    ///
    /// # Errors
    /// [`Error::TooSmall`] names the smallest legal side, [`Error::Parameter`] what is out of
    /// range; [`Error::TooLarge`]; [`Error::ChannelMismatch`] for no channel at all.
    pub fn new(size: Size, channels: usize, params: &Params) -> Result<Self, Error> {
        params.check(size)?;
        if channels == 0 {
            return Err(Error::ChannelMismatch {
                expected: 1,
                actual: 0,
            });
        }
        Ok(Self {
            params: *params,
            channels,
            constants: Constants::new(params),
            sizes: scale_sizes(size, params),
        })
    }

    /// The size of the images.
    pub fn size(&self) -> Size {
        self.sizes[0]
    }

    /// The number of planes of an image.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The parameters that the plan was made with.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What the passes over a scale need.
    pub fn constants(&self) -> &Constants {
        &self.constants
    }

    /// The sizes of the scales, the finest first.
    pub fn scale_sizes(&self) -> &[Size] {
        &self.sizes[..self.params.scales]
    }

    /// Samples of scratch that [`MsSsim::score`] needs.
    pub fn scratch_len(&self) -> usize {
        (2 + self.maps()) * self.pyramid_len() + row_scratch_len(self.size().width)
    }

    /// Samples of scratch that [`MsSsim::score_and_gradient`] needs.
    pub fn gradient_scratch_len(&self) -> usize {
        (3 + self.maps()) * self.pyramid_len() + gradient_scratch_len(self.size().width)
    }

    /// Planes of all scales that the pooling keeps: the terms, and sums of products.
    fn maps(&self) -> usize {
        match self.params.pooling {
            Pooling::Means => 0,
            Pooling::PixelProduct => 2,
        }
    }

    /// Samples of one plane at all scales.
    fn pyramid_len(&self) -> usize {
        self.scale_sizes().iter().map(|size| size.area()).sum()
    }

    /// Checks that images match the plan.
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`].
    pub fn check(&self, sizes: impl ExactSizeIterator<Item = Size>) -> Result<(), Error> {
        if sizes.len() != self.channels {
            return Err(Error::ChannelMismatch {
                expected: self.channels,
                actual: sizes.len(),
            });
        }
        for actual in sizes {
            if actual != self.size() {
                return Err(Error::SizeMismatch {
                    expected: self.size(),
                    actual,
                });
            }
        }
        Ok(())
    }

    /// The score of `distorted` against `reference`; symmetric in the two.
    ///
    /// NaN samples give a NaN score; other values of any size give a finite one (see
    /// [`crate::statistics::SATURATION`]). What `scratch` holds does not matter, before or after.
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`] when an image does not fit the plan.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::scratch_len`].
    pub fn score<X: Sample, Y: Sample>(
        &self,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        self.check(reference.iter().map(Plane::size))?;
        self.check(distorted.iter().map(Plane::size))?;
        let channels = reference.iter().zip(distorted);
        Ok(Score::mean(
            channels.map(|(x, y)| self.score_channel(x, y, scratch)),
        ))
    }

    /// The score of one channel, for planes that are known to fit.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::scratch_len`] or a plane is too small.
    pub fn score_channel<X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        scratch: &mut [f32],
    ) -> Score {
        require("scratch", scratch.len(), self.scratch_len());
        let (levels, rest) = scratch.split_at_mut(2 * self.pyramid_len());
        let (maps, lines) = rest.split_at_mut(self.maps() * self.pyramid_len());
        self.fill_pyramid(reference, distorted, levels);
        if self.params.pooling == Pooling::PixelProduct {
            return self.score_by_products(levels, maps, lines);
        }
        let mut sums = [TermSums::default(); MAX_SCALES];
        for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
            let (level, coarsest) = (self.level(levels, scale), self.is_coarsest(scale));
            for row in 0..map_size(self.params.border, level.size).height {
                *sums += row_sums(&self.constants, &level, coarsest, row, lines);
            }
        }
        self.finish(&sums[..self.params.scales]).0
    }

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
        self.check(reference.iter().map(Plane::size))?;
        self.check(distorted.iter().map(Plane::size))?;
        self.check(gradient.iter().map(PlaneMut::size))?;
        let channels = reference
            .iter()
            .zip(distorted)
            .zip(gradient)
            .map(|((x, y), gradient)| {
                let (score, of_channel) = self.differentiate_channel(x, y, scratch);
                for (i, row) in of_channel.chunks_exact(self.size().width).enumerate() {
                    gradient.row_mut(i).copy_from_slice(row);
                }
                score
            });
        Ok(Score::mean(channels))
    }

    /// The score of one channel, for planes that are known to fit, and the gradient of the mean
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
        let (levels, rest) = scratch.split_at_mut(2 * self.pyramid_len());
        let (gradients, rest) = rest.split_at_mut(self.pyramid_len());
        let (maps, lines) = rest.split_at_mut(self.maps() * self.pyramid_len());
        self.fill_pyramid(reference, distorted, levels);
        if self.params.pooling == Pooling::PixelProduct {
            let score = self.differentiate_products(levels, gradients, maps, lines);
            return (score, &gradients[..self.size().area()]);
        }
        let mut sums = [TermSums::default(); MAX_SCALES];
        for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
            let (level, coarsest) = (self.level(levels, scale), self.is_coarsest(scale));
            let gradient = &mut gradients[self.offset(scale)..][..level.size.area()];
            let add = |_, row| *sums += row;
            gradient_rows(&self.constants, &level, coarsest, 0, gradient, lines, add);
        }
        let (score, factors) = self.finish(&sums[..self.params.scales]);
        self.combine_gradients(&factors, gradients);
        (score, &gradients[..self.size().area()])
    }

    /// The score of a filled pyramid, scales multiplied pixel by pixel. `maps` receives the terms of
    /// all scales, and then `S` of [`crate::product`].
    fn score_by_products(&self, levels: &[f32], maps: &mut [f32], lines: &mut [f32]) -> Score {
        let (terms, s) = maps.split_at_mut(self.pyramid_len());
        let mut sums = [TermSums::default(); MAX_SCALES];
        let mut value = 0.0;
        for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
            let (level, coarsest) = (self.level(levels, scale), self.is_coarsest(scale));
            let terms = &mut terms[self.offset(scale)..][..level.size.area()];
            for (row, terms) in terms.chunks_exact_mut(level.size.width).enumerate() {
                *sums += row_terms(&self.constants, &level, coarsest, row, lines, terms);
            }
            let (own, coarser) = s[self.offset(scale)..].split_at_mut(level.size.area());
            let own = (scale > 0).then_some(&*own);
            if coarsest {
                value = total(&self.factor(scale), terms, own) / self.size().area() as f64;
            } else {
                let next = self.sizes[scale + 1];
                rise(
                    &self.factor(scale),
                    terms,
                    own,
                    next,
                    &mut coarser[..next.area()],
                );
            }
        }
        let (means, _) = self.finish(&sums[..self.params.scales]);
        Score { value, ..means }
    }

    /// The score of a filled pyramid, scales multiplied pixel by pixel, and its gradient.
    fn differentiate_products(
        &self,
        levels: &[f32],
        gradients: &mut [f32],
        maps: &mut [f32],
        lines: &mut [f32],
    ) -> Score {
        let score = self.score_by_products(levels, maps, lines);
        let (terms, s) = maps.split_at_mut(self.pyramid_len());
        for scale in (0..self.params.scales).rev() {
            let (level, coarsest) = (self.level(levels, scale), self.is_coarsest(scale));
            let terms = &mut terms[self.offset(scale)..][..level.size.area()];
            let (own, coarser) = s[self.offset(scale)..].split_at_mut(level.size.area());
            let coarser = (!coarsest).then(|| (self.sizes[scale + 1], &*coarser));
            descend(
                &self.factor(scale),
                terms,
                (scale > 0).then_some(own),
                coarser,
            );
            let gradient = &mut gradients[self.offset(scale)..][..level.size.area()];
            weighted_gradient(&self.constants, &level, coarsest, terms, gradient, lines);
        }
        let pixels = self.size().area() as f64;
        let factor = 1.0 / (pixels * self.params.data_range * self.channels as f64);
        self.combine_gradients(&[factor; MAX_SCALES], gradients);
        score
    }

    fn factor(&self, scale: usize) -> Factor {
        Factor {
            size: self.sizes[scale],
            weight: self.params.weights[scale],
            negative: self.params.negative,
        }
    }

    /// Where scale `scale` begins in a plane of all scales.
    fn offset(&self, scale: usize) -> usize {
        self.sizes[..scale].iter().map(|size| size.area()).sum()
    }

    fn is_coarsest(&self, scale: usize) -> bool {
        scale + 1 == self.params.scales
    }

    /// Scale `scale` of a filled pyramid.
    fn level<'a>(&self, levels: &'a [f32], scale: usize) -> Level<'a> {
        let (sum, difference) = levels.split_at(self.pyramid_len());
        let (offset, size) = (self.offset(scale), self.sizes[scale]);
        Level {
            size,
            sum: &sum[offset..][..size.area()],
            difference: &difference[offset..][..size.area()],
        }
    }

    /// Writes the sums and differences of all scales.
    fn fill_pyramid<X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        levels: &mut [f32],
    ) {
        let (sum, difference) = levels.split_at_mut(self.pyramid_len());
        let area = self.size().area();
        let first = (&mut sum[..area], &mut difference[..area]);
        sum_and_difference(
            reference,
            distorted,
            self.params.data_range,
            first.0,
            first.1,
        );
        // Two zeros make a sum of -1.
        for (plane, outside) in [(sum, -1.0), (difference, 0.0)] {
            for scale in 1..self.params.scales {
                let (fine, coarse) =
                    plane[self.offset(scale - 1)..].split_at_mut(self.sizes[scale - 1].area());
                let (finer, size) = (self.sizes[scale - 1], self.sizes[scale]);
                let rows = coarse[..size.area()].chunks_exact_mut(size.width);
                for (row, coarse) in rows.enumerate() {
                    halve_row(self.params.halving, finer, fine, outside, row, coarse);
                }
            }
        }
    }

    /// The score of one channel from the sums of its scales' terms, and for each scale the factor
    /// that turns the gradient of its sum, in samples scaled to [0, 1], into that of the score.
    pub fn finish(&self, sums: &[TermSums]) -> (Score, [f64; MAX_SCALES]) {
        let mut scales = [ScaleMeans::default(); MAX_SCALES];
        let mut means = [0.0; MAX_SCALES];
        let count = |scale| map_size(self.params.border, self.sizes[scale]).area() as f64;
        for (scale, sums) in sums.iter().enumerate() {
            let cs = sums.cs / count(scale);
            let ssim = self.is_coarsest(scale).then(|| sums.ssim / count(scale));
            scales[scale] = ScaleMeans { cs, ssim };
            means[scale] = ssim.unwrap_or(cs);
        }
        let len = sums.len();
        let (value, mut factors) = combine(
            &means[..len],
            &self.params.weights[..len],
            self.params.negative,
        );
        for (scale, factor) in factors[..len].iter_mut().enumerate() {
            *factor /= count(scale) * self.params.data_range * self.channels as f64;
        }
        (Score { value, scales, len }, factors)
    }

    /// From the coarsest scale to the finest: each scale's gradient, scaled, plus what it owes to
    /// the coarser one. The finest is the gradient of the score.
    fn combine_gradients(&self, factors: &[f64; MAX_SCALES], gradients: &mut [f32]) {
        for scale in (0..self.params.scales).rev() {
            let size = self.sizes[scale];
            let (fine, coarse) = gradients[self.offset(scale)..].split_at_mut(size.area());
            for (row, fine) in fine.chunks_exact_mut(size.width).enumerate() {
                let coarser = (!self.is_coarsest(scale)).then_some(&*coarse);
                combine_gradient_row(
                    self.params.halving,
                    size,
                    factors[scale],
                    coarser,
                    row,
                    fine,
                );
            }
        }
    }
}

/// Row `row` of one scale's gradient: scales `fine`, the gradient of the scale's sum of terms, by
/// `factor` and adds what is owed to `coarser`, the finished gradient of the next scale.
pub fn combine_gradient_row(
    halving: crate::params::Halving,
    size: Size,
    factor: f64,
    coarser: Option<&[f32]>,
    row: usize,
    fine: &mut [f32],
) {
    let factor = factor as f32;
    for v in fine.iter_mut() {
        *v *= factor;
    }
    if let Some(coarser) = coarser {
        halve_row_adjoint(halving, size, coarser, row, fine);
    }
}

#[cold]
fn short(name: &str, len: usize, needed: usize) -> ! {
    panic!("{name} holds {len} samples where {needed} are needed")
}

/// Panics with both numbers when a buffer is too short.
pub(crate) fn require(name: &str, len: usize, needed: usize) {
    if len < needed {
        short(name, len, needed);
    }
}
