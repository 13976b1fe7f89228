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

use crate::backend::{Activation, Backend, Error, ImageBatch, Layer, Operation};
use crate::network::Sequence;
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

/// Input and output channels of each layer.
fn widths(channels: usize) -> [[usize; 2]; 3] {
    [
        [channels, FILTERS[0]],
        [FILTERS[0], FILTERS[1]],
        [FILTERS[1], channels],
    ]
}

/// The network for batches of one shape; images may have any number of channels and any size.
///
/// # Errors
/// An [`Error`] when there is nothing in the batch or it is too large.
pub fn network<B: Backend>(backend: &B, batch: ImageBatch) -> Result<Sequence<B>, Error> {
    Sequence::new(backend, &layers(batch)?)
}

/// Its layers.
pub(crate) fn layers(batch: ImageBatch) -> Result<Vec<Layer>, Error> {
    let layout = layout(batch.channels);
    let activations = [Activation::Relu, Activation::Relu, Activation::Identity];
    let widths = widths(batch.channels);
    let layer = |i: usize| {
        let [in_channels, out_channels] = widths[i];
        let output = ImageBatch {
            channels: out_channels,
            ..batch
        };
        output.checked_len()?;
        Ok(Layer {
            name: format!("conv{}", i + 1),
            operation: Operation::Conv2d(Conv2dShape {
                batch: batch.images,
                in_channels,
                out_channels,
                height: batch.height,
                width: batch.width,
                kernel: KERNELS[i],
                stride: 1,
                padding: Padding::Replicate,
            }),
            activation: activations[i],
            weight: layout.tensors()[2 * i].range.clone(),
            bias: layout.tensors()[2 * i + 1].range.clone(),
        })
    };
    (0..KERNELS.len()).map(layer).collect()
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
        // Dong et al. train the last layer at a rate of its own.
        assert_eq!(layout(1).last_layer(), 57_281 - 801);
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
        let plan = |batch| network(&crate::backend::cpu::Cpu, batch).map(|_| ());
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
