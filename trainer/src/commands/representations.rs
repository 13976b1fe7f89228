//! `msssim reproduce representations`: what autoencoders trained with each loss know of faces.

mod report;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::inference::{Inference, on};
use super::progress::say;
use super::run_options::{RunOptions, check_device, check_training, refuse, resolved};
use super::train::{Job, train_job, weights};
use super::{Failure, Outcome, interrupt};
use crate::autoencoder::{features, reconstruct};
use crate::device::{Choice, Precision};
use crate::experiment::representations::{Data, Representations};
use crate::loss::Loss;
use crate::patches::Source;
use crate::probe::{Features, Findings, Split, probe};
use crate::run_folder::RunFolder;
use crate::run_log;

/// Where runs go unless told otherwise.
const FOLDER: &str = "runs/representations";

/// Faces that the picture shows.
const SHOWN: usize = 6;

/// What the experiment can be told; what is left out keeps its default.
#[derive(Args, Debug)]
pub(super) struct RepresentationOptions {
    /// Folder CroppedYale of Extended Yale B [default: built-in procedural faces]
    #[arg(long, value_name = "DIR")]
    train: Option<PathBuf>,
    /// Another such folder to measure on [default: a fifth of the faces, drawn anew for each split]
    #[arg(long, value_name = "DIR")]
    test: Option<PathBuf>,
    /// Seed of splits, weights, batches and procedural faces [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often faces are split and everything is trained [default: 3]
    #[arg(long, value_name = "N")]
    splits: Option<u64>,
    /// Updates of the weights, for each loss and split [default: 500]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Faces in a batch [default: 32]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Channels of the first convolution; the third has four times as many [default: 16]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Numbers of a code [default: 256]
    #[arg(long, value_name = "N")]
    bottleneck: Option<usize>,
    /// Losses to compare [default: mse, mae and ms-ssim]
    #[arg(long, value_enum, num_args = 1..)]
    loss: Vec<Loss>,
    /// Learning rate of all losses [default: 0.001]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// The paper's size where no other is given: --width 128 --bottleneck 512 --splits 5 --steps 20000
    #[arg(long)]
    full: bool,
    /// What trains networks and runs them [default: cpu]
    #[arg(long, value_enum)]
    device: Option<Choice>,
    /// How a CUDA device computes layers [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
}

impl RepresentationOptions {
    /// The experiment, `known` with what the command line says.
    fn over(&self, known: &Representations) -> Representations {
        let known = if self.full {
            known.clone().full()
        } else {
            known.clone()
        };
        Representations {
            seed: self.seed.unwrap_or(known.seed),
            splits: self.splits.unwrap_or(known.splits),
            steps: self.steps.unwrap_or(known.steps),
            batch: self.batch.unwrap_or(known.batch),
            width: self.width.unwrap_or(known.width),
            bottleneck: self.bottleneck.unwrap_or(known.bottleneck),
            learning_rate: self.learning_rate.unwrap_or(known.learning_rate),
            loss: if self.loss.is_empty() {
                known.loss
            } else {
                self.loss.clone()
            },
            train: self.train.clone().or(known.train),
            test: self.test.clone().or(known.test),
            device: self.device.map_or(known.device, resolved),
            precision: self.precision.unwrap_or(known.precision),
        }
    }
}

/// Refuses numbers that no run can be made of.
fn check(experiment: &Representations) -> Result<(), Failure> {
    if let Some((name, must)) = experiment.shape().fault() {
        return refuse(name, must);
    }
    if experiment.bottleneck == 0 {
        return refuse("bottleneck", "at least 1");
    }
    if !(1..=1000).contains(&experiment.splits) {
        return refuse("splits", "1 to 1000");
    }
    check_training(
        experiment.steps,
        experiment.batch,
        Some(experiment.learning_rate),
    )?;
    let repeated = (1..experiment.loss.len()).any(|i| {
        let (before, rest) = experiment.loss.split_at(i);
        before.contains(&rest[0])
    });
    if experiment.loss.is_empty() || repeated {
        return refuse("loss", "one or more, each once");
    }
    if experiment.test.is_some() && experiment.train.is_none() {
        return refuse(
            "test",
            "given with --train: the built-in faces are of other people",
        );
    }
    check_device(experiment.device, experiment.precision)
}

