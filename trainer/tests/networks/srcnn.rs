//! SRCNN's gradients and first steps against a float64 restatement.
//!
//! The ladder: central differences of the restatement's loss prove its gradient; its gradient
//! proves the trainer's; its ten steps of Adam are the literals that the trainer must meet.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use msssim_core::Size;
use msssim_trainer::backend::ImageBatch;
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::checkpoint::{Checkpoint, Provenance, TrainingState};
use msssim_trainer::loss::{Loss, PlannedLoss};
use msssim_trainer::network::Architecture;
use msssim_trainer::parameters::Parameters;
use msssim_trainer::schedule::Schedule;
use msssim_trainer::srcnn::{self, layout};
use msssim_trainer::training::{BatchSource, Configuration, Training};

use crate::float64::srcnn::{Images, Network, adam_losses};
use crate::{noise, wide};

/// Two images: targets with structure and noise, inputs that are off by a little.
fn batch(channels: usize, size: Size) -> (Vec<f32>, Vec<f32>) {
    let target = |i: usize| {
        let (x, y) = (i % size.width, i / size.width);
        0.5 + ((x * 5 + y * 3) % 11) as f32 / 32.0 - 0.15 + 0.1 * noise(1, i)
    };
    let len = 2 * channels * size.area();
    let targets: Vec<f32> = (0..len).map(target).collect();
    let inputs = targets.iter().enumerate();
    (
        inputs.map(|(i, t)| t + 0.1 * noise(2, i)).collect(),
        targets,
    )
}

/// Noise of about the size of a trained network's weights, and a path that hands each channel on,
/// so that the prediction resembles the target and about half of the rectifiers are open.
fn parameters(channels: usize) -> Vec<f32> {
    let mut parameters = Vec::new();
    for (i, tensor) in layout(channels).tensors().iter().enumerate() {
        let start = tensor.range.start;
        let place = tensor.range.clone().map(|at| noise(10 + i as u32, at));
        let [_, inputs, kernel, _] = tensor.shape[..] else {
            parameters.extend(place.map(|v| 0.02 * v));
            continue;
        };
        let taps = kernel * kernel;
        let size = 0.3 / ((inputs * taps) as f32).sqrt();
        parameters.extend(place.map(|v| size * v));
        for channel in 0..channels {
            parameters[start + (channel * inputs + channel) * taps + taps / 2] += 1.0;
        }
    }
    parameters
}

fn images(size: Size, samples: &[f32]) -> Images {
    let images = samples.chunks_exact(samples.len() / 2).map(wide);
    Images {
        size,
        images: images.collect(),
    }
}

/// The trainer's loss and gradient, over buffers that held garbage.
fn loss_and_gradient(
    loss: Loss,
    channels: usize,
    size: Size,
    input: &Vec<f32>,
    target: &Vec<f32>,
) -> (f64, Vec<f32>) {
    let batch = ImageBatch {
        images: 2,
        channels,
        height: size.height,
        width: size.width,
    };
    let parameters = parameters(channels);
    let network = srcnn::network(&Cpu, batch).unwrap();
    let mut network = network.for_training(&Cpu).unwrap();
    let mut planned = PlannedLoss::new(&Cpu, loss, batch).unwrap();
    let mut dparameters = vec![f32::NAN; parameters.len()];
    let mut doutput = vec![f32::NAN; target.len()];
    network.forward(&Cpu, &parameters, input).unwrap();
    planned
        .forward_backward(&Cpu, target, network.output(), &mut doutput)
        .unwrap();
    network
        .backward(
            &Cpu,
            &parameters,
            input,
            &mut doutput,
            None,
            &mut dparameters,
        )
        .unwrap();
    (planned.value(&Cpu).unwrap(), dparameters)
}

/// Two parameters of every tensor by central differences of 1e-6: their error is the third
/// derivative's, about 1e-12, and that of subtracting two losses, about 1e-16 / 1e-6. A rectifier or
/// an absolute value within 1e-6 of its kink would show as an error of the order of the gradient;
/// these numbers have none.
#[test]
fn the_restatements_gradient_is_that_of_its_loss() {
    let size = Size {
        width: 5,
        height: 4,
    };
    let (input, target) = batch(1, size);
    let (input, target) = (images(size, &input), images(size, &target));
    let parameters = wide(&parameters(1));
    for loss in Loss::ALL {
        let network = Network::new(1, &parameters);
        let (value, gradient) = network.loss_and_gradient(loss, &input, &target);
        assert_eq!(value, network.loss(loss, &input, &target));
        let largest = gradient.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
        for tensor in layout(1).tensors() {
            for at in [tensor.range.start, tensor.range.end - 1] {
                let moved = |by: f64| {
                    let mut parameters = parameters.clone();
                    parameters[at] += by;
                    Network::new(1, &parameters).loss(loss, &input, &target)
                };
                let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!(
                    (difference - gradient[at]).abs() < 1e-8 * largest.max(1.0),
                    "{loss:?} by {}: {difference}, not {}",
                    tensor.name,
                    gradient[at]
                );
            }
        }
    }
}

