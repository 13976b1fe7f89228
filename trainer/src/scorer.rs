//! Where images are scored: on the CPU's threads or on a CUDA device.

use std::sync::Arc;

use msssim_core::{ChannelPooling, Params, Plane, Score, Size};
use msssim_cuda::cudarc::driver::CudaStream;
use msssim_cuda::{Device, Images, Pass, ProbeError};
use rayon::prelude::*;
use thiserror::Error;

use crate::device::DeviceName;

/// Why images could not be scored.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// The images or parameters are wrong, wherever they are scored.
    #[error(transparent)]
    Metric(#[from] msssim_core::Error),
    /// The device failed, or does not have what is asked for.
    #[error(transparent)]
    Device(msssim_cuda::Error),
}

impl From<msssim_cuda::Error> for ScoreError {
    fn from(error: msssim_cuda::Error) -> Self {
        match error {
            msssim_cuda::Error::Metric(error) => Self::Metric(error),
            error => Self::Device(error),
        }
    }
}

/// A place where images are scored.
#[derive(Debug)]
pub enum Scorer {
    /// The threads of the current rayon pool.
    Cpu,
    /// A CUDA device and the stream that its work goes into.
    Cuda {
        /// The device.
        device: Device,
        /// Its stream.
        stream: Arc<CudaStream>,
    },
}

impl Scorer {
    /// Makes `device` ready.
    ///
    /// # Errors
    /// What keeps a CUDA device from being used.
    pub fn new(device: DeviceName) -> Result<Self, ProbeError> {
        match device {
            DeviceName::Cpu => Ok(Self::Cpu),
            DeviceName::Cuda => {
                let device = Device::probe()?;
                let stream = device.new_stream()?;
                Ok(Self::Cuda { device, stream })
            }
        }
    }

    /// The score of an image against another, each a row-major plane a channel: the mean of
    /// [`Scorer::scores`].
    ///
    /// # Errors
    /// As [`Scorer::scores`].
    pub fn score(
        &self,
        params: &Params,
        reference: &[Plane<'_>],
        distorted: &[Plane<'_>],
    ) -> Result<Score, ScoreError> {
        Ok(Score::mean(
            self.scores(params, reference, distorted, None)?,
        ))
    }

    /// The score of each channel, or a single one where the convention pools channels together; of
    /// the region that `mask`, the weights of an image's pixels, leaves.
    ///
    /// # Errors
    /// [`ScoreError::Metric`] for what does not fit, [`ScoreError::Device`].
    pub fn scores(
        &self,
        params: &Params,
        reference: &[Plane<'_>],
        distorted: &[Plane<'_>],
        mask: Option<&Plane<'_>>,
    ) -> Result<Vec<Score>, ScoreError> {
        let size = check(params, reference, distorted)?;
        match self {
            Self::Cpu => Ok(of_groups(params, reference, distorted, |x, y| {
                let metric = msssim_cpu::MsSsim::new(size, x.len(), params)?;
                let mut workspace = metric.workspace();
                let Some(weights) = mask else {
                    return metric.score(&mut workspace, x, y);
                };
                let mut memory = vec![0.0; metric.plan().mask_len()];
                let mask = metric.plan().mask(weights, &mut memory)?;
                metric.score_region(&mut workspace, x, y, &mask)
            })?),
            Self::Cuda { device, stream } => {
                // Channels with scores of their own are images of one channel: the batch has a score for each.
                let together = together(params, reference.len());
                let metric = msssim_cuda::MsSsim::new(size, together, params)?;
                let (metric, mask) = match mask {
                    None => (metric, None),
                    Some(weights) => {
                        let metric = metric.general();
                        (metric, Some(metric.mask(stream, &[*weights])?))
                    }
                };
                let images = reference.len() / together;
                let mut workspace = metric.workspace(device, stream, images, Pass::Score)?;
                let upload = |planes: &[Plane<'_>]| {
                    let rows = |plane: &Plane<'_>| -> Vec<f32> {
                        (0..size.height).flat_map(|i| plane.row(i)).collect()
                    };
                    let samples: Vec<f32> = planes.iter().flat_map(rows).collect();
                    stream
                        .clone_htod(&samples)
                        .map_err(msssim_cuda::Error::from)
                };
                let (x, y) = (upload(reference)?, upload(distorted)?);
                let [x, y] = [&x, &y].map(|samples| Images::planar(samples.as_view()));
                let scores = match &mask {
                    None => metric.score(&mut workspace, &x, &y)?,
                    Some(mask) => metric.score_region(&mut workspace, &x, &y, mask)?,
                };
                Ok(scores.to_vec())
            }
        }
    }
}

/// All terms' means at all scales, of each channel or of all together, as [`Scorer::scores`] on the
/// CPU.
///
/// # Errors
/// What does not fit.
pub fn means(
    params: &Params,
    reference: &[Plane<'_>],
    distorted: &[Plane<'_>],
) -> Result<Vec<Score>, msssim_core::Error> {
    let size = check(params, reference, distorted)?;
    of_groups(params, reference, distorted, |x, y| {
        let metric = msssim_core::MsSsim::new(size, x.len(), params)?;
        metric.means(x, y, &mut vec![0.0; metric.scratch_len()])
    })
}

/// The size of all planes.
fn check(
    params: &Params,
    reference: &[Plane<'_>],
    distorted: &[Plane<'_>],
) -> Result<Size, msssim_core::Error> {
    let size = reference.first().map_or(Size::default(), Plane::size);
    let plan = msssim_core::MsSsim::new(size, reference.len(), params)?;
    plan.check(reference.iter().map(Plane::size))?;
    plan.check(distorted.iter().map(Plane::size))?;
    Ok(size)
}

/// How many of an image's channels have one score.
fn together(params: &Params, channels: usize) -> usize {
    match params.channels {
        ChannelPooling::Scores => 1,
        ChannelPooling::Means => channels,
    }
}

/// Scores channel by channel, side by side, or all channels together.
fn of_groups<'p>(
    params: &Params,
    reference: &[Plane<'p>],
    distorted: &[Plane<'p>],
    score: impl Fn(&[Plane<'p>], &[Plane<'p>]) -> Result<Score, msssim_core::Error> + Sync,
) -> Result<Vec<Score>, msssim_core::Error> {
    let together = together(params, reference.len());
    let groups = reference
        .par_chunks(together)
        .zip(distorted.par_chunks(together));
    groups.map(|(x, y)| score(x, y)).collect()
}
