//! `msssim evaluate sr`: networks against bicubic, by the paper's protocol.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::inference::{Inference, on};
use super::networks::{DEFAULT_SCALE, factor, loss};
use super::progress::Progress;
use super::run_options::resolved;
use super::{Failure, Outcome, refuse_existing};
use crate::built_in::BuiltIn;
use crate::checkpoint::Checkpoint;
use crate::device::Choice;
use crate::loss::Loss;
use crate::parameters::Parameters;
use crate::quality::Quality;
use crate::report::side_by_side::{Panel, side_by_side};
use crate::report::table::Table;
use crate::super_resolution::{Measured, Shown, TestSet, measure_set, show};

/// Measure networks on test images
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    network: Network,
}

#[derive(Subcommand, Debug)]
enum Network {
    /// Measure super-resolution networks: mean PSNR, SSIM and MS-SSIM of luma
    ///
    /// Without --weights the built-in networks of --scale, side by side.
    #[command(after_help = "Examples:
  msssim evaluate sr --test Set5 --test Set14
  msssim evaluate sr --weights runs/super-resolution/ms-ssim.safetensors --test Set5
  msssim evaluate sr --loss ms-ssim --picture enlarged.png")]
    Sr(SrArguments),
}

#[derive(Args, Debug)]
struct SrArguments {
    /// The weights, a safetensors file [default: the built-in networks]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Folders of test images [default: built-in procedural images]
    #[arg(long, value_name = "DIR", num_args = 1..)]
    test: Vec<PathBuf>,
    /// How many times to enlarge: 2, 3 or 4; with --weights, if the file does not say [default: 4]
    #[arg(long, value_name = "N")]
    scale: Option<usize>,
    /// Of the built-in networks only the one that was trained with this [default: all of the scale]
    #[arg(long, value_name = "LOSS", value_parser = loss(), conflicts_with = "weights")]
    loss: Option<Loss>,
    /// What runs the networks, in single precision
    #[arg(long, value_enum, default_value_t = Choice::Cpu)]
    device: Choice,
    /// Print one JSON object per set, in full precision
    #[arg(long)]
    json: bool,
    /// Draw an image of the first set, as it was and enlarged by bicubic and each network, as PNG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Replace the file of --picture if it exists
    #[arg(long)]
    force: bool,
}

/// A network to measure.
struct Named {
    /// In the table.
    name: &'static str,
    /// In JSON.
    key: &'static str,
    parameters: Parameters,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line {
    set: String,
    bicubic: Means,
    #[serde(flatten)]
    networks: BTreeMap<&'static str, Means>,
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
    let Network::Sr(arguments) = &arguments.network;
    if let Some(path) = &arguments.picture {
        refuse_existing(path, arguments.force)?;
    }
    let (networks, factor) = networks(arguments)?;
    let inference = Inference::on(resolved(arguments.device))?;
    let parameters: Vec<&Parameters> = networks.iter().map(|network| &network.parameters).collect();
    let names: Vec<&str> = networks.iter().map(|network| network.name).collect();
    let methods = std::iter::once("Bicubic").chain(names.iter().copied());
    let mut table = Table {
        methods: methods.map(str::to_owned).collect(),
        sets: Vec::new(),
    };
    let mut showpiece = None;
    for set in test_sets(&arguments.test) {
        let measured = measure(&inference, &parameters, &set, factor)?;
        if arguments.json {
            let keys = networks.iter().map(|network| network.key);
            let line = Line {
                set: set.name(),
                bicubic: (&measured.bicubic).into(),
                networks: keys
                    .zip(measured.networks.iter().map(Means::from))
                    .collect(),
            };
            let line = serde_json::to_string(&line).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            let qualities = std::iter::once(measured.bicubic).chain(measured.networks);
            table.sets.push((set.name(), qualities.collect()));
        }
        showpiece.get_or_insert((set, measured.showpiece));
    }
    if !arguments.json {
        write!(out, "{}", table.grid().text())?;
    }
    if let (Some(path), Some((set, image))) = (&arguments.picture, &showpiece) {
        let shown = on!(&inference, backend => show(backend, &parameters, set, *image, factor))?;
        write_picture(path, &set.name(), &names, shown)?;
    }
    Ok(())
}

/// The networks that are asked for, and how many times they enlarge.
fn networks(arguments: &SrArguments) -> Result<(Vec<Named>, usize), Failure> {
    match &arguments.weights {
        Some(path) => {
            let checkpoint = Checkpoint::load_srcnn(path)?;
            let factor = factor(&checkpoint, arguments.scale, path)?;
            let network = Named {
                name: "network",
                key: "network",
                parameters: checkpoint.parameters,
            };
            Ok((vec![network], factor))
        }
        None => {
            let factor = arguments.scale.unwrap_or(DEFAULT_SCALE);
            let networks = match arguments.loss {
                Some(loss) => vec![BuiltIn::find(loss, factor)?],
                None => BuiltIn::of_factor(factor)?,
            };
            let networks = networks.into_iter().map(|network| Named {
                name: network.loss.name(),
                key: network.loss.file_name(),
                parameters: network.parameters(),
            });
            Ok((networks.collect(), factor))
        }
    }
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

/// Draws an image of a set: as it was, by bicubic and by each of the networks.
pub(super) fn write_picture(path: &Path, set: &str, names: &[&str], shown: Shown) -> Outcome {
    let mut panels = vec![Panel {
        title: "original".into(),
        caption: set.into(),
        picture: shown.original,
    }];
    let methods = std::iter::once("bicubic").chain(names.iter().copied());
    for (method, (picture, quality)) in methods.zip(shown.restored) {
        let caption = format!("{:.2} dB  {:.4}", quality.psnr, quality.ssim);
        panels.push(Panel {
            title: method.into(),
            caption,
            picture,
        });
    }
    side_by_side(&panels).save_png(path)?;
    Ok(())
}
