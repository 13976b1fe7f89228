//! What every experiment is told: the options of the command line and of configuration files.

mod folders;
pub mod reconstruction;
pub mod representations;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::device::{DeviceName, Precision};
use crate::evaluation::Channels;
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::patches::{PatchError, PatchShape, Source, Symmetries};
use crate::schedule::Schedule;
use crate::srcnn::Initialisation;
use crate::training::{Configuration, Task};

/// Bytes of prepared training images in memory at a time: half in use, half being loaded.
const MEMORY: usize = 1 << 30;

/// Procedural images to train on when no folder is given, and their side.
const BUILT_IN: (usize, usize) = (96, 192);

/// The optimiser by name; its constants are those of its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Adam, its rate falling to 0 along a cosine, from weights near the bicubic image
    Adam,
    /// Gradient descent with momentum at a constant rate, a tenth of it for the last layer, from
    /// small random weights: the set-up of Dong et al. (2016)
    Sgd,
}

/// A super-resolution experiment: everything that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// Of weights, crops and procedural training images.
    pub seed: u64,
    /// Updates of the weights.
    pub steps: u64,
    /// Crops in a batch.
    pub batch: usize,
    /// Rows and columns of a crop.
    pub patch: usize,
    /// How many times the network enlarges.
    pub scale: usize,
    /// The planes that the network sees and makes.
    pub channels: Channels,
    /// How weights follow their gradient.
    pub optimizer: OptimizerName,
    /// Its rate; `None` for that of its paper.
    pub learning_rate: Option<f64>,
    /// Folders of training images; none for procedural ones. Images are numbered in the order of the
    /// folders, by name within each.
    #[serde(deserialize_with = "folders::deserialize")]
    pub train: Vec<PathBuf>,
    /// Folders of test images; none for procedural ones.
    pub test: Vec<PathBuf>,
    /// What trains.
    pub device: DeviceName,
    /// How it computes layers; the CPU has single precision alone.
    pub precision: Precision,
}

impl Default for Experiment {
    /// What takes at most four minutes for three losses on two cores, evaluation included.
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 600,
            batch: 16,
            patch: 33,
            scale: 4,
            channels: Channels::Y,
            optimizer: OptimizerName::Adam,
            learning_rate: None,
            train: Vec::new(),
            test: Vec::new(),
            device: DeviceName::Cpu,
            precision: Precision::F32,
        }
    }
}

impl Experiment {
    /// What a batch holds.
    pub fn patches(&self) -> PatchShape {
        PatchShape {
            batch: self.batch,
            side: self.patch,
            factor: self.scale,
            channels: self.channels,
            symmetries: Symmetries::All,
        }
    }

    /// The training run for one of the losses.
    pub fn configuration(&self, loss: Loss) -> Configuration {
        let samples = self.channels.count() * self.patch * self.patch;
        let (mut optimizer, initialisation, schedule) = match self.optimizer {
            OptimizerName::Adam => {
                let schedule = Schedule::Cosine {
                    warm_up: self.steps / 50,
                };
                (Optimizer::ADAM, Initialisation::PassThrough, schedule)
            }
            OptimizerName::Sgd => {
                let optimizer = Optimizer::dong_2016(samples);
                (optimizer, Initialisation::Dong2016, Schedule::Constant)
            }
        };
        match (&mut optimizer, self.learning_rate) {
            (Optimizer::Adam { learning_rate, .. }, Some(rate)) => *learning_rate = rate,
            (
                Optimizer::Sgd {
                    learning_rate,
                    last_layer_rate,
                    ..
                },
                Some(rate),
            ) => {
                (*learning_rate, *last_layer_rate) = (rate, rate / 10.0);
            }
            (_, None) => {}
        }
        Configuration {
            seed: self.seed,
            steps: self.steps,
            task: Task::Srcnn { initialisation },
            patches: self.patches(),
            loss,
            optimizer,
            schedule,
        }
    }

