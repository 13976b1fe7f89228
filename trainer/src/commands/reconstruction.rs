//! `msssim reproduce reconstruction`: autoencoders trained with each loss, compared.

mod report;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::evaluate::test_sets;
use super::inference::{Inference, on};
use super::progress::say;
use super::run_options::{RunOptions, check_device, check_training, refuse, resolved, say_skipped};
use super::train::{Job, Trained, train_job, weights};
use super::{Failure, Outcome, interrupt};
use crate::autoencoder::{Model, reconstruct};
use crate::backend::cpu::Cpu;
use crate::device::{Choice, Precision};
use crate::experiment::reconstruction::{Data, RATES, Reconstruction, START_RATE};
use crate::loss::{Loss, PlannedLoss};
use crate::parameters::Parameters;
use crate::reconstruction::{Held, Reconstructed};
use crate::run_folder::RunFolder;
use crate::run_log;

/// Where runs go unless told otherwise.
const FOLDER: &str = "runs/reconstruction";

/// The rates that were chosen.
const CHOSEN: &str = "rates.json";

/// What a reconstruction experiment can be told; what is left out keeps its default.
#[derive(Args, Debug)]
pub(super) struct ReconstructionOptions {
    /// Folder of training images [default: built-in procedural images]
    #[arg(long, value_name = "DIR")]
    train: Option<PathBuf>,
    /// Seed of weights, crops, noise and procedural images [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Updates of the weights, for each loss [default: 2500]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Crops in a batch [default: 32]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Which autoencoder [default: conv]
    #[arg(long, value_enum)]
    model: Option<Model>,
    /// Channels of the first convolution; dense hidden layers are eight times as wide [default: 24]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Numbers of a code; 0 leaves the dense layers of conv out [default: 128]
    #[arg(long, value_name = "N")]
    bottleneck: Option<usize>,
    /// Rows and columns of an image [default: 32]
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// The paper's size where no other is given: --side 96 --width 128 --bottleneck 512
    #[arg(long)]
    full: bool,
    /// What a nat of divergence counts in the loss of el-vae [default: 0.00002]
    #[arg(long, value_name = "WEIGHT")]
    kl_weight: Option<f64>,
    /// Learning rate of all losses [default: the best of three for each loss]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// What trains networks and runs them [default: cpu]
    #[arg(long, value_enum)]
    device: Option<Choice>,
    /// How a CUDA device computes layers [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
}

impl ReconstructionOptions {
    /// The experiment, `known` with what the command line says.
    fn over(&self, known: &Reconstruction, test: &[PathBuf]) -> Reconstruction {
        let known = if self.full {
            known.clone().full()
        } else {
            known.clone()
        };
        Reconstruction {
            seed: self.seed.unwrap_or(known.seed),
            steps: self.steps.unwrap_or(known.steps),
            batch: self.batch.unwrap_or(known.batch),
            model: self.model.unwrap_or(known.model),
            width: self.width.unwrap_or(known.width),
            bottleneck: self.bottleneck.unwrap_or(known.bottleneck),
            side: self.side.unwrap_or(known.side),
            kl_weight: self.kl_weight.unwrap_or(known.kl_weight),
            learning_rate: self.learning_rate.or(known.learning_rate),
            train: self.train.clone().or(known.train),
            test: if test.is_empty() {
                known.test
            } else {
                test.to_vec()
            },
            device: self.device.map_or(known.device, resolved),
            precision: self.precision.unwrap_or(known.precision),
        }
    }

    /// Opens the run's folder with the experiment that it is of and what `load` makes of it; `None` when
    /// the options were only to be saved.
    pub(super) fn open<D>(
        &self,
        test: &[PathBuf],
        run: &RunOptions,
        default_folder: &Path,
        load: impl FnOnce(&Reconstruction) -> Result<D, Failure>,
    ) -> Result<Option<(RunFolder, Reconstruction, D)>, Failure> {
        run.open(default_folder, |known| self.over(known, test), check, load)
    }
}

