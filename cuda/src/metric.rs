//! The metric over batches in device memory: plan once, then score and differentiate any number.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaView, DevicePtr};
use msssim_core::{
    Border, ChannelPooling, Halving, MAX_SCALES, Negative, Params, Pooling, ScaleMeans, Score,
    Size, Terms,
};
use msssim_kernels::{Metric, Plan, Region};

use crate::device::Device;
use crate::driver::{Job, allocate, plan};
use crate::error::Error;
use crate::images::{Batch, Images, ImagesMut, Sample};

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
    metric: Metric,
}

/// Device memory for scoring a batch, and the stream that does it; made by [`MsSsim::workspace`].
///
/// What it holds between calls does not matter.
#[derive(Debug)]
pub struct Workspace {
    device: Device,
    stream: Arc<CudaStream>,
    metric: MsSsim,
    batch: Batch,
    score: Plan,
    gradient: Option<Plan>,
    memory: CudaSlice<u8>,
    /// What was computed last, in whose layout the results are.
    last: Option<Pass>,
    host: Vec<u8>,
    scores: Vec<Score>,
}

impl MsSsim {
    /// Plans the metric for images of `size` with `channels` planes, each compared by itself.
    ///
    /// # Errors
    /// [`Error::Metric`] as on any backend; [`Error::Unsupported`] for a convention that has no kernels,
    /// by name of its switch.
    pub fn new(size: Size, channels: usize, params: &Params) -> Result<Self, Error> {
        let portable = msssim_core::MsSsim::new(size, channels, params)?;
        Ok(Self {
            metric: of_kernels(params, &portable)?,
            portable,
        })
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
        let bytes = |pass| Ok(plan(&self.metric, pass, &batch)?.layout.bytes);
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
    /// [`Error::TooLarge`] for a batch that no launch can cover, [`Error::OutOfMemory`].
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
        let score = plan(&self.metric, Pass::Score, &batch)?;
        let gradient = match pass {
            Pass::Score => None,
            Pass::Gradient => Some(plan(&self.metric, Pass::Gradient, &batch)?),
        };
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
        self.enqueue_score_and_gradient(workspace, reference, distorted, None, gradient)?;
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
        self.check(workspace);
        workspace.last = Some(Pass::Score);
        let job = Job {
            batch: workspace.batch,
            plan: &workspace.score,
            memory: &mut workspace.memory,
            reference,
            distorted,
            upstream: None,
            gradient: None,
        };
        job.enqueue(workspace.device.kernels(), &workspace.stream)
    }

    /// Like [`MsSsim::score_and_gradient`], without waiting. With `upstream`, one weight an image in
    /// device memory, `gradient` is that of the sum of the scores so weighted.
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
        upstream: Option<&CudaView<'_, f32>>,
        gradient: &mut ImagesMut<'_>,
    ) -> Result<(), Error> {
        self.check(workspace);
        let device = workspace.device.clone();
        let stream = Arc::clone(&workspace.stream);
        workspace
            .job(reference, distorted, upstream, gradient)
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
        address + plan.layout.scores.offset as u64
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
        let (channels, scales) = (self.batch.channels, plan.scales.len());
        let mut means = doubles(plan.layout.means);
        self.scores.clear();
        for value in doubles(plan.layout.scores) {
            let mut of_image = [ScaleMeans::default(); MAX_SCALES];
            for _ in 0..channels {
                for (scale, mean) in of_image[..scales].iter_mut().enumerate() {
                    let [cs, ssim] = [(); 2].map(|()| means.next().unwrap_or(f64::NAN));
                    mean.cs += cs / channels as f64;
                    if scale + 1 == scales {
                        *mean.ssim.get_or_insert(0.0) += ssim / channels as f64;
                    }
                }
            }
            self.scores.push(Score::new(value, &of_image[..scales]));
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
        upstream: Option<&'j CudaView<'a, f32>>,
        gradient: &'j mut ImagesMut<'g>,
    ) -> Job<'j, 'a, 'g, T> {
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
            upstream,
            gradient: Some(gradient),
        }
    }
}

/// From where to where in the workspace the means and scores lie.
fn results(plan: &Plan) -> [usize; 2] {
    let (means, scores) = (plan.layout.means, plan.layout.scores);
    [means.offset, scores.offset + scores.bytes]
}

/// The parameters as the kernels take them.
fn of_kernels(params: &Params, portable: &msssim_core::MsSsim) -> Result<Metric, Error> {
    let unsupported = |what| Err(Error::Unsupported { what });
    let window = &portable.constants(0).window;
    let mut taps = [0.0; 6];
    if window.radius + 1 != taps.len() || params.sigma_growth != 1.0 {
        return unsupported("windows of other than 11 taps, or that grow from scale to scale");
    }
    taps.copy_from_slice(&window.taps[..6]);
    if params
        .coarsest_border
        .is_some_and(|border| border != params.border)
    {
        return unsupported("a border rule of the coarsest scale's own");
    }
    if params.channels != ChannelPooling::Scores {
        return unsupported("channels pooled together");
    }
    if params.terms != Terms::ContrastStructure {
        return unsupported("luminance, contrast and structure pooled apart");
    }
    Ok(Metric {
        scales: params.scales,
        weights: params.weights,
        signed: match params.negative {
            Negative::Zero => false,
            Negative::Signed => true,
            _ => return unsupported("this rule for negative terms"),
        },
        valid: match params.border {
            Border::Valid => true,
            Border::Replicate => false,
            Border::Reflect => return unsupported("mirrored borders"),
        },
        halving: match params.halving {
            Halving::Symmetric => msssim_kernels::Halving::Symmetric,
            Halving::Zero => msssim_kernels::Halving::Zero,
            Halving::Floor => msssim_kernels::Halving::Floor,
            _ => return unsupported("this rule for the next scale"),
        },
        per_pixel: params.pooling == Pooling::PixelProduct,
        taps,
        c1: portable.constants(0).c1,
        c2: portable.constants(0).c2,
        data_range: params.data_range,
    })
}
