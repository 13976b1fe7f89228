//! Convolutions and transposed ones, forward and backward.

use std::ops::Range;

use msssim_kernels::network::{Border, Conv, ConvPlan};

use super::product::{DeviceProduct, DeviceSums};
use super::{Buffer, Network};
use crate::error::Error;

/// A planned convolution, or transposed one, with the memory that it works in.
#[derive(Debug)]
pub struct Convolution {
    conv: Conv,
    down: DeviceProduct,
    up: DeviceProduct,
    weight: DeviceProduct,
    sums: DeviceSums,
    border: Border,
    dout_border: Border,
    /// The larger side, and the smaller one, with their borders.
    padded: Buffer,
    dout_padded: Buffer,
    /// What `up` makes where it has a border.
    larger: Option<Buffer>,
}

impl Network {
    /// Plans a convolution or a transposed one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a count of 0, an even kernel, more than 2^31 elements, or a transposed
    /// convolution that repeats the border; [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn plan_conv2d(&self, conv: Conv) -> Result<Convolution, Error> {
        let plan = ConvPlan::new(conv).ok_or(Error::Unsupported {
            what: "convolutions of such a shape (counts of 0, an even kernel, 2^31 elements, or a transposed \
                   one that repeats the border)",
        })?;
        Ok(Convolution {
            conv,
            larger: match plan.fold {
                false => None,
                true => Some(self.zeros(plan.border.outer_len())?),
            },
            down: self.plan_product(plan.down)?,
            up: self.plan_product(plan.up)?,
            weight: self.plan_product(plan.weight)?,
            sums: self.plan_sums(plan.sums)?,
            padded: self.zeros(plan.border.outer_len())?,
            dout_padded: self.zeros(plan.dout_border.outer_len())?,
            border: plan.border,
            dout_border: plan.dout_border,
        })
    }

    /// `output = activation(weights * input + bias)`; `weight` and `bias` are ranges of `parameters`.
    /// The plan may keep a copy of the input for [`Network::conv2d_backward`].
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    pub fn conv2d_forward(
        &self,
        conv: &Convolution,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<(), Error> {
        let (product, border, padded) = if conv.conv.transposed {
            (&conv.up, &conv.dout_border, &conv.dout_padded)
        } else {
            (&conv.down, &conv.border, &conv.padded)
        };
        let padded = self.whole(padded);
        self.kernels
            .pad(&self.stream, border, self.whole(input), padded)?;
        let [weight, bias] = [self.part(parameters, weight), self.part(parameters, bias)];
        self.multiply(product, [padded, weight], Some(bias), self.whole(output))
    }

    /// The gradients by a convolution's weights, biases and, where wanted, input, from that by its output.
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
    pub fn conv2d_backward(
        &self,
        conv: &Convolution,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &Buffer,
        doutput: &mut Buffer,
        dinput: Option<&mut Buffer>,
        dparameters: &mut Buffer,
    ) -> Result<(), Error> {
        let (kernels, stream) = (&self.kernels, &self.stream);
        let dout = self.whole(doutput);
        let dbias = self.part(dparameters, bias);
        let activation = conv.conv.activation;
        self.output_backward(&conv.sums, activation, self.whole(output), dout, dbias)?;
        let [padded, dout_padded] = [&conv.padded, &conv.dout_padded].map(|b| self.whole(b));
        let dweight = self.part(dparameters, weight.clone());
        let weight = self.part(parameters, weight);
        if conv.conv.transposed {
            // The adjoint of an adjoint: the convolution itself, of the output's gradient.
            kernels.pad(stream, &conv.border, dout, padded)?;
            let small = self.whole(input);
            self.multiply(&conv.weight, [padded, small], None, dweight)?;
            if let Some(dinput) = dinput {
                let din = self.whole(dinput);
                self.multiply(&conv.down, [padded, weight], None, din)?;
            }
            return Ok(());
        }
        // The forward call left the input with its border.
        self.multiply(&conv.weight, [padded, dout], None, dweight)?;
        if let Some(dinput) = dinput {
            kernels.pad(stream, &conv.dout_border, dout, dout_padded)?;
            let din = self.whole(dinput);
            match &conv.larger {
                None => self.multiply(&conv.up, [dout_padded, weight], None, din)?,
                Some(larger) => {
                    let larger = self.whole(larger);
                    self.multiply(&conv.up, [dout_padded, weight], None, larger)?;
                    kernels.fold(stream, &conv.border, larger, din)?;
                }
            }
        }
        Ok(())
    }
}
