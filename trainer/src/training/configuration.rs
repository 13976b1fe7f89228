//! Everything that decides what a training run computes.

use serde::{Deserialize, Serialize};

use super::TrainingError;
use crate::backend::ImageBatch;
use crate::evaluation::Channels;
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::patches::PatchShape;
use crate::schedule::Schedule;
use crate::srcnn::Initialisation;

/// A run in numbers: with the same images, the same configuration gives the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Of the first weights and of the crops.
    pub seed: u64,
    /// Updates of the weights.
    pub steps: u64,
    /// What a batch holds.
    pub patches: PatchShape,
    /// Weights before the first step.
    pub initialisation: Initialisation,
    /// What becomes small.
    pub loss: Loss,
    /// How weights follow the gradient.
    pub optimizer: Optimizer,
    /// The learning rate over the steps.
    pub schedule: Schedule,
}

impl Configuration {
    /// The largest number of steps: their losses are kept, 4 bytes each.
    pub const MAX_STEPS: u64 = 50_000_000;

    /// The set-up that comes furthest in minutes: batches of 16 luma crops of 33 x 33 for enlarging
    /// four times, Adam at 0.001 falling to 0, from an initialisation near the bicubic image.
    pub fn new(loss: Loss, steps: u64, seed: u64) -> Self {
        Self {
            seed,
            steps,
            patches: PatchShape {
                batch: 16,
                side: 33,
                factor: 4,
                channels: Channels::Y,
            },
            initialisation: Initialisation::PassThrough,
            loss,
            optimizer: Optimizer::ADAM,
            schedule: Schedule::Cosine { warm_up: 0 },
        }
    }

    /// The shape of a batch.
    pub fn batch(&self) -> ImageBatch {
        ImageBatch {
            images: self.patches.batch,
            channels: self.patches.channels.count(),
            height: self.patches.side,
            width: self.patches.side,
        }
    }

    /// Checks every number by itself; whether a batch fits the device is the device's to say.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] names the number and its range.
    pub fn check(&self) -> Result<(), TrainingError> {
        let PatchShape {
            batch,
            side,
            factor,
            ..
        } = self.patches;
        let fault = if self.steps > Self::MAX_STEPS {
            Some(("steps", "at most 50 million"))
        } else if batch == 0 {
            Some(("batch", "at least 1"))
        } else if side == 0 {
            Some(("side", "at least 1"))
        } else if factor == 0 {
            Some(("factor", "at least 1"))
        } else {
            self.optimizer.fault()
        };
        match fault {
            Some((name, must)) => Err(TrainingError::Setting { name, must }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_named() {
        let good = Configuration::new(Loss::MsSsim, 100, 0);
        assert!(good.check().is_ok());
        let name = |configuration: Configuration| match configuration.check() {
            Err(TrainingError::Setting { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        let mut bad = good;
        bad.patches.batch = 0;
        assert_eq!(name(bad), "batch");
        let mut bad = good;
        bad.optimizer = Optimizer::Sgd {
            learning_rate: 0.1,
            last_layer_rate: f64::INFINITY,
            momentum: 0.9,
        };
        assert_eq!(name(bad), "last_layer_rate");
        let steps = u64::MAX;
        assert_eq!(name(Configuration { steps, ..good }), "steps");
    }

    #[test]
    fn every_number_survives_the_text() {
        let optimizer = Optimizer::Sgd {
            // Neighbours of short decimals, which a careless reader rounds.
            learning_rate: 0.1f64.next_up(),
            last_layer_rate: 1e-5f64.next_down(),
            momentum: 0.9f64.next_up(),
        };
        let configuration = Configuration {
            optimizer,
            ..Configuration::new(Loss::Mae, 7, u64::MAX)
        };
        let text = serde_json::to_string(&configuration).unwrap();
        assert_eq!(
            serde_json::from_str::<Configuration>(&text).unwrap(),
            configuration
        );
    }
}
