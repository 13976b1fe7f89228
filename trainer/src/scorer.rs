//! Where images are scored: on the CPU's threads or on a CUDA device.

use std::fmt;
use std::sync::Arc;

use msssim_core::{Params, Plane, Score, Size};
use msssim_cuda::cudarc::driver::CudaStream;
use msssim_cuda::{Device, Images, Pass, ProbeError};
use thiserror::Error;

/// What a user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// The processor's threads
    Cpu,
    /// The first CUDA device, or an error that says what is missing
    Cuda,
    /// The first CUDA device where there is one, else the processor; says which
    Auto,
}

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

impl fmt::Display for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("the CPU"),
            Self::Cuda { device, .. } => f.write_str(device.name()),
        }
    }
}

impl Scorer {
    /// The place that `choice` names. What is chosen behind the user's back is put in words for
    /// them: the second value, where `choice` is [`Choice::Auto`].
    ///
    /// # Errors
    /// What keeps a CUDA device from being used, for [`Choice::Cuda`].
    pub fn new(choice: Choice) -> Result<(Self, Option<String>), ProbeError> {
        let cuda = || -> Result<Self, ProbeError> {
            let device = Device::probe()?;
            let stream = device.new_stream()?;
            Ok(Self::Cuda { device, stream })
        };
        match choice {
            Choice::Cpu => Ok((Self::Cpu, None)),
            Choice::Cuda => Ok((cuda()?, None)),
            Choice::Auto => Ok(match cuda() {
                Ok(scorer) => {
                    let words = format!("scoring on {scorer}");
                    (scorer, Some(words))
                }
                Err(error) => (
                    Self::Cpu,
                    Some(format!(
                        "scoring on the CPU, for want of a CUDA device: {error}"
                    )),
                ),
            }),
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
                        (0..size.height)
                            .flat_map(|i| plane.row(i))
                            .copied()
                            .collect()
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
