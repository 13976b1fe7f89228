//! An autoencoder on a device.

use super::{Layers, Model, Shape};
use crate::backend::{Backend, Error};
use crate::network::{Network, Sequence};

/// An autoencoder planned for batches of one size.
pub struct Autoencoder<B: Backend> {
    shape: Shape,
    images: usize,
    encoder: Sequence<B>,
    decoder: Sequence<B>,
    /// How the code is drawn, if it is.
    draw: Option<Draw<B>>,
    /// The gradients by the decoder's input and the encoder's output.
    gradients: Option<Gradients<B>>,
}

struct Draw<B: Backend> {
    gaussian: B::Gaussian,
    noise: B::Buffer,
    code: B::Buffer,
    kl_weight: f64,
}

struct Gradients<B: Backend> {
    dcode: B::Buffer,
    /// Where the code is drawn.
    dmoments: Option<B::Buffer>,
}

impl<B: Backend> Autoencoder<B> {
    /// Plans an autoencoder for batches of `images`; the divergence of a [`Model::ElVae`], in nats for
    /// each image, counts `kl_weight` in the loss. Until a step begins, its code is the Gaussian's
    /// mean.
    ///
    /// # Errors
    /// An [`Error`] when a layer cannot be planned, or something is empty or too large.
    pub fn new(backend: &B, shape: Shape, images: usize, kl_weight: f64) -> Result<Self, Error> {
        let Layers {
            encoder, decoder, ..
        } = shape.layers(images)?;
        let encoder = Sequence::new(backend, &encoder)?;
        let code = images * shape.code_len();
        let draw = match shape.model {
            Model::ElVae => Some(Draw {
                gaussian: backend.plan_gaussian(images, shape.code_len())?,
                noise: backend.zeros(code)?,
                code: backend.zeros(code)?,
                kl_weight,
            }),
            Model::Conv | Model::Fc => None,
        };
        Ok(Self {
            shape,
            images,
            encoder,
            decoder: Sequence::new(backend, &decoder)?,
            draw,
            gradients: None,
        })
    }

    /// The same with memory for [`Network::backward`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn for_training(mut self, backend: &B) -> Result<Self, Error> {
        let code = self.images * self.shape.code_len();
        self.encoder = self.encoder.for_training(backend)?;
        self.decoder = self.decoder.for_training(backend)?;
        self.gradients = Some(Gradients {
            dcode: backend.zeros(code)?,
            dmoments: match self.draw {
                Some(_) => Some(backend.zeros(2 * code)?),
                None => None,
            },
        });
        Ok(self)
    }

    /// Codes `input`: see [`Autoencoder::encoded`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn encode(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
    ) -> Result<(), Error> {
        self.encoder.forward(backend, parameters, input)
    }

    /// What the last [`Autoencoder::encode`] made: for each image its code, or, of a [`Model::ElVae`],
    /// the means of its code followed by the logarithms of the variances.
    pub fn encoded(&self) -> &B::Buffer {
        self.encoder.output()
    }

    /// Makes images of codes: see [`Network::output`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn decode(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        code: &B::Buffer,
    ) -> Result<(), Error> {
        self.decoder.forward(backend, parameters, code)
    }
}

impl<B: Backend> Network<B> for Autoencoder<B> {
    fn noise_len(&self) -> usize {
        match self.draw {
            Some(_) => self.images * self.shape.code_len(),
            None => 0,
        }
    }

    fn noise_mut(&mut self) -> Option<&mut B::Buffer> {
        self.draw.as_mut().map(|draw| &mut draw.noise)
    }

    fn forward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
    ) -> Result<(), Error> {
        self.encoder.forward(backend, parameters, input)?;
        let code = match &mut self.draw {
            None => self.encoder.output(),
            Some(draw) => {
                let moments = self.encoder.output();
                backend.gaussian_forward(
                    &mut draw.gaussian,
                    moments,
                    &draw.noise,
                    &mut draw.code,
                )?;
                &draw.code
            }
        };
        self.decoder.forward(backend, parameters, code)
    }

    fn output(&self) -> &B::Buffer {
        self.decoder.output()
    }

    fn backward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
        doutput: &mut B::Buffer,
        dparameters: &mut B::Buffer,
    ) -> Result<(), Error> {
        let Some(Gradients { dcode, dmoments }) = &mut self.gradients else {
            panic!("an autoencoder that is not for training")
        };
        let code = match &self.draw {
            None => self.encoder.output(),
            Some(draw) => &draw.code,
        };
        let (p, dp) = (parameters, dparameters);
        self.decoder
            .backward(backend, p, code, doutput, Some(dcode), dp)?;
        let dencoded = match (&mut self.draw, dmoments) {
            (Some(draw), Some(dmoments)) => {
                let (moments, factor) = (self.encoder.output(), draw.kl_weight as f32);
                let (gaussian, noise) = (&mut draw.gaussian, &draw.noise);
                backend.gaussian_backward(gaussian, moments, noise, factor, dcode, dmoments)?;
                dmoments
            }
            _ => dcode,
        };
        self.encoder.backward(backend, p, input, dencoded, None, dp)
    }

    fn gaussian(&self) -> Option<&B::Gaussian> {
        self.draw.as_ref().map(|draw| &draw.gaussian)
    }

    fn penalty_of(&self, divergence: f64) -> f64 {
        self.draw
            .as_ref()
            .map_or(0.0, |draw| draw.kl_weight * divergence)
    }

    fn first_not_finite(&self, backend: &B) -> Result<Option<String>, Error> {
        match self.encoder.first_not_finite(backend)? {
            None => self.decoder.first_not_finite(backend),
            name => Ok(name),
        }
    }
}
