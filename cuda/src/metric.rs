//! The metric over batches in device memory: plan once, then score and differentiate any number.

use std::sync::Arc;

use msssim_core::{Params, Score, Size};
use msssim_kernels::general::{Convention, GeneralPlan};
use msssim_kernels::{Metric, Plan};

use crate::convention::{of_general, of_training};
use crate::driver::Launches;
use crate::error::Error;
use crate::images::{Batch, Images, ImagesMut, Sample};
use crate::weighting::{Mask, Weighting};

pub use crate::workspace::Workspace;
pub use msssim_kernels::Pass;

/// MS-SSIM for images of one size, on a CUDA device.
///
/// ```no_run
/// use msssim_cuda::{Device, Images, ImagesMut, MsSsim, Params, Pass, Size};
///
/// let device = Device::probe()?;
/// let stream = device.new_stream()?;
/// let size = Size { width: 33, height: 33 };
/// let params = Params { data_range: 1.0, ..Params::SNELL_2017 };
/// let metric = MsSsim::new(size, 1, &params)?;
/// let mut workspace = metric.workspace(&device, &stream, 128, Pass::Gradient)?;
///
/// let reference = stream.clone_htod(&vec![0.5f32; 128 * 33 * 33]).unwrap();
/// let distorted = stream.clone_htod(&vec![0.4f32; 128 * 33 * 33]).unwrap();
/// let mut gradient = stream.alloc_zeros::<f32>(128 * 33 * 33).unwrap();
/// let scores = metric.score_and_gradient(
///     &mut workspace,
///     &Images::planar(reference.as_view()),
///     &Images::planar(distorted.as_view()),
///     &mut ImagesMut::planar(gradient.as_view_mut()),
/// )?;
/// assert_eq!(scores.len(), 128);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsSsim {
    portable: msssim_core::MsSsim,
    general: Convention,
    /// As the kernels for training take it, if they have it.
    training: Option<Metric>,
    /// About how many bytes a general plan takes.
    memory: usize,
}

/// What a workspace of general kernels takes unless told otherwise, where that is enough for one image.
const MEMORY: usize = 256 << 20;

impl MsSsim {
    /// Plans the metric for images of `size` with `channels` planes, each compared by itself.
    ///
    /// What training needs has kernels of its own: windows of 11 taps of one width inside the image or over
    /// replicated borders, sides halved by 2 x 2 means, contrast and structure together, channels by
    /// themselves. Every other convention goes by general kernels, which are slower.
    ///
    /// # Errors
    /// [`Error::Metric`] as on any backend.
    pub fn new(size: Size, channels: usize, params: &Params) -> Result<Self, Error> {
        let portable = msssim_core::MsSsim::new(size, channels, params)?;
        Ok(Self {
            general: of_general(&portable),
            training: of_training(&portable),
            memory: MEMORY,
            portable,
        })
    }

    /// The same metric by the general kernels, which have masks and `f64` samples too.
    pub fn general(self) -> Self {
        Self {
            training: None,
            ..self
        }
    }

    /// The same metric in workspaces of about `bytes`, or what a single image takes, where it goes by general
    /// kernels: they take the images of a batch a few at a time. 256 MiB unless told otherwise.
    pub fn within(self, bytes: usize) -> Self {
        Self {
            memory: bytes,
            ..self
        }
    }

    /// Whether the kernels for training have this metric.
    pub fn is_for_training(&self) -> bool {
        self.training.is_some()
    }

    /// The plan that is shared with the portable form.
    pub fn plan(&self) -> &msssim_core::MsSsim {
        &self.portable
    }

    /// Bytes of device memory that a workspace takes, beyond images and gradient.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a batch that no launch can cover.
    pub fn workspace_bytes(&self, images: usize, pass: Pass) -> Result<usize, Error> {
        let batch = self.batch(images);
        let bytes = |pass| Ok(self.launches(pass, &batch)?.bytes());
        let score: Result<usize, Error> = bytes(Pass::Score);
        match pass {
            Pass::Score => score,
            Pass::Gradient => Ok(score?.max(bytes(Pass::Gradient)?)),
        }
    }

    /// The launches of a pass over a batch.
    pub(crate) fn launches(&self, pass: Pass, batch: &Batch) -> Result<Launches, Error> {
        let Batch {
            images,
            channels,
            size: Size { width, height },
        } = *batch;
        let launches = match &self.training {
            Some(metric) => {
                Plan::new(metric, pass, images, channels, height, width).map(Launches::Training)
            }
            None => {
                let batch = [images, channels, height, width];
                GeneralPlan::new(&self.general, pass, batch, self.memory).map(Launches::General)
            }
        };
        launches.ok_or(Error::TooLarge {
            images,
            channels,
            size: batch.size,
        })
    }

    pub(crate) fn batch(&self, images: usize) -> Batch {
        Batch {
            images,
            channels: self.portable.channels(),
            size: self.portable.size(),
        }
    }

