//! What training a network takes: buffers, layers, losses and updates on one stream of a device.
//!
//! Everything that a [`Network`] is asked for is put into its stream and runs in that order; only
//! [`Network::download`], [`Network::measured`] and [`Network::divergences`] wait. A fixed sequence of calls can
//! be recorded as a graph and replayed. Results are the same bits run after run: sums are in fixed orders, without
//! atomics.

mod agenda;
mod buffer;
mod code;
mod comparison;
mod convolution;
mod dense;
mod product;
mod recording;
mod staging;
mod update;

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use cudarc::driver::CudaStream;

use crate::device::Device;
use crate::driver::forgo_events;
use crate::driver::network::NetworkKernels;
use crate::error::ProbeError;

pub use agenda::Agenda;
pub use buffer::Buffer;
pub use code::GaussianCode;
pub use comparison::{Comparison, Measure};
pub use convolution::Convolution;
pub use dense::DenseLayer;
pub use msssim_kernels::network::{Activation, Adam, Conv, Crop, Dense};
pub use recording::Recording;
pub use staging::Staging;

/// How layers are computed. Weights, activations, losses and updates are single precision in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// In single precision: every product and sum is rounded once.
    #[default]
    F32,
    /// On tensor cores; factors are rounded to 10 bits of fraction, sums are in single precision.
    Tf32,
    /// On tensor cores; factors are rounded to 7 bits of fraction, sums are in single precision.
    Bf16,
}

impl Precision {
    /// Factors in a word of 32 bits, where convolutions of many channels are packed.
    fn factors_of_word(self) -> Option<i32> {
        match self {
            Self::F32 => None,
            Self::Tf32 => Some(1),
            Self::Bf16 => Some(2),
        }
    }
}

/// A device for training.
pub struct Network {
    device: Device,
    stream: Arc<CudaStream>,
    kernels: NetworkKernels,
    precision: Precision,
    /// The memory used since recording began.
    recording: RefCell<Option<Vec<Box<dyn Any>>>>,
}

impl Network {
    /// Opens device number `ordinal` for training. It has a stream of its own, which nothing else uses.
    ///
    /// # Errors
    /// A [`ProbeError`] that says what is missing.
    pub fn open(ordinal: usize, precision: Precision) -> Result<Self, ProbeError> {
        let device = Device::open(ordinal)?;
        let stream = device.new_stream()?;
        // No buffer is ever seen by another stream, so none has to be waited for.
        forgo_events(device.context());
        let kernels = NetworkKernels::load(device.context(), precision)?;
        Ok(Self {
            device,
            stream,
            kernels,
            precision,
            recording: RefCell::new(None),
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.device.name()
    }
}
