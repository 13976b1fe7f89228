//! Adam and SGD with momentum over one flat parameter buffer.

use serde::{Deserialize, Serialize};

use crate::backend::{AdamConstants, Backend, Error};

/// How parameters follow their gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Kingma and Ba (2015), algorithm 1.
    Adam {
        /// Size of a step.
        learning_rate: f64,
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of squared gradients.
        beta2: f64,
        /// Added to the root of the mean square.
        epsilon: f64,
    },
    /// Gradient descent with momentum, `v = momentum v + learning_rate g; p = p - v`.
    Sgd {
        /// Rate of all layers but the last.
        learning_rate: f64,
        /// Rate of the last layer.
        last_layer_rate: f64,
        /// Share of the last step that is taken again.
        momentum: f64,
    },
}

impl Optimizer {
    /// Adam with the constants of its paper and a rate of 0.001.
    pub const ADAM: Self = Self::Adam {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };

    /// [`Optimizer::ADAM`] with an epsilon of 1e-15. MS-SSIM is a product of five means: where images do not resemble
    /// each other yet, its gradient by one of thousands of samples lies below 1e-8, and Adam's own epsilon would
    /// hold it there.
    pub const ADAM_OF_SMALL_GRADIENTS: Self = Self::Adam {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-15,
    };

    /// Dong, Loy, He and Tang (2016): momentum 0.9, rate 1e-4, for the last layer 1e-5.
    ///
    /// Their loss sums the squared error over an image's samples, where ours is the mean; the
    /// rates are multiplied by their number, so that the steps are those of the paper.
    pub fn dong_2016(samples_per_image: usize) -> Self {
        let samples = samples_per_image as f64;
        Self::Sgd {
            learning_rate: 1e-4 * samples,
            last_layer_rate: 1e-5 * samples,
            momentum: 0.9,
        }
    }

    /// The first number that is out of its range, and the range.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        let decay = |decay: f64| (0.0..1.0).contains(&decay);
        let checks: &[(bool, &str, &str)] = match *self {
            Self::Adam {
                learning_rate,
                beta1,
                beta2,
                epsilon,
            } => &[
                (
                    rate(learning_rate),
                    "learning_rate",
                    "finite and at least 0",
                ),
                (decay(beta1), "beta1", "at least 0 and below 1"),
                (decay(beta2), "beta2", "at least 0 and below 1"),
                (
                    (1e-30..=1.0).contains(&epsilon),
                    "epsilon",
                    "1e-30 to 1, so that no step divides by 0",
                ),
            ],
            Self::Sgd {
                learning_rate,
                last_layer_rate,
                momentum,
            } => &[
                (
                    rate(learning_rate),
                    "learning_rate",
                    "finite and at least 0",
                ),
                (
                    rate(last_layer_rate),
                    "last_layer_rate",
                    "finite and at least 0",
                ),
                (decay(momentum), "momentum", "at least 0 and below 1"),
            ],
        };
        let bad = checks.iter().find(|(good, _, _)| !good)?;
        Some((bad.1, bad.2))
    }

    /// The names of the buffers that it keeps between steps, each as long as the parameters.
    pub fn state_names(&self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } => &["first_moment", "second_moment"],
            Self::Sgd { .. } => &["velocity"],
        }
    }

    /// What changes from one step to the next; `step` counts from 0, `factor` is the schedule's.
    ///
    /// Computed in float64 with `libm`, so that it is the same on every machine.
    fn coefficients(&self, step: u64, factor: f64) -> Vec<f32> {
        match *self {
            Self::Adam {
                learning_rate,
                beta1,
                beta2,
                ..
            } => {
                let unbias = |beta: f64| 1.0 / (1.0 - libm::pow(beta, (step + 1) as f64));
                let coefficients = [learning_rate * factor, unbias(beta1), unbias(beta2)];
                coefficients.map(|v| v as f32).to_vec()
            }
            Self::Sgd {
                learning_rate,
                last_layer_rate,
                ..
            } => [learning_rate, last_layer_rate]
                .map(|rate| (rate * factor) as f32)
                .to_vec(),
        }
    }
}

