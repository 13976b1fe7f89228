//! The reconstruction experiment: an autoencoder trained with each loss, in numbers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::autoencoder::{Model, Shape};
use crate::data::stl10::{self, Stl10};
use crate::device::{DeviceName, Precision};
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::patches::{PatchError, Source};
use crate::picture::list_images;
use crate::reconstruction::{built_in, open_crops, open_stl10};
use crate::training::{Configuration, KL_WEIGHT, Task};

/// Bytes of training images in memory at a time: half in use, half being loaded.
const MEMORY: usize = 1 << 30;

/// Learning rates that are tried for each loss.
pub const RATES: [f64; 3] = [3e-4, 1e-3, 3e-3];

/// The rate of the network that all begin with.
pub const START_RATE: f64 = 1e-3;

/// A trial of a rate, and the training of the network that all begin with, take one in so many steps.
pub const TRIAL_SHARE: u64 = 5;

/// Procedural images to train on when no folder is given; crops are cut from them.
const BUILT_IN: u64 = 256;

/// Images that rates are chosen on: procedural ones, or the most that are taken from a folder.
const VALIDATION: usize = 256;

/// Of a folder's images one in so many serves to choose rates and not to train.
const VALIDATION_SHARE: usize = 10;

/// A reconstruction experiment: everything that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconstruction {
    /// Of weights, crops, noise and procedural training images.
    pub seed: u64,
    /// Updates of the weights, for each loss.
    pub steps: u64,
    /// Crops in a batch.
    pub batch: usize,
    /// Which autoencoder.
    pub model: Model,
    /// [`Shape::width`].
    pub width: usize,
    /// [`Shape::bottleneck`].
    pub bottleneck: usize,
    /// Rows and columns of a crop.
    pub side: usize,
    /// What a nat of an image's divergence counts in the loss of [`Model::ElVae`].
    pub kl_weight: f64,
    /// The learning rate of all losses; `None` to choose one of [`RATES`] for each.
    pub learning_rate: Option<f64>,
    /// Folder of training images; `None` for procedural ones.
    pub train: Option<PathBuf>,
    /// Folders of test images; none for procedural ones.
    pub test: Vec<PathBuf>,
    /// What trains.
    pub device: DeviceName,
    /// How it computes layers; the CPU has single precision alone.
    pub precision: Precision,
}

impl Default for Reconstruction {
    /// What takes at most ten minutes on two cores, choosing rates and measuring included: smaller
    /// images and a narrower network than the paper's.
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 2500,
            batch: 32,
            model: Model::Conv,
            width: 24,
            bottleneck: 128,
            side: 32,
            kl_weight: KL_WEIGHT,
            learning_rate: None,
            train: None,
            test: Vec::new(),
            device: DeviceName::Cpu,
            precision: Precision::F32,
        }
    }
}

/// What an experiment is fed with.
#[derive(Debug)]
pub struct Data {
    /// Training images.
    pub source: Source,
    /// Crops to choose rates on, one after another, in 0 to 1.
    pub validation: Vec<f32>,
}

impl Reconstruction {
    /// The same at the paper's size: 96 x 96 pixels, 128 to 512 channels, a code of 512.
    pub fn full(self) -> Self {
        let Shape {
            side,
            width,
            bottleneck,
            ..
        } = Shape::PAPER;
        Self {
            side,
            width,
            bottleneck,
            ..self
        }
    }

    /// The network.
    pub fn shape(&self) -> Shape {
        Shape {
            model: self.model,
            channels: 1,
            side: self.side,
            width: self.width,
            bottleneck: self.bottleneck,
        }
    }

    /// The training run with one of the losses at a learning rate.
    pub fn configuration(&self, loss: Loss, rate: f64, steps: u64) -> Configuration {
        let mut configuration =
            Configuration::autoencoder(self.shape(), self.batch, loss, steps, self.seed);
        if let Task::Autoencoder { kl_weight, .. } = &mut configuration.task {
            *kl_weight = self.kl_weight;
        }
        if let Optimizer::Adam { learning_rate, .. } = &mut configuration.optimizer {
            *learning_rate = rate;
        }
        configuration
    }

    /// The steps of a trial of a rate, and of the network that all begin with.
    pub fn trial_steps(&self) -> u64 {
        self.steps.div_ceil(TRIAL_SHARE)
    }

