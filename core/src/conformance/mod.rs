//! One suite for every backend: cases with a reason, the float64 reference as oracle, and one table
//! of tolerances.
//!
//! A backend's test is a closure that scores a case, or says `None` where the backend is absent:
//!
//! ```
//! use msssim_core::MsSsim;
//! use msssim_core::conformance::{Backend, run};
//!
//! let ran = run(Backend::Core, |case| {
//!     if case.mask.is_some() {
//!         return None;
//!     }
//!     let metric = MsSsim::new(case.size, case.reference.len(), &case.params).ok()?;
//!     let mut scratch = vec![f32::NAN; metric.gradient_scratch_len()];
//!     case.run(|x, y, gradient| metric.score_and_gradient(x, y, gradient, &mut scratch)).ok()
//! });
//! assert!(ran > 0);
//! ```

mod cases;
mod digest;
pub mod hostile;
pub mod images;
mod tolerance;

use std::vec::Vec;

use crate::combine::{combine, product_of_powers};
use crate::filter::map_size;
use crate::params::{ChannelPooling, MAX_SCALES, Params, Terms};
use crate::pyramid::scale_sizes;
use crate::reference::{Reference, ms_ssim_of_channels};
use crate::score::Score;

pub use cases::{Case, cases};
pub use digest::{FUSED, UNFUSED, digest};
pub use tolerance::{Backend, Quantity, Tolerance, between_classes, tolerance};

/// What a backend makes of a case.
#[derive(Clone, Debug)]
pub struct Output {
    /// The score, mean over the channels.
    pub score: Score,
    /// Its gradient by each distorted plane, row-major.
    pub gradient: Vec<Vec<f32>>,
}

/// Runs every case through `backend` and returns how many ran; a `None` skips the case. A backend of several parts gives
/// one output for each: the reference, which is slow, is computed once.
///
/// # Panics
/// With the case, the quantity and the numbers, at the first that is out of tolerance.
pub fn run<O>(backend: Backend, mut score_and_gradient: impl FnMut(&Case) -> O) -> usize
where
    O: IntoIterator<Item = Output>,
{
    let mut ran = 0;
    for case in cases() {
        let mut outputs = score_and_gradient(&case).into_iter().peekable();
        if outputs.peek().is_some() {
            let channels = reference(&case);
            outputs.for_each(|output| compare(backend, &case, &channels, &output));
            ran += 1;
        }
    }
    ran
}

/// Compares `output` with the float64 reference.
///
/// # Panics
/// When a number is out of tolerance.
pub fn check(backend: Backend, case: &Case, output: &Output) {
    compare(backend, case, &reference(case), output);
}

/// What is expected of each channel.
fn reference(case: &Case) -> Vec<Reference> {
    let [x, y] = [&case.reference, &case.distorted]
        .map(|planes| planes.iter().map(|plane| widen(plane)).collect::<Vec<_>>());
    let mask = case.mask.as_deref().map(widen);
    ms_ssim_of_channels(&x, &y, mask.as_deref(), case.size, &case.params)
}

