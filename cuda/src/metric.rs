//! The metric over batches in device memory: plan once, then score and differentiate any number.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use msssim_core::{Apart, MAX_SCALES, Params, ScaleMeans, Score, Size, Terms};
use msssim_kernels::general::{Convention, GeneralPlan};
use msssim_kernels::{Metric, Plan, Region};

use crate::convention::{of_general, of_training};
use crate::device::Device;
use crate::driver::{Job, Launches, allocate};
use crate::error::Error;
use crate::images::{Batch, Images, ImagesMut, Sample};
use crate::weighting::{Mask, Weighting};

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

/// Device memory for scoring a batch, and the stream that does it; made by [`MsSsim::workspace`].
///
/// What it holds between calls does not matter.
#[derive(Debug)]
pub struct Workspace {
    device: Device,
    stream: Arc<CudaStream>,
    metric: MsSsim,
    batch: Batch,
    score: Launches,
    gradient: Option<Launches>,
    memory: CudaSlice<u8>,
    /// What was computed last, in whose layout the results are.
    last: Option<Pass>,
    host: Vec<u8>,
    scores: Vec<Score>,
}

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

    /// Memory for batches of `images` images, whose work goes into `stream`. One for
    /// [`Pass::Gradient`] serves for scores alone too.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a batch that no launch can cover, [`Error::OutOfMemory`];
    /// [`Error::PtxRefused`] where it needs kernels that [`Device::probe`] does not load.
    ///
    /// # Panics
    /// If `stream` belongs to another device's context.
    pub fn workspace(
        &self,
        device: &Device,
        stream: &Arc<CudaStream>,
        images: usize,
        pass: Pass,
    ) -> Result<Workspace, Error> {
        assert!(
            stream.context() == device.context(),
            "the stream belongs to device {}, not to {}",
            stream.context().ordinal(),
            device.context().ordinal()
        );
        let batch = self.batch(images);
        let score = self.launches(Pass::Score, &batch)?;
        let gradient = match pass {
            Pass::Score => None,
            Pass::Gradient => Some(self.launches(Pass::Gradient, &batch)?),
        };
        device.kernels().ready(&score)?;
        let layouts = [Some(&score), gradient.as_ref()];
        let results = layouts.into_iter().flatten().map(|plan| {
            let [from, to] = results(plan);
            to - from
        });
        Ok(Workspace {
            device: device.clone(),
            stream: Arc::clone(stream),
            metric: *self,
            batch,
            memory: allocate(stream, self.workspace_bytes(images, pass)?)?,
            last: None,
            host: vec![0; results.max().unwrap_or(0)],
            scores: Vec::with_capacity(images),
            score,
            gradient,
        })
    }

    /// The launches of a pass over a batch.
    fn launches(&self, pass: Pass, batch: &Batch) -> Result<Launches, Error> {
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

    fn batch(&self, images: usize) -> Batch {
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
        workspace.check_mask(mask);
        workspace.last = Some(Pass::Score);
        let job = Job {
            batch: workspace.batch,
            plan: &workspace.score,
            memory: &mut workspace.memory,
            reference,
            distorted,
            upstream: None,
            mask,
            gradient: None,
        };
        job.enqueue(workspace.device.kernels(), &workspace.stream)
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
        let device = workspace.device.clone();
        let stream = Arc::clone(&workspace.stream);
        workspace
            .job(reference, distorted, weighting, gradient)
            .enqueue(device.kernels(), &stream)
    }

    fn check(&self, workspace: &Workspace) {
        assert!(
            workspace.metric == *self,
            "the workspace was made for another plan than {} planes of {}",
            self.portable.channels(),
            self.portable.size()
        );
    }
}

impl Workspace {
    /// The images of a batch.
    pub fn images(&self) -> usize {
        self.batch.images
    }

    /// The metric that it was made for.
    pub fn metric(&self) -> &MsSsim {
        &self.metric
    }

