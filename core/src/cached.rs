//! A reference that many images are compared with: read, scaled and halved once.
//!
//! The formula is over sums and differences of the two images, which keeps small differences of bright
//! images exact ([`crate::ssim`]), so no filtered map of the reference alone is of use. What is kept is its
//! pyramid; scores agree with [`MsSsim::score`] to rounding, 1e-6.

use crate::error::Error;
use crate::mask::Mask;
use crate::metric::{MsSsim, require};
use crate::params::ChannelPooling;
use crate::plane::{Plane, PlaneMut};
use crate::sample::Sample;
use crate::score::Score;
use crate::statistics::centred_row;

/// A prepared reference, made by [`MsSsim::cache`].
#[derive(Clone, Copy, Debug)]
pub struct Cached<'c> {
    /// The pyramids of the channels, one after the other, samples less 1/2 of the data range.
    planes: &'c [f32],
}

impl MsSsim {
    /// Samples of memory that [`MsSsim::cache`] needs.
    pub fn cache_len(&self) -> usize {
        self.channels() * self.pyramid_len()
    }

    /// Prepares a reference for any number of [`MsSsim::score_cached`].
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`]; [`Error::Parameter`] where channels are
    /// pooled together.
    ///
    /// # Panics
    /// If `memory` is shorter than [`MsSsim::cache_len`].
    pub fn cache<'c, T: Sample>(
        &self,
        reference: &[Plane<'_, T>],
        memory: &'c mut [f32],
    ) -> Result<Cached<'c>, Error> {
        self.check(reference.iter().map(Plane::size))?;
        if self.params().channels == ChannelPooling::Means {
            return Err(Error::Parameter {
                name: "channels",
                must: "of scores for a cached reference",
            });
        }
        require("memory of a reference", memory.len(), self.cache_len());
        let pyramids = memory.chunks_exact_mut(self.pyramid_len());
        for (plane, pyramid) in reference.iter().zip(pyramids) {
            self.fill_alone(plane, pyramid);
        }
        Ok(Cached {
            planes: &memory[..self.cache_len()],
        })
    }

    /// The score of `distorted` against a reference that this plan has prepared.
    ///
    /// # Errors
    /// As [`MsSsim::score`].
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::scratch_len`], or the reference is another plan's.
    pub fn score_cached<T: Sample>(
        &self,
        reference: &Cached<'_>,
        distorted: &[Plane<'_, T>],
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        self.check(distorted.iter().map(Plane::size))?;
        require("scratch", scratch.len(), self.scratch_len());
        let pyramids = reference.planes.chunks_exact(self.pyramid_len());
        Ok(Score::mean(distorted.iter().zip(pyramids).map(|(y, x)| {
            let (levels, rest) = scratch.split_at_mut(2 * self.pyramid_len());
            self.fill_from(x, y, levels);
            let (maps, lines) =
                rest.split_at_mut(self.scratch_len() - levels.len() - self.lines_len());
            self.score_filled(levels, maps, lines, None)
        })))
    }

    /// The score against a prepared reference, and its gradient by `distorted`; see
    /// [`MsSsim::score_and_gradient`].
    ///
    /// # Errors
    /// As [`MsSsim::score_and_gradient`].
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::gradient_scratch_len`], or the reference is another plan's.
    pub fn score_and_gradient_cached<T: Sample>(
        &self,
        reference: &Cached<'_>,
        distorted: &[Plane<'_, T>],
        gradient: &mut [PlaneMut<'_>],
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        self.check(distorted.iter().map(Plane::size))?;
        self.check(gradient.iter().map(PlaneMut::size))?;
        require("scratch", scratch.len(), self.gradient_scratch_len());
        let pyramids = reference.planes.chunks_exact(self.pyramid_len());
        let channels = distorted.iter().zip(pyramids).zip(gradient);
        Ok(Score::mean(channels.map(|((y, x), gradient)| {
            let (levels, rest) = scratch.split_at_mut(2 * self.pyramid_len());
            self.fill_from(x, y, levels);
            let none: Option<&Mask<'_>> = None;
            let (score, of_channel) = self.differentiate_filled(levels, none, None, rest);
            for (i, row) in of_channel.chunks_exact(self.size().width).enumerate() {
                gradient.row_mut(i).copy_from_slice(row);
            }
            score
        })))
    }

    /// The pyramid of one image, samples scaled to [-1/2, 1/2].
    fn fill_alone<T: Sample>(&self, plane: &Plane<'_, T>, pyramid: &mut [f32]) {
        let size = self.size();
        for (i, row) in pyramid[..size.area()]
            .chunks_exact_mut(size.width)
            .enumerate()
        {
            centred_row(plane.row(i), self.params().data_range, row);
        }
        for scale in 1..self.params().scales {
            self.halve(pyramid, None, -0.5, scale);
        }
    }

    /// Sums and differences of a prepared reference and an image.
    fn fill_from<T: Sample>(&self, x: &[f32], y: &Plane<'_, T>, levels: &mut [f32]) {
        let (sum, difference) = levels.split_at_mut(self.pyramid_len());
        self.fill_alone(y, difference);
        for ((s, d), x) in sum.iter_mut().zip(difference).zip(x) {
            let y = *d;
            (*s, *d) = (x + y, x - y);
        }
    }
}
