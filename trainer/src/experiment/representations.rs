//! The experiment on learned representations, in numbers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::autoencoder::{Model, Shape};
use crate::data::faces::procedural;
use crate::data::{DataError, Faces, yale};
use crate::device::{DeviceName, Precision};
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::patches::Symmetries;
use crate::probe::Split;
use crate::training::Configuration;

/// Rows and columns of a face, as in the paper.
pub const SIDE: usize = 48;

/// Procedural subjects when no folder is given.
const SUBJECTS: u32 = 20;

/// An experiment on representations: everything that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Representations {
    /// Of splits, weights, batches and procedural faces.
    pub seed: u64,
    /// How often the faces are split anew, and everything is trained again.
    pub splits: u64,
    /// Updates of the weights, for each loss and split.
    pub steps: u64,
    /// Faces in a batch.
    pub batch: usize,
    /// [`Shape::width`].
    pub width: usize,
    /// [`Shape::bottleneck`], what the machines see.
    pub bottleneck: usize,
    /// The learning rate of all losses.
    pub learning_rate: f64,
    /// The losses that are compared.
    pub loss: Vec<Loss>,
    /// Folder of faces; `None` for procedural ones.
    pub train: Option<PathBuf>,
    /// Folder of faces to measure on; `None` for a fifth of the others.
    pub test: Option<PathBuf>,
    /// What trains.
    pub device: DeviceName,
    /// How it computes layers; the CPU has single precision alone.
    pub precision: Precision,
}

impl Default for Representations {
    /// What takes at most ten minutes on two cores, on procedural faces.
    fn default() -> Self {
        Self {
            seed: 1,
            splits: 3,
            steps: 500,
            batch: 32,
            width: 16,
            bottleneck: 256,
            learning_rate: 1e-3,
            loss: Loss::ALL.into(),
            train: None,
            test: None,
            device: DeviceName::Cpu,
            precision: Precision::F32,
        }
    }
}

/// The faces of an experiment.
#[derive(Clone, Debug)]
pub struct Data {
    /// All of them; those to measure on are the last if they come from a folder of their own.
    pub faces: Faces,
    /// How many come from the folder of training faces, if there are others.
    learned: Option<usize>,
}

impl Data {
    /// Which faces are learned from, which are measured on, in split `index`.
    pub fn split(&self, seed: u64, index: u64) -> Split {
        let faces = self.faces.images.len();
        match self.learned {
            Some(learned) => Split {
                train: (0..learned).collect(),
                test: (learned..faces).collect(),
            },
            None => Split::random(faces, seed, index),
        }
    }
}

impl Representations {
    /// The same at the size of the paper's networks, with five splits and time to learn.
    pub fn full(self) -> Self {
        let Shape {
            width, bottleneck, ..
        } = Shape::PAPER;
        Self {
            width,
            bottleneck,
            splits: 5,
            steps: 20_000,
            ..self
        }
    }

    /// The network.
    pub fn shape(&self) -> Shape {
        Shape {
            model: Model::Conv,
            channels: 1,
            side: SIDE,
            width: self.width,
            bottleneck: self.bottleneck,
        }
    }

    /// The training run with one of the losses on split `index`.
    ///
    /// Faces are not mirrored: nothing in the paper says so, and a mirrored face is a light elsewhere.
    pub fn configuration(&self, loss: Loss, index: u64) -> Configuration {
        let seed = self.seed.wrapping_add(index);
        let mut configuration =
            Configuration::autoencoder(self.shape(), self.batch, loss, self.steps, seed);
        configuration.patches.symmetries = Symmetries::None;
        if let Optimizer::Adam { learning_rate, .. } = &mut configuration.optimizer {
            *learning_rate = self.learning_rate;
        }
        configuration
    }

    /// The faces.
    ///
    /// # Errors
    /// [`DataError`] names the folder or a file in it.
    pub fn data(&self) -> Result<Data, DataError> {
        let known = match &self.train {
            Some(folder) => yale::load(folder, SIDE)?,
            None => procedural(self.seed, SUBJECTS, SIDE),
        };
        let Some(folder) = &self.test else {
            return Ok(Data {
                faces: known,
                learned: None,
            });
        };
        let learned = known.images.len();
        Ok(Data {
            faces: known.followed_by(yale::load(folder, SIDE)?),
            learned: Some(learned),
        })
    }

    /// Names and values, for a reader.
    pub fn describe(&self, data: &Data) -> Vec<(String, String)> {
        let split = data.split(self.seed, 0);
        let faces = match &self.train {
            Some(folder) => folder.display().to_string(),
            None => format!("procedural, {SUBJECTS} subjects"),
        };
        let parts = format!(
            "{} to learn from, {} to measure on",
            split.train.len(),
            split.test.len()
        );
        let measured = match &self.test {
            Some(folder) => format!("{parts}, from {}", folder.display()),
            None => format!("{parts}, drawn anew {} times", self.splits),
        };
        [
            ("network", self.shape().describe()),
            ("parameters", self.shape().layout().len().to_string()),
            ("faces", faces),
            ("of these", measured),
            ("steps", format!("{} for each loss and split", self.steps)),
            ("batch", format!("{} faces", self.batch)),
            (
                "optimiser",
                format!(
                    "Adam, its rate rising to {} over 2 % of the steps, then falling to 0 along a \
                     cosine",
                    self.learning_rate
                ),
            ),
            ("trained by", self.device.describe(self.precision)),
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
    fn full_is_the_papers_network() {
        let full = Representations::default().full();
        let Shape {
            width, bottleneck, ..
        } = full.shape();
        assert_eq!((width, bottleneck), (128, 512));
        let text = toml::to_string(&full).unwrap();
        assert_eq!(toml::from_str::<Representations>(&text).unwrap(), full);
    }

    #[test]
    fn splits_and_weights_differ_from_split_to_split() {
        let experiment = Representations::default();
        let of = |index| experiment.configuration(Loss::Mae, index);
        assert_ne!(of(0).seed, of(1).seed);
        assert_eq!((of(0).steps, of(0).patches.side), (experiment.steps, SIDE));
    }
}
