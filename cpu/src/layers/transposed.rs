//! The transposed convolution: the adjoint of a convolution, used forward, with a bias of its own.
//!
//! A convolution with stride `s` makes an image `s` times smaller; its transpose makes one that
//! much larger, each input sample adding a kernel to the output. It is planned by the shape of the
//! convolution that it reverses, whose output is its input; weights are that convolution's,
//! `input channels x output channels x kernel x kernel` from here, as PyTorch has them. With zero
//! padding it is PyTorch's `ConvTranspose2d` with `padding = kernel / 2` and the `output_padding`
//! that gives the shape.

use rayon::prelude::*;

use super::ShapeError;
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
        self.conv.backward_input(workspace, input, weight, output);
        let plane = self.output_plane();
        let channels = bias.len();
        output
            .par_chunks_exact_mut(plane)
            .enumerate()
            .for_each(|(i, plane)| {
                let bias = bias[i % channels];
                plane.iter_mut().for_each(|sample| *sample += bias);
            });
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
        self.conv.apply(workspace, doutput, weight, None, dinput);
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
        let plane = self.output_plane();
        let channels = dbias.len();
        dbias.par_iter_mut().enumerate().for_each(|(c, dbias)| {
            let planes = doutput.chunks_exact(plane).skip(c).step_by(channels);
            let of_planes = planes.map(|plane| plane.iter().map(|v| f64::from(*v)).sum::<f64>());
            *dbias = of_planes.sum::<f64>() as f32;
        });
    }

    /// Samples of one channel of the output.
    fn output_plane(&self) -> usize {
        let shape = self.conv.shape();
        shape.height * shape.width
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
