//! The autoencoders' gradients and first steps against a float64 restatement, which central differences
//! prove.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use msssim_trainer::autoencoder::{Autoencoder, Model, Shape, decode, features, reconstruct};
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::loss::{Loss, PlannedLoss};
use msssim_trainer::network::Network as _;
use msssim_trainer::parameters::Parameters;
use msssim_trainer::random::Random;
use msssim_trainer::schedule::Schedule;
use msssim_trainer::training::{BatchSource, Configuration, Task, Training};

use crate::float64::autoencoder::Network;
use crate::{noise, wide};

const SEED: u64 = 3;
const STEP: u64 = 5;
const KL_WEIGHT: f64 = 0.01;

/// Every network, with and without what can be left out; odd and even sides, grey and colour.
const SHAPES: [Shape; 6] = [
    shape(Model::Conv, 1, 11, 8),
    shape(Model::Conv, 3, 8, 9),
    shape(Model::Conv, 1, 9, 0),
    shape(Model::Fc, 1, 7, 3),
    shape(Model::Fc, 3, 6, 4),
    shape(Model::ElVae, 1, 10, 3),
];

const fn shape(model: Model, channels: usize, side: usize, bottleneck: usize) -> Shape {
    Shape {
        model,
        channels,
        side,
        width: 3,
        bottleneck,
    }
}

/// Two images with structure and noise.
fn images(shape: Shape) -> Vec<f32> {
    let sample = |i: usize| {
        let (x, y) = (i % shape.side, i / shape.side);
        0.5 + ((x * 5 + y * 3) % 11) as f32 / 32.0 - 0.15 + 0.1 * noise(1, i)
    };
    (0..2 * shape.image_len()).map(sample).collect()
}

/// The first parameters of training, and biases that are not 0.
fn parameters(shape: Shape) -> Parameters {
    let mut parameters = shape.initial(7);
    for (i, value) in parameters.values_mut().iter_mut().enumerate() {
        *value += 0.05 * noise(2, i);
    }
    parameters
}

/// What a step adds to the code.
fn code_noise(shape: Shape) -> Vec<f32> {
    let mut random = Random::new(SEED, "noise", STEP);
    let numbers = 0..2 * shape.code_len();
    numbers.map(|_| random.normal() as f32).collect()
}

fn in_two(values: &[f32]) -> Vec<Vec<f64>> {
    values.chunks_exact(values.len() / 2).map(wide).collect()
}

fn restated(shape: Shape, parameters: &[f64], loss: Loss) -> (f64, Vec<f64>) {
    let (images, noise) = (in_two(&images(shape)), in_two(&code_noise(shape)));
    Network::new(shape, parameters).loss_and_gradient(loss, &images, &noise, KL_WEIGHT)
}

/// The trainer's loss and gradient, over buffers that held garbage.
fn loss_and_gradient(shape: Shape, loss: Loss) -> (f64, Vec<f32>) {
    let (images, parameters) = (images(shape), parameters(shape).values().to_vec());
    let network = Autoencoder::new(&Cpu, shape, 2, KL_WEIGHT).unwrap();
    let mut network = network.for_training(&Cpu).unwrap();
    let mut planned = PlannedLoss::new(&Cpu, loss, shape.batch(2)).unwrap();
    let mut doutput = vec![f32::NAN; images.len()];
    let mut dparameters = vec![f32::NAN; parameters.len()];
    network.begin_step(&Cpu, SEED, STEP).unwrap();
    network.forward(&Cpu, &parameters, &images).unwrap();
    planned
        .forward_backward(&Cpu, &images, network.output(), &mut doutput)
        .unwrap();
    network
        .backward(&Cpu, &parameters, &images, &mut doutput, &mut dparameters)
        .unwrap();
    let value = planned.value(&Cpu).unwrap() + network.penalty(&Cpu).unwrap();
    (value, dparameters)
}

/// Two parameters of every tensor by central differences of 1e-6: their error is the third
/// derivative's, about 1e-12, and that of subtracting two losses, about 1e-16 / 1e-6. A rectifier
/// within 1e-6 of its kink would show as an error of the order of the gradient; these numbers have none.
#[test]
fn the_restatements_gradient_is_that_of_its_loss() {
    for shape in SHAPES {
        let parameters = wide(parameters(shape).values());
        for loss in Loss::ALL {
            let (_, gradient) = restated(shape, &parameters, loss);
            let largest = gradient.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
            for tensor in shape.layout().tensors() {
                for at in [tensor.range.start, tensor.range.end - 1] {
                    let moved = |by: f64| {
                        let mut parameters = parameters.clone();
                        parameters[at] += by;
                        restated(shape, &parameters, loss).0
                    };
                    let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    assert!(
                        (difference - gradient[at]).abs() < 1e-7 * largest,
                        "{shape:?}, {loss:?} by {}: {difference}, not {}",
                        tensor.name,
                        gradient[at]
                    );
                }
            }
        }
    }
}