/// What one loss leads to.
struct Compared {
    loss: Loss,
    /// For each split.
    findings: Vec<Findings>,
    /// What the first split's network makes of the faces that are shown.
    shown: Vec<f32>,
}

pub(super) fn run(
    options: &RepresentationOptions,
    run: &RunOptions,
    out: &mut dyn Write,
) -> Outcome {
    let load = |experiment: &Representations| Ok(experiment.data()?);
    let opened = run.open(Path::new(FOLDER), |known| options.over(known), check, load)?;
    let Some((folder, experiment, data)) = opened else {
        return Ok(());
    };
    let stop = interrupt::flag()?;
    let compared = experiment.loss.iter().map(|loss| Compared {
        loss: *loss,
        findings: Vec::new(),
        shown: Vec::new(),
    });
    let mut compared: Vec<Compared> = compared.collect();
    let mut curve = None;
    for index in 0..experiment.splits {
        let of_split = folder.subfolder(&format!("split-{}", index + 1))?;
        let mut curves = Vec::new();
        for compared in &mut compared {
            let loss = compared.loss;
            let task = Task {
                folder: &folder,
                of_split: &of_split,
                experiment: &experiment,
                data: &data,
                split: data.split(experiment.seed, index),
                index,
            };
            let (findings, losses, shown) = task.run(loss, &stop)?;
            curves.push((loss, losses));
            compared.findings.push(findings);
            if index == 0 {
                compared.shown = shown;
            }
        }
        let drawn = run_log::write(&of_split, &curves)?;
        curve = curve.or(drawn);
    }
    report::write(&folder, &experiment, &data, &compared, curve, out)?;
    say(&format!("report: {}", folder.file("report.html").display()));
    Ok(())
}

/// One split of the faces.
struct Task<'a> {
    folder: &'a RunFolder,
    of_split: &'a RunFolder,
    experiment: &'a Representations,
    data: &'a Data,
    split: Split,
    index: u64,
}

impl Task<'_> {
    /// Trains with one loss and probes the codes; what was done before is taken from the folder.
    /// Returns also the loss of each step, and the faces to show as the network gives them back.
    fn run(
        &self,
        loss: Loss,
        stop: &AtomicBool,
    ) -> Result<(Findings, Vec<f32>, Vec<f32>), Failure> {
        let Self {
            experiment,
            of_split,
            split,
            index,
            ..
        } = self;
        let faces = &self.data.faces;
        let configuration = experiment.configuration(loss, *index);
        let learned = faces.subset(&split.train);
        // All faces are in memory, and stay there.
        let budget = usize::MAX;
        let source = Source::images(learned, &configuration.patches, configuration.seed, budget);
        let job = Job {
            name: format!("{} {}/{}", loss.name(), index + 1, experiment.splits),
            configuration,
            device: experiment.device,
            precision: experiment.precision,
            path: weights(of_split, loss),
            events: true,
            start: None,
        };
        let trained = train_job(of_split, &job, source, stop).map_err(|failure| match failure {
            Failure::Interrupted(_) => Failure::Interrupted(self.folder.path().to_owned()),
            failure => failure,
        })?;

        let shape = experiment.shape();
        let parameters = &trained.checkpoint.parameters;
        let shown = in_unit_range(&faces.subset(&shown(split)).samples);
        let inference = Inference::on(experiment.device)?;
        let shown = on!(&inference, backend => reconstruct(backend, shape, parameters, &shown))?;
        let file = format!("{}-findings.json", loss.file_name());
        let findings = if of_split.file(&file).exists() {
            of_split.read_json(&file)?
        } else {
            let faces = in_unit_range(&faces.images.samples);
            let codes = on!(&inference, backend => features(backend, shape, parameters, &faces))?;
            let codes = Features::new(codes, shape.code_len());
            self.write_codes(loss, &codes)?;
            say(&format!("{}: fitting support vector machines", job.name));
            let findings = probe(&codes, &self.data.faces.labels, split);
            of_split.write_json(&file, &findings)?;
            findings
        };
        Ok((findings, trained.losses, shown))
    }

    /// Writes codes, labels and which faces are measured on, so that other programs can probe them.
    fn write_codes(&self, loss: Loss, codes: &Features) -> Result<(), Failure> {
        let labels = &self.data.faces.labels;
        let n = codes.samples();
        let mut measured = vec![0u8; n];
        for at in &self.split.test {
            measured[*at] = 1;
        }
        let bytes = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let subjects = labels.subject.iter().flat_map(|v| v.to_le_bytes());
        let values = codes.values().iter().flat_map(|v| v.to_le_bytes());
        let tensors: [(&str, Dtype, Vec<usize>, Vec<u8>); 5] = [
            (
                "codes",
                Dtype::F32,
                vec![n, codes.dimensions()],
                values.collect(),
            ),
            ("subject", Dtype::U32, vec![n], subjects.collect()),
            ("azimuth", Dtype::F64, vec![n], bytes(&labels.azimuth)),
            ("elevation", Dtype::F64, vec![n], bytes(&labels.elevation)),
            ("measured", Dtype::U8, vec![n], measured),
        ];
        let views: HashMap<&str, TensorView<'_>> = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                let view = TensorView::new(*dtype, shape.clone(), bytes);
                (*name, view.expect("as many bytes as the shape says"))
            })
            .collect();
        let file = safetensors::serialize(views, None).expect("distinct names, right lengths");
        let name = format!("{}-codes.safetensors", loss.file_name());
        Ok(self.of_split.write(&name, &file)?)
    }
}