    /// The score of each of `distorted` against its own of `reference`; symmetric in the two.
    ///
    /// # Errors
    /// [`Error::ShortImages`] for images that end before the batch does, [`Error::Driver`].
    ///
    /// # Panics
    /// If `workspace` was made by another plan.
    pub fn score<'w, T: Sample>(
        &self,
        workspace: &'w mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
    ) -> Result<&'w [Score], Error> {
        self.enqueue_score(workspace, reference, distorted)?;
        workspace.scores()
    }

    /// The scores of the regions that a mask leaves, see [`MsSsim::score`].
    ///
    /// # Errors
    /// As [`MsSsim::score`]; [`Error::ShortImages`] for a mask of fewer images.
    ///
    /// # Panics
    /// As [`MsSsim::score`]; if the mask is another plan's.
    pub fn score_region<'w, T: Sample>(
        &self,
        workspace: &'w mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
        mask: &Mask,
    ) -> Result<&'w [Score], Error> {
        self.enqueue_score_region(workspace, reference, distorted, Some(mask))?;
        workspace.scores()
    }

    /// The scores, and the gradient of each image's score by that image of `distorted`, see
    /// [`msssim_core::MsSsim::score_and_gradient`].
    ///
    /// # Errors
    /// [`Error::ShortImages`] for images that end before the batch does, [`Error::Overlap`],
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If `workspace` was made by another plan, or for scores alone.
    pub fn score_and_gradient<'w, T: Sample>(
        &self,
        workspace: &'w mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
        gradient: &mut ImagesMut<'_>,
    ) -> Result<&'w [Score], Error> {
        self.enqueue_score_and_gradient(workspace, reference, distorted, gradient)?;
        workspace.scores()
    }

    /// The scores, and the gradient of their sum so weighted, within regions: see
    /// [`msssim_core::MsSsim::differentiate`].
    ///
    /// # Errors
    /// As [`MsSsim::score_and_gradient`]; [`Error::ShortImages`] for fewer weights than scores, or a mask of
    /// fewer images.
    ///
    /// # Panics
    /// As [`MsSsim::score_and_gradient`]; if the mask is another plan's.
    pub fn differentiate<'w, T: Sample>(
        &self,
        workspace: &'w mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
        weighting: &Weighting<'_>,
        gradient: &mut ImagesMut<'_>,
    ) -> Result<&'w [Score], Error> {
        self.enqueue_differentiate(workspace, reference, distorted, weighting, gradient)?;
        workspace.scores()
    }

    /// Like [`MsSsim::score`], without waiting: [`Workspace::scores`] fetches the results.
    ///
    /// # Errors
    /// Those of [`MsSsim::score`].
    ///
    /// # Panics
    /// As [`MsSsim::score`].
    pub fn enqueue_score<T: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
    ) -> Result<(), Error> {
        self.enqueue_score_region(workspace, reference, distorted, None)
    }

    /// Like [`MsSsim::score_region`], without waiting; without a mask it is [`MsSsim::enqueue_score`].
    ///
    /// # Errors
    /// Those of [`MsSsim::score_region`].
    ///
    /// # Panics
    /// As [`MsSsim::score_region`].
    pub fn enqueue_score_region<T: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
        mask: Option<&Mask>,
    ) -> Result<(), Error> {
        self.check(workspace);
        let device = workspace.device().clone();
        let stream = Arc::clone(workspace.stream());
        workspace
            .score_job(reference, distorted, mask)
            .enqueue(device.kernels(), &stream)
    }

    /// Like [`MsSsim::score_and_gradient`], without waiting.
    ///
    /// # Errors
    /// Those of [`MsSsim::score_and_gradient`].
    ///
    /// # Panics
    /// As [`MsSsim::score_and_gradient`].
    pub fn enqueue_score_and_gradient<T: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
        gradient: &mut ImagesMut<'_>,
    ) -> Result<(), Error> {
        let weighting = Weighting::default();
        self.enqueue_differentiate(workspace, reference, distorted, &weighting, gradient)
    }

    /// Like [`MsSsim::differentiate`], without waiting.
    ///
    /// # Errors
    /// Those of [`MsSsim::differentiate`].
    ///
    /// # Panics
    /// As [`MsSsim::differentiate`].
    pub fn enqueue_differentiate<T: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &Images<'_, T>,
        distorted: &Images<'_, T>,
        weighting: &Weighting<'_>,
        gradient: &mut ImagesMut<'_>,
    ) -> Result<(), Error> {
        self.check(workspace);
        let device = workspace.device().clone();
        let stream = Arc::clone(workspace.stream());
        workspace
            .job(reference, distorted, weighting, gradient)
            .enqueue(device.kernels(), &stream)
    }

    fn check(&self, workspace: &Workspace) {
        assert!(
            workspace.metric() == self,
            "the workspace was made for another plan than {} planes of {}",
            self.portable.channels(),
            self.portable.size()
        );
    }
}
