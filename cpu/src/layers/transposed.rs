//! The transposed convolution: the adjoint of a convolution, used forward, with a bias of its own.
//!
//! A convolution with stride `s` makes an image `s` times smaller; its transpose makes one that
//! much larger, each input sample adding a kernel to the output. It is planned by the shape of the
//! convolution that it reverses, whose output is its input; weights are that convolution's,
//! `input channels x output channels x kernel x kernel` from here, as PyTorch has them. With zero
//! padding it is PyTorch's `ConvTranspose2d` with `padding = kernel / 2` and the `output_padding`
//! that gives the shape.

use super::ShapeError;
use super::channel_sums::channel_sums;
use super::conv2d::{Conv2d, Conv2dShape, Conv2dWorkspace};

/// A transposed convolution of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct TransposedConv2d {
    conv: Conv2d,
}

impl TransposedConv2d {
    /// Plans the transpose of the convolution of `shape`.
    ///
    /// # Errors
    /// [`ShapeError`] names what is wrong with the shape.
    pub fn new(shape: Conv2dShape) -> Result<Self, ShapeError> {
        let conv = Conv2d::new(shape)?;
        Ok(Self { conv })
    }

    /// The shape of the convolution that this reverses: the input here is its output, of
    /// [`Conv2dShape::output_len`] elements, and the output here its input.
    pub fn reversed(&self) -> &Conv2dShape {
        self.conv.shape()
    }

    /// Memory for this layer, forward and backward.
    pub fn workspace(&self) -> Conv2dWorkspace {
        self.conv.workspace()
    }

    /// `output = weight^T * input + bias`.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn forward(
        &self,
        workspace: &mut Conv2dWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
        output: &mut [f32],
    ) {
        self.require_bias(bias.len());
        let bias = Some(bias);
        self.conv
            .apply_adjoint(workspace, input, weight, bias, false, output);
    }

    /// `output = max(weight^T * input + bias, 0)`, as [`relu_forward`](super::relu_forward) makes it of
    /// [`TransposedConv2d::forward`]'s output.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn forward_relu(
        &self,
        workspace: &mut Conv2dWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
        output: &mut [f32],
    ) {
        self.require_bias(bias.len());
        let bias = Some(bias);
        self.conv
            .apply_adjoint(workspace, input, weight, bias, true, output);
    }

    /// The gradient by the input, the adjoint of [`TransposedConv2d::forward`] by its input.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn backward_input(
        &self,
        workspace: &mut Conv2dWorkspace,
        doutput: &[f32],
        weight: &[f32],
        dinput: &mut [f32],
    ) {
        self.conv
            .apply(workspace, doutput, weight, None, false, dinput);
    }

    /// The gradients by the weights and the bias, summed over the batch.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn backward_weight(
        &self,
        workspace: &mut Conv2dWorkspace,
        doutput: &[f32],
        input: &[f32],
        dweight: &mut [f32],
        dbias: &mut [f32],
    ) {
        self.require_bias(dbias.len());
        self.conv.by_weight(workspace, input, doutput, dweight);
        let shape = self.conv.shape();
        channel_sums(doutput, shape.height * shape.width, dbias);
    }

    fn require_bias(&self, len: usize) {
        let shape = self.conv.shape();
        assert!(
            len == shape.in_channels,
            "bias holds {len} where the transpose of {shape:?} needs {}",
            shape.in_channels
        );
    }
}
