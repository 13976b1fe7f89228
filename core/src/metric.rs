//! The metric over whole images: plan once, then score and differentiate any number of pairs.
//!
//! This is the portable form, on one thread and in the caller's scratch. It keeps every scale's
//! sums and differences in scratch; the passes over a scale need a few lines each.

use crate::combine::{combine, product_of_powers};
use crate::error::Error;
use crate::gradient::{apart_gradient, gradient_rows, gradient_scratch_len, weighted_gradient};
use crate::mask::Mask;
use crate::params::{ChannelPooling, Halving, MAX_SCALES, Params, Pooling, Terms};
use crate::plane::{Plane, PlaneMut, Size};
use crate::product::{Factor, descend, rise, total};
use crate::pyramid::{halve_row, halve_row_adjoint, scale_sizes};
use crate::sample::Sample;
use crate::score::{Apart, ScaleMeans, Score};
use crate::statistics::{
    Constants, Kind, Level, TermSums, row_scratch_len, row_sums, row_terms, sum_and_difference,
};

/// MS-SSIM for images of one size: everything that does not depend on the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsSsim {
    params: Params,
    channels: usize,
    constants: [Constants; MAX_SCALES],
    sizes: [Size; MAX_SCALES],
}

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

/// Derivatives of the score by the sums of a scale's terms: of `cs` or `l cs` first, or of luminance,
/// contrast and structure.
type Factors = [[f64; 3]; MAX_SCALES];

impl Params {
    /// Samples of scratch that [`MsSsim::score`] needs for images of `size`.
    ///
    /// Constant, so that a static array can have that length. For sizes that [`MsSsim::new`] accepts.
    pub const fn scratch_len(&self, size: Size) -> usize {
        (2 + self.maps()) * self.pyramid_len(size) + row_scratch_len(size.width, self.radius)
    }

    /// Samples of scratch that [`MsSsim::score_and_gradient`] needs for images of `size`.
    pub const fn gradient_scratch_len(&self, size: Size) -> usize {
        (3 + self.maps()) * self.pyramid_len(size) + gradient_scratch_len(size.width, self.radius)
    }

    /// Planes of all scales that the pooling keeps: the terms, and sums of products.
    const fn maps(&self) -> usize {
        match self.pooling {
            Pooling::Means => 0,
            Pooling::PixelProduct => 2,
        }
    }

    /// Samples of one plane at all scales.
    const fn pyramid_len(&self, size: Size) -> usize {
        let sizes = scale_sizes(size, self);
        let (mut sum, mut scale) = (0, 0);
        while scale < self.scales && scale < MAX_SCALES {
            sum += sizes[scale].area();
            scale += 1;
        }
        sum
    }
}

impl MsSsim {
    /// Plans the metric for images of `size` with `channels` planes.
    ///
    /// # Errors
    /// [`Error::TooSmall`] names the smallest legal side ([`Params::fitted`] has rules for smaller
    /// images), [`Error::Parameter`] what is out of range; [`Error::TooLarge`];
    /// [`Error::ChannelMismatch`] for no channel at all.
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
            constants: core::array::from_fn(|scale| Constants::new(params, scale)),
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
    ///
    /// # Panics
    /// If there is no such scale.
    pub fn constants(&self, scale: usize) -> &Constants {
        &self.constants[..self.params.scales][scale]
    }

    /// What the passes over a scale need, and its size; `None` where there is no such scale.
    pub(crate) fn scale(&self, scale: usize) -> Option<(&Constants, Size)> {
        let size = self.scale_sizes().get(scale)?;
        Some((self.constants.get(scale)?, *size))
    }

    /// The sizes of the scales, the finest first.
    pub fn scale_sizes(&self) -> &[Size] {
        self.sizes.get(..self.params.scales).unwrap_or_default()
    }

    /// The size of a scale's map: one sample a window.
    ///
    /// # Panics
    /// If there is no such scale.
    pub fn map_size(&self, scale: usize) -> Size {
        self.constants(scale).map_size(self.sizes[scale])
    }

    /// Samples of scratch that [`MsSsim::score`] needs.
    pub fn scratch_len(&self) -> usize {
        self.params.scratch_len(self.size())
    }

    /// Samples of scratch that [`MsSsim::score_and_gradient`] needs.
    pub fn gradient_scratch_len(&self) -> usize {
        self.params.gradient_scratch_len(self.size())
    }

