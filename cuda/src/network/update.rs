//! Steps of all parameters against their gradient.

use msssim_kernels::network::Adam;

use super::{Buffer, Network};
use crate::error::Error;

impl Network {
    /// One step of Adam over all parameters (Kingma and Ba 2015, algorithm 1); `coefficients` are the
    /// rate, `1 / (1 - beta1^t)` and `1 / (1 - beta2^t)`.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the buffers differ in length.
    pub fn adam(
        &self,
        constants: &Adam,
        coefficients: &Buffer,
        gradient: &Buffer,
        [first, second]: [&mut Buffer; 2],
        parameters: &mut Buffer,
    ) -> Result<(), Error> {
        let state = [self.whole(first), self.whole(second)];
        let (coefficients, gradient) = (self.whole(coefficients), self.whole(gradient));
        let parameters = self.whole(parameters);
        let stream = &self.stream;
        Ok(self
            .kernels
            .adam(stream, constants, coefficients, gradient, state, parameters)?)
    }

    /// One step of gradient descent with momentum; `coefficients` are the rates before the parameter
    /// `last_layer` and from it on.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the buffers differ in length.
    pub fn sgd(
        &self,
        momentum: f32,
        last_layer: usize,
        coefficients: &Buffer,
        gradient: &Buffer,
        velocity: &mut Buffer,
        parameters: &mut Buffer,
    ) -> Result<(), Error> {
        let state = [self.whole(gradient), self.whole(velocity)];
        let (coefficients, parameters) = (self.whole(coefficients), self.whole(parameters));
        let stream = &self.stream;
        Ok(self.kernels.sgd(
            stream,
            momentum,
            last_layer,
            coefficients,
            state,
            parameters,
        )?)
    }
}