    /// The stream that the work goes into.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// Where in device memory the last scores lie, a double an image; 0 before the first batch.
    pub(crate) fn scores_address(&self) -> u64 {
        let plan = match (self.last, &self.gradient) {
            (Some(Pass::Gradient), Some(plan)) => plan,
            (Some(_), _) => &self.score,
            (None, _) => return 0,
        };
        let (address, _) = self.memory.device_ptr(&self.stream);
        let [_, scores] = plan.results();
        address + scores.offset as u64
    }

    fn check_mask(&self, mask: Option<&Mask>) {
        assert!(
            mask.is_none_or(|mask| mask.plan() == self.metric.plan()),
            "the mask was made for another plan than {} planes of {}",
            self.batch.channels,
            self.batch.size
        );
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Waits for what was put into the stream, and returns the scores of the last batch, image by
    /// image; none before the first batch.
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn scores(&mut self) -> Result<&[Score], Error> {
        let plan = match (self.last, &self.gradient) {
            (Some(Pass::Gradient), Some(plan)) => plan,
            (Some(_), _) => &self.score,
            (None, _) => return Ok(&[]),
        };
        let [from, to] = results(plan);
        let host = &mut self.host[..to - from];
        let there = self.memory.slice(from..to);
        self.stream.memcpy_dtoh(&there, host)?;
        self.stream.synchronize()?;
        let doubles = |region: Region| {
            host[region.offset - from..][..region.bytes]
                .chunks_exact(8)
                .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default()))
        };
        let [means, scores] = plan.results();
        let values = match plan {
            Launches::Training(_) => 2,
            Launches::General(_) => 5,
        };
        let means: Vec<f64> = doubles(means).collect();
        let params = self.metric.portable.params();
        let of_image = values * params.scales * self.batch.channels;
        self.scores.clear();
        for (value, means) in doubles(scores).zip(means.chunks_exact(of_image)) {
            let scales = scale_means(means, values, params);
            self.scores
                .push(Score::new(value, &scales[..params.scales]));
        }
        Ok(&self.scores)
    }

    /// A score with its gradient in this workspace.
    ///
    /// # Panics
    /// If it was made for scores alone.
    pub(crate) fn job<'j, 'a, 'g, T: Sample>(
        &'j mut self,
        reference: &'j Images<'a, T>,
        distorted: &'j Images<'a, T>,
        weighting: &Weighting<'a>,
        gradient: &'j mut ImagesMut<'g>,
    ) -> Job<'j, 'a, 'g, T> {
        self.check_mask(weighting.mask);
        let Some(plan) = &self.gradient else {
            panic!("the workspace was made for scores alone, not for a gradient")
        };
        self.last = Some(Pass::Gradient);
        Job {
            batch: self.batch,
            plan,
            memory: &mut self.memory,
            reference,
            distorted,
            upstream: weighting.upstream,
            mask: weighting.mask,
            gradient: Some(gradient),
        }
    }
}

/// From where to where in the workspace the means and scores lie.
fn results(plan: &Launches) -> [usize; 2] {
    let [means, scores] = plan.results();
    [means.offset, scores.offset + scores.bytes]
}

/// The means of an image's scales over its channels, from `values` numbers a channel and scale: of cs, l cs,
/// and of l, c and s where there are five.
fn scale_means(means: &[f64], values: usize, params: &Params) -> [ScaleMeans; MAX_SCALES] {
    let mut scales = [ScaleMeans::default(); MAX_SCALES];
    let channels = (means.len() / (values * params.scales)) as f64;
    let apart = matches!(params.terms, Terms::Apart { .. });
    for of_channel in means.chunks_exact(values * params.scales) {
        for (scale, means) in of_channel.chunks_exact(values).enumerate() {
            let sums = &mut scales[scale];
            sums.cs += means[0] / channels;
            if apart {
                let sums = sums.apart.get_or_insert(Apart::default());
                sums.luminance += means[2] / channels;
                sums.contrast += means[3] / channels;
                sums.structure += means[4] / channels;
            } else if scale + 1 == params.scales {
                *sums.ssim.get_or_insert(0.0) += means[1] / channels;
            }
        }
    }
    scales
}