fn compare(backend: Backend, case: &Case, channels: &[Reference], output: &Output) {
    let count = channels.len() as f64;
    let within = |quantity, actual: f64, expected: f64, scale: f64, floor: f64| {
        let Tolerance { bound, reason } = tolerance(backend, quantity);
        assert!(
            (actual - expected).abs() <= bound * scale + floor,
            "{}, {backend:?}, {quantity:?}: {actual} where {expected} is expected; \
             tolerance {bound} of {scale} and {floor}: {reason}",
            case.name
        );
    };

    // Errors of single windows average out, unless there are few windows; through the score's
    // derivative by the means they reach the score.
    let params = &case.params;
    let scales = scale_sizes(case.size, params);
    let of_mean = |scale: usize| {
        let map = map_size(params.border_of(scale), params.radius, scales[scale]);
        tolerance(backend, Quantity::Window).bound / (map.area() as f64).sqrt()
    };
    let of_score = |channel: &Reference| -> f64 {
        let slopes = slopes(channel, params);
        (0..params.scales)
            .map(|scale| slopes[scale] * of_mean(scale))
            .sum()
    };
    // The gradient is that of the mean over the channels, or of the one score of all.
    let share = match params.channels {
        ChannelPooling::Scores => count,
        ChannelPooling::Means => 1.0,
    };
    let value = channels.iter().map(|channel| channel.value).sum::<f64>() / count;
    let floor = channels.iter().map(of_score).sum::<f64>() / count;
    within(Quantity::Score, output.score.value, value, 1.0, floor);
    for (scale, means) in output.score.scales().iter().enumerate() {
        let actual = means.ssim.unwrap_or(means.cs);
        let expected = channels
            .iter()
            .map(|channel| channel.means[scale])
            .sum::<f64>()
            / count;
        within(Quantity::ScaleMean, actual, expected, 1.0, of_mean(scale));
        let Some(apart) = means.apart else {
            continue;
        };
        let actual = [apart.luminance, apart.contrast, apart.structure];
        for (k, actual) in actual.into_iter().enumerate() {
            let expected = channels.iter().map(|channel| channel.apart[scale][k]);
            let expected = expected.sum::<f64>() / count;
            within(Quantity::ScaleMean, actual, expected, 1.0, of_mean(scale));
        }
    }
    let largest = channels
        .iter()
        .flat_map(|channel| &channel.gradient)
        .fold(0.0f64, |largest, g| largest.max(g.abs()));
    for (channel, gradient) in channels.iter().zip(&output.gradient) {
        assert!(
            gradient.len() == case.size.area(),
            "{}: gradient of another size",
            case.name
        );
        // A factor w t^(w-1) of the gradient is off by what its mean is; so are the partial
        // derivatives, which are made of the same windows.
        let relative: f64 = (0..params.scales)
            .map(|scale| {
                of_mean(scale) * (1.0 + params.weights[scale]) / channel.means[scale].abs()
            })
            .sum();
        let floor = gradient_floor(case) + relative.min(1.0) * largest / share;
        for (expected, actual) in channel.gradient.iter().zip(gradient) {
            // The gradient of the mean over the channels.
            let (actual, expected) = (f64::from(*actual), expected / share);
            within(Quantity::Gradient, actual, expected, largest / share, floor);
        }
    }
}

/// How much the score changes with the means of each scale.
fn slopes(channel: &Reference, params: &Params) -> Vec<f64> {
    let Terms::Apart { alpha, gamma } = &params.terms else {
        let (_, slopes) = combine(&channel.means, &params.weights, params.negative);
        return slopes.iter().map(|slope| slope.abs()).collect();
    };
    let exponents = |scale: usize| [alpha[scale], params.weights[scale], gamma[scale]];
    let powers: Vec<(f64, f64)> = (0..params.scales)
        .flat_map(|scale| channel.apart[scale].into_iter().zip(exponents(scale)))
        .collect();
    let mut slopes = [0.0; 3 * MAX_SCALES];
    product_of_powers(powers.into_iter(), params.negative, &mut slopes);
    let of_scale = |slopes: &[f64]| slopes.iter().map(|slope| slope.abs()).sum();
    slopes.chunks_exact(3).map(of_scale).collect()
}

/// What rounding alone can put into a sample of the gradient, however flat the images are.
///
/// In flat regions the gradient is a difference of two terms as large as d / C2 that nearly cancel;
/// each carries half a unit in the last place of `f32`. Spread over the image's pixels.
pub fn gradient_floor(case: &Case) -> f64 {
    let c2 = case.params.k2 * case.params.k2;
    f64::from(f32::EPSILON) / (2.0 * c2 * case.params.data_range * case.size.area() as f64)
}

fn widen(samples: &[f32]) -> Vec<f64> {
    samples.iter().copied().map(f64::from).collect()
}
