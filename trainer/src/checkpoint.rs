//! Checkpoints: everything that a training run needs to go on, in one safetensors file; and networks
//! alone, a third as long.
//!
//! Tensors, all F32: the weights under PyTorch's names (`conv1.weight`, `out x in x height x
//! width`), and, where a run can go on, the optimiser's state as `optimizer.first_moment` and the like,
//! one flat tensor each, and `losses`, one number for each step done. The metadata holds one entry,
//! `msssim`, as JSON: the network, what it is for, and the configuration and steps that made it.

mod error;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

pub use error::{CheckpointError, Problem};

use crate::atomic_file;
use crate::autoencoder;
use crate::network::Architecture;
use crate::parameters::{Layout, Parameters};
use crate::training::Configuration;

/// How many times a network enlarges whose file does not say so: the released weights of Dong et
/// al. are for 4.
pub const UNSTATED_FACTOR: usize = 4;

/// The longest file that is read: three times the weights of the paper's autoencoder are 1.0 GB.
pub const MAX_BYTES: u64 = 4 << 30;

/// The longest header: names, shapes and a configuration take a few kilobytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// What descriptions call SRCNN.
const SRCNN: &str = "srcnn-9-5-5";

/// What descriptions call an autoencoder.
const AUTOENCODER: &str = "autoencoder";

/// The metadata's one entry.
const ENTRY: &str = "msssim";

/// The tensor that holds the loss of each step.
const LOSSES: &str = "losses";

/// Weights, and what else is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The network.
    pub architecture: Architecture,
    /// Its weights.
    pub parameters: Parameters,
    /// How many times they enlarge; `None` if the file does not say, see [`UNSTATED_FACTOR`], or it is
    /// not what they do.
    pub factor: Option<usize>,
    /// Where they come from.
    pub provenance: Provenance,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Provenance {
    /// The file does not say.
    Unknown,
    /// A run of which no more is kept than what it did.
    Run {
        /// What the run was asked to do.
        configuration: Configuration,
        /// The steps it had done.
        steps: u64,
    },
    /// A run that can go on from here.
    Resumable(TrainingState),
}

/// Where a training run is.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    /// What the run was asked to do.
    pub configuration: Configuration,
    /// The optimiser's buffers, in the order of [`crate::optimizer::Optimizer::state_names`].
    pub optimizer: Vec<Vec<f32>>,
    /// The loss of each step done; their number is the next step.
    pub losses: Vec<f32>,
}

/// What the metadata says.
#[derive(Serialize, Deserialize)]
struct Description {
    network: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    autoencoder: Option<autoencoder::Shape>,
    factor: Option<usize>,
    configuration: Option<Configuration>,
    step: u64,
}

impl Checkpoint {
    /// The state of the run that these weights are of, if it can go on.
    pub fn state(&self) -> Option<&TrainingState> {
        match &self.provenance {
            Provenance::Resumable(state) => Some(state),
            Provenance::Unknown | Provenance::Run { .. } => None,
        }
    }

    /// The network for use: without the state of its training, but with the configuration and steps that
    /// made it.
    pub fn without_state(self) -> Self {
        let provenance = match self.provenance {
            Provenance::Resumable(state) => Provenance::Run {
                configuration: state.configuration,
                steps: state.losses.len() as u64,
            },
            provenance => provenance,
        };
        Self { provenance, ..self }
    }

