//! Where training starts.

use super::{Layers, Shape};
use crate::backend::{Activation, Operation};
use crate::parameters::Parameters;
use crate::random::Random;

impl Shape {
    /// First parameters, the same for a seed on every machine: weights normal with variance
    /// `2 / inputs` before a rectifier (He, Zhang, Ren and Sun 2015) and `1 / inputs` elsewhere, biases 0.
    pub fn initial(&self, seed: u64) -> Parameters {
        let layers = Layers::of(self, 1);
        let mut parameters = Parameters::zeros(layers.layout);
        for (i, layer) in layers.encoder.iter().chain(&layers.decoder).enumerate() {
            // Numbers that an output sees; of a transposed convolution, one in so many of its taps.
            let inputs = match layer.operation {
                Operation::Conv2d(shape) => shape.in_channels * shape.kernel.pow(2),
                Operation::ConvTranspose2d(shape) => {
                    shape.out_channels * shape.kernel.pow(2) / shape.stride.pow(2)
                }
                Operation::Dense(shape) => shape.inputs,
            };
            let gain = match layer.activation {
                Activation::Relu => 2.0,
                Activation::Identity | Activation::Sigmoid => 1.0,
            };
            let deviation = (gain / inputs as f64).sqrt();
            let mut random = Random::new(seed, "weights", i as u64);
            for weight in &mut parameters.values_mut()[layer.weight.clone()] {
                *weight = (deviation * random.normal()) as f32;
            }
        }
        parameters
    }
}
