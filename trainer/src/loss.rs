//! MSE, MAE, MS-SSIM and a mix of the last two as losses with gradients.
//!
//! A loss is a constant plus a factor times a [`Measure`], the mean over a batch. The gradient of
//! the metric is that of the score; that a good score is a small loss is said here and nowhere else.

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Error, ImageBatch, Measure};

/// What training makes small; images are in 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Mean squared error over all samples.
    Mse,
    /// Mean absolute error over all samples.
    Mae,
    /// 1 - MS-SSIM, averaged over the images (Snell et al. 2017 sum -MS-SSIM over them).
    MsSsim,
    /// 0.84 (1 - MS-SSIM) + 0.16 times the mean absolute error: the mix of Zhao, Gallo, Frosio and Kautz
    /// (2017), whose Gaussian weights of the error sum to 1 and are left out.
    Mix,
}

/// The share of MS-SSIM in the mix of Zhao et al. (2017), equation 14.
const ALPHA: f32 = 0.84;

impl Loss {
    /// The losses that the paper compares, in the order of its tables.
    pub const ALL: [Self; 3] = [Self::Mse, Self::Mae, Self::MsSsim];

    /// As the paper's tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mse => "MSE",
            Self::Mae => "MAE",
            Self::MsSsim => "MS-SSIM",
            Self::Mix => "MS-SSIM + MAE",
        }
    }

    /// The same in a file name or on a command line.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::MsSsim => "ms-ssim",
            Self::Mix => "mix",
        }
    }

    /// `(constant, factor, measure)` of `loss = constant + factor * measure`.
    fn terms(self) -> (f64, f32, Measure) {
        match self {
            Self::Mse => (0.0, 1.0, Measure::SquaredError),
            Self::Mae => (0.0, 1.0, Measure::AbsoluteError),
            Self::MsSsim => (1.0, -1.0, Measure::MsSsim),
            Self::Mix => {
                let (score, error) = (-ALPHA, 1.0 - ALPHA);
                (ALPHA.into(), 1.0, Measure::Blend { score, error })
            }
        }
    }
}

/// A loss over batches of one shape.
#[derive(Debug)]
pub struct PlannedLoss<B: Backend> {
    constant: f64,
    factor: f32,
    measure: B::Measure,
}

impl<B: Backend> PlannedLoss<B> {
    /// Plans `loss` on a device.
    ///
    /// # Errors
    /// An [`Error`] when the batch is too large.
    pub fn new(backend: &B, loss: Loss, batch: ImageBatch) -> Result<Self, Error> {
        let (constant, factor, measure) = loss.terms();
        Ok(Self {
            constant,
            factor,
            measure: backend.plan_measure(measure, batch)?,
        })
    }

    /// Compares a prediction with its target and writes the loss's gradient by the prediction.
    ///
    /// # Errors
    /// Those of the device.
    pub fn forward_backward(
        &mut self,
        backend: &B,
        target: &B::Buffer,
        prediction: &B::Buffer,
        dprediction: &mut B::Buffer,
    ) -> Result<(), Error> {
        backend.measure_and_gradient(
            &mut self.measure,
            target,
            prediction,
            self.factor,
            dprediction,
        )
    }

    /// The measure of which it is made.
    pub fn measure(&self) -> &B::Measure {
        &self.measure
    }

    /// The loss of a batch whose mean measure is `measured`.
    pub fn of_measured(&self, measured: f64) -> f64 {
        self.constant + f64::from(self.factor) * measured
    }

