//! Switches of the metric in place of the preset's own.

use clap::{Args, ValueEnum};
use msssim_core::{
    Border, Error, Halving, MAX_SCALES, MsSsim, Negative, Params, Pooling, Size, Small, Terms,
    weights,
};

use super::super::Failure;
use super::preset::Preset;

/// What is said in place of the preset's own.
#[derive(Args, Debug)]
#[command(next_help_heading = "In place of the preset's own")]
pub(super) struct Switches {
    /// What windows see beyond the image
    #[arg(long, value_enum, value_name = "RULE")]
    border: Option<BorderRule>,
    /// How the next scale is made
    #[arg(long, value_enum, value_name = "RULE")]
    halving: Option<HalvingRule>,
    /// What becomes of negative terms: zero, zero-map, signed, magnitude, shifted, or a number above
    /// 0 that terms are raised to
    ///
    /// zero: a negative mean counts as 0. zero-map: each negative term of a map does. signed:
    /// sign(t) |t|^w. magnitude: |t|^w. shifted: ((1 + t) / 2)^w, for all terms.
    #[arg(long, value_name = "RULE", value_parser = negative)]
    negative: Option<Negative>,
    /// How scales become one number
    #[arg(long, value_enum, value_name = "RULE")]
    pooling: Option<PoolingRule>,
    /// Exponents of the scales, the finest first; as many scales as numbers
    #[arg(long, value_name = "W,..", value_delimiter = ',')]
    weights: Option<Vec<f64>>,
    /// Standard deviation of the window in pixels
    #[arg(long, value_name = "PIXELS")]
    sigma: Option<f64>,
    /// C1 = (k1 data range)^2
    #[arg(long, value_name = "X")]
    k1: Option<f64>,
    /// C2 = (k2 data range)^2
    #[arg(long, value_name = "X")]
    k2: Option<f64>,
}

/// What windows see beyond the image.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum BorderRule {
    /// Nothing: only windows inside the image count
    Valid,
    /// The nearest pixel
    Replicate,
    /// The image mirrored about its outermost pixels
    Reflect,
}

/// How the next scale is made.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum HalvingRule {
    /// Odd sides are mirrored, and rounded up
    Symmetric,
    /// Odd sides have zeros before them, and are rounded up
    Zero,
    /// Odd sides lose their last row or column
    Floor,
    /// At odd sides the first row and column are repeated
    ReplicateFirst,
    /// The 9/7 wavelets' low-pass filter
    #[value(name = "low-pass-97")]
    LowPass97,
    /// All scales have the image's size
    Keep,
}

/// How scales become one number.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PoolingRule {
    /// The product of the scales' means
    Means,
    /// The mean of products pixel by pixel
    Pixels,
}

/// What becomes of images below the smallest legal side.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SmallRule {
    /// An error that names the smallest side
    Refuse,
    /// As many scales as fit, their exponents scaled to the same sum
    FewerScales,
    /// Windows over the border, which see the nearest pixel there
    Replicate,
    /// Windows over the border, which see the image mirrored there
    Reflect,
}

impl SmallRule {
    /// The rule itself.
    pub(super) fn rule(self) -> Small {
        match self {
            Self::Refuse => Small::Refuse,
            Self::FewerScales => Small::FewerScales,
            Self::Replicate => Small::Extend(Border::Replicate),
            Self::Reflect => Small::Extend(Border::Reflect),
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::FewerScales => "fewer-scales",
            Self::Replicate => "replicate",
            Self::Reflect => "reflect",
        }
    }
}

/// A border rule's name on the command line.
pub(super) fn border_name(border: Border) -> &'static str {
    match border {
        Border::Valid => "valid",
        Border::Replicate => "replicate",
        Border::Reflect => "reflect",
    }
}

/// A halving rule's name on the command line.
pub(super) fn halving_name(halving: Halving) -> &'static str {
    match halving {
        Halving::Symmetric => "symmetric",
        Halving::Zero => "zero",
        Halving::Floor => "floor",
        Halving::ReplicateFirst => "replicate-first",
        Halving::LowPass97 => "low-pass-97",
        Halving::Keep => "keep",
    }
}

/// A pooling's name on the command line.
pub(super) fn pooling_name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Means => "means",
        Pooling::PixelProduct => "pixels",
    }
}

