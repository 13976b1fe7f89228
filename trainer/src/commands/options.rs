//! The options of super-resolution experiments.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::run_options::{RunOptions, check_device, check_training, refuse, resolved, say_skipped};
use crate::device::{Choice, Precision};
use crate::evaluation::Channels;
use crate::experiment::{Experiment, OptimizerName};
use crate::patches::Source;
use crate::run_folder::RunFolder;

/// What a super-resolution experiment can be told; what is left out keeps its default.
#[derive(Args, Debug)]
pub(super) struct ExperimentOptions {
    /// Folders of training images [default: built-in procedural images]
    #[arg(long, value_name = "DIR", num_args = 1..)]
    train: Vec<PathBuf>,
    /// Seed of weights, crops and procedural images [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Updates of the weights, for each loss [default: 600]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Crops in a batch [default: 16]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Rows and columns of a crop [default: 33]
    #[arg(long, value_name = "PIXELS")]
    patch: Option<usize>,
    /// How many times the network enlarges [default: 4]
    #[arg(long, value_name = "N")]
    scale: Option<usize>,
    /// The planes that the network sees and makes [default: y]
    #[arg(long, value_enum)]
    channels: Option<Channels>,
    /// How weights follow their gradient [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// Learning rate [default: that of the optimizer's paper]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// What trains networks and runs them [default: cpu]
    #[arg(long, value_enum)]
    device: Option<Choice>,
    /// How a CUDA device computes layers [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
}

impl ExperimentOptions {
    /// The experiment, `known` with what the command line says.
    fn over(&self, known: &Experiment, test: &[PathBuf]) -> Experiment {
        let folders = |told: &[PathBuf], known: &[PathBuf]| match told {
            [] => known.to_vec(),
            told => told.to_vec(),
        };
        Experiment {
            seed: self.seed.unwrap_or(known.seed),
            steps: self.steps.unwrap_or(known.steps),
            batch: self.batch.unwrap_or(known.batch),
            patch: self.patch.unwrap_or(known.patch),
            scale: self.scale.unwrap_or(known.scale),
            channels: self.channels.unwrap_or(known.channels),
            optimizer: self.optimizer.unwrap_or(known.optimizer),
            learning_rate: self.learning_rate.or(known.learning_rate),
            train: folders(&self.train, &known.train),
            device: self.device.map_or(known.device, resolved),
            precision: self.precision.unwrap_or(known.precision),
            test: folders(test, &known.test),
        }
    }

    /// Opens the run's folder with the experiment that it is of and its training images; `None` when
    /// the options were only to be saved.
    pub(super) fn open(
        &self,
        test: &[PathBuf],
        run: &RunOptions,
        default_folder: &Path,
    ) -> Result<Option<(RunFolder, Experiment, Source)>, Failure> {
        run.open(
            default_folder,
            |known| self.over(known, test),
            check,
            source,
        )
    }
}

/// Refuses numbers that no run can be made of.
fn check(experiment: &Experiment) -> Result<(), Failure> {
    if experiment.scale < 2 || experiment.scale > 16 {
        return refuse("scale", "2 to 16");
    }
    check_training(experiment.steps, experiment.batch, experiment.learning_rate)?;
    if !(8..=1024).contains(&experiment.patch) {
        return refuse("patch", "8 to 1024");
    }
    if matches!(experiment.channels, Channels::Grey | Channels::Rgb) {
        return refuse("channels", "y or ycbcr");
    }
    check_device(experiment.device, experiment.precision)
}

/// The training images.
fn source(experiment: &Experiment) -> Result<Source, Failure> {
    let source = experiment.source()?;
    say_skipped(&source);
    Ok(source)
}

#[cfg(test)]
mod tests {
    use crate::device::DeviceName;

    use super::*;
    use crate::commands::run_options::tests::stated_defaults;

    #[test]
    fn stated_defaults_are_the_defaults() {
        let options: ExperimentOptions = stated_defaults(9);
        let defaults = Experiment::default();
        let other = Experiment {
            steps: 0,
            batch: 0,
            patch: 0,
            scale: 0,
            seed: 0,
            device: DeviceName::Cuda,
            precision: Precision::Bf16,
            ..defaults.clone()
        };
        assert_eq!(options.over(&other, &[]), defaults);
    }
}
