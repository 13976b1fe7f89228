//! The launches of updates of all parameters.

use cudarc::driver::{CudaStream, DriverError, PushKernelArg};
use msssim_kernels::network::Adam;

use super::{NetworkKernels, Part, each};

impl NetworkKernels {
    /// `state` is the first and second moment.
    pub(crate) fn adam(
        &self,
        stream: &CudaStream,
        constants: &Adam,
        coefficients: Part,
        gradient: Part,
        state: [Part; 2],
        parameters: Part,
    ) -> Result<(), DriverError> {
        coefficients.require("Adam's coefficients", 3);
        for part in [gradient, state[0], state[1]] {
            part.require("gradient or state", parameters.len);
        }
        let (constants, count) = (constants.to_bytes(), parameters.len as i32);
        let mut arguments = stream.launch_builder(&self.adam);
        arguments.arg(&constants).arg(&count);
        arguments.arg(&coefficients.address).arg(&gradient.address);
        arguments.arg(&state[0].address).arg(&state[1].address);
        arguments.arg(&parameters.address);
        // SAFETY: `adam`'s arguments; see the head of this file.
        unsafe { arguments.launch(each(parameters.len)) }.map(drop)
    }

    pub(crate) fn sgd(
        &self,
        stream: &CudaStream,
        momentum: f32,
        last_layer: usize,
        coefficients: Part,
        [gradient, velocity]: [Part; 2],
        parameters: Part,
    ) -> Result<(), DriverError> {
        coefficients.require("rates", 2);
        gradient.require("gradient", parameters.len);
        velocity.require("velocity", parameters.len);
        let (last_layer, count) = (last_layer as i32, parameters.len as i32);
        let mut arguments = stream.launch_builder(&self.sgd);
        arguments.arg(&momentum).arg(&last_layer).arg(&count);
        arguments.arg(&coefficients.address).arg(&gradient.address);
        arguments.arg(&velocity.address).arg(&parameters.address);
        // SAFETY: `sgd`'s arguments; see the head of this file.
        unsafe { arguments.launch(each(parameters.len)) }.map(drop)
    }
}
