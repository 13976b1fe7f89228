//! What a network's bottleneck knows: support vector machines that read a face's identity and the
//! direction of its light from it.
//!
//! The protocol: samples are split at random, [`TRAINING_SHARE`] to learn from, the rest to
//! measure on. Features are standardised by the mean and the deviation of the learning part.
//! A classifier (C-SVC, one against one) predicts the subject, two regressions (epsilon-SVR)
//! predict azimuth and elevation in degrees. Kernel, cost and width are chosen by cross-validation
//! inside the learning part, for each of the three by itself; the measuring part is looked at
//! once.

mod features;
mod kernel;
mod selection;
mod svm;

use serde::{Deserialize, Serialize};

use crate::random::Random;
pub use features::Features;
pub use kernel::{Kernel, KernelMatrix};
pub use selection::{Choice, FOLDS};

/// The share of the samples that autoencoders and machines learn from.
pub const TRAINING_SHARE: f64 = 0.8;

/// Half the width of the tube in which a regression's errors cost nothing, in degrees.
pub const TUBE: f64 = 1.0;

/// What is known of the samples, one entry each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// Who it is.
    pub subject: Vec<u32>,
    /// Degrees; positive where the light comes from the image's left.
    pub azimuth: Vec<f64>,
    /// Degrees; positive where the light comes from above.
    pub elevation: Vec<f64>,
}

/// Which samples are learned from, which are measured on.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Samples to learn from, in rising order.
    pub train: Vec<usize>,
    /// The others, in rising order.
    pub test: Vec<usize>,
}

impl Split {
    /// Split number `index` of `samples` samples, each equally likely to be in either part.
    pub fn random(samples: usize, seed: u64, index: u64) -> Self {
        let mut order: Vec<usize> = (0..samples).collect();
        Random::new(seed, "split", index).shuffle(&mut order);
        // What is measured on is rounded down: of 2,414 faces 482.
        let test = samples - (samples as f64 * TRAINING_SHARE).ceil() as usize;
        let mut train = order.split_off(test);
        train.sort_unstable();
        order.sort_unstable();
        Self { train, test: order }
    }
}

/// How well the machines predict the samples that they have not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Share of the samples whose subject is mistaken, in percent.
    pub identity_error: f64,
    /// Mean squared error of the azimuth, in degrees squared.
    pub azimuth_error: f64,
    /// Mean squared error of the elevation, in degrees squared.
    pub elevation_error: f64,
    /// The parameters that cross-validation chose for identity, azimuth and elevation.
    pub chosen: [Choice; 3],
    /// The azimuths predicted, in the order of the split.
    pub azimuth: Vec<f64>,
    /// The elevations predicted, in the order of the split.
    pub elevation: Vec<f64>,
}

/// Fits the machines on one part of the samples and measures them on the other.
///
/// # Panics
/// If labels and features are of different numbers of samples, or either part is empty.
pub fn probe(features: &Features, labels: &Labels, split: &Split) -> Findings {
    let samples = [
        labels.subject.len(),
        labels.azimuth.len(),
        labels.elevation.len(),
    ];
    assert!(
        samples == [features.samples(); 3],
        "labels of {samples:?} samples for features of {}",
        features.samples()
    );
    let Split { train, test } = split;
    let distances = kernel::Distances::new(&features.standardised(train));

    let (identity, subjects) = selection::classify(&distances, &labels.subject, train, test);
    let (by_azimuth, azimuth) = selection::regress(&distances, &labels.azimuth, train, test);
    let (by_elevation, elevation) = selection::regress(&distances, &labels.elevation, train, test);

    let subject = |at: &usize| labels.subject[*at];
    let wrong = test
        .iter()
        .map(subject)
        .zip(&subjects)
        .filter(|(a, b)| a != *b);
    let squared = |predicted: &[f64], truth: &[f64]| {
        let truth = test.iter().map(|at| truth[*at]);
        selection::mean_squared_error(predicted.iter().copied().zip(truth))
    };
    Findings {
        identity_error: 100.0 * wrong.count() as f64 / test.len() as f64,
        azimuth_error: squared(&azimuth, &labels.azimuth),
        elevation_error: squared(&elevation, &labels.elevation),
        chosen: [identity, by_azimuth, by_elevation],
        azimuth,
        elevation,
    }
}

#[cfg(test)]
mod tests;