/// An optimiser with its state on a device.
#[derive(Debug)]
pub struct PlannedOptimizer<B: Backend> {
    optimizer: Optimizer,
    /// The first parameter of the last layer.
    last_layer: usize,
    coefficients: B::Buffer,
    /// In the order of [`Optimizer::state_names`].
    state: Vec<B::Buffer>,
}

impl<B: Backend> PlannedOptimizer<B> {
    /// Zero state for `len` parameters, of which the last layer's begin at `last_layer`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(
        backend: &B,
        optimizer: Optimizer,
        len: usize,
        last_layer: usize,
    ) -> Result<Self, Error> {
        let state = optimizer.state_names().iter();
        Ok(Self {
            optimizer,
            last_layer,
            coefficients: backend.zeros(optimizer.coefficients(0, 0.0).len())?,
            state: state
                .map(|_| backend.zeros(len))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The buffers kept between steps, in the order of [`Optimizer::state_names`].
    pub fn state(&self) -> &[B::Buffer] {
        &self.state
    }

    /// The buffers kept between steps, to restore.
    pub fn state_mut(&mut self) -> &mut [B::Buffer] {
        &mut self.state
    }

    /// What [`PlannedOptimizer::update`] needs for `step`, as [`PlannedOptimizer::prepare`] uploads it.
    pub fn coefficients(&self, step: u64, factor: f64) -> Vec<f32> {
        self.optimizer.coefficients(step, factor)
    }

    /// The buffer that holds those, for a device that has them already.
    pub fn coefficients_mut(&mut self) -> &mut B::Buffer {
        &mut self.coefficients
    }

    /// Uploads what [`PlannedOptimizer::update`] needs for `step`, counted from 0, at `factor` times
    /// the full learning rate.
    ///
    /// # Errors
    /// Those of the device.
    pub fn prepare(&mut self, backend: &B, step: u64, factor: f64) -> Result<(), Error> {
        let coefficients = self.optimizer.coefficients(step, factor);
        backend.upload(&coefficients, &mut self.coefficients)
    }

    /// Moves the parameters one step against their gradient.
    ///
    /// # Errors
    /// Those of the device.
    pub fn update(
        &mut self,
        backend: &B,
        gradient: &B::Buffer,
        parameters: &mut B::Buffer,
    ) -> Result<(), Error> {
        match (self.optimizer, &mut self.state[..]) {
            (
                Optimizer::Adam {
                    beta1,
                    beta2,
                    epsilon,
                    ..
                },
                [first, second],
            ) => {
                let constants = AdamConstants {
                    beta1: beta1 as f32,
                    beta2: beta2 as f32,
                    complement1: (1.0 - beta1) as f32,
                    complement2: (1.0 - beta2) as f32,
                    epsilon: epsilon as f32,
                };
                let coefficients = &self.coefficients;
                backend.adam(
                    &constants,
                    coefficients,
                    gradient,
                    first,
                    second,
                    parameters,
                )
            }
            (Optimizer::Sgd { momentum, .. }, [velocity]) => backend.sgd(
                momentum as f32,
                self.last_layer,
                &self.coefficients,
                gradient,
                velocity,
                parameters,
            ),
            (_, state) => unreachable!("planned with {} buffers of state", state.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;

    /// Parameters after each of `gradients`, from `start`, at the full rate.
    fn path(
        optimizer: Optimizer,
        last_layer: usize,
        start: &[f32],
        gradients: &[&[f32]],
    ) -> Vec<Vec<f32>> {
        let mut planned = PlannedOptimizer::new(&Cpu, optimizer, start.len(), last_layer).unwrap();
        let mut parameters = start.to_vec();
        let step = |(step, gradient): (usize, &&[f32])| {
            planned.prepare(&Cpu, step as u64, 1.0).unwrap();
            let gradient = gradient.to_vec();
            planned.update(&Cpu, &gradient, &mut parameters).unwrap();
            parameters.clone()
        };
        gradients.iter().enumerate().map(step).collect()
    }

    fn assert_close(actual: &[f32], expected: &[f32]) {
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            assert!(
                (a - e).abs() <= 2e-6 * e.abs(),
                "{actual:?}, not {expected:?}"
            );
        }
    }

    /// With bias correction the first step is the rate, whatever the gradient's size, and constant
    /// gradients keep it so: both moments then equal their limits.
    #[test]
    fn adam_steps_by_the_rate_under_a_constant_gradient() {
        let steps = path(
            Optimizer::ADAM,
            0,
            &[0.0, 0.0],
            &[&[0.5, -500.0], &[0.5, -500.0], &[0.5, -500.0]],
        );
        for (i, step) in steps.iter().enumerate() {
            let moved = 1e-3 * (i + 1) as f32;
            assert_close(step, &[-moved, moved]);
        }
    }

    /// beta1 = 1/2, beta2 = 3/4, gradients 1 and -2. After two steps m = 1/4 - 1 = -3/4, corrected
    /// by 1/(1 - 1/4) to -1; v = 3/16 + 1 = 19/16, corrected by 1/(1 - 9/16) to 19/7.
    #[test]
    fn adam_by_hand() {
        let adam = Optimizer::Adam {
            learning_rate: 0.1,
            beta1: 0.5,
            beta2: 0.75,
            epsilon: 1e-8,
        };
        let steps = path(adam, 0, &[1.0], &[&[1.0], &[-2.0]]);
        assert_close(&steps[0], &[0.9]);
        assert_close(&steps[1], &[0.9 + 0.1 / (19.0f32 / 7.0).sqrt()]);
    }

    /// Gradients 1, 1, -4 with momentum 1/2 and rates 1/10 and 1/100: the fast velocity is .1,
    /// .15, -.325.
    #[test]
    fn sgd_by_hand_with_a_slower_last_layer() {
        let sgd = Optimizer::Sgd {
            learning_rate: 0.1,
            last_layer_rate: 0.01,
            momentum: 0.5,
        };
        let steps = path(
            sgd,
            1,
            &[1.0, 1.0],
            &[&[1.0, 1.0], &[1.0, 1.0], &[-4.0, -4.0]],
        );
        assert_close(&steps[0], &[0.9, 0.99]);
        assert_close(&steps[1], &[0.75, 0.975]);
        assert_close(&steps[2], &[1.075, 1.0075]);
    }

    #[test]
    fn the_schedule_scales_the_step() {
        let mut planned = PlannedOptimizer::new(&Cpu, Optimizer::ADAM, 1, 0).unwrap();
        let mut parameters = vec![1.0];
        planned.prepare(&Cpu, 0, 0.25).unwrap();
        planned.update(&Cpu, &vec![3.0], &mut parameters).unwrap();
        assert_close(&parameters, &[1.0 - 0.25e-3]);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let Optimizer::Adam { beta2, .. } = Optimizer::ADAM else {
            unreachable!("ADAM is Adam")
        };
        let adam = |learning_rate, beta1, epsilon| Optimizer::Adam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
        };
        let name = |optimizer: Optimizer| optimizer.fault().map(|(name, _)| name);
        assert_eq!(name(Optimizer::ADAM), None);
        assert_eq!(name(Optimizer::dong_2016(1089)), None);
        assert_eq!(name(adam(f64::NAN, 0.9, 1e-8)), Some("learning_rate"));
        assert_eq!(name(adam(1e-3, 1.0, 1e-8)), Some("beta1"));
        assert_eq!(name(adam(1e-3, 0.9, 0.0)), Some("epsilon"));
    }
}
