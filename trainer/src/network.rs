//! What training needs of a network, and the networks there are.

mod sequence;

use serde::{Deserialize, Serialize};

pub use sequence::Sequence;

use crate::autoencoder::{self, Autoencoder};
use crate::backend::{Backend, Error, ImageBatch};
use crate::parameters::Layout;
use crate::random::Random;
use crate::srcnn;

/// A network planned for batches of one shape, with the memory of its activations and, to train it, of
/// their gradients.
pub trait Network<B: Backend> {
    /// How many numbers of [`noise`] a step takes.
    fn noise_len(&self) -> usize {
        0
    }

    /// Where a step's noise goes, if it takes any.
    fn noise_mut(&mut self) -> Option<&mut B::Buffer> {
        None
    }

    /// Readies what changes from step to step and is not of the batch: noise. Called before each step's calls,
    /// unless the device copies it by itself.
    ///
    /// # Errors
    /// Those of the device.
    fn begin_step(&mut self, backend: &B, seed: u64, step: u64) -> Result<(), Error> {
        let values = noise(seed, step, self.noise_len());
        match self.noise_mut() {
            Some(buffer) => backend.upload(&values, buffer),
            None => Ok(()),
        }
    }

    /// Runs the network on `input`.
    ///
    /// # Errors
    /// Those of the device.
    fn forward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
    ) -> Result<(), Error>;

    /// What the last [`Network::forward`] made of its input.
    fn output(&self) -> &B::Buffer;

    /// The gradient by all parameters of a loss, and of [`Network::penalty`], from the loss's gradient
    /// by the output, which is used up; `input` and `parameters` are those of the last
    /// [`Network::forward`].
    ///
    /// # Errors
    /// Those of the device.
    fn backward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
        doutput: &mut B::Buffer,
        dparameters: &mut B::Buffer,
    ) -> Result<(), Error>;

    /// The draw of its code, if it draws one.
    fn gaussian(&self) -> Option<&B::Gaussian> {
        None
    }

    /// What a divergence of that code adds to the loss.
    fn penalty_of(&self, _divergence: f64) -> f64 {
        0.0
    }

    /// Waits for the device: what the network adds to the loss of the last [`Network::forward`].
    ///
    /// # Errors
    /// Those of the device.
    fn penalty(&self, backend: &B) -> Result<f64, Error> {
        match self.gaussian() {
            Some(gaussian) => Ok(self.penalty_of(backend.divergence(gaussian)?)),
            None => Ok(0.0),
        }
    }

    /// Waits for the device: the name of the first layer whose last output holds a NaN or an infinity.
    ///
    /// # Errors
    /// Those of the device.
    fn first_not_finite(&self, backend: &B) -> Result<Option<String>, Error>;
}

/// The standard normal numbers of a step.
pub fn noise(seed: u64, step: u64, len: usize) -> Vec<f32> {
    let mut random = Random::new(seed, "noise", step);
    (0..len).map(|_| random.normal() as f32).collect()
}

/// A network in the numbers that its parameters' shapes follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// SRCNN 9-5-5, for images of 1 or 3 planes.
    Srcnn {
        /// Planes.
        channels: usize,
    },
    /// An autoencoder.
    Autoencoder(autoencoder::Shape),
}

impl Architecture {
    /// Names, shapes and ranges of the parameters.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Srcnn { channels } => srcnn::layout(*channels),
            Self::Autoencoder(shape) => shape.layout(),
        }
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::Srcnn { channels: 1 } => "SRCNN 9-5-5".into(),
            Self::Srcnn { channels } => format!("SRCNN 9-5-5 for {channels} channels"),
            Self::Autoencoder(shape) => shape.describe(),
        }
    }

    /// Plans the network to train on a device; `kl_weight` is that of [`Autoencoder::new`].
    ///
    /// # Errors
    /// An [`Error`] when a layer cannot be planned, or the batch is empty or too large.
    pub fn plan<B: Backend + 'static>(
        &self,
        backend: &B,
        batch: ImageBatch,
        kl_weight: f64,
    ) -> Result<Box<dyn Network<B>>, Error> {
        Ok(match self {
            Self::Srcnn { .. } => Box::new(srcnn::network(backend, batch)?.for_training(backend)?),
            Self::Autoencoder(shape) => {
                let network = Autoencoder::new(backend, *shape, batch.images, kl_weight)?;
                Box::new(network.for_training(backend)?)
            }
        })
    }
}
