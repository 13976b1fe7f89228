//! What is printed of each pair: for people, and as JSON.

use std::io::{self, Write};
use std::path::Path;

use msssim_core::{ScaleMeans, Score};
use serde::{Serialize, Serializer};

use super::Arguments;
use super::comparison::Comparison;
use super::pairs::{Group, Pair};

/// A pair.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "lossy")]
    reference: &'a Path,
    #[serde(serialize_with = "lossy")]
    distorted: &'a Path,
    preset: &'a str,
    /// Options that make the scores others than the preset's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    ms_ssim: f64,
    scales: Vec<Scale>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<Channel<'a>>,
}

/// A channel's own score.
#[derive(Serialize)]
struct Channel<'a> {
    name: &'a str,
    ms_ssim: f64,
    scales: Vec<Scale>,
}

/// The means of a scale.
#[derive(Serialize)]
struct Scale {
    #[serde(flatten)]
    apart: Option<Terms>,
    cs: f64,
    /// The coarsest scale's factor, mean of luminance times cs; of the others where all is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ssim: Option<f64>,
}

#[derive(Serialize)]
struct Terms {
    l: f64,
    c: f64,
    s: f64,
}

fn scales(score: &Score) -> Vec<Scale> {
    let of = |means: &ScaleMeans| Scale {
        apart: means.apart.map(|apart| Terms {
            l: apart.luminance,
            c: apart.contrast,
            s: apart.structure,
        }),
        cs: means.cs,
        ssim: means.ssim,
    };
    score.scales().iter().map(of).collect()
}

/// A pair that could not be scored.
#[derive(Serialize)]
struct Failed<'a> {
    #[serde(serialize_with = "lossy")]
    reference: &'a Path,
    #[serde(serialize_with = "lossy")]
    distorted: &'a Path,
    error: &'a str,
}

/// The mean over a folder.
#[derive(Serialize)]
struct Mean<'a> {
    #[serde(serialize_with = "lossy")]
    reference: &'a Path,
    #[serde(serialize_with = "lossy")]
    distorted: &'a Path,
    preset: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    /// How many pairs were scored.
    pairs: usize,
    mean_ms_ssim: f64,
}

/// A path as text, whatever its bytes are.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Prints an object as a line.
pub(super) fn object(object: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string(object).map_err(io::Error::from)?;
    writeln!(out, "{text}")
}

/// Prints a pair as JSON.
pub(super) fn json(
    arguments: &Arguments,
    pair: &Pair,
    comparison: &Comparison,
    out: &mut dyn Write,
) -> io::Result<()> {
    let channels = comparison.channels.iter();
    let line = Line {
        reference: &pair.reference,
        distorted: &pair.distorted,
        preset: arguments.preset.name(),
        options: arguments.deviations(comparison.small),
        ms_ssim: comparison.score.value,
        scales: scales(&comparison.score),
        channels: channels
            .map(|(name, score)| Channel {
                name,
                ms_ssim: score.value,
                scales: scales(score),
            })
            .collect(),
    };
    object(&line, out)
}

/// Prints a pair that could not be scored as JSON.
pub(super) fn failed(pair: &Pair, error: &str, out: &mut dyn Write) -> io::Result<()> {
    let Pair {
        reference,
        distorted,
    } = pair;
    object(
        &Failed {
            reference,
            distorted,
            error,
        },
        out,
    )
}

/// Prints the mean over the pairs of a folder that were scored.
pub(super) fn mean(
    arguments: &Arguments,
    options: Vec<String>,
    group: &Group,
    (pairs, mean): (usize, f64),
    out: &mut dyn Write,
) -> io::Result<()> {
    if !arguments.json {
        return writeln!(
            out,
            "{mean:.6}  mean of {pairs} in {}",
            group.distorted.display()
        );
    }
    let line = Mean {
        reference: &group.reference,
        distorted: &group.distorted,
        preset: arguments.preset.name(),
        options,
        pairs,
        mean_ms_ssim: mean,
    };
    object(&line, out)
}

/// Prints a pair for people, with the file's name if there are several.
pub(super) fn text(
    arguments: &Arguments,
    path: Option<&Path>,
    comparison: &Comparison,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "{:.6}", comparison.score.value)?;
    if let Some(path) = path {
        write!(out, "  {}", path.display())?;
    }
    writeln!(out)?;
    if arguments.per_scale {
        per_scale(comparison, out)?;
    }
    Ok(())
}

/// The terms' means, a scale a line.
fn per_scale(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "  scale      windows  weight         l         c         s        cs      ssim"
    )?;
    let scales = comparison.score.scales().iter();
    let scales = scales
        .zip(&comparison.map_sizes)
        .zip(comparison.params.weights);
    for (i, ((means, size), weight)) in scales.enumerate() {
        let windows = format!("{}x{}", size.width, size.height);
        write!(out, "  {:>5}  {windows:>11}  {weight:>6.4}", i + 1)?;
        let ScaleMeans { cs, ssim, apart } = *means;
        for term in [
            apart.map(|apart| apart.luminance),
            apart.map(|apart| apart.contrast),
            apart.map(|apart| apart.structure),
            Some(cs),
            ssim,
        ] {
            let cell = term.map_or_else(|| "-".into(), |mean| format!("{mean:.6}"));
            write!(out, " {cell:>9}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
