//! `msssim score`: MS-SSIM of image files.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use msssim_cpu::{Error, Params, Plane, Score, Size};
use serde::Serialize;

use super::progress::say;
use super::{Failure, Outcome};
use crate::colour::luma_601;
use crate::device::Choice;
use crate::picture::Picture;
use crate::scorer::{ScoreError, Scorer};

/// Compare images with MS-SSIM
///
/// Prints one line per distorted image. Grey files are compared as they are; colour files by their
/// luma (ITU-R BT.601), or channel by channel with `--channels rgb`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  msssim score original.png compressed.jpg
  msssim score original.png a.png b.png --per-scale
  msssim score original.png a.png --channels rgb --json
  msssim score original.png a.png --device cuda")]
pub(super) struct Arguments {
    /// The image to compare with
    reference: PathBuf,
    /// Images to judge
    #[arg(required = true)]
    distorted: Vec<PathBuf>,
    /// The convention to follow
    #[arg(long, value_enum, default_value_t = Preset::Wang2003)]
    preset: Preset,
    /// What of a colour image is compared
    #[arg(long, value_enum, default_value_t = Channels::Luma)]
    channels: Channels,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Choice::Cpu)]
    device: Choice,
    /// Print the mean of each scale too
    #[arg(long)]
    per_scale: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// A published convention.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Preset {
    /// msssim.m of Wang, Simoncelli and Bovik (2003), and TensorFlow
    #[value(name = "wang-2003")]
    Wang2003,
    /// The loss of Snell et al. (2017): unit exponents, windows over the border
    #[value(name = "snell-2017")]
    Snell2017,
}

impl Preset {
    fn params(self) -> Params {
        match self {
            Self::Wang2003 => Params::WANG_2003,
            Self::Snell2017 => Params::SNELL_2017,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wang2003 => "wang-2003",
            Self::Snell2017 => "snell-2017",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Channels {
    /// Luma of colour images, by ITU-R BT.601
    Luma,
    /// Each of red, green and blue, and the mean of the three
    Rgb,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    reference: &'a Path,
    distorted: &'a Path,
    preset: &'a str,
    ms_ssim: f64,
    scales: Vec<Scale>,
}

#[derive(Serialize)]
struct Scale {
    cs: f64,
    /// The coarsest scale's factor, mean of luminance times cs.
    #[serde(skip_serializing_if = "Option::is_none")]
    ssim: Option<f64>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let reference = Picture::open(&arguments.reference)?;
    let (device, words) = arguments.device.resolve();
    if let Some(words) = words {
        say(&words);
    }
    let scorer =
        Scorer::new(device).map_err(|error| Failure::Message(format!("--device cuda: {error}")))?;
    for path in &arguments.distorted {
        let distorted = Picture::open(path)?;
        let score = compare(&reference, &distorted, &scorer, arguments)
            .map_err(|error| name_both(error, arguments, path))?;
        if arguments.json {
            let scales = score.scales().iter();
            let line = Line {
                reference: &arguments.reference,
                distorted: path,
                preset: arguments.preset.name(),
                ms_ssim: score.value,
                scales: scales
                    .map(|means| Scale {
                        cs: means.cs,
                        ssim: means.ssim,
                    })
                    .collect(),
            };
            let line = serde_json::to_string(&line).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            print(&score, path, arguments, out)?;
        }
    }
    Ok(())
}

/// The score of two pictures of one size, at the finer of their depths.
fn compare(
    reference: &Picture,
    distorted: &Picture,
    scorer: &Scorer,
    arguments: &Arguments,
) -> Result<Score, ScoreError> {
    let data_range = reference.data_range.max(distorted.data_range);
    let grey = reference.is_grey() && distorted.is_grey();
    let planes = |picture: &Picture| -> Vec<Vec<f32>> {
        let picture = picture.clone().with_data_range(data_range);
        match arguments.channels {
            Channels::Luma => vec![luma_601(&picture)],
            // A grey file is a colour file whose channels are equal.
            Channels::Rgb if picture.is_grey() && !grey => vec![picture.planes[0].clone(); 3],
            Channels::Rgb => picture.planes,
        }
    };
    let size = |picture: &Picture| Size {
        width: picture.width,
        height: picture.height,
    };
    let params = Params {
        data_range: f64::from(data_range),
        ..arguments.preset.params()
    };
    let (x, y) = (planes(reference), planes(distorted));
    let (x, y) = (borrow(&x, size(reference))?, borrow(&y, size(distorted))?);
    scorer.score(&params, &x, &y)
}

fn borrow(planes: &[Vec<f32>], size: Size) -> Result<Vec<Plane<'_>>, Error> {
    planes.iter().map(|plane| Plane::new(plane, size)).collect()
}

/// The error of comparing two files, with their names and what to do.
fn name_both(error: ScoreError, arguments: &Arguments, distorted: &Path) -> Failure {
    let (reference, distorted) = (arguments.reference.display(), distorted.display());
    let message = match error {
        ScoreError::Metric(Error::SizeMismatch { expected, actual }) => format!(
            "{distorted}: has {actual} where {reference} has {expected}; scale or crop one of them"
        ),
        ScoreError::Metric(Error::TooSmall { smallest, .. }) => format!(
            "{reference}: {error} for {}; --preset snell-2017 compares images of any size \
             (by its own convention, {smallest} pixels are needed here)",
            arguments.preset.name()
        ),
        error => format!("{reference}, {distorted}: {error}"),
    };
    Failure::Message(message)
}

fn print(
    score: &Score,
    path: &Path,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    write!(out, "{:.6}", score.value)?;
    if arguments.per_scale {
        for means in score.scales() {
            write!(out, "  {:.6}", means.ssim.unwrap_or(means.cs))?;
        }
    }
    if arguments.distorted.len() > 1 {
        write!(out, "  {}", path.display())?;
    }
    writeln!(out)
}