    /// Writes the file whole or, on failure, not at all; an earlier one is replaced.
    ///
    /// # Errors
    /// [`Problem::Write`].
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let bytes = self.to_bytes();
        atomic_file::write(path, |file| file.write_all(&bytes))
            .map_err(|error| Problem::Write(error).of(path))
    }

    /// Reads a checkpoint, or a file of bare weights.
    ///
    /// # Errors
    /// A [`Problem`]: all tensors must be there, of the right shape and finite, and no others.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        read(path)
            .and_then(|bytes| Self::from_bytes(&bytes))
            .map_err(|problem| problem.of(path))
    }

    /// Reads a checkpoint or bare weights of SRCNN.
    ///
    /// # Errors
    /// As [`Checkpoint::load`], and [`Problem::OtherNetwork`].
    pub fn load_srcnn(path: &Path) -> Result<Self, CheckpointError> {
        let checkpoint = Self::load(path)?;
        match checkpoint.architecture {
            Architecture::Srcnn { .. } => Ok(checkpoint),
            other => Err(Problem::OtherNetwork {
                found: other.name(),
                wanted: "SRCNN 9-5-5",
            }
            .of(path)),
        }
    }

    /// Reads a checkpoint of an autoencoder, and says which.
    ///
    /// # Errors
    /// As [`Checkpoint::load`], and [`Problem::OtherNetwork`].
    pub fn load_autoencoder(path: &Path) -> Result<(autoencoder::Shape, Self), CheckpointError> {
        let checkpoint = Self::load(path)?;
        match checkpoint.architecture {
            Architecture::Autoencoder(shape) => Ok((shape, checkpoint)),
            other => Err(Problem::OtherNetwork {
                found: other.name(),
                wanted: "an autoencoder",
            }
            .of(path)),
        }
    }

    /// The contents of the file; equal checkpoints give equal bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let state = self.state();
        let (configuration, step) = match &self.provenance {
            Provenance::Unknown => (None, 0),
            Provenance::Run {
                configuration,
                steps,
            } => (Some(*configuration), *steps),
            Provenance::Resumable(state) => (Some(state.configuration), state.losses.len() as u64),
        };
        let description = Description {
            network: match self.architecture {
                Architecture::Srcnn { .. } => SRCNN.into(),
                Architecture::Autoencoder(_) => AUTOENCODER.into(),
            },
            autoencoder: match self.architecture {
                Architecture::Srcnn { .. } => None,
                Architecture::Autoencoder(shape) => Some(shape),
            },
            factor: self.factor,
            configuration,
            step,
        };
        let description =
            serde_json::to_string(&description).expect("plain numbers and names become JSON");

        let mut tensors = Vec::new();
        for tensor in self.parameters.layout().tensors() {
            let values = &self.parameters.values()[tensor.range.clone()];
            tensors.push((tensor.name.clone(), Values::new(&tensor.shape, values)));
        }
        if let Some(state) = state {
            let names = state.configuration.optimizer.state_names();
            for (name, values) in names.iter().zip(&state.optimizer) {
                tensors.push((state_tensor(name), Values::new(&[values.len()], values)));
            }
            let losses = Values::new(&[state.losses.len()], &state.losses);
            tensors.push((LOSSES.into(), losses));
        }
        let metadata = HashMap::from([(ENTRY.to_owned(), description)]);
        safetensors::serialize(tensors, Some(metadata)).expect("tensors have distinct names")
    }

    /// What a file holds.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        let header = bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n));
        if header > MAX_HEADER_BYTES {
            return Err(Problem::Header { bytes: header });
        }
        let file = SafeTensors::deserialize(bytes)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let metadata = metadata.metadata().as_ref();
        let description = match metadata.and_then(|entries| entries.get(ENTRY)) {
            Some(text) => Some(serde_json::from_str::<Description>(text)?),
            None => None,
        };
        let architecture = architecture(&file, description.as_ref())?;
        let layout = architecture.layout();
        let provenance = match &description {
            Some(Description {
                configuration: Some(configuration),
                step,
                ..
            }) => provenance(&file, &architecture, *configuration, *step)?,
            _ => Provenance::Unknown,
        };
        refuse_unknown(&file, &layout, &provenance)?;
        // Memory is asked for only once the file has shown that it fills it.
        for expected in layout.tensors() {
            view(&file, &expected.name, &expected.shape)?;
        }
        let mut parameters = Parameters::zeros(layout.clone());
        for expected in layout.tensors() {
            let values = tensor(&file, &expected.name, &expected.shape)?;
            parameters.values_mut()[expected.range.clone()].copy_from_slice(&values);
        }
        Ok(Self {
            architecture,
            parameters,
            factor: description.and_then(|description| description.factor),
            provenance,
        })
    }
}

/// The whole file, if it is not longer than any of ours.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Problem::Read)?;
    if file.metadata().map_err(Problem::Read)?.len() > MAX_BYTES {
        return Err(Problem::TooLong);
    }
    // What is no plain file may be longer than it says.
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(Problem::Read)? as u64 > MAX_BYTES {
        return Err(Problem::TooLong);
    }
    Ok(bytes)
}

