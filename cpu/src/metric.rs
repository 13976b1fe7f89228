//! The metric over threads and vectors: planes and bands of rows side by side.
//!
//! Sums are of integers and rows are added from the top down, so results do not depend on the number of threads, nor
//! on that of lanes; see [`Isa`] for what they do depend on.

use msssim_core::{
    ChannelPooling, Error, Halving, MAX_SCALES, Mask, Params, Plane, PlaneMut, Pooling, Sample,
    Score, Size, Terms, Weighting,
};
use rayon::prelude::*;

use crate::dispatch::{Isa, Token};
use crate::kernel::RADIUS;
use crate::pyramid::{Pyramid, Sums};
use crate::rows::Pair;

/// MS-SSIM for images of one size, on the threads of the current rayon pool.
///
/// Vectors and threads are for windows of 11 taps over any border, scales halved by means of 2 x 2, and terms
/// pooled by means, whatever becomes of negative ones. Others take the portable form of [`msssim_core`]: products
/// pixel by pixel ([`Pooling::PixelProduct`]), terms apart ([`Terms::Apart`]), other windows, the 9/7
/// filter and no halving at all ([`Halving::LowPass97`], [`Halving::Keep`]) on one thread a channel, and masks and
/// weights upstream ([`MsSsim::differentiate`]) on one thread.
///
/// ```
/// use msssim_cpu::{MsSsim, Params, Plane, Size};
///
/// let size = Size { width: 200, height: 180 };
/// let metric = MsSsim::new(size, 1, &Params::WANG_2003)?;
/// let mut workspace = metric.workspace();
/// let reference = vec![100u8; size.area()];
/// let plane = [Plane::new(&reference, size)?];
/// assert_eq!(metric.score(&mut workspace, &plane, &plane)?.value, 1.0);
/// # Ok::<(), msssim_cpu::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsSsim {
    plan: msssim_core::MsSsim,
    token: Token,
}

/// Memory that scoring one pair of images at a time needs; made by [`MsSsim::workspace`].
///
/// What it holds between calls does not matter.
#[derive(Clone, Debug)]
pub struct Workspace {
    plan: msssim_core::MsSsim,
    /// One of each channel.
    channels: Vec<Pyramid>,
    /// Scratch of the portable form, a channel after the other, where that is what runs.
    portable: Vec<f32>,
}

impl Workspace {
    /// Scratch of the portable form for a whole image, which is allocated when it is first asked for.
    fn whole(&mut self, len: usize) -> &mut [f32] {
        if self.portable.len() < len {
            self.portable.resize(len, 0.0);
        }
        &mut self.portable
    }
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// Kernels, over bands of rows.
    Bands,
    /// The portable form, channels side by side.
    Channels,
    /// The portable form.
    Whole,
}

impl MsSsim {
    /// Plans the metric for images of `size` with `channels` planes, each compared by itself, with the best
    /// instructions that this machine has.
    ///
    /// # Errors
    /// Those of [`msssim_core::MsSsim::new`]; the smallest legal side is named.
    pub fn new(size: Size, channels: usize, params: &Params) -> Result<Self, Error> {
        Self::with_isa(size, channels, params, Isa::best())
    }

    /// [`MsSsim::new`] with certain instructions.
    ///
    /// # Errors
    /// As [`MsSsim::new`]; [`Error::Parameter`] where this machine does not have them.
    pub fn with_isa(size: Size, channels: usize, params: &Params, isa: Isa) -> Result<Self, Error> {
        Ok(Self {
            plan: msssim_core::MsSsim::new(size, channels, params)?,
            token: isa.check()?,
        })
    }

    /// The plan that is shared with the portable form.
    pub fn plan(&self) -> &msssim_core::MsSsim {
        &self.plan
    }