/// Refuses numbers that no run can be made of.
fn check(experiment: &Reconstruction) -> Result<(), Failure> {
    if let Some((name, must)) = experiment.shape().fault() {
        return refuse(name, must);
    }
    check_training(experiment.steps, experiment.batch, experiment.learning_rate)?;
    if !(experiment.kl_weight >= 0.0 && experiment.kl_weight.is_finite()) {
        return refuse("kl-weight", "at least 0");
    }
    check_device(experiment.device, experiment.precision)
}

pub(super) fn run(
    options: &ReconstructionOptions,
    test: &[PathBuf],
    run: &RunOptions,
    out: &mut dyn Write,
) -> Outcome {
    let load = |experiment: &Reconstruction| {
        let sets = test_sets(&experiment.test);
        let held = sets.iter().map(|set| Held::of(set, experiment.side));
        let held: Vec<Held> = held.collect::<Result<_, _>>()?;
        Ok((sets, held, data(experiment)?))
    };
    let opened = options.open(test, run, Path::new(FOLDER), load)?;
    let Some((folder, experiment, (sets, held, data))) = opened else {
        return Ok(());
    };
    let stop = interrupt::flag()?;
    let start = start(&folder, &experiment, &data, &stop)?;
    let (mut networks, mut curves) = (Vec::new(), Vec::new());
    for loss in Loss::ALL {
        let trained = train(&folder, &experiment, loss, &data, &start, &stop)?;
        networks.push(trained.checkpoint.parameters);
        curves.push((loss, trained.losses));
    }
    let curve = run_log::write(&folder, &curves)?;
    let networks: Vec<&Parameters> = networks.iter().collect();
    let inference = Inference::on(experiment.device)?;
    let shape = experiment.shape();
    let mut measured = Vec::new();
    for (set, held) in sets.iter().zip(held) {
        let made = on!(&inference, backend => Reconstructed::by(backend, shape, &networks, &held))?;
        measured.push((set.name(), held, made));
    }
    let rates = chosen(&folder)?;
    report::write(
        &folder,
        &experiment,
        &networks,
        &measured,
        &rates,
        curve,
        out,
    )?;
    say(&format!("report: {}", folder.file("report.html").display()));
    Ok(())
}

/// The images to learn from.
pub(super) fn data(experiment: &Reconstruction) -> Result<Data, Failure> {
    let data = experiment.data()?;
    say_skipped(&data.source);
    Ok(data)
}

/// A rate and what it led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Chosen {
    loss: Loss,
    rate: f64,
    /// The rates tried, and the loss of the validation images that each led to; `None` where training
    /// failed.
    tried: Vec<(f64, Option<f64>)>,
}

/// The rates chosen so far.
fn chosen(folder: &RunFolder) -> Result<Vec<Chosen>, Failure> {
    if folder.file(CHOSEN).exists() {
        Ok(folder.read_json(CHOSEN)?)
    } else {
        Ok(Vec::new())
    }
}

/// The weights that every loss begins with: of a network trained with MSE for a while.
///
/// MS-SSIM is a product over scales, and as good as constant where images do not resemble each other yet: a network
/// that starts from noise may learn nothing from it for thousands of steps.
pub(super) fn start(
    folder: &RunFolder,
    experiment: &Reconstruction,
    data: &Data,
    stop: &AtomicBool,
) -> Result<Parameters, Failure> {
    let (loss, steps) = (Loss::Mse, experiment.trial_steps());
    let job = Job {
        name: "start".to_owned(),
        configuration: experiment.configuration(loss, START_RATE, steps),
        device: experiment.device,
        precision: experiment.precision,
        path: folder.file("start.safetensors"),
        events: false,
        start: None,
    };
    let trained = train_job(folder, &job, data.source.clone(), stop)?;
    Ok(trained.checkpoint.parameters)
}

