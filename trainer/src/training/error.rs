//! Why training cannot begin or go on.

use std::error::Error as StdError;

use crate::backend;
use crate::checkpoint::CheckpointError;

/// Why training cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A number of the configuration is out of its range.
    #[error("{name} must be {must}")]
    Setting {
        /// The number.
        name: &'static str,
        /// Its range.
        must: &'static str,
    },
    /// The device failed or cannot hold the batch.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// No batch could be had.
    #[error("no batch for step {step}: {source}")]
    Batch {
        /// The step, counted from 0.
        step: u64,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} at step {step}{}: {}; \
         checkpoints written before are untouched",
        origin.place(), origin.remedy()
    )]
    Loss {
        /// The step, counted from 0.
        step: u64,
        /// NaN or an infinity.
        loss: f32,
        /// Where it began.
        origin: Origin,
    },
    /// A weight is no longer a number, though the loss was.
    #[error(
        "`{tensor}` holds NaN or infinity after {step} steps: lower the learning rate; \
         checkpoints written before are untouched"
    )]
    Diverged {
        /// Steps taken.
        step: u64,
        /// The first such tensor.
        tensor: String,
    },
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file to resume from holds weights alone.
    #[error("the weights come without the state of their training: start a new run")]
    NothingToResume,
}

impl TrainingError {
    /// Whether numbers grew beyond all bounds: a lower learning rate may help.
    pub fn is_divergence(&self) -> bool {
        match self {
            Self::Loss { origin, .. } => *origin != Origin::Batch,
            Self::Diverged { .. } => true,
            _ => false,
        }
    }
}

/// Where in a step the first number appeared that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the batch.
    Batch,
    /// In what this layer made.
    Layer(String),
    /// In the loss itself, of finite outputs.
    Loss,
    /// In a step of several that the device took by itself.
    Unknown,
}

impl Origin {
    fn place(&self) -> String {
        match self {
            Self::Batch => ", first in the batch".to_owned(),
            Self::Layer(name) => format!(", first in the output of `{name}`"),
            Self::Loss => ", though the network's output is finite".to_owned(),
            Self::Unknown => String::new(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Batch => "look for broken images",
            _ => "lower the learning rate",
        }
    }
}