    /// The instructions that run.
    pub fn isa(&self) -> Isa {
        self.token.isa()
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Memory for scoring one pair of images at a time, by as many threads as the current rayon pool has.
    pub fn workspace(&self) -> Workspace {
        let route = self.route();
        let channels = if route == Route::Bands {
            self.plan.channels()
        } else {
            0
        };
        let threads = rayon::current_num_threads();
        let pyramid = || Pyramid::new(&self.plan, self.token, threads);
        let portable = match route {
            Route::Bands => 0,
            Route::Channels => self.plan.channels() * self.plan.gradient_scratch_len(),
            Route::Whole => self.plan.gradient_scratch_len(),
        };
        Workspace {
            plan: self.plan,
            channels: (0..channels).map(|_| pyramid()).collect(),
            portable: vec![0.0; portable],
        }
    }

    /// Whether the kernels know these parameters.
    pub(crate) fn has_kernels(&self) -> bool {
        let params = self.plan.params();
        params.radius == RADIUS
            && params.pooling == Pooling::Means
            && params.terms == Terms::ContrastStructure
            && !matches!(params.halving, Halving::LowPass97 | Halving::Keep)
            && Pyramid::fits(&self.plan, self.token)
    }

    /// What runs.
    fn route(&self) -> Route {
        match self.plan.params().channels {
            _ if self.has_kernels() => Route::Bands,
            ChannelPooling::Means => Route::Whole,
            ChannelPooling::Scores => Route::Channels,
        }
    }

    /// The score of `distorted` against `reference`; symmetric in the two.
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`] when an image does not fit the plan.
    ///
    /// # Panics
    /// If `workspace` was made by another plan.
    pub fn score<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
    ) -> Result<Score, Error> {
        self.plan.check(reference.iter().map(Plane::size))?;
        self.plan.check(distorted.iter().map(Plane::size))?;
        self.check_workspace(workspace);
        match self.route() {
            Route::Whole => self
                .plan
                .score(reference, distorted, &mut workspace.portable),
            Route::Channels => {
                let scratch = workspace
                    .portable
                    .par_chunks_exact_mut(self.plan.gradient_scratch_len());
                let scores: Vec<Score> = scratch
                    .zip(reference.par_iter().zip(distorted))
                    .map(|(scratch, (x, y))| self.plan.score_channel(x, y, scratch))
                    .collect();
                Ok(Score::mean(scores))
            }
            Route::Bands => {
                let pairs = reference.iter().zip(distorted);
                let channels = workspace.channels.iter_mut().zip(pairs);
                let sums = channels.map(|(pyramid, (x, y))| self.sums(pyramid, x, y, None));
                let sums: Vec<Sums> = sums.collect();
                Ok(self.finish(&sums).0)
            }
        }
    }

    /// The score, and its gradient by `distorted`, see [`msssim_core::MsSsim::score_and_gradient`].
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`] when an image does not fit the plan.
    ///
    /// # Panics
    /// If `workspace` was made by another plan.
    pub fn score_and_gradient<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        gradient: &mut [PlaneMut<'_>],
    ) -> Result<Score, Error> {
        self.plan.check(reference.iter().map(Plane::size))?;
        self.plan.check(distorted.iter().map(Plane::size))?;
        self.plan.check(gradient.iter().map(PlaneMut::size))?;
        self.check_workspace(workspace);
        match self.route() {
            Route::Whole => {
                let scratch = &mut workspace.portable;
                self.plan
                    .score_and_gradient(reference, distorted, gradient, scratch)
            }
            Route::Channels => {
                let scratch = workspace
                    .portable
                    .par_chunks_exact_mut(self.plan.gradient_scratch_len());
                let scores: Vec<Score> = scratch
                    .zip(reference.par_iter().zip(distorted).zip(gradient))
                    .map(|(scratch, ((x, y), gradient))| {
                        let (score, of_channel) = self.plan.differentiate_channel(x, y, scratch);
                        let rows = of_channel.chunks_exact(self.plan.size().width);
                        for (i, row) in rows.enumerate() {
                            gradient.row_mut(i).copy_from_slice(row);
                        }
                        score
                    })
                    .collect();
                Ok(Score::mean(scores))
            }
            Route::Bands => {
                let pairs = reference.iter().zip(distorted).zip(&mut *gradient);
                let channels = workspace.channels.iter_mut().zip(pairs);
                let sums = channels.map(|(pyramid, ((x, y), gradient))| {
                    self.sums(pyramid, x, y, Some(gradient.reborrow()))
                });
                let sums: Vec<Sums> = sums.collect();
                let (score, factors) = self.finish(&sums);
                let share = self.share();
                let channels = workspace.channels.iter_mut().zip(gradient).zip(factors);
                for ((pyramid, gradient), factors) in channels {
                    pyramid.combine(&self.plan, &factors, share, gradient.reborrow());
                }
                Ok(score)
            }
        }
    }

