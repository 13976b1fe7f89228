//! `msssim upscale`: enlarge an image with a trained network.

use std::path::PathBuf;

use clap::Args;

use super::inference::{Inference, on};
use super::networks::{DEFAULT_SCALE, factor, loss};
use super::run_options::resolved;
use super::{Failure, Outcome, refuse_existing};
use crate::built_in::{BuiltIn, DEFAULT_LOSS};
use crate::checkpoint::Checkpoint;
use crate::device::Choice;
use crate::loss::Loss;
use crate::parameters::Parameters;
use crate::picture::{MAX_PIXELS, Picture};
use crate::super_resolution::upscale;

/// Enlarge an image with a trained network, a built-in one or your own
///
/// Luma is made by the network, colour differences by bicubic (all three by the network if it was
/// trained on all three). The result is an 8-bit PNG.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  msssim upscale small.png large.png
  msssim upscale small.png large.png --scale 2
  msssim upscale small.png large.png --weights runs/super-resolution/ms-ssim.safetensors")]
pub(super) struct Arguments {
    /// The weights, a safetensors file [default: a built-in network]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How many times to enlarge: 2, 3 or 4; with --weights, if the file does not say [default: 4]
    #[arg(long, value_name = "N")]
    scale: Option<usize>,
    /// What the built-in network was trained with; mse and mae at --scale 4 alone [default: ms-ssim]
    #[arg(long, value_name = "LOSS", value_parser = loss(), conflicts_with = "weights")]
    loss: Option<Loss>,
    /// What runs the network, in single precision
    #[arg(long, value_enum, default_value_t = Choice::Cpu)]
    device: Choice,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
    /// The image to enlarge
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where the result goes
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let Arguments { input, output, .. } = arguments;
    refuse_existing(output, arguments.force)?;
    let (parameters, factor) = network(arguments)?;
    let picture = Picture::open(input)?;
    let pixels = (picture.width * picture.height) as u64 * (factor * factor) as u64;
    if pixels > MAX_PIXELS {
        return Err(Failure::Message(format!(
            "{}: {factor} times as large it would have {pixels} pixels, more than {MAX_PIXELS}; \
             enlarge it in parts",
            input.display()
        )));
    }
    let inference = Inference::on(resolved(arguments.device))?;
    let large = on!(&inference, backend => upscale(backend, &parameters, &picture, factor))?;
    large.save_png(output)?;
    Ok(())
}

/// The network that is asked for, and how many times it enlarges.
fn network(arguments: &Arguments) -> Result<(Parameters, usize), Failure> {
    match &arguments.weights {
        Some(path) => {
            let checkpoint = Checkpoint::load_srcnn(path)?;
            let factor = factor(&checkpoint, arguments.scale, path)?;
            Ok((checkpoint.parameters, factor))
        }
        None => {
            let loss = arguments.loss.unwrap_or(DEFAULT_LOSS);
            let network = BuiltIn::find(loss, arguments.scale.unwrap_or(DEFAULT_SCALE))?;
            Ok((network.parameters(), network.factor))
        }
    }
}
