//! The metric over whole images: plan once, then score and differentiate any number of pairs.
//!
//! This is the portable form, on one thread and in the caller's scratch. It keeps every scale's
//! sums and differences in scratch; the passes over a scale need a few lines each.

mod conclusion;
mod gradient;
mod products;

use crate::error::Error;
use crate::gradient::gradient_scratch_len;
use crate::mask::Mask;
use crate::params::{ChannelPooling, MAX_SCALES, Params, Pooling};
use crate::plane::{Plane, Size};
use crate::pyramid::{halve_row, scale_sizes};
use crate::sample::Sample;
use crate::score::Score;
use crate::statistics::{
    Constants, Level, TermSums, row_scratch_len, row_sums, sum_and_difference,
};

pub use gradient::{Weighting, combine_gradient_row};

/// MS-SSIM for images of one size: everything that does not depend on the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsSsim {
    params: Params,
    channels: usize,
    constants: [Constants; MAX_SCALES],
    sizes: [Size; MAX_SCALES],
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
