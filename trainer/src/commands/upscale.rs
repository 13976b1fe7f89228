//! `msssim upscale`: enlarge an image with a trained network.

use std::path::PathBuf;

use clap::Args;

use super::evaluate::factor;
use super::inference::{Inference, on};
use super::run_options::resolved;
use super::{Failure, Outcome};
use crate::checkpoint::Checkpoint;
use crate::device::Choice;
use crate::picture::{MAX_PIXELS, Picture};
use crate::super_resolution::upscale;

/// Enlarge an image with a trained network
///
/// Luma is made by the network, colour differences by bicubic (all three by the network if it was
/// trained on all three). The result is an 8-bit PNG.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  msssim upscale --weights runs/super-resolution/ms-ssim.safetensors small.png large.png")]
pub(super) struct Arguments {
    /// The weights, a safetensors file
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// How many times the network enlarges, if the file does not say [default: 4]
    #[arg(long, value_name = "N")]
    scale: Option<usize>,
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
    let Arguments {
        weights,
        scale,
        device,
        force,
        input,
        output,
    } = arguments;
    if output.exists() && !force {
        return Err(Failure::Message(format!(
            "{}: exists already; choose another name or replace it with --force",
            output.display()
        )));
    }
    let checkpoint = Checkpoint::load_srcnn(weights)?;
    let factor = factor(&checkpoint, *scale, weights)?;
    let picture = Picture::open(input)?;
    let pixels = (picture.width * picture.height) as u64 * (factor * factor) as u64;
    if pixels > MAX_PIXELS {
        return Err(Failure::Message(format!(
            "{}: {factor} times as large it would have {pixels} pixels, more than {MAX_PIXELS}; \
             enlarge it in parts",
            input.display()
        )));
    }
    let inference = Inference::on(resolved(*device))?;
    let parameters = &checkpoint.parameters;
    let large = on!(&inference, backend => upscale(backend, parameters, &picture, factor))?;
    large.save_png(output)?;
    Ok(())
}
