//! The options of super-resolution experiments.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::progress::say;
use super::run_options::{RunOptions, check_device};
use crate::device::{Choice, Precision};
use crate::evaluation::Channels;
use crate::experiment::{Experiment, OptimizerName};
use crate::run_folder::RunFolder;

/// What a super-resolution experiment can be told; what is left out keeps its default.
#[derive(Args, Debug)]
pub(super) struct ExperimentOptions {
    /// Folder of training images [default: built-in procedural images]
    #[arg(long, value_name = "DIR")]
    train: Option<PathBuf>,
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
    /// What trains [default: cpu]
    #[arg(long, value_enum)]
    device: Option<Choice>,
    /// How a CUDA device computes convolutions [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
}

impl ExperimentOptions {
    /// The experiment, `known` with what the command line says.
    fn over(&self, known: &Experiment, test: &[PathBuf]) -> Experiment {
        let device = self.device.map(Choice::resolve);
        if let Some((_, Some(words))) = &device {
            say(words);
        }
        Experiment {
            seed: self.seed.unwrap_or(known.seed),
            steps: self.steps.unwrap_or(known.steps),
            batch: self.batch.unwrap_or(known.batch),
            patch: self.patch.unwrap_or(known.patch),
            scale: self.scale.unwrap_or(known.scale),
            channels: self.channels.unwrap_or(known.channels),
            optimizer: self.optimizer.unwrap_or(known.optimizer),
            learning_rate: self.learning_rate.or(known.learning_rate),
            train: self.train.clone().or_else(|| known.train.clone()),
            device: device.map_or(known.device, |(device, _)| device),
            precision: self.precision.unwrap_or(known.precision),
            test: if test.is_empty() {
                known.test.clone()
            } else {
                test.to_vec()
            },
        }
    }

    /// Opens the run's folder with the experiment that it is of; `None` when that was only to be
    /// saved.
    pub(super) fn open(
        &self,
        test: &[PathBuf],
        run: &RunOptions,
        default_folder: &Path,
    ) -> Result<Option<(RunFolder, Experiment)>, Failure> {
        run.open(default_folder, |known| self.over(known, test), check)
    }
}

/// Refuses numbers that no run can be made of.
fn check(experiment: &Experiment) -> Result<(), Failure> {
    let refuse =
        |option: &str, must: &str| Err(Failure::Message(format!("{option} must be {must}")));
    if experiment.scale < 2 || experiment.scale > 16 {
        return refuse("--scale", "2 to 16");
    }
    if experiment.steps == 0 {
        return refuse("--steps", "at least 1");
    }
    if !(1..=4096).contains(&experiment.batch) {
        return refuse("--batch", "1 to 4096");
    }
    if !(8..=1024).contains(&experiment.patch) {
        return refuse("--patch", "8 to 1024");
    }
    if experiment
        .learning_rate
        .is_some_and(|rate| !(rate > 0.0 && rate.is_finite()))
    {
        return refuse("--learning-rate", "above 0");
    }
    if matches!(experiment.channels, Channels::Grey | Channels::Rgb) {
        return refuse("--channels", "y or ycbcr");
    }
    check_device(experiment.device, experiment.precision)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use crate::device::DeviceName;

    use super::*;

    /// The help text states the defaults, which are written elsewhere.
    #[test]
    fn stated_defaults_are_the_defaults() {
        let command = ExperimentOptions::augment_args(Command::new("test"));
        let mut stated = vec!["test".to_owned()];
        for argument in command.get_arguments() {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let value = help
                .split("[default: ")
                .nth(1)
                .map(|rest| rest.trim_end_matches(']'));
            if let (Some(name), Some(value)) = (argument.get_long(), value)
                && !value.contains(' ')
            {
                stated.push(format!("--{name}={value}"));
            }
        }
        assert_eq!(stated.len(), 10, "{stated:?}");
        let matches = command.get_matches_from(stated);
        let options = ExperimentOptions::from_arg_matches(&matches).unwrap();
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