/// Every parameter's gradient, relative to the tensor's largest. In f32 the sums of up to 1,600
/// products leave 5e-7. The metric adds its own 1e-5 of its largest gradient, which is a larger
/// share of a bias's: SSIM hardly sees a constant added, so most of that sum cancels.
#[test]
fn the_whole_networks_gradient_is_that_of_the_restatement() {
    let size = Size {
        width: 11,
        height: 7,
    };
    for channels in [1, 3] {
        let (input, target) = batch(channels, size);
        let network = Network::new(channels, &wide(&parameters(channels)));
        for loss in [Loss::Mse, Loss::Mae, Loss::MsSsim, Loss::Mix] {
            let (value_tolerance, tolerance) = match loss {
                Loss::Mse | Loss::Mae => (1e-6, 2e-6),
                Loss::MsSsim | Loss::Mix => (5e-6, 2e-4),
            };
            let (value, gradient) = loss_and_gradient(loss, channels, size, &input, &target);
            let (input, target) = (images(size, &input), images(size, &target));
            let (expected_value, expected) = network.loss_and_gradient(loss, &input, &target);
            assert!(
                (value - expected_value).abs() < value_tolerance * expected_value,
                "{loss:?} is {value}, not {expected_value}"
            );
            for tensor in layout(channels).tensors() {
                let (range, name) = (tensor.range.clone(), &tensor.name);
                let expected = &expected[range.clone()];
                let largest = expected.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
                assert!(largest > 0.0, "{name} takes part");
                let apart = gradient[range].iter().zip(expected);
                let apart = apart.map(|(a, e)| (f64::from(*a) - e).abs());
                let apart = apart.fold(0.0, f64::max) / largest;
                assert!(apart < tolerance, "{loss:?} by {name}: {apart}");
            }
        }
    }
}

/// The losses of ten steps of Adam at 0.001 on one batch of two images of 8 x 8, as the restatement
/// computes them.
const TEN_STEPS: [(Loss, [f64; 10]); 3] = [
    (
        Loss::Mse,
        [
            2.2485905896e-02,
            1.2286078770e-02,
            5.6348230712e-03,
            3.3016660275e-03,
            3.7672823273e-03,
            4.0008717716e-03,
            3.7371782842e-03,
            3.3849328851e-03,
            3.2443301324e-03,
            3.3344562196e-03,
        ],
    ),
    (
        Loss::Mae,
        [
            1.3815213128e-01,
            9.6582921352e-02,
            5.3291073748e-02,
            4.9787577712e-02,
            5.4248471528e-02,
            5.0231550217e-02,
            4.7362378752e-02,
            4.8444367226e-02,
            4.9975577228e-02,
            5.0536095199e-02,
        ],
    ),
    (
        Loss::MsSsim,
        [
            3.3964062113e-01,
            2.3731848630e-01,
            1.7424860395e-01,
            1.4220970586e-01,
            1.3930937984e-01,
            1.2167745211e-01,
            1.0337471577e-01,
            9.7924247153e-02,
            9.5777888458e-02,
            8.9444876931e-02,
        ],
    ),
];

const TEN_STEPS_SIZE: Size = Size {
    width: 8,
    height: 8,
};

fn assert_losses(
    loss: Loss,
    actual: impl IntoIterator<Item = f64>,
    expected: &[f64; 10],
    tolerance: f64,
) {
    let actual: Vec<f64> = actual.into_iter().collect();
    assert_eq!(actual.len(), 10);
    for (a, e) in actual.iter().zip(expected) {
        assert!(
            (a - e).abs() < tolerance * e,
            "{loss:?}: {actual:?}, not {expected:?}"
        );
    }
}

/// The literals are printed to ten digits.
#[test]
fn ten_steps_of_the_restatement_are_the_literals() {
    let (input, target) = batch(1, TEN_STEPS_SIZE);
    let (input, target) = (
        images(TEN_STEPS_SIZE, &input),
        images(TEN_STEPS_SIZE, &target),
    );
    for (loss, expected) in TEN_STEPS {
        let losses = adam_losses(loss, wide(&parameters(1)), &input, &target);
        assert_losses(loss, losses, &expected, 1e-9);
    }
}

/// Relative 1e-4: matrix products differ between instruction sets, and Adam's first steps depend on
/// the signs of gradients however small.
#[test]
fn ten_steps_of_training_are_the_literals() {
    struct Fixed(Vec<f32>, Vec<f32>);
    impl BatchSource for Fixed {
        type Error = Infallible;
        fn fill(
            &mut self,
            _: u64,
            input: &mut [f32],
            target: &mut [f32],
        ) -> Result<(), Infallible> {
            input.copy_from_slice(&self.0);
            target.copy_from_slice(&self.1);
            Ok(())
        }
    }
    let (input, target) = batch(1, TEN_STEPS_SIZE);
    let mut source = Fixed(input, target);
    for (loss, expected) in TEN_STEPS {
        let mut configuration = Configuration {
            schedule: Schedule::Constant,
            ..Configuration::new(loss, 10, 0)
        };
        configuration.patches.batch = 2;
        configuration.patches.side = TEN_STEPS_SIZE.width;
        let mut start = Checkpoint {
            architecture: Architecture::Srcnn { channels: 1 },
            parameters: Parameters::zeros(layout(1)),
            factor: None,
            provenance: Provenance::Resumable(TrainingState {
                configuration,
                optimizer: vec![vec![0.0; layout(1).len()]; 2],
                losses: Vec::new(),
            }),
        };
        start
            .parameters
            .values_mut()
            .copy_from_slice(&parameters(1));
        let mut training = Training::resume(&Cpu, &start).unwrap();
        training
            .run(&mut source, None, &AtomicBool::new(false), |_| {})
            .unwrap();
        let losses = training.losses().iter().map(|v| f64::from(*v));
        assert_losses(loss, losses, &expected, 1e-4);
    }
}
