//! What runs trained networks in a command: the device that was asked for. Qualities are computed on the CPU, whatever
//! made the images.

use super::Failure;
use crate::backend::cpu::Cpu;
use crate::backend::cuda::Cuda;
use crate::device::{DeviceName, Precision};

/// An open device. Layers are computed in single precision, so that what is measured are the weights, not how
/// they were trained.
pub(super) enum Inference {
    Cpu(Cpu),
    Cuda(Box<Cuda>),
}

impl Inference {
    /// Opens a device.
    pub(super) fn on(device: DeviceName) -> Result<Self, Failure> {
        match device {
            DeviceName::Cpu => Ok(Self::Cpu(Cpu)),
            DeviceName::Cuda => Ok(Self::Cuda(Box::new(open_cuda(Precision::F32)?))),
        }
    }
}

/// Opens the first CUDA device.
pub(super) fn open_cuda(precision: Precision) -> Result<Cuda, Failure> {
    Cuda::new(precision.into()).map_err(|error| Failure::Message(format!("--device cuda: {error}")))
}

/// Computes an expression with a name for a reference to the backend: `on!(inference, backend => f(backend))`.
macro_rules! on {
    ($inference:expr, $backend:ident => $work:expr) => {
        match $inference {
            $crate::commands::inference::Inference::Cpu($backend) => $work,
            $crate::commands::inference::Inference::Cuda(cuda) => {
                let $backend = &**cuda;
                $work
            }
        }
    };
}

pub(super) use on;
