//! The layers of each autoencoder, and where their parameters lie.

use msssim_cpu::layers::{Conv2dShape, DenseShape, Padding};

use super::{Model, Shape};
use crate::backend::{Activation, Layer, Operation};
use crate::parameters::Layout;

/// Rows and columns of a kernel.
const KERNEL: usize = 5;

/// Samples from one output of a convolution to the next.
const STRIDE: usize = 2;

/// An autoencoder's layers for batches of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// From an image to its code; to the moments of its code, for [`Model::ElVae`].
    pub encoder: Vec<Layer>,
    /// From the code to the image.
    pub decoder: Vec<Layer>,
    /// All parameters.
    pub layout: Layout,
}

impl Layers {
    /// The layers for batches of `images`.
    pub(super) fn of(shape: &Shape, images: usize) -> Self {
        let mut layers = Builder {
            images,
            layout: Layout::default(),
        };
        let [encoder, decoder] = match shape.model {
            Model::Fc => layers.dense_both_ways(shape),
            Model::Conv | Model::ElVae => layers.convolutions_both_ways(shape),
        };
        Self {
            encoder,
            decoder,
            layout: layers.layout,
        }
    }
}

struct Builder {
    images: usize,
    layout: Layout,
}

impl Builder {
    fn dense_both_ways(&mut self, shape: &Shape) -> [Vec<Layer>; 2] {
        let (image, hidden, code) = (shape.image_len(), 8 * shape.width, shape.bottleneck);
        [
            vec![
                self.dense("encoder.dense1", image, hidden, Activation::Relu),
                self.dense("encoder.dense2", hidden, code, Activation::Identity),
            ],
            vec![
                self.dense("decoder.dense1", code, hidden, Activation::Relu),
                self.dense("decoder.dense2", hidden, image, Activation::Sigmoid),
            ],
        ]
    }

    fn convolutions_both_ways(&mut self, shape: &Shape) -> [Vec<Layer>; 2] {
        let sides = shape.sides();
        let w = shape.width;
        let widths = [shape.channels, w, 2 * w, 4 * w];
        // The convolution from stage i to stage i + 1.
        let convolution = |images, i: usize| Conv2dShape {
            batch: images,
            in_channels: widths[i],
            out_channels: widths[i + 1],
            height: sides[i],
            width: sides[i],
            kernel: KERNEL,
            stride: STRIDE,
            padding: Padding::Zero,
        };
        let inner = widths[3] * sides[3] * sides[3];
        let code = shape.bottleneck;

        let mut encoder = Vec::new();
        for i in 0..3 {
            let operation = Operation::Conv2d(convolution(self.images, i));
            let name = format!("encoder.conv{}", i + 1);
            encoder.push(self.layer(name, operation, Activation::Relu));
        }
        match (shape.model, code) {
            (_, 0) => {}
            // Means, then logarithms of variances.
            (Model::ElVae, _) => {
                encoder.push(self.dense("encoder.dense", inner, 2 * code, Activation::Identity));
            }
            _ => encoder.push(self.dense("encoder.dense", inner, code, Activation::Relu)),
        }
        let mut decoder = Vec::new();
        if code > 0 {
            decoder.push(self.dense("decoder.dense", code, inner, Activation::Relu));
        }
        for i in (0..3).rev() {
            let operation = Operation::ConvTranspose2d(convolution(self.images, i));
            let name = format!("decoder.conv{}", 3 - i);
            let activation = if i == 0 {
                Activation::Sigmoid
            } else {
                Activation::Relu
            };
            decoder.push(self.layer(name, operation, activation));
        }
        [encoder, decoder]
    }

    fn dense(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Layer {
        let shape = DenseShape {
            batch: self.images,
            inputs,
            outputs,
        };
        self.layer(name.to_owned(), Operation::Dense(shape), activation)
    }

    fn layer(&mut self, name: String, operation: Operation, activation: Activation) -> Layer {
        // A transposed convolution goes from the convolution's output channels to its input channels.
        let (weight, bias) = match operation {
            Operation::Conv2d(shape) => (kernels(&shape), shape.out_channels),
            Operation::ConvTranspose2d(shape) => (kernels(&shape), shape.in_channels),
            Operation::Dense(shape) => (vec![shape.outputs, shape.inputs], shape.outputs),
        };
        Layer {
            weight: self.layout.push(format!("{name}.weight"), &weight),
            bias: self.layout.push(format!("{name}.bias"), &[bias]),
            name,
            operation,
            activation,
        }
    }
}

/// The shape of a convolution's weights; PyTorch has those of a transposed one `in x out`, which is
/// `out x in` of the convolution that it is the adjoint of.
fn kernels(shape: &Conv2dShape) -> Vec<usize> {
    vec![
        shape.out_channels,
        shape.in_channels,
        shape.kernel,
        shape.kernel,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shape: Shape) -> Vec<String> {
        let tensors = shape.layout();
        let tensors = tensors.tensors().iter().filter(|t| t.shape.len() > 1);
        tensors
            .map(|t| format!("{} {:?}", t.name, t.shape))
            .collect()
    }

    #[test]
    fn the_papers_network_is_as_reported() {
        assert_eq!(Shape::PAPER.sides(), [96, 48, 24, 12]);
        let expected = [
            "encoder.conv1.weight [128, 1, 5, 5]",
            "encoder.conv2.weight [256, 128, 5, 5]",
            "encoder.conv3.weight [512, 256, 5, 5]",
            "encoder.dense.weight [512, 73728]",
            "decoder.dense.weight [73728, 512]",
            "decoder.conv1.weight [512, 256, 5, 5]",
            "decoder.conv2.weight [256, 128, 5, 5]",
            "decoder.conv3.weight [128, 1, 5, 5]",
        ];
        assert_eq!(names(Shape::PAPER), expected);
    }

    #[test]
    fn any_side_comes_back() {
        for model in [Model::Conv, Model::Fc, Model::ElVae] {
            for side in 1..40 {
                for bottleneck in [0, 3] {
                    let shape = Shape {
                        model,
                        channels: 2,
                        side,
                        width: 2,
                        bottleneck,
                    };
                    if shape.fault().is_some() {
                        continue;
                    }
                    let layers = Layers::of(&shape, 3);
                    let last = layers.decoder.last().unwrap();
                    assert_eq!(last.operation.output_len(), 3 * 2 * side * side);
                    let code = layers.encoder.last().unwrap().operation.output_len();
                    let moments = if model == Model::ElVae { 2 } else { 1 };
                    assert_eq!(code, 3 * moments * shape.code_len());
                }
            }
        }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert_eq!(Shape::PAPER.fault(), None);
        let fault = |shape: Shape| shape.fault().map(|(name, _)| name);
        let side = 0;
        assert_eq!(
            fault(Shape {
                side,
                ..Shape::PAPER
            }),
            Some("side")
        );
        let width = 1 << 20;
        assert_eq!(
            fault(Shape {
                width,
                ..Shape::PAPER
            }),
            Some("width")
        );
        let vae = Shape {
            model: Model::ElVae,
            bottleneck: 0,
            ..Shape::PAPER
        };
        assert_eq!(fault(vae), Some("bottleneck"));
    }
}
