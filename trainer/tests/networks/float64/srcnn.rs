//! SRCNN and Adam in float64 and plain loops, sharing no arithmetic with the trainer:
//! what its gradients and steps are checked against.

use msssim_core::Size;
use msssim_trainer::loss::Loss;
use msssim_trainer::srcnn::{FILTERS, KERNELS};

use super::loss_and_gradient;

/// A batch of images, each `channels x height x width`.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    pub(crate) size: Size,
    pub(crate) images: Vec<Vec<f64>>,
}

/// One convolution; same size, edges repeated.
#[derive(Clone, Debug)]
struct Conv {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

/// The network.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    layers: Vec<Conv>,
}

/// The sample of a plane nearest to a place that may be outside.
fn nearest(size: Size, y: usize, x: usize, [dy, dx]: [usize; 2], radius: usize) -> usize {
    let row = (y + dy).saturating_sub(radius).min(size.height - 1);
    let column = (x + dx).saturating_sub(radius).min(size.width - 1);
    row * size.width + column
}

impl Conv {
    /// Calls `product(output sample, weight, input sample)` for every product of the layer.
    fn for_each_product(&self, size: Size, mut product: impl FnMut(usize, usize, usize)) {
        let (kernel, area) = (self.kernel, size.area());
        for dy in 0..kernel {
            for dx in 0..kernel {
                let tap = dy * kernel + dx;
                for y in 0..size.height {
                    for x in 0..size.width {
                        let to = y * size.width + x;
                        let from = nearest(size, y, x, [dy, dx], kernel / 2);
                        for o in 0..self.outputs {
                            for i in 0..self.inputs {
                                let weight = (o * self.inputs + i) * kernel * kernel + tap;
                                product(o * area + to, weight, i * area + from);
                            }
                        }
                    }
                }
            }
        }
    }

    fn forward(&self, size: Size, input: &[f64]) -> Vec<f64> {
        let area = size.area();
        let mut output: Vec<f64> = (0..self.outputs * area)
            .map(|i| self.bias[i / area])
            .collect();
        self.for_each_product(size, |o, w, i| output[o] += self.weight[w] * input[i]);
        output
    }

    /// The gradients by input and weights, then bias.
    fn backward(&self, size: Size, input: &[f64], doutput: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut dinput = vec![0.0; input.len()];
        let mut dparameters = vec![0.0; self.weight.len()];
        self.for_each_product(size, |o, w, i| {
            dinput[i] += self.weight[w] * doutput[o];
            dparameters[w] += input[i] * doutput[o];
        });
        dparameters.extend(
            doutput
                .chunks_exact(size.area())
                .map(|d| d.iter().sum::<f64>()),
        );
        (dinput, dparameters)
    }
}

impl Network {
    /// The network with these numbers, in the order conv1.weight, conv1.bias, conv2.weight, ...
    pub(crate) fn new(channels: usize, mut parameters: &[f64]) -> Self {
        let widths = [channels, FILTERS[0], FILTERS[1], channels];
        let mut take = |n: usize| {
            let (taken, rest) = parameters.split_at(n);
            parameters = rest;
            taken.to_vec()
        };
        let layers = KERNELS
            .iter()
            .zip(widths.windows(2))
            .map(|(&kernel, widths)| {
                let (inputs, outputs) = (widths[0], widths[1]);
                Conv {
                    inputs,
                    outputs,
                    kernel,
                    weight: take(outputs * inputs * kernel * kernel),
                    bias: take(outputs),
                }
            });
        Self {
            layers: layers.collect(),
        }
    }

    /// What each layer makes of one image, the image itself first.
    fn activations(&self, size: Size, image: &[f64]) -> Vec<Vec<f64>> {
        let mut activations = vec![image.to_vec()];
        for (i, layer) in self.layers.iter().enumerate() {
            let mut output = layer.forward(size, &activations[i]);
            if i < 2 {
                output.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            activations.push(output);
        }
        activations
    }

    /// The loss of a batch.
    pub(crate) fn loss(&self, loss: Loss, input: &Images, target: &Images) -> f64 {
        let size = input.size;
        let of_images = input
            .images
            .iter()
            .zip(&target.images)
            .map(|(input, target)| {
                let activations = self.activations(size, input);
                loss_and_gradient(loss, size, target, &activations[3]).0
            });
        of_images.sum::<f64>() / input.images.len() as f64
    }

    /// The loss of a batch and its gradient by the parameters.
    pub(crate) fn loss_and_gradient(
        &self,
        loss: Loss,
        input: &Images,
        target: &Images,
    ) -> (f64, Vec<f64>) {
        let (size, images) = (input.size, input.images.len() as f64);
        let mut value = 0.0;
        let mut gradient = Vec::new();
        for (input, target) in input.images.iter().zip(&target.images) {
            let activations = self.activations(size, input);
            let (of_image, mut doutput) = loss_and_gradient(loss, size, target, &activations[3]);
            value += of_image / images;
            let mut of_image = Vec::new();
            for (i, layer) in self.layers.iter().enumerate().rev() {
                if i < 2 {
                    for (d, v) in doutput.iter_mut().zip(&activations[i + 1]) {
                        *d *= f64::from(u8::from(*v > 0.0));
                    }
                }
                let (dinput, dparameters) = layer.backward(size, &activations[i], &doutput);
                doutput = dinput;
                of_image.splice(0..0, dparameters);
            }
            gradient.resize(of_image.len(), 0.0);
            for (sum, of_image) in gradient.iter_mut().zip(of_image) {
                *sum += of_image / images;
            }
        }
        (value, gradient)
    }
}

/// Losses before each of ten steps of Adam at 0.001, algorithm 1 of Kingma and Ba as printed, on
/// images of one channel.
pub(crate) fn adam_losses(
    loss: Loss,
    mut parameters: Vec<f64>,
    input: &Images,
    target: &Images,
) -> Vec<f64> {
    let (alpha, beta1, beta2, epsilon) = (0.001, 0.9f64, 0.999f64, 1e-8);
    let mut m = vec![0.0; parameters.len()];
    let mut v = m.clone();
    let step = |t| {
        let network = Network::new(1, &parameters);
        let (value, gradient) = network.loss_and_gradient(loss, input, target);
        for (i, g) in gradient.into_iter().enumerate() {
            m[i] = beta1 * m[i] + (1.0 - beta1) * g;
            v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
            let m_hat = m[i] / (1.0 - beta1.powi(t));
            let v_hat = v[i] / (1.0 - beta2.powi(t));
            parameters[i] -= alpha * m_hat / (v_hat.sqrt() + epsilon);
        }
        value
    };
    (1..=10).map(step).collect()
}