    /// The sums of one channel's scales, and each scale's gradient of its own sum.
    pub(crate) fn sums<X: Sample, Y: Sample>(
        &self,
        pyramid: &mut Pyramid,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        gradient: Option<PlaneMut<'_>>,
    ) -> Sums {
        let pair = Pair {
            reference,
            distorted,
            data_range: self.plan.params().data_range,
        };
        pyramid.sums(&self.plan, &pair, gradient)
    }

    /// What a plane's gradient is multiplied by in the end: one score of all channels is no mean over them, see
    /// `msssim_core::MsSsim::differentiate`.
    pub(crate) fn share(&self) -> f32 {
        match self.plan.params().channels {
            ChannelPooling::Scores => 1.0,
            ChannelPooling::Means => self.plan.channels() as f32,
        }
    }

    /// The score from the sums of all channels, and each channel's factors of its scales' gradients.
    pub(crate) fn finish(&self, sums: &[Sums]) -> (Score, Vec<[f64; MAX_SCALES]>) {
        let scales = self.plan.params().scales;
        match self.plan.params().channels {
            ChannelPooling::Scores => {
                let channels = sums.iter().map(|sums| self.plan.finish(&sums[..scales], 1));
                let (scores, factors): (Vec<Score>, _) = channels.unzip();
                (Score::mean(scores), factors)
            }
            ChannelPooling::Means => {
                let mut all = Sums::default();
                for sums in sums {
                    for (all, sums) in all.iter_mut().zip(sums) {
                        *all += *sums;
                    }
                }
                let (score, factors) = self.plan.finish(&all[..scales], sums.len());
                (score, vec![factors; sums.len()])
            }
        }
    }

    /// The score of a region; see [`msssim_core::MsSsim::score_region`]. `mask` was made by
    /// [`MsSsim::plan`].
    ///
    /// # Errors
    /// As [`MsSsim::score`].
    ///
    /// # Panics
    /// If the workspace or the mask was made by another plan.
    pub fn score_region<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        mask: &Mask<'_>,
    ) -> Result<Score, Error> {
        self.check_workspace(workspace);
        let scratch = workspace.whole(self.plan.scratch_len());
        let mask = Some(mask);
        self.plan.score_region(reference, distorted, mask, scratch)
    }

    /// The score and a weighted gradient; see [`msssim_core::MsSsim::differentiate`].
    ///
    /// # Errors
    /// As [`msssim_core::MsSsim::differentiate`].
    ///
    /// # Panics
    /// If the workspace or the mask was made by another plan.
    pub fn differentiate<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        weighting: &Weighting<'_>,
        gradient: &mut [PlaneMut<'_>],
    ) -> Result<Score, Error> {
        self.check_workspace(workspace);
        let scratch = workspace.whole(self.plan.gradient_scratch_len());
        self.plan
            .differentiate(reference, distorted, weighting, gradient, scratch)
    }

    fn check_workspace(&self, workspace: &Workspace) {
        assert!(
            workspace.plan == self.plan,
            "the workspace was made for another plan than {} planes of {}",
            self.plan.channels(),
            self.plan.size()
        );
    }
}