    /// The images.
    ///
    /// # Errors
    /// [`PatchError`] names the folder or a file in it.
    pub fn data(&self) -> Result<Data, PatchError> {
        let shape = self.configuration(Loss::Mse, 0.0, 1).patches;
        let Some(folder) = &self.train else {
            let side = crate::reconstruction::built_in_side(self.side);
            let source = Source::dead_leaves(BUILT_IN as usize, side, &shape, self.seed);
            // Images of the same series that training does not reach.
            let indices = BUILT_IN..BUILT_IN + VALIDATION as u64;
            let validation = built_in(self.seed, indices, self.side);
            return Ok(Data { source, validation });
        };
        if let Some(file) = stl10::training_file(folder) {
            let held = (Stl10::open(&file)?.len() as usize / VALIDATION_SHARE).min(VALIDATION);
            let validation = open_stl10(&file, Some(held.max(1)), self.side)?;
            let validation = validation.into_iter().flat_map(|(_, crop)| crop).collect();
            let source = Source::stl10(file, held, &shape, self.seed, MEMORY / 2)?;
            return Ok(Data { source, validation });
        }
        let files = list_images(folder)?;
        let (mut kept, mut held) = (Vec::new(), Vec::new());
        for (i, file) in files.into_iter().enumerate() {
            let holds = i % VALIDATION_SHARE == VALIDATION_SHARE - 1;
            if holds { &mut held } else { &mut kept }.push(file);
        }
        held.truncate(VALIDATION);
        if held.is_empty() {
            // Too few to spare one.
            held.clone_from(&kept);
        }
        let source = Source::files(vec![(folder.clone(), kept)], &shape, self.seed, MEMORY / 2)?;
        let validation = open_crops(&held, self.side)?;
        let validation = validation.into_iter().flat_map(|(_, crop)| crop).collect();
        Ok(Data { source, validation })
    }

    /// Names and values, for a reader.
    pub fn describe(&self) -> Vec<(String, String)> {
        let folder = |path: &PathBuf| path.display().to_string();
        let train = self
            .train
            .as_ref()
            .map_or_else(|| format!("crops of {BUILT_IN} procedural images"), folder);
        let test = match &self.test[..] {
            [] => "crops of procedural images, other ones".to_owned(),
            folders => folders.iter().map(folder).collect::<Vec<_>>().join(", "),
        };
        let parameters = self.shape().layout().len();
        let mut lines = vec![
            ("network", self.shape().describe()),
            ("parameters", parameters.to_string()),
            ("trained on", train),
            ("tested on", test),
            ("steps", format!("{} for each loss", self.steps)),
            (
                "batch",
                format!(
                    "{} crops of {1} x {1}, half of them mirrored",
                    self.batch, self.side
                ),
            ),
            (
                "optimiser",
                "Adam, its rate rising over 2 % of the steps, then falling to 0 along a cosine"
                    .into(),
            ),
            ("trained by", self.device.describe(self.precision)),
            ("seed", self.seed.to_string()),
        ];
        if self.model == Model::ElVae {
            let weight = format!("{} for each nat", self.kl_weight);
            lines.insert(1, ("divergence counts", weight));
        }
        let lines = lines.into_iter();
        lines
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::centre;

    #[test]
    fn full_is_the_papers_network() {
        let full = Reconstruction::default().full();
        assert_eq!(full.shape(), Shape::PAPER);
        assert_eq!(full.steps, Reconstruction::default().steps);
    }

    #[test]
    fn a_tenth_of_a_folder_is_held_back() {
        let root = tempfile::tempdir().unwrap();
        for i in 0..20 {
            let path = root.path().join(format!("{i:02}.png"));
            crate::dead_leaves::dead_leaves(1, i, 9, 8)
                .save_png(&path)
                .unwrap();
        }
        let experiment = Reconstruction {
            side: 8,
            train: Some(root.path().to_owned()),
            ..Reconstruction::default()
        };
        let data = experiment.data().unwrap();
        let picture = crate::picture::Picture::open(&root.path().join("19.png")).unwrap();
        assert_eq!(data.validation.len(), 2 * 64);
        assert_eq!(data.validation[64..], centre(&picture, 8).unwrap());
    }
}
