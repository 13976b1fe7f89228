//! SRCNN: three convolutions from a bicubic image to a sharper one.
//!
//! Dong, Loy, He and Tang (2016), with 9 x 9, 5 x 5 and 5 x 5 kernels: patches are coded by 64
//! filters, mapped to 32, and decoded to an image.
//!
//! ```text
//! input    -- 9x9 --> 64 channels, ReLU -- 5x5 --> 32 channels, ReLU -- 5x5 --> output
//! c channels                                                                    c channels
//! ```
//! Every layer's output is as large as its input, and each repeats the edge of what it sees.

mod inference;
mod initialisation;

use msssim_cpu::layers::{Conv2dShape, Padding};

pub use inference::{TILE, infer};
pub use initialisation::Initialisation;

use crate::backend::{Activation, Backend, ConvLayer, Error, ImageBatch};
use crate::parameters::Layout;

/// Side of each layer's kernels.
pub const KERNELS: [usize; 3] = [9, 5, 5];

/// Filters of the layers but the last, which has one for each channel of the image.
pub const FILTERS: [usize; 2] = [64, 32];

/// How far an output sample sees: the kernels' radii, one after another.
pub const REACH: usize = KERNELS[0] / 2 + KERNELS[1] / 2 + KERNELS[2] / 2;

/// Names, shapes and ranges of the parameters for images of `channels` planes, as PyTorch names
/// them.
pub fn layout(channels: usize) -> Layout {
    let mut layout = Layout::default();
    for (i, (kernel, [inputs, outputs])) in KERNELS.iter().zip(widths(channels)).enumerate() {
        let name = format!("conv{}", i + 1);
        layout.push(
            format!("{name}.weight"),
            &[outputs, inputs, *kernel, *kernel],
        );
        layout.push(format!("{name}.bias"), &[outputs]);
    }
    layout
}

/// The first parameter of the last layer, which the paper trains at a rate of its own.
pub fn last_layer(layout: &Layout) -> usize {
    layout.tensors()[4].range.start
}

/// Input and output channels of each layer.
fn widths(channels: usize) -> [[usize; 2]; 3] {
    [
        [channels, FILTERS[0]],
        [FILTERS[0], FILTERS[1]],
        [FILTERS[1], channels],
    ]
}

/// The network for batches of one shape, with the activations of the last forward call.
#[derive(Debug)]
pub struct Srcnn<B: Backend> {
    batch: ImageBatch,
    layers: [B::Conv2d; 3],
    hidden1: B::Buffer,
    hidden2: B::Buffer,
    output: B::Buffer,
}

/// The loss's gradients by a network's activations.
#[derive(Debug)]
pub struct Gradients<B: Backend> {
    dhidden1: B::Buffer,
    dhidden2: B::Buffer,
    doutput: B::Buffer,
}

impl<B: Backend> Srcnn<B> {
    /// Plans the network for `batch`; images may have any number of channels and any size.
    ///
    /// # Errors
    /// An [`Error`] when there is nothing in the batch or it is too large.
    pub fn new(backend: &B, batch: ImageBatch) -> Result<Self, Error> {
        let layout = layout(batch.channels);
        let activations = [Activation::Relu, Activation::Relu, Activation::Identity];
        let layer = |i: usize| {
            let [in_channels, out_channels] = widths(batch.channels)[i];
            backend.plan_conv2d(&ConvLayer {
                shape: Conv2dShape {
                    batch: batch.images,
                    in_channels,
                    out_channels,
                    height: batch.height,
                    width: batch.width,
                    kernel: KERNELS[i],
                    stride: 1,
                    padding: Padding::Replicate,
                },
                activation: activations[i],
                weight: layout.tensors()[2 * i].range.clone(),
                bias: layout.tensors()[2 * i + 1].range.clone(),
            })
        };
        let [hidden1, hidden2, output] = activation_lens(batch)?;
        Ok(Self {
            batch,
            layers: [layer(0)?, layer(1)?, layer(2)?],
            hidden1: backend.zeros(hidden1)?,
            hidden2: backend.zeros(hidden2)?,
            output: backend.zeros(output)?,
        })
    }

