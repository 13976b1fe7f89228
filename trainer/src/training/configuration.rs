//! Everything that decides what a training run computes.

use serde::{Deserialize, Serialize};

use super::TrainingError;
use crate::autoencoder::{Model, Shape};
use crate::backend::ImageBatch;
use crate::evaluation::Channels;
use crate::loss::Loss;
use crate::network::Architecture;
use crate::optimizer::Optimizer;
use crate::parameters::Parameters;
use crate::patches::{PatchShape, Symmetries};
use crate::schedule::Schedule;
use crate::srcnn::Initialisation;

/// The weight of the divergence unless told otherwise: of an image's code, 500 nats then count as much
/// as a mean squared error of 0.01.
pub const KL_WEIGHT: f64 = 2e-5;

/// What is trained, beside the shape of its images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Task {
    /// SRCNN on crops and what bicubic makes of a part of them.
    Srcnn {
        /// Weights before the first step.
        initialisation: Initialisation,
    },
    /// An autoencoder on crops, which are their own targets.
    Autoencoder {
        /// Which one.
        model: Model,
        /// [`Shape::width`].
        width: usize,
        /// [`Shape::bottleneck`].
        bottleneck: usize,
        /// What a nat of an image's divergence counts in the loss of [`Model::ElVae`]: the 1 / C of the
        /// paper.
        kl_weight: f64,
    },
}

/// A run in numbers: with the same images, the same configuration gives the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Of the first weights, of the crops, and of noise.
    pub seed: u64,
    /// Updates of the weights.
    pub steps: u64,
    /// What is trained.
    pub task: Task,
    /// What a batch holds.
    pub patches: PatchShape,
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
            task: Task::Srcnn {
                initialisation: Initialisation::PassThrough,
            },
            patches: PatchShape {
                batch: 16,
                side: 33,
                factor: 4,
                channels: Channels::Y,
                symmetries: Symmetries::All,
            },
            loss,
            optimizer: Optimizer::ADAM,
            schedule: Schedule::Cosine { warm_up: 0 },
        }
    }

    /// To train an autoencoder of `shape` on batches of `batch` crops, some of them mirrored: Adam, its
    /// rate falling to 0 after a short rise.
    ///
    /// The rate suits each loss in part only: try several, for the losses' gradients differ in size.
    ///
    /// # Panics
    /// If the shape has neither 1 nor 3 channels.
    pub fn autoencoder(shape: Shape, batch: usize, loss: Loss, steps: u64, seed: u64) -> Self {
        Self {
            seed,
            steps,
            task: Task::Autoencoder {
                model: shape.model,
                width: shape.width,
                bottleneck: shape.bottleneck,
                kl_weight: KL_WEIGHT,
            },
            patches: PatchShape {
                batch,
                side: shape.side,
                factor: 1,
                channels: match shape.channels {
                    1 => Channels::Grey,
                    3 => Channels::Rgb,
                    n => panic!("images of {n} channels"),
                },
                symmetries: Symmetries::Mirror,
            },
            loss,
            optimizer: Optimizer::ADAM_OF_SMALL_GRADIENTS,
            schedule: Schedule::Cosine {
                warm_up: steps / 50,
            },
        }
    }

    /// The network.
    pub fn architecture(&self) -> Architecture {
        let channels = self.patches.channels.count();
        match self.task {
            Task::Srcnn { .. } => Architecture::Srcnn { channels },
            Task::Autoencoder {
                model,
                width,
                bottleneck,
                ..
            } => Architecture::Autoencoder(Shape {
                model,
                channels,
                side: self.patches.side,
                width,
                bottleneck,
            }),
        }
    }

    /// Parameters before the first step.
    pub fn initial(&self) -> Parameters {
        match (self.task, self.architecture()) {
            (Task::Srcnn { initialisation }, Architecture::Srcnn { channels }) => {
                initialisation.parameters(channels, self.seed)
            }
            (_, Architecture::Autoencoder(shape)) => shape.initial(self.seed),
            (Task::Autoencoder { .. }, Architecture::Srcnn { .. }) => {
                unreachable!("the architecture is that of the task")
            }
        }
    }

    /// How many times the network enlarges, if that is what it does.
    pub fn factor(&self) -> Option<usize> {
        match self.task {
            Task::Srcnn { .. } => Some(self.patches.factor),
            Task::Autoencoder { .. } => None,
        }
    }

    /// What a nat of divergence counts in the loss.
    pub fn kl_weight(&self) -> f64 {
        match self.task {
            Task::Srcnn { .. } => 0.0,
            Task::Autoencoder { kl_weight, .. } => kl_weight,
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
        } else if !(self.kl_weight().is_finite() && self.kl_weight() >= 0.0) {
            Some(("kl_weight", "finite and at least 0"))
        } else if let Architecture::Autoencoder(shape) = self.architecture()
            && let Some(fault) = shape.fault()
        {
            Some(fault)
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