/// The network that a file is of: what it says, else SRCNN.
fn architecture(
    file: &SafeTensors<'_>,
    description: Option<&Description>,
) -> Result<Architecture, Problem> {
    match description {
        Some(Description {
            network,
            autoencoder: Some(shape),
            ..
        }) if network == AUTOENCODER => match shape.fault() {
            None => Ok(Architecture::Autoencoder(*shape)),
            Some((name, must)) => Err(Problem::Number { name, must }),
        },
        Some(Description { network, .. }) if network != SRCNN => Err(Problem::OtherNetwork {
            found: network.clone(),
            wanted: "SRCNN 9-5-5 or an autoencoder",
        }),
        _ => Ok(Architecture::Srcnn {
            channels: channels(file)?,
        }),
    }
}

/// The number of channels that the first layer of SRCNN takes.
fn channels(file: &SafeTensors<'_>) -> Result<usize, Problem> {
    let layout = Architecture::Srcnn { channels: 1 }.layout();
    let first = &layout.tensors()[0];
    let weight = file
        .tensor(&first.name)
        .map_err(|_| Problem::MissingTensor(first.name.clone()))?;
    match weight.shape() {
        [_, channels @ (1 | 3), _, _] => Ok(*channels),
        shape => Err(Problem::Shape {
            name: first.name.clone(),
            shape: shape.to_vec(),
            expected: first.shape.clone(),
        }),
    }
}

/// The run that a file is of, and if there are losses its state, with as many numbers as it must have.
fn provenance(
    file: &SafeTensors<'_>,
    architecture: &Architecture,
    configuration: Configuration,
    steps: u64,
) -> Result<Provenance, Problem> {
    let configured = configuration.architecture();
    if configured != *architecture {
        return Err(Problem::Torn {
            configured: configured.name(),
            held: architecture.name(),
        });
    }
    if file.tensor(LOSSES).is_err() {
        return Ok(Provenance::Run {
            configuration,
            steps,
        });
    }
    let len = architecture.layout().len();
    let optimizer = configuration.optimizer.state_names().iter();
    let optimizer = optimizer.map(|name| tensor(file, &state_tensor(name), &[len]));
    let steps = usize::try_from(steps).unwrap_or(usize::MAX);
    Ok(Provenance::Resumable(TrainingState {
        configuration,
        optimizer: optimizer.collect::<Result<_, _>>()?,
        losses: tensor(file, LOSSES, &[steps])?,
    }))
}

fn state_tensor(name: &str) -> String {
    format!("optimizer.{name}")
}

/// A larger network's file may hold all tensors of ours.
fn refuse_unknown(
    file: &SafeTensors<'_>,
    layout: &Layout,
    provenance: &Provenance,
) -> Result<(), Problem> {
    let mut known: Vec<String> = layout.tensors().iter().map(|t| t.name.clone()).collect();
    if let Provenance::Resumable(state) = provenance {
        let names = state.configuration.optimizer.state_names();
        known.extend(names.iter().map(|name| state_tensor(name)));
        known.push(LOSSES.into());
    }
    let mut names = file.names();
    names.sort_unstable();
    match names
        .into_iter()
        .find(|name| !known.iter().any(|k| k == name))
    {
        Some(name) => Err(Problem::UnknownTensor(name.to_owned())),
        None => Ok(()),
    }
}

/// A tensor whose type and shape have been checked.
fn view<'a>(
    file: &SafeTensors<'a>,
    name: &str,
    expected: &[usize],
) -> Result<TensorView<'a>, Problem> {
    let view = file
        .tensor(name)
        .map_err(|_| Problem::MissingTensor(name.to_owned()))?;
    if view.dtype() != Dtype::F32 {
        return Err(Problem::Type {
            name: name.to_owned(),
            dtype: view.dtype(),
        });
    }
    if view.shape() != expected {
        return Err(Problem::Shape {
            name: name.to_owned(),
            shape: view.shape().to_vec(),
            expected: expected.to_vec(),
        });
    }
    Ok(view)
}

/// The values of a tensor, after everything about it has been checked.
fn tensor(file: &SafeTensors<'_>, name: &str, expected: &[usize]) -> Result<Vec<f32>, Problem> {
    let view = view(file, name, expected)?;
    let (words, _) = view.data().as_chunks();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Problem::NotFinite(name.to_owned()));
    }
    Ok(values)
}

/// Numbers as a tensor; they become bytes one tensor at a time, since a network may take a gigabyte.
struct Values<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
}

impl<'a> Values<'a> {
    fn new(shape: &[usize], values: &'a [f32]) -> Self {
        let shape = shape.to_vec();
        Self { shape, values }
    }
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

#[cfg(test)]
mod tests;