/// The faces that are shown: some of those measured on, spread over them.
fn shown(split: &Split) -> Vec<usize> {
    let count = SHOWN.min(split.test.len());
    (0..count)
        .map(|i| split.test[(2 * i + 1) * split.test.len() / (2 * count)])
        .collect()
}

fn in_unit_range(samples: &[u8]) -> Vec<f32> {
    samples.iter().map(|v| f32::from(*v) / 255.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::run_options::tests::stated_defaults;
    use crate::device::DeviceName;

    #[test]
    fn stated_defaults_are_the_defaults() {
        let options: RepresentationOptions = stated_defaults(9);
        let defaults = Representations::default();
        let other = Representations {
            seed: 0,
            splits: 0,
            steps: 0,
            batch: 0,
            width: 0,
            bottleneck: 0,
            learning_rate: 0.0,
            device: DeviceName::Cuda,
            precision: Precision::Bf16,
            ..defaults.clone()
        };
        assert_eq!(options.over(&other), defaults);
        assert!(check(&defaults).is_ok());
    }

    #[test]
    fn what_no_run_can_be_made_of_is_named() {
        let words = |experiment: Representations| match check(&experiment) {
            Err(failure) => failure.to_string(),
            Ok(()) => panic!("{experiment:?} passes"),
        };
        let known = Representations::default;
        for (experiment, option) in [
            (
                Representations {
                    splits: 0,
                    ..known()
                },
                "--splits",
            ),
            (
                Representations {
                    width: 0,
                    ..known()
                },
                "--width",
            ),
            (
                Representations {
                    bottleneck: 0,
                    ..known()
                },
                "--bottleneck",
            ),
            (
                Representations {
                    steps: 0,
                    ..known()
                },
                "--steps",
            ),
            (
                Representations {
                    loss: vec![],
                    ..known()
                },
                "--loss",
            ),
            (
                Representations {
                    loss: vec![Loss::Mse, Loss::Mae, Loss::Mse],
                    ..known()
                },
                "--loss",
            ),
            (
                Representations {
                    learning_rate: f64::NAN,
                    ..known()
                },
                "--learning-rate",
            ),
            (
                Representations {
                    test: Some("faces".into()),
                    ..known()
                },
                "--test",
            ),
        ] {
            let words = words(experiment);
            assert!(words.contains(option), "{words}");
        }
    }
}