/// Trains with one loss, at the rate that is best in a shorter run unless one is given.
pub(super) fn train(
    folder: &RunFolder,
    experiment: &Reconstruction,
    loss: Loss,
    data: &Data,
    start: &Parameters,
    stop: &AtomicBool,
) -> Result<Trained, Failure> {
    let rate = match experiment.learning_rate {
        Some(rate) => rate,
        None => choose_rate(folder, experiment, loss, data, start, stop)?,
    };
    let job = Job {
        name: loss.name().to_owned(),
        configuration: experiment.configuration(loss, rate, experiment.steps),
        device: experiment.device,
        precision: experiment.precision,
        path: weights(folder, loss),
        events: true,
        start: Some(start.clone()),
    };
    train_job(folder, &job, data.source.clone(), stop)
}

/// Tries every rate and keeps the one whose network has the smallest loss on the validation images.
fn choose_rate(
    folder: &RunFolder,
    experiment: &Reconstruction,
    loss: Loss,
    data: &Data,
    start: &Parameters,
    stop: &AtomicBool,
) -> Result<f64, Failure> {
    let mut known = chosen(folder)?;
    if let Some(chosen) = known.iter().find(|chosen| chosen.loss == loss) {
        return Ok(chosen.rate);
    }
    let mut tried = Vec::new();
    let mut files = Vec::new();
    for rate in RATES {
        let path = folder.file(&format!("{}-rate-{rate}.safetensors", loss.file_name()));
        files.push(path.clone());
        let job = Job {
            name: format!("{} at {rate}", loss.name()),
            configuration: experiment.configuration(loss, rate, experiment.trial_steps()),
            device: experiment.device,
            precision: experiment.precision,
            path,
            events: false,
            start: Some(start.clone()),
        };
        let value = match train_job(folder, &job, data.source.clone(), stop) {
            Ok(trained) => {
                let value = validate(experiment, loss, &trained.checkpoint.parameters, data)?;
                Some(value).filter(|value| value.is_finite())
            }
            // A rate that is too high is no reason to stop.
            Err(Failure::Training(error)) if error.is_divergence() => {
                say(&format!("{}: {error}", job.name));
                None
            }
            Err(failure) => return Err(failure),
        };
        tried.push((rate, value));
    }
    let best = tried
        .iter()
        .filter_map(|(rate, value)| Some((*rate, (*value)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let Some((rate, _)) = best else {
        return Err(Failure::Message(format!(
            "{}: training failed at every rate tried; give a lower one with --learning-rate",
            loss.name()
        )));
    };
    known.push(Chosen { loss, rate, tried });
    folder.write_json(CHOSEN, &known)?;
    for file in files {
        // Nothing is lost with what cannot be removed, or was never written.
        let _ = std::fs::remove_file(file);
    }
    Ok(rate)
}

/// The loss of the validation images, computed on the CPU of what the experiment's device makes of them.
fn validate(
    experiment: &Reconstruction,
    loss: Loss,
    parameters: &Parameters,
    data: &Data,
) -> Result<f64, Failure> {
    let shape = experiment.shape();
    let inference = Inference::on(experiment.device)?;
    let made =
        on!(&inference, backend => reconstruct(backend, shape, parameters, &data.validation))?;
    let images = made.len() / shape.image_len();
    let mut planned = PlannedLoss::new(&Cpu, loss, shape.batch(images))?;
    let mut unused = vec![0.0; made.len()];
    planned.forward_backward(&Cpu, &data.validation, &made, &mut unused)?;
    Ok(planned.value(&Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::run_options::tests::stated_defaults;
    use crate::device::DeviceName;

    #[test]
    fn stated_defaults_are_the_defaults() {
        let options: ReconstructionOptions = stated_defaults(10);
        let defaults = Reconstruction::default();
        let other = Reconstruction {
            seed: 0,
            steps: 0,
            batch: 0,
            model: Model::Fc,
            width: 0,
            bottleneck: 0,
            side: 0,
            kl_weight: 0.0,
            device: DeviceName::Cuda,
            precision: Precision::Bf16,
            ..defaults.clone()
        };
        assert_eq!(options.over(&other, &[]), defaults);
    }
}