/// Every parameter's gradient, relative to the tensor's largest: tolerances as for SRCNN.
#[test]
fn the_whole_networks_gradient_is_that_of_the_restatement() {
    for shape in SHAPES {
        for loss in [Loss::Mse, Loss::Mae, Loss::MsSsim, Loss::Mix] {
            let (value_tolerance, tolerance) = match loss {
                Loss::Mse | Loss::Mae => (1e-6, 5e-6),
                Loss::MsSsim | Loss::Mix => (5e-6, 3e-4),
            };
            let (value, gradient) = loss_and_gradient(shape, loss);
            let (expected_value, expected) =
                restated(shape, &wide(parameters(shape).values()), loss);
            assert!(
                (value - expected_value).abs() < value_tolerance * expected_value,
                "{shape:?}: {loss:?} is {value}, not {expected_value}"
            );
            for tensor in shape.layout().tensors() {
                let (range, name) = (tensor.range.clone(), &tensor.name);
                let expected = &expected[range.clone()];
                let largest = expected.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
                assert!(largest > 0.0, "{shape:?}: {name} takes part");
                let apart = gradient[range].iter().zip(expected);
                let apart = apart.map(|(a, e)| (f64::from(*a) - e).abs());
                let apart = apart.fold(0.0, f64::max) / largest;
                assert!(apart < tolerance, "{shape:?}, {loss:?} by {name}: {apart}");
            }
        }
    }
}

/// Ten steps of Adam as printed in its paper, in float64: relative 1e-3, since the first steps depend on
/// the signs of gradients however small.
#[test]
fn ten_steps_of_training_are_those_of_the_restatement() {
    struct Fixed(Vec<f32>);
    impl BatchSource for Fixed {
        type Error = Infallible;
        fn fill(
            &mut self,
            _: u64,
            input: &mut [f32],
            target: &mut [f32],
        ) -> Result<(), Infallible> {
            input.copy_from_slice(&self.0);
            target.copy_from_slice(&self.0);
            Ok(())
        }
    }
    for shape in [SHAPES[0], SHAPES[3], SHAPES[5]] {
        let mut configuration = Configuration {
            schedule: Schedule::Constant,
            ..Configuration::autoencoder(shape, 2, Loss::Mse, 10, SEED)
        };
        if let Task::Autoencoder { kl_weight, .. } = &mut configuration.task {
            *kl_weight = KL_WEIGHT;
        }
        let mut training = Training::new(&Cpu, configuration).unwrap();
        let mut source = Fixed(images(shape));
        let go = AtomicBool::new(false);
        training.run(&mut source, None, &go, |_| {}).unwrap();

        let mut p = wide(shape.initial(SEED).values());
        let (mut m, mut v) = (vec![0.0; p.len()], vec![0.0; p.len()]);
        for (t, loss) in training.losses().iter().enumerate() {
            let mut random = Random::new(SEED, "noise", t as u64);
            let numbers = 0..2 * shape.code_len();
            let noise: Vec<f32> = numbers.map(|_| random.normal() as f32).collect();
            let network = Network::new(shape, &p);
            let images = in_two(&images(shape));
            let (value, gradient) =
                network.loss_and_gradient(Loss::Mse, &images, &in_two(&noise), KL_WEIGHT);
            assert!(
                (f64::from(*loss) - value).abs() < 1e-3 * value,
                "{shape:?}, step {t}: {loss}, not {value}"
            );
            let t = t as i32 + 1;
            for (i, g) in gradient.into_iter().enumerate() {
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (m_hat, v_hat) = (
                    m[i] / (1.0 - 0.9f64.powi(t)),
                    v[i] / (1.0 - 0.999f64.powi(t)),
                );
                p[i] -= 0.001 * m_hat / (v_hat.sqrt() + 1e-8);
            }
        }
        // Each step of an EL-VAE draws another code.
        let learnt = training.losses()[9] < training.losses()[0];
        assert!(learnt || shape.model == Model::ElVae, "nothing is learnt");
    }
}

/// Reconstructing is decoding the features, for any number of images.
#[test]
fn images_go_to_codes_and_back() {
    for shape in SHAPES {
        let parameters = parameters(shape);
        let two = images(shape);
        let many: Vec<f32> = two
            .iter()
            .cycle()
            .take(35 * shape.image_len())
            .copied()
            .collect();
        let codes = features(&Cpu, shape, &parameters, &many).unwrap();
        assert_eq!(codes.len(), 35 * shape.code_len());
        let decoded = decode(&Cpu, shape, &parameters, &codes).unwrap();
        let whole = reconstruct(&Cpu, shape, &parameters, &many).unwrap();
        assert_eq!(decoded, whole, "{shape:?}");
        let first = reconstruct(&Cpu, shape, &parameters, &many[..shape.image_len()]).unwrap();
        let apart = first.iter().zip(&whole).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-6, "{shape:?}");
    }
    let none = reconstruct(&Cpu, SHAPES[0], &parameters(SHAPES[0]), &[]).unwrap();
    assert!(none.is_empty());
}
