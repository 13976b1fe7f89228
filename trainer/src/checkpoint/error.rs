//! What can be wrong with a checkpoint, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError};

/// A file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The file cannot be written; an earlier one of that name is untouched.
    #[error("cannot be written ({0}): choose another folder, or make room there")]
    Write(io::Error),
    /// The file is longer than any checkpoint.
    #[error(
        "is longer than any weights file of this program: give a safetensors file of one of its networks"
    )]
    TooLong,
    /// The header claims a length that no header has.
    #[error(
        "claims a header of {bytes} bytes, so it is no weights file of this \
         program: give a safetensors file of one of its networks"
    )]
    Header {
        /// The length claimed.
        bytes: u64,
    },
    /// The file is not safetensors, or a part of it is missing.
    #[error("is not a whole safetensors file ({0}): copy it or make it again")]
    Malformed(#[from] SafeTensorError),
    /// The description of the run cannot be understood.
    #[error("its description cannot be read ({0}): it may come from another version of msssim")]
    Description(#[from] serde_json::Error),
    /// The file is of another network.
    #[error("holds the network {found}: give weights of {wanted}")]
    OtherNetwork {
        /// What it holds.
        found: String,
        /// What it should.
        wanted: &'static str,
    },
    /// The file says two things about its network.
    #[error("holds {held} and a configuration of {configured}: take an earlier checkpoint")]
    Torn {
        /// By its configuration.
        configured: String,
        /// By its weights.
        held: String,
    },
    /// A number of the network is out of its range.
    #[error(
        "is of an autoencoder whose {name} is not {must}: it may come from another version of msssim"
    )]
    Number {
        /// The number.
        name: &'static str,
        /// Its range.
        must: &'static str,
    },
    /// A tensor that the network needs is not there.
    #[error("has no tensor `{0}`: give weights of SRCNN 9-5-5 or a checkpoint of this program")]
    MissingTensor(String),
    /// There is a tensor that the network has no use for.
    #[error(
        "has a tensor `{0}`, which its network has not: give weights of SRCNN 9-5-5 or a \
         checkpoint of this program"
    )]
    UnknownTensor(String),
    /// A tensor is of another shape.
    #[error(
        "`{name}` has the shape {shape:?} where {expected:?} is expected: \
         give weights of SRCNN 9-5-5 with 64 and 32 filters or a checkpoint of this program"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What it should be.
        expected: Vec<usize>,
    },
    /// A tensor holds other numbers than f32.
    #[error("`{name}` holds {dtype:?}: convert it to F32")]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A tensor holds a NaN or an infinity.
    #[error("`{0}` holds NaN or infinity: its training diverged, take an earlier checkpoint")]
    NotFinite(String),
}

impl Problem {
    /// The error that says which file has this problem.
    pub(super) fn of(self, path: &Path) -> CheckpointError {
        CheckpointError {
            path: path.to_owned(),
            problem: self,
        }
    }
}