    /// Waits for the device: the loss of the last [`PlannedLoss::forward_backward`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn value(&self, backend: &B) -> Result<f64, Error> {
        Ok(self.of_measured(backend.measured(&self.measure)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use msssim_core::{Params, Size, reference};

    /// The loss and its gradient by the prediction, over buffers that held garbage.
    fn loss_and_gradient(
        loss: Loss,
        batch: ImageBatch,
        target: &[f32],
        prediction: &[f32],
    ) -> (f64, Vec<f32>) {
        let mut planned = PlannedLoss::new(&Cpu, loss, batch).unwrap();
        let (target, prediction) = (target.to_vec(), prediction.to_vec());
        let mut gradient = vec![f32::NAN; prediction.len()];
        planned
            .forward_backward(&Cpu, &target, &prediction, &mut gradient)
            .unwrap();
        (planned.value(&Cpu).unwrap(), gradient)
    }

    /// Two images of one channel and 1 x 2 samples, with differences 1/2, -1/4, 0 and 1.
    #[test]
    fn squared_and_absolute_error_by_hand() {
        let batch = ImageBatch {
            images: 2,
            channels: 1,
            height: 1,
            width: 2,
        };
        let target = [0.25, 0.5, 0.75, 0.0];
        let prediction = [0.75, 0.25, 0.75, 1.0];
        let (value, gradient) = loss_and_gradient(Loss::Mse, batch, &target, &prediction);
        assert_eq!(value, (0.25 + 0.0625 + 0.0 + 1.0) / 4.0);
        assert_eq!(gradient, [0.25, -0.125, 0.0, 0.5]);
        let (value, gradient) = loss_and_gradient(Loss::Mae, batch, &target, &prediction);
        assert_eq!(value, 1.75 / 4.0);
        assert_eq!(gradient, [0.25, -0.25, 0.0, 0.25]);
    }

    /// The mix is made of its parts.
    #[test]
    fn the_mix_is_0_84_of_one_and_0_16_of_the_other() {
        let batch = ImageBatch {
            images: 2,
            channels: 2,
            height: 14,
            width: 15,
        };
        let wave = |i: usize, frequency: f64| (0.5 + 0.4 * libm::sin(frequency * i as f64)) as f32;
        let target: Vec<f32> = (0..840).map(|i| wave(i, 0.37)).collect();
        let prediction: Vec<f32> = (0..840).map(|i| 0.9 * wave(i, 0.39)).collect();
        let of = |loss| loss_and_gradient(loss, batch, &target, &prediction);
        let ((score, by_score), (error, by_error)) = (of(Loss::MsSsim), of(Loss::Mae));
        let (mix, by_mix) = of(Loss::Mix);
        assert!((mix - (0.84 * score + 0.16 * error)).abs() < 1e-7);
        for ((mix, score), error) in by_mix.iter().zip(by_score).zip(by_error) {
            assert!((mix - (0.84 * score + 0.16 * error)).abs() < 1e-8);
        }
    }

    /// Against the metric's float64 statement, whose gradient is checked by differences. Tolerances
    /// are those of the metric in f32: 1e-6, and 1e-5 of the largest gradient.
    #[test]
    fn ms_ssim_is_one_less_the_mean_score_of_images_and_channels() {
        let size = Size {
            width: 19,
            height: 17,
        };
        let batch = ImageBatch {
            images: 2,
            channels: 3,
            height: size.height,
            width: size.width,
        };
        let wave = |i: usize, frequency: f64| (0.5 + 0.4 * libm::sin(frequency * i as f64)) as f32;
        let target: Vec<f32> = (0..6 * size.area()).map(|i| wave(i, 0.37)).collect();
        let prediction: Vec<f32> = (0..6 * size.area())
            .map(|i| 0.8 * wave(i, 0.37) + 0.1 * wave(i, 1.9))
            .collect();
        let (value, gradient) = loss_and_gradient(Loss::MsSsim, batch, &target, &prediction);

        let params = Params {
            data_range: 1.0,
            ..Params::SNELL_2017
        };
        let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let planes = target
            .chunks_exact(size.area())
            .zip(prediction.chunks_exact(size.area()));
        let expected: Vec<_> = planes
            .map(|(x, y)| reference::ms_ssim(&wide(x), &wide(y), size, &params))
            .collect();
        let mean = expected.iter().map(|plane| plane.value).sum::<f64>() / 6.0;
        assert!(
            (value - (1.0 - mean)).abs() < 1e-6,
            "{value}, {}",
            1.0 - mean
        );
        let by_sample = expected.iter().flat_map(|plane| &plane.gradient);
        let by_sample: Vec<f64> = by_sample.map(|g| -g / 6.0).collect();
        let largest = by_sample.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
        for (actual, expected) in gradient.iter().zip(by_sample) {
            assert!((f64::from(*actual) - expected).abs() < 1e-5 * largest);
        }
    }

    #[test]
    fn a_perfect_prediction_has_no_loss_and_no_gradient() {
        let batch = ImageBatch {
            images: 1,
            channels: 1,
            height: 6,
            width: 5,
        };
        let image: Vec<f32> = (0..30).map(|i| (i * 7 % 30) as f32 / 30.0).collect();
        for loss in Loss::ALL {
            let (value, gradient) = loss_and_gradient(loss, batch, &image, &image);
            assert_eq!(value, 0.0, "{loss:?}");
            assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{loss:?}");
        }
    }

    #[test]
    fn a_nan_reaches_the_value() {
        let batch = ImageBatch {
            images: 1,
            channels: 1,
            height: 1,
            width: 2,
        };
        for loss in Loss::ALL {
            let (value, _) = loss_and_gradient(loss, batch, &[0.5, 0.5], &[0.5, f32::NAN]);
            assert!(value.is_nan(), "{loss:?}: {value}");
        }
    }
}
