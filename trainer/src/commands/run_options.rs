//! The options that every experiment shares: where its run goes, where its other options come
//! from, and what becomes of them on `--resume`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::progress::say;
use crate::device::{Choice, DeviceName, Precision};
use crate::patches::Source;
use crate::run_folder::{self, RunFolder};

/// Where a run goes, whether it is a new one, and where its options come from.
#[derive(Args, Debug)]
pub(super) struct RunOptions {
    /// Folder of the run; must be new or empty [default: a new one under `runs`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in that folder (without --out: the latest) where it stopped
    #[arg(long)]
    resume: bool,
    /// Take options from a file; those of the command line go before
    #[arg(long, value_name = "FILE.toml", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Write the options, defaults included, to a file for --config, and end without a run
    #[arg(long, value_name = "FILE.toml", conflicts_with = "resume")]
    save_config: Option<PathBuf>,
}

impl RunOptions {
    /// Opens the run's folder, and decides what the experiment is: `over` what is known what the
    /// command line says. What is known are the defaults, the file of `--config`, or on
    /// `--resume` the options that the run was begun with, whatever the defaults are now.
    ///
    /// A folder is made only when `load` has the images: without them there is no run.
    ///
    /// `None` when the options were only to be saved.
    ///
    /// # Errors
    /// Those of `check` and `load`, a bad configuration file, a folder that cannot be had, and on
    /// `--resume` other options than the run was begun with.
    pub(super) fn open<T, D>(
        &self,
        default_folder: &Path,
        over: impl Fn(&T) -> T,
        check: impl Fn(&T) -> Result<(), Failure>,
        load: impl FnOnce(&T) -> Result<D, Failure>,
    ) -> Result<Option<(RunFolder, T, D)>, Failure>
    where
        T: Serialize + DeserializeOwned + Default + PartialEq,
    {
        if self.resume {
            let folder = RunFolder::resume(self.out.as_deref(), default_folder)?;
            let begun: T = folder.read_configuration()?;
            if over(&begun) != begun {
                return Err(Failure::Message(format!(
                    "{}: the run was begun with other options; leave out those that differ from \
                     its {}, or start a new run without --resume",
                    folder.path().display(),
                    run_folder::CONFIGURATION
                )));
            }
            check(&begun)?;
            let loaded = load(&begun)?;
            return Ok(Some((folder, begun, loaded)));
        }
        let known = match &self.config {
            Some(path) => run_folder::read_configuration(path)?,
            None => T::default(),
        };
        let experiment = over(&known);
        check(&experiment)?;
        if let Some(path) = &self.save_config {
            run_folder::write_configuration(path, &experiment)?;
            say(&format!("options: {}", path.display()));
            return Ok(None);
        }
        let loaded = load(&experiment)?;
        let folder = RunFolder::create(self.out.as_deref(), default_folder)?;
        folder.write_configuration(&experiment)?;
        Ok(Some((folder, experiment, loaded)))
    }
}

/// The refusal of an option's value, with what it must be.
pub(super) fn refuse(option: &str, must: &str) -> Result<(), Failure> {
    Err(Failure::Message(format!("--{option} must be {must}")))
}

/// Refuses numbers that no training can be made of; `rate` is the learning rate, where one is given.
pub(super) fn check_training(steps: u64, batch: usize, rate: Option<f64>) -> Result<(), Failure> {
    if steps == 0 {
        return refuse("steps", "at least 1");
    }
    if !(1..=4096).contains(&batch) {
        return refuse("batch", "1 to 4096");
    }
    if rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return refuse("learning-rate", "above 0");
    }
    Ok(())
}

/// Says how many training images are left out, if any are.
pub(super) fn say_skipped(source: &Source) {
    if source.skipped > 0 {
        say(&format!(
            "{} images are smaller than a crop and left out",
            source.skipped
        ));
    }
}

/// The device that was asked for; what was chosen for the user is said.
pub(super) fn resolved(choice: Choice) -> DeviceName {
    let (device, words) = choice.resolve();
    if let Some(words) = words {
        say(&words);
    }
    device
}

/// Refuses a device that is not there, before a folder is made for a run that cannot begin.
pub(super) fn check_device(device: DeviceName, precision: Precision) -> Result<(), Failure> {
    match device {
        DeviceName::Cpu if precision != Precision::F32 => Err(Failure::Message(
            "--precision must be f32 on the CPU; add --device cuda".into(),
        )),
        DeviceName::Cpu => Ok(()),
        DeviceName::Cuda => msssim_cuda::Device::probe()
            .map(drop)
            .map_err(|error| Failure::Message(format!("--device cuda: {error}"))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::{Args, Command};

    /// Options given every default that their help text states, which are written elsewhere: as many as
    /// `expected`.
    pub(in super::super) fn stated_defaults<O: Args>(expected: usize) -> O {
        let command = O::augment_args(Command::new("test"));
        let mut stated = vec!["test".to_owned()];
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let value = help.split("[default: ").nth(1);
            let value = value.map(|rest| rest.trim_end_matches(']'));
            if let (Some(name), Some(value)) = (argument.get_long(), value)
                && !value.contains(' ')
            {
                stated.push(format!("--{name}={value}"));
            }
        }
        assert_eq!(stated.len() - 1, expected, "{stated:?}");
        O::from_arg_matches(&command.get_matches_from(stated)).expect("options")
    }
}