    /// Samples of scratch beyond planes.
    pub(crate) fn lines_len(&self) -> usize {
        row_scratch_len(self.size().width, self.params.radius)
    }

    /// Samples of one plane at all scales.
    pub(crate) fn pyramid_len(&self) -> usize {
        self.params.pyramid_len(self.size())
    }

    /// Where scale `scale` begins in a plane of all scales.
    pub(crate) fn offset(&self, scale: usize) -> usize {
        self.sizes[..scale].iter().map(|size| size.area()).sum()
    }

    fn is_coarsest(&self, scale: usize) -> bool {
        scale + 1 == self.params.scales
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
        self.score_region(reference, distorted, None, scratch)
    }

    /// The score of the region that a mask of this plan leaves, see [`MsSsim::score`].
    ///
    /// # Errors
    /// As [`MsSsim::score`].
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::scratch_len`], or the mask is another plan's.
    pub fn score_region<X: Sample, Y: Sample>(
        &self,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        mask: Option<&Mask<'_>>,
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        self.check(reference.iter().map(Plane::size))?;
        self.check(distorted.iter().map(Plane::size))?;
        require("scratch", scratch.len(), self.scratch_len());
        let pairs = reference.iter().zip(distorted);
        if self.params.channels == ChannelPooling::Means {
            let sums = self.sums_of_channels(pairs, mask, scratch);
            return Ok(self.conclude(&sums, self.channels, mask.is_some()).0);
        }
        Ok(Score::mean(pairs.map(|(x, y)| {
            self.score_channel_region(x, y, mask, scratch)
        })))
    }

    /// The score of one channel by itself, for planes that are known to fit.
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
        self.score_channel_region(reference, distorted, None, scratch)
    }

    fn score_channel_region<X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        mask: Option<&Mask<'_>>,
        scratch: &mut [f32],
    ) -> Score {
        let (levels, rest) = scratch.split_at_mut(2 * self.pyramid_len());
        let (maps, lines) = rest.split_at_mut(self.params.maps() * self.pyramid_len());
        self.fill_pyramid(reference, distorted, mask, levels);
        self.score_filled(levels, maps, lines, mask)
    }

    /// The score of a filled pyramid.
    pub(crate) fn score_filled(
        &self,
        levels: &[f32],
        maps: &mut [f32],
        lines: &mut [f32],
        mask: Option<&Mask<'_>>,
    ) -> Score {
        if self.params.pooling == Pooling::PixelProduct {
            return self.score_by_products(levels, maps, lines);
        }
        let sums = self.sums_of_levels(levels, mask, lines);
        self.conclude(&sums[..self.params.scales], 1, mask.is_some())
            .0
    }

    /// The sums of the terms of every scale of a filled pyramid.
    fn sums_of_levels(
        &self,
        levels: &[f32],
        mask: Option<&Mask<'_>>,
        lines: &mut [f32],
    ) -> [TermSums; MAX_SCALES] {
        let mut sums = [TermSums::default(); MAX_SCALES];
        for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
            let level = self.level(levels, mask, scale);
            for row in 0..self.map_size(scale).height {
                *sums += row_sums(&self.constants[scale], &level, row, lines);
            }
        }
        sums
    }

    /// The sums of all channels together.
    fn sums_of_channels<'p, X: Sample + 'p, Y: Sample + 'p>(
        &self,
        pairs: impl Iterator<Item = (&'p Plane<'p, X>, &'p Plane<'p, Y>)>,
        mask: Option<&Mask<'_>>,
        scratch: &mut [f32],
    ) -> [TermSums; MAX_SCALES] {
        let (levels, lines) = scratch.split_at_mut(2 * self.pyramid_len());
        let mut all = [TermSums::default(); MAX_SCALES];
        for (x, y) in pairs {
            self.fill_pyramid(x, y, mask, levels);
            let sums = self.sums_of_levels(levels, mask, lines);
            for (all, sums) in all.iter_mut().zip(sums) {
                *all += sums;
            }
        }
        all
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

    /// The score of a filled pyramid, scales multiplied pixel by pixel. `maps` receives the terms of
    /// all scales, and then `S` of [`crate::product`].
    fn score_by_products(&self, levels: &[f32], maps: &mut [f32], lines: &mut [f32]) -> Score {
        let (terms, s) = maps.split_at_mut(self.pyramid_len());
        let mut sums = [TermSums::default(); MAX_SCALES];
        let mut value = 0.0;
        for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
            let (level, coarsest) = (self.level(levels, None, scale), self.is_coarsest(scale));
            let map = self.map_size(scale);
            let terms = &mut terms[self.offset(scale)..][..map.area()];
            for (row, terms) in terms.chunks_exact_mut(map.width).enumerate() {
                *sums += row_terms(&self.constants[scale], &level, row, lines, terms);
            }
            let (own, coarser) = s[self.offset(scale)..].split_at_mut(level.size.area());
            let own = (scale > 0).then_some(&*own);
            if coarsest {
                let pixels = self.map_size(0).area() as f64;
                value = total(&self.factor(scale), terms, own) / pixels;
            } else {
                let next = self.map_size(scale + 1);
                let out = &mut coarser[..next.area()];
                rise(&self.factor(scale), terms, own, next, out);
            }
        }
        let (mut score, _) = self.conclude(&sums[..self.params.scales], 1, false);
        score.value = value;
        score
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
            let (level, coarsest) = (self.level(levels, None, scale), self.is_coarsest(scale));
            let terms = &mut terms[self.offset(scale)..][..self.map_size(scale).area()];
            let (own, coarser) = s[self.offset(scale)..].split_at_mut(level.size.area());
            let coarser = (!coarsest).then(|| (self.map_size(scale + 1), &*coarser));
            let own = (scale > 0).then_some(own);
            descend(&self.factor(scale), terms, own, coarser);
            let gradient = &mut gradients[self.offset(scale)..][..level.size.area()];
            weighted_gradient(&self.constants[scale], &level, terms, gradient, lines);
        }
        let pixels = self.map_size(0).area() as f64;
        let factor = 1.0 / (pixels * self.params.data_range * self.channels as f64);
        self.combine_gradients(&[factor; MAX_SCALES], None, gradients, lines);
        score
    }

    fn factor(&self, scale: usize) -> Factor {
        Factor {
            size: self.map_size(scale),
            weight: self.params.weights[scale],
            negative: self.params.negative,
            halves: self.params.halving != Halving::Keep,
        }
    }

    /// Scale `scale` of a filled pyramid.
    pub(crate) fn level<'a>(
        &self,
        levels: &'a [f32],
        mask: Option<&Mask<'a>>,
        scale: usize,
    ) -> Level<'a> {
        let (sum, difference) = levels.split_at(self.pyramid_len());
        let (offset, size) = (self.offset(scale), self.sizes[scale]);
        Level {
            size,
            sum: &sum[offset..][..size.area()],
            difference: &difference[offset..][..size.area()],
            mask: self.mask_of(mask, scale),
        }
    }

    /// Writes the sums and differences of all scales.
    pub(crate) fn fill_pyramid<X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        mask: Option<&Mask<'_>>,
        levels: &mut [f32],
    ) {
        let (sum, difference) = levels.split_at_mut(self.pyramid_len());
        let Size { width, height } = self.size();
        let range = self.params.data_range;
        let rows = sum
            .chunks_exact_mut(width)
            .zip(difference.chunks_exact_mut(width));
        for (row, (s, d)) in rows.take(height).enumerate() {
            sum_and_difference(reference, distorted, row, range, s, d);
        }
        // Two zeros make a sum of -1.
        for (plane, outside) in [(sum, -1.0), (difference, 0.0)] {
            if let Some(mask) = mask {
                self.hide(mask, &mut plane[..width * height]);
            }
            for scale in 1..self.params.scales {
                self.halve(plane, mask, outside, scale);
            }
        }
    }

    /// Makes scale `scale` of a plane of all scales from the finer one.
    pub(crate) fn halve(
        &self,
        plane: &mut [f32],
        mask: Option<&Mask<'_>>,
        outside: f32,
        scale: usize,
    ) {
        let (finer, size) = (self.sizes[scale - 1], self.sizes[scale]);
        let (fine, coarse) = plane[self.offset(scale - 1)..].split_at_mut(finer.area());
        let rows = coarse[..size.area()].chunks_exact_mut(size.width);
        for (row, coarse) in rows.enumerate() {
            match mask {
                None => halve_row(self.params.halving, finer, fine, outside, row, coarse),
                Some(mask) => self.halve_masked_row(mask, scale, fine, outside, row, coarse),
            }
        }
    }

    /// The score from the sums of its scales' terms over `planes` planes, one or all channels, and for each scale the
    /// factor that turns the gradient of its sum, in samples scaled to [0, 1], into that of the score's share in the
    /// mean over all channels.
    ///
    /// For terms that are together ([`Terms::ContrastStructure`]).
    pub fn finish(&self, sums: &[TermSums], planes: usize) -> (Score, [f64; MAX_SCALES]) {
        let (score, factors) = self.conclude(sums, planes, false);
        (score, factors.map(|[first, ..]| first))
    }

    /// The score from the sums over `planes` planes, and its derivatives by them, in units of the
    /// samples and as a share of the mean over all channels.
    pub(crate) fn conclude(
        &self,
        sums: &[TermSums],
        planes: usize,
        masked: bool,
    ) -> (Score, Factors) {
        let mut scales = [ScaleMeans::default(); MAX_SCALES];
        let mut weights = [0.0; MAX_SCALES];
        let mut means = [0.0; MAX_SCALES];
        let mut apart = [[1.0; 3]; MAX_SCALES];
        let len = sums.len().min(self.params.scales);
        let planned = self.constants.iter().zip(self.scale_sizes());
        let results = scales
            .iter_mut()
            .zip(&mut means)
            .zip(apart.iter_mut().zip(&mut weights));
        for ((sums, (constants, size)), ((scale, mean), (apart, of_scale))) in
            sums.iter().zip(planned).zip(results)
        {
            let windows = (constants.map_size(*size).area() * planes) as f64;
            // Where no window reaches into the region, the images count as equal.
            let nothing = TermSums {
                cs: 1.0,
                ssim: 1.0,
                apart: [1.0; 3],
                weight: 1.0,
            };
            let sums = match masked {
                true if sums.weight == 0.0 => &nothing,
                _ => sums,
            };
            let weight = if masked { sums.weight } else { windows };
            let coarsest = constants.kind == Kind::Ssim;
            scale.cs = sums.cs / weight;
            scale.ssim = coarsest.then(|| sums.ssim / weight);
            *mean = scale.ssim.unwrap_or(scale.cs);
            if let Terms::Apart { .. } = self.params.terms {
                *apart = sums.apart.map(|sum| sum / weight);
                let [luminance, contrast, structure] = *apart;
                scale.apart = Some(Apart {
                    luminance,
                    contrast,
                    structure,
                });
            }
            *of_scale = weight;
        }
        let mut factors = [[0.0; 3]; MAX_SCALES];
        let value = if let Terms::Apart { alpha, gamma } = &self.params.terms {
            let exponents = alpha.iter().zip(&self.params.weights).zip(gamma);
            let mut all = [[(1.0, 1.0); 3]; MAX_SCALES];
            for ((all, means), ((a, b), c)) in all.iter_mut().zip(apart).zip(exponents) {
                let [l, contrast, s] = means;
                *all = [(l, *a), (contrast, *b), (s, *c)];
            }
            let powers = all.as_flattened().iter().copied().take(3 * len);
            let flat = factors.as_flattened_mut();
            product_of_powers(powers, self.params.negative, flat)
        } else {
            let means = means.get(..len).unwrap_or_default();
            let (value, slopes) = combine(means, &self.params.weights, self.params.negative);
            for (factors, slope) in factors.iter_mut().zip(slopes) {
                factors[0] = slope;
            }
            value
        };
        for (factors, weight) in factors.iter_mut().zip(weights).take(len) {
            for factor in factors {
                *factor /= weight * self.params.data_range * self.channels as f64;
            }
        }
        (Score::of(value, scales, len), factors)
    }

    /// From the coarsest scale to the finest: each scale's gradient, scaled, plus what it owes to
    /// the coarser one. The finest is the gradient of the score.
    fn combine_gradients(
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
                    _ => combine_gradient_row(halving, size, factors[scale], coarser, row, fine),
                }
            }
        }
    }
}

/// Row `row` of one scale's gradient: scales `fine`, the gradient of the scale's sum of terms, by
/// `factor` and adds what is owed to `coarser`, the finished gradient of the next scale.
#[inline(always)]
pub fn combine_gradient_row(
    halving: Halving,
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
