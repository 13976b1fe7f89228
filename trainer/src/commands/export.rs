//! `msssim export`: a trained network for use, here and in other programs.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome, refuse_existing};
use crate::atomic_file;
use crate::checkpoint::Checkpoint;
use crate::onnx;

/// Write a trained network as an ONNX file, or its weights without the state of their training
///
/// The ONNX file's input is `image`, its output `output`, images x channels x height x width in 0 to 1;
/// of an autoencoder also `code`. The safetensors file is a third as long as a run's, and says in its
/// metadata what made the network; no run can go on from it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  msssim export --weights runs/reconstruction/ms-ssim.safetensors --onnx autoencoder.onnx
  msssim export --weights runs/super-resolution/ms-ssim.safetensors --safetensors srcnn.safetensors")]
pub(super) struct Arguments {
    /// The weights, a safetensors file of SRCNN or an autoencoder
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    #[command(flatten)]
    output: OutputFile,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// Where the network goes, and in which form.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct OutputFile {
    /// Where the network goes as ONNX
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    /// Where the weights alone go
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let Arguments {
        weights,
        output: OutputFile { onnx, safetensors },
        force,
    } = arguments;
    for path in [onnx, safetensors].into_iter().flatten() {
        refuse_existing(path, *force)?;
    }
    let checkpoint = Checkpoint::load(weights)?;
    if let Some(path) = onnx {
        let bytes = onnx::model(&checkpoint.architecture, &checkpoint.parameters)?;
        atomic_file::write(path, |file| file.write_all(&bytes)).map_err(|error| {
            Failure::Message(format!("{}: cannot be written: {error}", path.display()))
        })?;
    }
    if let Some(path) = safetensors {
        checkpoint.without_state().save(path)?;
    }
    Ok(())
}
