//! `msssim train sr`: one super-resolution network. Also the training part of `reproduce`.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clap::{Args, Subcommand};

use super::options::ExperimentOptions;
use super::progress::{Progress, clock, say};
use super::run_options::RunOptions;
use super::{Failure, Outcome, interrupt};
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::cuda::Cuda;
use crate::checkpoint::Checkpoint;
use crate::device::DeviceName;
use crate::experiment::Experiment;
use crate::loss::Loss;
use crate::patches::{Loader, Source};
use crate::run_folder::RunFolder;
use crate::run_log::{self, Events};
use crate::training::{self, Saving, Training};

/// Steps from one checkpoint to the next.
const SAVE_EVERY: u64 = 200;

/// Where runs go unless told otherwise.
const FOLDER: &str = "runs/train-sr";

/// Train a network
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    network: Network,
}

#[derive(Subcommand, Debug)]
enum Network {
    /// Train SRCNN for super-resolution with one loss
    #[command(after_help = "Examples:
  msssim train sr --loss ms-ssim
  msssim train sr --loss mse --train photographs --steps 20000 --out runs/mse
  msssim train sr --resume --out runs/mse")]
    Sr {
        /// What becomes small
        #[arg(long, value_enum, default_value_t = Loss::MsSsim)]
        loss: Loss,
        #[command(flatten)]
        experiment: ExperimentOptions,
        #[command(flatten)]
        run: RunOptions,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let Network::Sr {
        loss,
        experiment,
        run,
    } = &arguments.network;
    let Some((folder, experiment)) = experiment.open(&[], run, Path::new(FOLDER))? else {
        return Ok(());
    };
    let source = source(&experiment)?;
    let stop = interrupt::flag()?;
    let trained = train(&folder, &experiment, *loss, source, &stop)?;
    run_log::write(&folder, &[(*loss, trained.losses)])?;
    writeln!(out, "{}", weights(&folder, *loss).display())?;
    Ok(())
}

/// The training images, with a word about those that are left out.
pub(super) fn source(experiment: &Experiment) -> Result<Source, Failure> {
    let source = experiment.source()?;
    if source.skipped > 0 {
        say(&format!(
            "{} images are smaller than a crop and left out",
            source.skipped
        ));
    }
    Ok(source)
}

/// A network and how it got there.
pub(super) struct Trained {
    /// The weights and the state of their training.
    pub(super) checkpoint: Checkpoint,
    /// The loss of every step.
    pub(super) losses: Vec<f32>,
}

/// The file that holds the weights of a loss, during training and after.
pub(super) fn weights(folder: &RunFolder, loss: Loss) -> std::path::PathBuf {
    folder.file(&format!("{}.safetensors", loss.file_name()))
}

/// Trains with one loss, going on from the folder's checkpoint if there is one.
///
/// An interrupt saves and becomes [`Failure::Interrupted`].
pub(super) fn train(
    folder: &RunFolder,
    experiment: &Experiment,
    loss: Loss,
    source: Source,
    stop: &AtomicBool,
) -> Result<Trained, Failure> {
    match experiment.device {
        DeviceName::Cpu => train_on(&Cpu, folder, experiment, loss, source, stop),
        DeviceName::Cuda => {
            let cuda = Cuda::new(experiment.precision.into())
                .map_err(|error| Failure::Message(format!("--device cuda: {error}")))?;
            train_on(&cuda, folder, experiment, loss, source, stop)
        }
    }
}

fn train_on<B: Backend>(
    backend: &B,
    folder: &RunFolder,
    experiment: &Experiment,
    loss: Loss,
    source: Source,
    stop: &AtomicBool,
) -> Result<Trained, Failure> {
    let configuration = experiment.configuration(loss);
    let path = weights(folder, loss);
    let mut training = if path.exists() {
        let checkpoint = Checkpoint::load(&path)?;
        let state = checkpoint.training.as_ref();
        if state.is_none_or(|state| state.configuration != configuration) {
            return Err(Failure::Message(format!(
                "{}: the checkpoint is of another configuration than config.toml says; \
                 move it away to train anew",
                path.display()
            )));
        }
        Training::resume(backend, &checkpoint)?
    } else {
        Training::new(backend, configuration)?
    };

    let begun_at = training.losses().len();
    if (begun_at as u64) < experiment.steps {
        let mut progress = Progress::new(
            loss.name(),
            experiment.steps,
            experiment.batch as u64,
            "patches",
        );
        let mut loader = Loader::new(source, configuration.patches, configuration.seed);
        let mut events = Events::new(folder, loss, begun_at as u64, experiment.steps);
        let mut recent = None;
        let saving = Saving {
            path: &path,
            every: SAVE_EVERY,
        };
        let outcome = training.run(&mut loader, Some(saving), stop, |at| {
            let value = f64::from(at.loss);
            let mean = recent.map_or(value, |mean| 0.95 * mean + 0.05 * value);
            recent = Some(mean);
            events.at(at.step, at.loss);
            progress.at(at.step, &format!("loss {mean:.3e}"));
        })?;
        events.finish()?;
        let steps = training.losses().len();
        if outcome == training::Outcome::Stopped {
            progress.finish(&format!("stopped after step {steps}"));
            return Err(Failure::Interrupted(folder.path().to_owned()));
        }
        let patches = (steps - begun_at) * experiment.batch;
        let time = clock(progress.seconds());
        progress.finish(&format!(
            "{patches} patches in {time}  loss {:.3e}",
            recent.unwrap_or(f64::NAN)
        ));
    }
    Ok(Trained {
        losses: training.losses().to_vec(),
        checkpoint: training.checkpoint()?,
    })
}
