//! `msssim train`: one network. Also the training part of `reproduce`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::{Args, Subcommand};

use super::inference::open_cuda;
use super::options::ExperimentOptions;
use super::progress::{Progress, clock};
use super::reconstruction::{self, ReconstructionOptions};
use super::run_options::RunOptions;
use super::{Failure, Outcome, interrupt};
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceName, Precision};
use crate::experiment::Experiment;
use crate::loss::Loss;
use crate::parameters::Parameters;
use crate::patches::{Loader, Source};
use crate::run_folder::RunFolder;
use crate::run_log::{self, Events};
use crate::training::{self, Configuration, Saving, Training};

/// Steps from one checkpoint to the next.
const SAVE_EVERY: u64 = 200;

/// Where runs go unless told otherwise.
const FOLDER: &str = "runs/train-sr";
const AUTOENCODER_FOLDER: &str = "runs/train-autoencoder";

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
    /// Train an autoencoder with one loss
    #[command(after_help = "Examples:
  msssim train autoencoder --loss ms-ssim --model fc
  msssim train autoencoder --loss mae --full --train photographs --steps 20000 --out runs/mae")]
    Autoencoder {
        /// What becomes small
        #[arg(long, value_enum, default_value_t = Loss::MsSsim)]
        loss: Loss,
        #[command(flatten)]
        experiment: ReconstructionOptions,
        #[command(flatten)]
        run: RunOptions,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    match &arguments.network {
        Network::Sr {
            loss,
            experiment,
            run,
        } => {
            let opened = experiment.open(&[], run, Path::new(FOLDER))?;
            let Some((folder, experiment, source)) = opened else {
                return Ok(());
            };
            let stop = interrupt::flag()?;
            let trained = train(&folder, &experiment, *loss, source, &stop)?;
            finish(&folder, *loss, trained, out)
        }
        Network::Autoencoder {
            loss,
            experiment,
            run,
        } => {
            let default_folder = Path::new(AUTOENCODER_FOLDER);
            let opened = experiment.open(&[], run, default_folder, reconstruction::data)?;
            let Some((folder, experiment, data)) = opened else {
                return Ok(());
            };
            let stop = interrupt::flag()?;
            let start = reconstruction::start(&folder, &experiment, &data, &stop)?;
            let trained = reconstruction::train(&folder, &experiment, *loss, &data, &start, &stop)?;
            finish(&folder, *loss, trained, out)
        }
    }
}

fn finish(folder: &RunFolder, loss: Loss, trained: Trained, out: &mut dyn Write) -> Outcome {
    run_log::write(folder, &[(loss, trained.losses)])?;
    writeln!(out, "{}", weights(folder, loss).display())?;
    Ok(())
}

/// A network and how it got there.
pub(super) struct Trained {
    /// The weights and the state of their training.
    pub(super) checkpoint: Checkpoint,
    /// The loss of every step.
    pub(super) losses: Vec<f32>,
}

/// The file that holds the weights of a loss, during training and after.
pub(super) fn weights(folder: &RunFolder, loss: Loss) -> PathBuf {
    folder.file(&format!("{}.safetensors", loss.file_name()))
}

/// A network to train.
pub(super) struct Job {
    /// What progress calls it.
    pub(super) name: String,
    /// What is done.
    pub(super) configuration: Configuration,
    /// What does it.
    pub(super) device: DeviceName,
    /// How.
    pub(super) precision: Precision,
    /// Where its checkpoints go, and the weights at last.
    pub(super) path: PathBuf,
    /// Whether its losses go to TensorBoard.
    pub(super) events: bool,
    /// The weights that it begins with, if they are not those of its seed.
    pub(super) start: Option<Parameters>,
}

impl Job {
    /// The network of a super-resolution experiment for one loss.
    fn of(experiment: &Experiment, loss: Loss, folder: &RunFolder) -> Self {
        Self {
            name: loss.name().to_owned(),
            configuration: experiment.configuration(loss),
            device: experiment.device,
            precision: experiment.precision,
            path: weights(folder, loss),
            events: true,
            start: None,
        }
    }
}

/// Trains SRCNN with one loss, as [`train_job`].
pub(super) fn train(
    folder: &RunFolder,
    experiment: &Experiment,
    loss: Loss,
    source: Source,
    stop: &AtomicBool,
) -> Result<Trained, Failure> {
    train_job(folder, &Job::of(experiment, loss, folder), source, stop)
}

/// Trains a network, going on from its checkpoint if there is one.
///
/// An interrupt saves and becomes [`Failure::Interrupted`].
pub(super) fn train_job(
    folder: &RunFolder,
    job: &Job,
    source: Source,
    stop: &AtomicBool,
) -> Result<Trained, Failure> {
    match job.device {
        DeviceName::Cpu => train_on(&Cpu, folder, job, source, stop),
        DeviceName::Cuda => {
            let cuda = open_cuda(job.precision)?;
            train_on(&cuda, folder, job, source, stop)
        }
    }
}

fn train_on<B: Backend>(
    backend: &B,
    folder: &RunFolder,
    job: &Job,
    source: Source,
    stop: &AtomicBool,
) -> Result<Trained, Failure> {
    let Job {
        configuration,
        path,
        start,
        ..
    } = job;
    let (steps, batch) = (configuration.steps, configuration.patches.batch);
    let mut training = if path.exists() {
        let checkpoint = Checkpoint::load(path)?;
        let state = checkpoint.state();
        if state.is_none_or(|state| state.configuration != *configuration) {
            return Err(Failure::Message(format!(
                "{}: the checkpoint is of another configuration than config.toml says; \
                 move it away to train anew",
                path.display()
            )));
        }
        Training::resume(backend, &checkpoint)?
    } else if let Some(start) = start {
        Training::starting_at(backend, *configuration, start)?
    } else {
        Training::new(backend, *configuration)?
    };

    let begun_at = training.losses().len();
    if (begun_at as u64) < steps {
        let mut progress = Progress::new(&job.name, steps, batch as u64, "patches");
        let mut loader = Loader::new(source, configuration.patches, configuration.seed);
        let mut events = job
            .events
            .then(|| Events::new(folder, configuration.loss, begun_at as u64, steps));
        let mut recent = None;
        let saving = Saving {
            path,
            every: SAVE_EVERY,
        };
        let outcome = training.run(&mut loader, Some(saving), stop, |at| {
            let value = f64::from(at.loss);
            let mean = recent.map_or(value, |mean| 0.95 * mean + 0.05 * value);
            recent = Some(mean);
            if let Some(events) = &mut events {
                events.at(at.step, at.loss);
            }
            progress.at(at.step, &format!("loss {mean:.3e}"));
        })?;
        if let Some(events) = events {
            events.finish()?;
        }
        let done = training.losses().len();
        if outcome == training::Outcome::Stopped {
            progress.finish(&format!("stopped after step {done}"));
            return Err(Failure::Interrupted(folder.path().to_owned()));
        }
        let patches = (done - begun_at) * batch;
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
