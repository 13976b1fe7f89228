//! `msssim export`: a trained network for other programs.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome};
use crate::atomic_file;
use crate::checkpoint::Checkpoint;
use crate::onnx;

/// Write a trained network as an ONNX file
///
/// Its input is `image`, its output `output`, images x channels x height x width in 0 to 1; of an
/// autoencoder also `code`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  msssim export --weights runs/reconstruction/ms-ssim.safetensors --onnx autoencoder.onnx")]
pub(super) struct Arguments {
    /// The weights, a safetensors file of SRCNN or an autoencoder
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Where the network goes
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let Arguments {
        weights,
        onnx: path,
        force,
    } = arguments;
    if path.exists() && !force {
        return Err(Failure::Message(format!(
            "{}: exists already; choose another name or replace it with --force",
            path.display()
        )));
    }
    let checkpoint = Checkpoint::load(weights)?;
    let bytes = onnx::model(&checkpoint.architecture, &checkpoint.parameters)?;
    atomic_file::write(path, |file| file.write_all(&bytes)).map_err(|error| {
        Failure::Message(format!("{}: cannot be written: {error}", path.display()))
    })
}
