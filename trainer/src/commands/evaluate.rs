//! `msssim evaluate sr`: a network against bicubic, by the paper's protocol.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::inference::{Inference, on};
use super::progress::Progress;
use super::run_options::resolved;
use super::{Failure, Outcome};
use crate::checkpoint::{Checkpoint, UNSTATED_FACTOR};
use crate::device::Choice;
use crate::parameters::Parameters;
use crate::quality::Quality;
use crate::report::table::Table;
use crate::super_resolution::{Measured, TestSet, measure_set};

/// Measure a network on test images
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    network: Network,
}

#[derive(Subcommand, Debug)]
enum Network {
    /// Measure super-resolution weights: mean PSNR, SSIM and MS-SSIM of luma
    #[command(after_help = "Example:
  msssim evaluate sr --weights runs/super-resolution/ms-ssim.safetensors --test Set5 --test Set14")]
    Sr {
        /// The weights, a safetensors file
        #[arg(long, value_name = "FILE")]
        weights: PathBuf,
        /// Folders of test images [default: built-in procedural images]
        #[arg(long, value_name = "DIR", num_args = 1..)]
        test: Vec<PathBuf>,
        /// How many times the network enlarges, if the file does not say [default: 4]
        #[arg(long, value_name = "N")]
        scale: Option<usize>,
        /// What runs the network, in single precision
        #[arg(long, value_enum, default_value_t = Choice::Cpu)]
        device: Choice,
        /// Print one JSON object per set, in full precision
        #[arg(long)]
        json: bool,
    },
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line {
    set: String,
    bicubic: Means,
    network: Means,
}

#[derive(Serialize)]
struct Means {
    psnr: f64,
    ssim: f64,
}

impl From<&Quality> for Means {
    fn from(quality: &Quality) -> Self {
        Self {
            psnr: quality.psnr,
            ssim: quality.ssim,
        }
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let Network::Sr {
        weights,
        test,
        scale,
        device,
        json,
    } = &arguments.network;
    let checkpoint = Checkpoint::load_srcnn(weights)?;
    let factor = factor(&checkpoint, *scale, weights)?;
    let inference = Inference::on(resolved(*device))?;
    let sets = test_sets(test);
    let mut table = Table {
        methods: vec!["Bicubic".into(), "network".into()],
        sets: Vec::new(),
    };
    for set in &sets {
        let measured = measure(&inference, &[&checkpoint.parameters], set, factor)?;
        if *json {
            let line = Line {
                set: set.name(),
                bicubic: (&measured.bicubic).into(),
                network: (&measured.networks[0]).into(),
            };
            writeln!(
                out,
                "{}",
                serde_json::to_string(&line).map_err(std::io::Error::from)?
            )?;
        } else {
            table
                .sets
                .push((set.name(), vec![measured.bicubic, measured.networks[0]]));
        }
    }
    if !json {
        write!(out, "{}", table.grid().text())?;
    }
    Ok(())
}

/// The folders, or the built-in images where there are none.
pub(super) fn test_sets(folders: &[PathBuf]) -> Vec<TestSet> {
    match folders {
        [] => vec![TestSet::BuiltIn],
        folders => folders.iter().cloned().map(TestSet::Folder).collect(),
    }
}

/// Measures networks on a set, with a progress bar.
pub(super) fn measure(
    inference: &Inference,
    networks: &[&Parameters],
    set: &TestSet,
    factor: usize,
) -> Result<Measured, Failure> {
    let mut progress = None;
    let on_image = |image: usize, images: usize| {
        let (bar, _) = progress.get_or_insert_with(|| {
            (
                Progress::new(&set.name(), images as u64, 1, "images"),
                images as u64,
            )
        });
        bar.at(image as u64, "");
    };
    let measured =
        on!(inference, backend => measure_set(backend, networks, set, factor, on_image))?;
    if let Some((mut progress, images)) = progress {
        progress.at(images, "");
        progress.finish("measured");
    }
    Ok(measured)
}

/// How many times the weights enlarge: what the file says, else what the user says, else 4.
pub(super) fn factor(
    checkpoint: &Checkpoint,
    scale: Option<usize>,
    weights: &std::path::Path,
) -> Result<usize, Failure> {
    match (checkpoint.factor, scale) {
        (Some(stated), Some(scale)) if stated != scale => Err(Failure::Message(format!(
            "{}: the weights enlarge {stated} times, not {scale}; leave out --scale",
            weights.display()
        ))),
        (_, Some(0 | 1 | 17..)) => Err(Failure::Message("--scale must be 2 to 16".into())),
        (stated, scale) => Ok(stated.or(scale).unwrap_or(UNSTATED_FACTOR)),
    }
}