    /// Memory for [`Srcnn::backward`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn gradients(&self, backend: &B) -> Result<Gradients<B>, Error> {
        let [hidden1, hidden2, output] = activation_lens(self.batch)?;
        Ok(Gradients {
            dhidden1: backend.zeros(hidden1)?,
            dhidden2: backend.zeros(hidden2)?,
            doutput: backend.zeros(output)?,
        })
    }

    /// What the last [`Srcnn::forward`] made of its input, of the same shape.
    pub fn output(&self) -> &B::Buffer {
        &self.output
    }

    /// Runs the network on `input`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn forward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
    ) -> Result<(), Error> {
        let [conv1, conv2, conv3] = &mut self.layers;
        let (hidden1, hidden2, output) = (&mut self.hidden1, &mut self.hidden2, &mut self.output);
        backend.conv2d_forward(conv1, parameters, input, hidden1)?;
        backend.conv2d_forward(conv2, parameters, hidden1, hidden2)?;
        backend.conv2d_forward(conv3, parameters, hidden2, output)
    }

    /// The loss's gradient by the parameters, from [`Gradients::doutput_mut`]; `input` and
    /// `parameters` are those of the last [`Srcnn::forward`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn backward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
        gradients: &mut Gradients<B>,
        dparameters: &mut B::Buffer,
    ) -> Result<(), Error> {
        let [conv1, conv2, conv3] = &mut self.layers;
        let (hidden1, hidden2, output) = (&self.hidden1, &self.hidden2, &self.output);
        let Gradients {
            dhidden1,
            dhidden2,
            doutput,
        } = gradients;
        let (p, dp) = (parameters, dparameters);
        backend.conv2d_backward(conv3, p, hidden2, output, doutput, Some(dhidden2), dp)?;
        backend.conv2d_backward(conv2, p, hidden1, hidden2, dhidden2, Some(dhidden1), dp)?;
        backend.conv2d_backward(conv1, p, input, hidden1, dhidden1, None, dp)
    }
}

impl<B: Backend> Gradients<B> {
    /// The gradient by the output, to be written before and used up by [`Srcnn::backward`].
    pub fn doutput_mut(&mut self) -> &mut B::Buffer {
        &mut self.doutput
    }
}

/// Samples of each layer's output.
fn activation_lens(batch: ImageBatch) -> Result<[usize; 3], Error> {
    let [[_, first], [_, second], [_, third]] = widths(batch.channels);
    let len = |channels| ImageBatch { channels, ..batch }.checked_len();
    Ok([len(first)?, len(second)?, len(third)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_those_of_the_paper() {
        let names: Vec<String> = layout(1)
            .tensors()
            .iter()
            .map(|tensor| format!("{} {:?}", tensor.name, tensor.shape))
            .collect();
        let expected = [
            "conv1.weight [64, 1, 9, 9]",
            "conv1.bias [64]",
            "conv2.weight [32, 64, 5, 5]",
            "conv2.bias [32]",
            "conv3.weight [1, 32, 5, 5]",
            "conv3.bias [1]",
        ];
        assert_eq!(names, expected);
        // Their 57,184 weights and a bias for each filter.
        assert_eq!(layout(1).len(), 57_184 + 64 + 32 + 1);
        assert_eq!(last_layer(&layout(1)), 57_281 - 801);
        assert_eq!(layout(3).tensors()[4].shape, [3, 32, 5, 5]);
    }

    #[test]
    fn a_batch_of_nothing_or_of_too_much_is_an_error() {
        let batch = |images, side| ImageBatch {
            images,
            channels: 1,
            height: side,
            width: side,
        };
        let plan = |batch| Srcnn::new(&crate::backend::cpu::Cpu, batch).map(|_| ());
        assert!(matches!(plan(batch(0, 8)), Err(Error::Layer(_))));
        assert!(matches!(plan(batch(1, 0)), Err(Error::Layer(_))));
        assert!(matches!(
            plan(batch(1 << 20, 64)),
            Err(Error::TooLarge { channels: 64, .. })
        ));
        assert!(matches!(
            plan(batch(usize::MAX, 2)),
            Err(Error::TooLarge { .. })
        ));
    }
}
