//! Checkpoints: everything that a training run needs to go on, in one safetensors file.
//!
//! Tensors, all F32: the weights under PyTorch's names (`conv1.weight`, `out x in x height x
//! width`), and, unless the file holds weights alone, the optimiser's state as `optimizer.first_moment` and
//! the like, one flat tensor each, and `losses`, one number for each step done. The metadata holds
//! one entry, `msssim`: the network, what it is for, and the configuration as JSON.

mod error;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

pub use error::{CheckpointError, Problem};

use crate::atomic_file;
use crate::parameters::{Layout, Parameters};
use crate::srcnn;
use crate::training::Configuration;

/// How many times a network enlarges whose file does not say so: the released weights of Dong et
/// al. are for 4.
pub const UNSTATED_FACTOR: usize = 4;

/// The longest file that is read: three times the weights of SRCNN, and the losses of
/// [`Configuration::MAX_STEPS`].
pub const MAX_BYTES: u64 = 256 << 20;

/// The longest header: names, shapes and a configuration take a few kilobytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The network that files are of.
const NETWORK: &str = "srcnn-9-5-5";

/// The metadata's one entry.
const ENTRY: &str = "msssim";

/// The tensor that holds the loss of each step.
const LOSSES: &str = "losses";

/// Weights, and what else is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The weights of SRCNN, for images of 1 or 3 channels.
    pub parameters: Parameters,
    /// How many times they enlarge; `None` if the file does not say, see [`UNSTATED_FACTOR`].
    pub factor: Option<usize>,
    /// The state of their training; `None` for weights alone.
    pub training: Option<TrainingState>,
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
    factor: Option<usize>,
    configuration: Option<Configuration>,
    step: u64,
}

impl Checkpoint {
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

    /// The contents of the file; equal checkpoints give equal bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let state = self.training.as_ref();
        let description = Description {
            network: NETWORK.into(),
            factor: self.factor,
            configuration: state.map(|state| state.configuration),
            step: state.map_or(0, |state| state.losses.len() as u64),
        };
        let description =
            serde_json::to_string(&description).expect("plain numbers and names become JSON");

        let mut tensors = Vec::new();
        for tensor in self.parameters.layout().tensors() {
            let values = &self.parameters.values()[tensor.range.clone()];
            tensors.push((
                tensor.name.clone(),
                tensor.shape.clone(),
                to_le_bytes(values),
            ));
        }
        if let Some(state) = state {
            let names = state.configuration.optimizer.state_names();
            for (name, values) in names.iter().zip(&state.optimizer) {
                let shape = vec![values.len()];
                tensors.push((state_tensor(name), shape, to_le_bytes(values)));
            }
            let shape = vec![state.losses.len()];
            tensors.push((LOSSES.into(), shape, to_le_bytes(&state.losses)));
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name, view.expect("a tensor is as long as its shape says"))
        });
        let metadata = HashMap::from([(ENTRY.to_owned(), description)]);
        safetensors::serialize(views, Some(metadata)).expect("tensors have distinct names")
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
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
        if let Some(Description { network, .. }) = &description
            && network != NETWORK
        {
            return Err(Problem::OtherNetwork(network.clone()));
        }

        let layout = srcnn::layout(channels(&file)?);
        let state = match &description {
            Some(Description {
                configuration: Some(configuration),
                step,
                ..
            }) => Some(state(&file, &layout, *configuration, *step)?),
            _ => None,
        };
        refuse_unknown(&file, &layout, state.as_ref())?;
        let mut parameters = Parameters::zeros(layout.clone());
        for expected in layout.tensors() {
            let values = tensor(&file, &expected.name, &expected.shape)?;
            parameters.values_mut()[expected.range.clone()].copy_from_slice(&values);
        }
        Ok(Self {
            parameters,
            factor: description.and_then(|description| description.factor),
            training: state,
        })
    }
}

/// The whole file, if it is not longer than any of ours.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Problem::Read)?;
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(Problem::Read)? as u64 > MAX_BYTES {
        return Err(Problem::TooLong);
    }
    Ok(bytes)
}

/// The number of channels that the first layer takes.
fn channels(file: &SafeTensors<'_>) -> Result<usize, Problem> {
    let layout = srcnn::layout(1);
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

/// The state of training, with as many numbers as it must have.
fn state(
    file: &SafeTensors<'_>,
    layout: &Layout,
    configuration: Configuration,
    step: u64,
) -> Result<TrainingState, Problem> {
    let channels = configuration.patches.channels.count();
    if srcnn::layout(channels) != *layout {
        return Err(Problem::OtherNetwork(format!(
            "{NETWORK} for {channels} channels"
        )));
    }
    let optimizer = configuration.optimizer.state_names().iter();
    let optimizer = optimizer.map(|name| tensor(file, &state_tensor(name), &[layout.len()]));
    let steps = usize::try_from(step).unwrap_or(usize::MAX);
    Ok(TrainingState {
        configuration,
        optimizer: optimizer.collect::<Result<_, _>>()?,
        losses: tensor(file, LOSSES, &[steps])?,
    })
}

fn state_tensor(name: &str) -> String {
    format!("optimizer.{name}")
}

/// A larger network's file may hold all tensors of ours.
fn refuse_unknown(
    file: &SafeTensors<'_>,
    layout: &Layout,
    state: Option<&TrainingState>,
) -> Result<(), Problem> {
    let mut known: Vec<String> = layout.tensors().iter().map(|t| t.name.clone()).collect();
    if let Some(state) = state {
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

/// The values of a tensor, after everything about it has been checked.
fn tensor(file: &SafeTensors<'_>, name: &str, expected: &[usize]) -> Result<Vec<f32>, Problem> {
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
    let (words, _) = view.data().as_chunks();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Problem::NotFinite(name.to_owned()));
    }
    Ok(values)
}

fn to_le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests;