    /// The training images.
    ///
    /// # Errors
    /// [`PatchError`] names the folder or a file in it.
    pub fn source(&self) -> Result<Source, PatchError> {
        let shape = self.patches();
        match &self.train[..] {
            [] => {
                let (count, side) = BUILT_IN;
                let side = side.max(self.patch.next_multiple_of(self.scale));
                Ok(Source::dead_leaves(count, side, &shape, self.seed))
            }
            folders => Source::folders(folders, &shape, self.seed, MEMORY / 2),
        }
    }

    /// Names and values, for a reader.
    pub fn describe(&self) -> Vec<(String, String)> {
        let optimizer = match self.configuration(Loss::Mse).optimizer {
            Optimizer::Adam { learning_rate, .. } => {
                format!("Adam, rate {learning_rate} falling to 0 along a cosine")
            }
            Optimizer::Sgd {
                learning_rate,
                last_layer_rate,
                momentum,
            } => format!(
                "SGD, momentum {momentum}, rate {learning_rate}, last layer {last_layer_rate}"
            ),
        };
        let images = |folders: &[PathBuf], otherwise: String| match folders {
            [] => otherwise,
            folders => {
                let names = folders.iter().map(|folder| folder.display().to_string());
                names.collect::<Vec<_>>().join(", ")
            }
        };
        let (count, side) = BUILT_IN;
        let procedural = format!("{count} procedural images of {side} x {side}");
        let train = images(&self.train, procedural);
        let test = images(&self.test, "procedural images, other ones".to_owned());
        let trainer = self.device.describe(self.precision);
        let planes = match self.channels {
            Channels::Y => "luma; colour differences by bicubic",
            Channels::Ycbcr => "luma and colour differences together",
            Channels::Grey | Channels::Rgb => "samples as they are",
        };
        [
            (
                "network",
                "SRCNN 9-5-5, 64 and 32 filters, borders repeated".to_owned(),
            ),
            ("enlarges", format!("{} times", self.scale)),
            ("sees", planes.to_owned()),
            ("trained on", train),
            ("tested on", test),
            ("steps", format!("{} for each loss", self.steps)),
            (
                "batch",
                format!("{} crops of {1} x {1}", self.batch, self.patch),
            ),
            ("optimiser", optimizer),
            ("trained by", trainer),
            ("seed", self.seed.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_what_was_asked_for() {
        let sgd = Experiment {
            optimizer: OptimizerName::Sgd,
            learning_rate: Some(0.5),
            ..Experiment::default()
        };
        let configuration = sgd.configuration(Loss::Mae);
        assert_eq!(
            configuration.optimizer,
            Optimizer::Sgd {
                learning_rate: 0.5,
                last_layer_rate: 0.05,
                momentum: 0.9
            }
        );
        assert_eq!(
            (configuration.loss, configuration.steps),
            (Loss::Mae, sgd.steps)
        );
        let text = toml::to_string(&sgd).unwrap();
        assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), sgd);
    }

    /// One folder used to be written as a string, and none as nothing.
    #[test]
    fn folders_of_earlier_versions_are_read() {
        let folders = |text: &str| toml::from_str::<Experiment>(text).map(|read| read.train);
        assert_eq!(folders("steps = 3").unwrap(), [] as [PathBuf; 0]);
        assert_eq!(folders("train = 'T91'").unwrap(), [PathBuf::from("T91")]);
        let two = Experiment {
            train: vec!["T91".into(), "BSDS train".into()],
            ..Experiment::default()
        };
        let text = toml::to_string(&two).unwrap();
        assert_eq!(folders(&text).unwrap(), two.train);
        for text in ["train = 3", "train = ['T91', 3]"] {
            let error = folders(text).unwrap_err();
            assert!(error.span().is_some(), "{error}: where it is");
        }
        let error = folders("train = 3").unwrap_err().to_string();
        assert!(error.contains("a folder or a list of folders"), "{error}");
    }
}
