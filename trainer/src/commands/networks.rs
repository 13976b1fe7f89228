//! Which super-resolution networks a command is to apply.

use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::Failure;
use crate::checkpoint::{Checkpoint, UNSTATED_FACTOR};
use crate::loss::Loss;

/// How many times the built-in networks enlarge that are taken where `--scale` is left out.
pub(super) const DEFAULT_SCALE: usize = 4;

/// The losses that built-in networks were trained with, as values of an option.
pub(super) fn loss() -> impl TypedValueParser<Value = Loss> {
    let names = PossibleValuesParser::new(Loss::ALL.map(Loss::file_name));
    names.try_map(|name| {
        let mut losses = Loss::ALL.into_iter();
        losses
            .find(|loss| loss.file_name() == name)
            .ok_or("no such loss")
    })
}

/// How many times the weights enlarge: what the file says, else what the user says, else 4.
pub(super) fn factor(
    checkpoint: &Checkpoint,
    scale: Option<usize>,
    weights: &Path,
) -> Result<usize, Failure> {
    match (checkpoint.factor, scale) {
        (Some(stated), Some(scale)) if stated != scale => Err(Failure::Message(format!(
            "{}: the weights enlarge {stated} times, not {scale}; leave out --scale",
            weights.display()
        ))),
        (_, Some(0 | 1 | 17..)) => Err(Failure::Message("--scale must be 2 to 16".into())),
        (stated, scale) => Ok(stated.or(scale).unwrap_or(UNSTATED_FACTOR)),
    }
}
