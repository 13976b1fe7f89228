//! A workspace: the memory of a plan for batches of one length, the stream that works in it, and the results
//! that are fetched from it.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use msssim_core::{Apart, MAX_SCALES, Params, ScaleMeans, Score, Terms};
use msssim_kernels::Region;

use crate::device::Device;
use crate::driver::{Job, Launches, allocate};
use crate::error::Error;
use crate::images::{Batch, Images, ImagesMut, Sample};
use crate::metric::{MsSsim, Pass};
use crate::weighting::{Mask, Weighting};

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
        let params = self.metric.plan().params();
        let of_image = values * params.scales * self.batch.channels;
        self.scores.clear();
        for (value, means) in doubles(scores).zip(means.chunks_exact(of_image)) {
            let scales = scale_means(means, values, params);
            self.scores
                .push(Score::new(value, &scales[..params.scales]));
        }
        Ok(&self.scores)
    }

    /// Scores in this workspace.
    pub(crate) fn score_job<'j, 'a, T: Sample>(
        &'j mut self,
        reference: &'j Images<'a, T>,
        distorted: &'j Images<'a, T>,
        mask: Option<&'j Mask>,
    ) -> Job<'j, 'a, 'j, T> {
        self.check_mask(mask);
        self.last = Some(Pass::Score);
        Job {
            batch: self.batch,
            plan: &self.score,
            memory: &mut self.memory,
            reference,
            distorted,
            upstream: None,
            mask,
            gradient: None,
        }
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
