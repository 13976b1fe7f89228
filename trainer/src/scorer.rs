//! Where images are scored: on the CPU's threads or on a CUDA device.

use std::sync::Arc;

use msssim_core::{Params, Plane, Score, Size};
use msssim_cuda::cudarc::driver::CudaStream;
use msssim_cuda::{Device, Images, Pass, ProbeError};
use thiserror::Error;

use crate::device::DeviceName;

/// Why images could not be scored.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// The images or parameters are wrong, wherever they are scored.
    #[error(transparent)]
    Metric(#[from] msssim_core::Error),
    /// The device failed.
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

    /// The score of an image against another, each a row-major plane a channel.
    ///
    /// # Errors
    /// [`ScoreError::Metric`] for what does not fit, [`ScoreError::Device`].
    pub fn score(
        &self,
        params: &Params,
        reference: &[Plane<'_>],
        distorted: &[Plane<'_>],
    ) -> Result<Score, ScoreError> {
        let size = reference.first().map_or(Size::default(), Plane::size);
        match self {
            Self::Cpu => {
                let metric = msssim_cpu::MsSsim::new(size, reference.len(), params)?;
                Ok(metric.score(&mut metric.workspace(), reference, distorted)?)
            }
            Self::Cuda { device, stream } => {
                let metric = msssim_cuda::MsSsim::new(size, reference.len(), params)?;
                metric.plan().check(reference.iter().map(Plane::size))?;
                metric.plan().check(distorted.iter().map(Plane::size))?;
                let mut workspace = metric.workspace(device, stream, 1, Pass::Score)?;
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
                let scores = metric.score(&mut workspace, &x, &y)?;
                // One image in, one score out.
                Ok(scores[0])
            }
        }
    }
}
