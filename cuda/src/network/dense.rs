//! Dense layers, forward and backward.

use std::ops::Range;

use msssim_kernels::network::{Dense, DensePlan};

use super::product::{DeviceProduct, DeviceSums};
use super::{Buffer, Network};
use crate::error::Error;

/// A planned dense layer with the memory that it works in.
#[derive(Debug)]
pub struct DenseLayer {
    dense: Dense,
    forward: DeviceProduct,
    input: DeviceProduct,
    weight: DeviceProduct,
    sums: DeviceSums,
}

impl Network {
    /// Plans a dense layer.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a count of 0 or a matrix of 2^31 elements; [`Error::OutOfMemory`],
    /// [`Error::Driver`].
    pub fn plan_dense(&self, dense: Dense) -> Result<DenseLayer, Error> {
        let plan = DensePlan::new(dense).ok_or(Error::Unsupported {
            what: "dense layers of such a shape (counts of 0, or 2^31 elements)",
        })?;
        Ok(DenseLayer {
            dense,
            forward: self.plan_product(plan.forward)?,
            input: self.plan_product(plan.input)?,
            weight: self.plan_product(plan.weight)?,
            sums: self.plan_sums(plan.sums)?,
        })
    }

    /// `output = activation(weights input + bias)` for each image; `weight` and `bias` are ranges of
    /// `parameters`.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    pub fn dense_forward(
        &self,
        dense: &DenseLayer,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<(), Error> {
        let [weight, bias] = [self.part(parameters, weight), self.part(parameters, bias)];
        let factors = [weight, self.whole(input)];
        self.multiply(&dense.forward, factors, Some(bias), self.whole(output))
    }

    /// The gradients by a dense layer's weights, biases and, where wanted, input, from that by its output.
    /// `input` and `output` are those of the last forward call with this plan; `doutput` is used up.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    #[expect(
        clippy::too_many_arguments,
        reason = "the forward call's buffers and the gradient of each"
    )]
    pub fn dense_backward(
        &self,
        dense: &DenseLayer,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &Buffer,
        doutput: &mut Buffer,
        dinput: Option<&mut Buffer>,
        dparameters: &mut Buffer,
    ) -> Result<(), Error> {
        let dout = self.whole(doutput);
        let dbias = self.part(dparameters, bias);
        let activation = dense.dense.activation;
        self.output_backward(&dense.sums, activation, self.whole(output), dout, dbias)?;
        let dweight = self.part(dparameters, weight.clone());
        self.multiply(&dense.weight, [self.whole(input), dout], None, dweight)?;
        if let Some(dinput) = dinput {
            let factors = [self.part(parameters, weight), dout];
            self.multiply(&dense.input, factors, None, self.whole(dinput))?;
        }
        Ok(())
    }
}
