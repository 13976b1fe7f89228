//! The autoencoders in float64 and plain loops.

use msssim_core::Size;
use msssim_trainer::autoencoder::{Model, Shape};
use msssim_trainer::loss::Loss;

use super::loss_and_gradient;

/// The linear part of a layer, as a list of the products that it sums.
#[derive(Clone, Debug)]
enum Linear {
    /// 5 x 5, stride 2, zeros beyond the image.
    Conv {
        inputs: usize,
        outputs: usize,
        side: usize,
    },
    /// PyTorch's `ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2)`, of such an `output_padding`
    /// that its output has rows and columns of `side`.
    Transposed {
        inputs: usize,
        outputs: usize,
        side: usize,
    },
    Dense {
        inputs: usize,
        outputs: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Activation {
    Identity,
    Relu,
    Sigmoid,
}

#[derive(Clone, Debug)]
struct Layer {
    linear: Linear,
    activation: Activation,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

/// An autoencoder.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    shape: Shape,
    encoder: Vec<Layer>,
    decoder: Vec<Layer>,
}

impl Linear {
    /// Numbers that come out, and how many of them share a bias.
    fn outputs(&self) -> (usize, usize) {
        match *self {
            Self::Conv { outputs, side, .. } => {
                let half = side.div_ceil(2);
                (outputs * half * half, half * half)
            }
            Self::Transposed { outputs, side, .. } => (outputs * side * side, side * side),
            Self::Dense { outputs, .. } => (outputs, 1),
        }
    }

    /// The number of weights and of biases.
    fn parameters(&self) -> (usize, usize) {
        match *self {
            Self::Conv {
                inputs, outputs, ..
            }
            | Self::Transposed {
                inputs, outputs, ..
            } => (inputs * outputs * 25, outputs),
            Self::Dense { inputs, outputs } => (inputs * outputs, outputs),
        }
    }

    /// Calls `product(output, weight, input)` for every product.
    fn for_each_product(&self, mut product: impl FnMut(usize, usize, usize)) {
        match *self {
            Self::Dense { inputs, outputs } => {
                for o in 0..outputs {
                    for i in 0..inputs {
                        product(o, o * inputs + i, i);
                    }
                }
            }
            Self::Conv {
                inputs,
                outputs,
                side,
            } => each_place(side, |large, small, tap| {
                let (area, small_area) = (side * side, side.div_ceil(2).pow(2));
                for o in 0..outputs {
                    for i in 0..inputs {
                        let weight = (o * inputs + i) * 25 + tap;
                        product(o * small_area + small, weight, i * area + large);
                    }
                }
            }),
            Self::Transposed {
                inputs,
                outputs,
                side,
            } => each_place(side, |large, small, tap| {
                let (area, small_area) = (side * side, side.div_ceil(2).pow(2));
                for o in 0..outputs {
                    for i in 0..inputs {
                        let weight = (i * outputs + o) * 25 + tap;
                        product(o * area + large, weight, i * small_area + small);
                    }
                }
            }),
        }
    }
}

/// Calls `visit(sample of the large plane, sample of the small plane, tap)` wherever a 5 x 5 kernel on
/// every second sample of the large plane touches it.
fn each_place(side: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let half = side.div_ceil(2);
    for y in 0..half {
        for x in 0..half {
            for tap in 0..25 {
                let (row, column) = (2 * y + tap / 5, 2 * x + tap % 5);
                if (2..side + 2).contains(&row) && (2..side + 2).contains(&column) {
                    visit((row - 2) * side + column - 2, y * half + x, tap);
                }
            }
        }
    }
}

impl Layer {
    fn forward(&self, input: &[f64]) -> Vec<f64> {
        let (len, plane) = self.linear.outputs();
        let mut output: Vec<f64> = (0..len).map(|o| self.bias[o / plane]).collect();
        self.linear
            .for_each_product(|o, w, i| output[o] += self.weight[w] * input[i]);
        for v in &mut output {
            *v = match self.activation {
                Activation::Identity => *v,
                Activation::Relu => v.max(0.0),
                Activation::Sigmoid => 1.0 / (1.0 + (-*v).exp()),
            };
        }
        output
    }

    /// The gradients by input and by weights, then bias.
    fn backward(&self, input: &[f64], output: &[f64], doutput: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let slope = |y: f64| match self.activation {
            Activation::Identity => 1.0,
            Activation::Relu => f64::from(u8::from(y > 0.0)),
            Activation::Sigmoid => y * (1.0 - y),
        };
        let doutput: Vec<f64> = output
            .iter()
            .zip(doutput)
            .map(|(y, d)| slope(*y) * d)
            .collect();
        let mut dinput = vec![0.0; input.len()];
        let mut dparameters = vec![0.0; self.weight.len()];
        self.linear.for_each_product(|o, w, i| {
            dinput[i] += self.weight[w] * doutput[o];
            dparameters[w] += input[i] * doutput[o];
        });
        let (_, plane) = self.linear.outputs();
        dparameters.extend(doutput.chunks_exact(plane).map(|d| d.iter().sum::<f64>()));
        (dinput, dparameters)
    }
}

/// What each layer makes, the input first.
fn activations(layers: &[Layer], input: &[f64]) -> Vec<Vec<f64>> {
    let mut activations = vec![input.to_vec()];
    for layer in layers {
        activations.push(layer.forward(&activations[activations.len() - 1]));
    }
    activations
}

/// The gradient by the input; those by the parameters go before what `dparameters` holds.
fn backward(
    layers: &[Layer],
    activations: &[Vec<f64>],
    mut doutput: Vec<f64>,
    dparameters: &mut Vec<f64>,
) -> Vec<f64> {
    for (i, layer) in layers.iter().enumerate().rev() {
        let (dinput, of_layer) = layer.backward(&activations[i], &activations[i + 1], &doutput);
        doutput = dinput;
        dparameters.splice(0..0, of_layer);
    }
    doutput
}

impl Network {
    /// The network with these numbers, layer by layer, weights before biases.
    pub(crate) fn new(shape: Shape, mut parameters: &[f64]) -> Self {
        let Shape {
            model,
            channels,
            side,
            width: w,
            bottleneck,
        } = shape;
        let mut layer = |linear: Linear, activation| {
            let (weights, biases) = linear.parameters();
            let (weight, rest) = parameters.split_at(weights);
            let (bias, rest) = rest.split_at(biases);
            parameters = rest;
            Layer {
                linear,
                activation,
                weight: weight.to_vec(),
                bias: bias.to_vec(),
            }
        };
        let dense = |inputs, outputs| Linear::Dense { inputs, outputs };
        let (mut encoder, mut decoder) = (Vec::new(), Vec::new());
        if model == Model::Fc {
            let image = channels * side * side;
            encoder.push(layer(dense(image, 8 * w), Activation::Relu));
            encoder.push(layer(dense(8 * w, bottleneck), Activation::Identity));
            decoder.push(layer(dense(bottleneck, 8 * w), Activation::Relu));
            decoder.push(layer(dense(8 * w, image), Activation::Sigmoid));
        } else {
            let half = |side: usize| side.div_ceil(2);
            let stages = [
                (channels, w, side),
                (w, 2 * w, half(side)),
                (2 * w, 4 * w, half(half(side))),
            ];
            for (inputs, outputs, side) in stages {
                let conv = Linear::Conv {
                    inputs,
                    outputs,
                    side,
                };
                encoder.push(layer(conv, Activation::Relu));
            }
            let inner = 4 * w * half(half(half(side))).pow(2);
            if model == Model::ElVae {
                encoder.push(layer(dense(inner, 2 * bottleneck), Activation::Identity));
            } else if bottleneck > 0 {
                encoder.push(layer(dense(inner, bottleneck), Activation::Relu));
            }
            if bottleneck > 0 {
                decoder.push(layer(dense(bottleneck, inner), Activation::Relu));
            }
            for (i, (outputs, inputs, side)) in stages.into_iter().enumerate().rev() {
                let transposed = Linear::Transposed {
                    inputs,
                    outputs,
                    side,
                };
                let activation = if i == 0 {
                    Activation::Sigmoid
                } else {
                    Activation::Relu
                };
                decoder.push(layer(transposed, activation));
            }
        }
        assert!(parameters.is_empty(), "{} left over", parameters.len());
        Self {
            shape,
            encoder,
            decoder,
        }
    }

    /// The loss of images that are their own targets and its gradient by the parameters; `noise` and
    /// `kl_weight` count for an EL-VAE.
    pub(crate) fn loss_and_gradient(
        &self,
        loss: Loss,
        images: &[Vec<f64>],
        noise: &[Vec<f64>],
        kl_weight: f64,
    ) -> (f64, Vec<f64>) {
        let (side, count) = (self.shape.side, images.len() as f64);
        let size = Size {
            width: side,
            height: side,
        };
        let (mut value, mut gradient) = (0.0, Vec::new());
        for (image, noise) in images.iter().zip(noise) {
            let encoded = activations(&self.encoder, image);
            let moments = &encoded[encoded.len() - 1];
            let (means, logs) = moments.split_at(self.shape.bottleneck.min(moments.len()));
            let code = match self.shape.model {
                Model::ElVae => {
                    let numbers = means.iter().zip(logs).zip(noise);
                    numbers.map(|((m, v), e)| m + (v / 2.0).exp() * e).collect()
                }
                _ => moments.clone(),
            };
            let decoded = activations(&self.decoder, &code);
            let output = &decoded[decoded.len() - 1];
            let (of_image, doutput) = loss_and_gradient(loss, size, image, output);
            value += of_image / count;
            let mut dparameters = Vec::new();
            let mut dcode = backward(&self.decoder, &decoded, doutput, &mut dparameters);
            if self.shape.model == Model::ElVae {
                let divergence = means
                    .iter()
                    .zip(logs)
                    .map(|(m, v)| m * m + v.exp() - 1.0 - v);
                value += kl_weight * divergence.sum::<f64>() / 2.0 / count;
                let by_log = |((v, e), d): ((&f64, &f64), &f64)| {
                    d * e * (v / 2.0).exp() / 2.0 + kl_weight * (v.exp() - 1.0) / 2.0
                };
                let dlogs: Vec<f64> = logs.iter().zip(noise).zip(&dcode).map(by_log).collect();
                for (d, m) in dcode.iter_mut().zip(means) {
                    *d += kl_weight * m;
                }
                dcode.extend(dlogs);
            }
            backward(&self.encoder, &encoded, dcode, &mut dparameters);
            gradient.resize(dparameters.len(), 0.0);
            for (sum, of_image) in gradient.iter_mut().zip(dparameters) {
                *sum += of_image / count;
            }
        }
        (value, gradient)
    }
}