/// A rule for negative terms, or the bound that they are raised to.
fn negative(text: &str) -> Result<Negative, String> {
    match text {
        "zero" => Ok(Negative::Zero),
        "zero-map" => Ok(Negative::ZeroMap),
        "signed" => Ok(Negative::Signed),
        "magnitude" => Ok(Negative::Magnitude),
        "shifted" => Ok(Negative::Shifted),
        _ => match text.parse::<f64>() {
            Ok(bound) if bound > 0.0 && bound <= 1.0 => Ok(Negative::LowerBound(bound)),
            _ => Err(
                "must be zero, zero-map, signed, magnitude, shifted or a number above 0 and at most 1"
                    .into(),
            ),
        },
    }
}

/// A rule for negative terms as it is written on the command line.
pub(super) fn negative_name(negative: Negative) -> String {
    match negative {
        Negative::Zero => "zero".into(),
        Negative::ZeroMap => "zero-map".into(),
        Negative::Signed => "signed".into(),
        Negative::Magnitude => "magnitude".into(),
        Negative::Shifted => "shifted".into(),
        Negative::LowerBound(bound) => bound.to_string(),
    }
}

impl Switches {
    /// The preset with these switches.
    pub(super) fn over(&self, preset: &Preset) -> Result<Params, Failure> {
        let mut params = preset.params;
        if let Some(border) = self.border() {
            params = params.with_border(border);
        }
        params.halving = self.halving().unwrap_or(params.halving);
        params.negative = self.negative.unwrap_or(params.negative);
        params.pooling = self.pooling().unwrap_or(params.pooling);
        params.sigma = self.sigma.unwrap_or(params.sigma);
        params.k1 = self.k1.unwrap_or(params.k1);
        params.k2 = self.k2.unwrap_or(params.k2);
        if let Some(exponents) = &self.weights {
            if exponents.len() > MAX_SCALES {
                return Err(Failure::Message(format!(
                    "--weights has {} numbers, more than the {MAX_SCALES} scales that there can be",
                    exponents.len()
                )));
            }
            if params.terms != Terms::ContrastStructure {
                return Err(Failure::Message(format!(
                    "--weights: {} has exponents for luminance, contrast and structure apart; \
                     choose another preset",
                    preset.name()
                )));
            }
            params.scales = exponents.len();
            params.weights = weights(exponents);
        }
        let side = params.smallest_side();
        let smallest = Size {
            width: side,
            height: side,
        };
        MsSsim::new(smallest, 1, &params).map_err(|error| {
            Failure::Message(match error {
                Error::Parameter {
                    name: name @ ("weights" | "sigma" | "k1" | "k2"),
                    must,
                } => format!("--{name} must be {must}"),
                error => format!("{} {}: {error}", preset.name(), self.words().join(" ")),
            })
        })?;
        Ok(params)
    }

    fn border(&self) -> Option<Border> {
        self.border.map(|rule| match rule {
            BorderRule::Valid => Border::Valid,
            BorderRule::Replicate => Border::Replicate,
            BorderRule::Reflect => Border::Reflect,
        })
    }

    fn halving(&self) -> Option<Halving> {
        self.halving.map(|rule| match rule {
            HalvingRule::Symmetric => Halving::Symmetric,
            HalvingRule::Zero => Halving::Zero,
            HalvingRule::Floor => Halving::Floor,
            HalvingRule::ReplicateFirst => Halving::ReplicateFirst,
            HalvingRule::LowPass97 => Halving::LowPass97,
            HalvingRule::Keep => Halving::Keep,
        })
    }

    fn pooling(&self) -> Option<Pooling> {
        self.pooling.map(|rule| match rule {
            PoolingRule::Means => Pooling::Means,
            PoolingRule::Pixels => Pooling::PixelProduct,
        })
    }

    /// The switches as they are written on the command line.
    pub(super) fn words(&self) -> Vec<String> {
        let numbers = |numbers: &Vec<f64>| {
            let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
            numbers.join(",")
        };
        let said = [
            ("border", self.border().map(|v| border_name(v).to_owned())),
            (
                "halving",
                self.halving().map(|v| halving_name(v).to_owned()),
            ),
            ("negative", self.negative.map(negative_name)),
            (
                "pooling",
                self.pooling().map(|v| pooling_name(v).to_owned()),
            ),
            ("weights", self.weights.as_ref().map(numbers)),
            ("sigma", self.sigma.map(|v| v.to_string())),
            ("k1", self.k1.map(|v| v.to_string())),
            ("k2", self.k2.map(|v| v.to_string())),
        ];
        let said = said.into_iter();
        said.filter_map(|(name, value)| Some(format!("--{name} {}", value?)))
            .collect()
    }
}
