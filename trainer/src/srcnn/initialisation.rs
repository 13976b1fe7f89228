//! Where training starts.

use serde::{Deserialize, Serialize};

use super::layout;
use crate::parameters::{Parameters, Tensor};
use crate::random::Random;

/// Weights before the first step; biases are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialisation {
    /// The network starts as the identity on non-negative images: in each layer the first filters,
    /// one for each channel of the image, hand that channel on untouched.
    ///
    /// The other filters are normal with variance `2 / inputs` (He, Zhang, Ren and Sun 2015) and
    /// find nothing to listen to in the last layer at first: there, weights are a tenth as large
    /// and only added to what is handed on. Training then begins near the bicubic image, and
    /// minutes do what takes days from [`Initialisation::Dong2016`].
    PassThrough,
    /// Normal with a standard deviation of 0.001 (Dong, Loy, He and Tang 2016).
    Dong2016,
}

/// Standard deviation of [`Initialisation::Dong2016`].
const DONG_DEVIATION: f64 = 0.001;

/// How much smaller than He's the last layer's weights are.
const LAST_LAYER_SHARE: f64 = 0.1;

impl Initialisation {
    /// Parameters for images of `channels` planes; the same for a seed on every machine.
    pub fn parameters(self, channels: usize, seed: u64) -> Parameters {
        let layout = layout(channels);
        let mut parameters = Parameters::zeros(layout.clone());
        for (layer, tensor) in layout.tensors().iter().step_by(2).enumerate() {
            let weights = &mut parameters.values_mut()[tensor.range.clone()];
            let inputs: usize = tensor.shape[1..].iter().product();
            let he = (2.0 / inputs as f64).sqrt();
            let deviation = match self {
                Self::Dong2016 => DONG_DEVIATION,
                Self::PassThrough if layer == 2 => LAST_LAYER_SHARE * he,
                Self::PassThrough => he,
            };
            let mut random = Random::new(seed, "weights", layer as u64);
            for weight in weights.iter_mut() {
                *weight = (deviation * random.normal()) as f32;
            }
            if self == Self::PassThrough {
                pass_through(tensor, channels, layer == 2, weights);
            }
        }
        parameters
    }
}

/// Makes filter `c` of a layer hand on input `c`, for each channel `c` of the image; the `last`
/// layer's filters keep what they take from the inputs that carry no channel.
fn pass_through(tensor: &Tensor, channels: usize, last: bool, weights: &mut [f32]) {
    let [_, inputs, kernel, _] = tensor.shape[..] else {
        unreachable!("weights have four axes")
    };
    let taps = kernel * kernel;
    for channel in 0..channels {
        let filter = &mut weights[channel * inputs * taps..][..inputs * taps];
        let untouched = if last { channels } else { inputs };
        filter[..untouched * taps].fill(0.0);
        filter[channel * taps + taps / 2] = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::srcnn::infer;
    use msssim_cpu::Size;

    #[test]
    fn training_starts_near_the_image_it_is_given() {
        let size = Size {
            width: 20,
            height: 14,
        };
        for channels in [1, 3] {
            let image: Vec<f32> = (0..channels * size.area())
                .map(|i| (i * 37 % 101) as f32 / 100.0)
                .collect();
            let mut parameters = Initialisation::PassThrough.parameters(channels, 1);
            let output = infer(&Cpu, &parameters, size, &image, 128).unwrap();
            let distance = |output: &[f32]| {
                let squares = output.iter().zip(&image).map(|(o, i)| (o - i).powi(2));
                (squares.sum::<f32>() / image.len() as f32).sqrt()
            };
            assert!(distance(&output) > 0.0, "the other filters take part");
            assert!(distance(&output) < 0.3, "{}", distance(&output));

            // Without the other filters it is the image itself.
            let last = parameters.layout().tensors()[4].clone();
            let weights = &mut parameters.values_mut()[last.range];
            for (i, weight) in weights.iter_mut().enumerate() {
                if i / 25 % 32 >= channels {
                    *weight = 0.0;
                }
            }
            let output = infer(&Cpu, &parameters, size, &image, 128).unwrap();
            assert_eq!(output, image);
        }
    }

    #[test]
    fn deviations_are_as_stated_and_seeds_differ() {
        let deviation = |initialisation: Initialisation, name| {
            let parameters = initialisation.parameters(1, 5);
            let weights = parameters.tensor(name).unwrap();
            let squares: f64 = weights.iter().map(|w| f64::from(*w).powi(2)).sum();
            (squares / weights.len() as f64).sqrt()
        };
        // 5,184 numbers: the deviation is known to about one per cent.
        let dong = deviation(Initialisation::Dong2016, "conv1.weight");
        assert!((dong / 0.001 - 1.0).abs() < 0.04, "{dong}");
        // The first filter of 64 holds a single 1: 1/5184 of added mean square.
        let he = deviation(Initialisation::PassThrough, "conv1.weight");
        let expected = (2.0 / 81.0 * 63.0 / 64.0 + 1.0 / 5184.0f64).sqrt();
        assert!((he / expected - 1.0).abs() < 0.04, "{he}, {expected}");

        let of = |seed| Initialisation::Dong2016.parameters(1, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let biases = of(1).tensor("conv1.bias").unwrap().to_vec();
        assert_eq!(biases, [0.0; 64]);
    }
}
