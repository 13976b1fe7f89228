//! The networks and losses in float64 and plain loops, sharing no arithmetic with the trainer: what its
//! gradients and steps are checked against.

pub(crate) mod autoencoder;
pub(crate) mod srcnn;

use msssim_core::{Params, Size, reference};
use msssim_trainer::loss::Loss;

/// The loss of one image and its gradient by the prediction.
pub(crate) fn loss_and_gradient(
    loss: Loss,
    size: Size,
    target: &[f64],
    prediction: &[f64],
) -> (f64, Vec<f64>) {
    let samples = target.len() as f64;
    let differences = prediction.iter().zip(target).map(|(p, t)| p - t);
    match loss {
        Loss::Mse => (
            differences.clone().map(|d| d * d).sum::<f64>() / samples,
            differences.map(|d| 2.0 * d / samples).collect(),
        ),
        Loss::Mae => (
            differences.clone().map(f64::abs).sum::<f64>() / samples,
            differences.map(|d| d.signum() / samples).collect(),
        ),
        Loss::MsSsim => {
            let params = Params {
                data_range: 1.0,
                ..Params::SNELL_2017
            };
            let planes = target
                .chunks_exact(size.area())
                .zip(prediction.chunks_exact(size.area()));
            let channels = samples / size.area() as f64;
            let (mut value, mut gradient) = (1.0, Vec::new());
            for (target, prediction) in planes {
                let plane = reference::ms_ssim(target, prediction, size, &params);
                value -= plane.value / channels;
                gradient.extend(plane.gradient.iter().map(|g| -g / channels));
            }
            (value, gradient)
        }
        Loss::Mix => {
            let (score, by_score) = loss_and_gradient(Loss::MsSsim, size, target, prediction);
            let (error, by_error) = loss_and_gradient(Loss::Mae, size, target, prediction);
            let mix = |s: f64, e: f64| 0.84 * s + 0.16 * e;
            let gradient = by_score.into_iter().zip(by_error);
            (
                mix(score, error),
                gradient.map(|(s, e)| mix(s, e)).collect(),
            )
        }
    }
}
