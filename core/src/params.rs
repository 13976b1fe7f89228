//! Which MS-SSIM: the switches in which the published conventions differ, and their named settings.

mod legal;
mod named;

/// The largest number of scales.
pub const MAX_SCALES: usize = 8;

/// The largest number of window taps on either side of the centre.
pub const MAX_RADIUS: usize = 16;

/// What a window sees beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Nothing: only windows that lie inside the image count, and maps shrink by the window's length
    /// less one, 10 by default, on each axis.
    ///
    /// The corner pixel then has a thousandth of a thousandth of one window's weight: a network
    /// trained so leaves its border untrained.
    Valid,
    /// The nearest pixel of the image; maps keep the image's size.
    Replicate,
    /// The image mirrored about its outermost pixels, which are not repeated; maps keep the image's
    /// size (PyTorch's `reflect`).
    Reflect,
}

/// How the next scale is made.
///
/// The first four take the mean of 2 x 2 samples and differ on sides of odd length only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halving {
    /// Rounds up; the last row or column is averaged with its own mirror image
    /// (msssim.m's `imfilter(.., 'symmetric')` and `1:2:end`; TensorFlow).
    Symmetric,
    /// Rounds up; a row or column of zeros is put *before* the first and takes part in the means
    /// (pytorch-msssim's `avg_pool2d(padding = side % 2)`).
    Zero,
    /// Rounds down; the last row or column is dropped.
    Floor,
    /// If either side is odd, the first row and the first column are repeated before themselves; then
    /// rounds down (piq's `F.pad(.., mode = 'replicate')`).
    ReplicateFirst,
    /// A low-pass filter of nine taps, that of the 9/7 wavelets, over mirrored borders, and every second
    /// sample from the first (MeTriX MuX, iqa, libvmaf). Rounds up.
    LowPass97,
    /// Not at all: every scale has the image's size, and [`Params::sigma_growth`] widens the windows.
    Keep,
}

/// What becomes of a negative term, whose power is not real.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Negative {
    /// A negative mean counts as 0, so that the score is 0. The gradient through that factor is 0; and
    /// since the score is the product, it is 0 through the other factors too unless no other is 0.
    Zero,
    /// Each negative term of the map counts as 0, with no gradient, and then the mean is taken.
    ZeroMap,
    /// `sign(t) |t|^w`: with unit exponents the plain product, differentiable everywhere.
    Signed,
    /// `|t|^w`; the derivative at 0 is 0 (iqa and libvmaf, whose structure it concerns).
    Magnitude,
    /// `((1 + t) / 2)^w`, for all terms: never negative, and a score of another scale (torchmetrics'
    /// `normalize = "simple"`).
    Shifted,
    /// `max(t, bound)^w` with a bound above 0 and at most 1; no gradient below it.
    LowerBound(f64),
}

/// How the terms of all windows of all scales become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The product of the scales' means, each to the power of its weight.
    Means,
    /// The mean over the finest map of products pixel by pixel, each factor to the power of its
    /// weight: pixel `i` reads scale `j` at `floor(i / 2^j)`, or at the last pixel where halving has
    /// dropped that one. Maps must have the image's size, so not with [`Border::Valid`], unless all
    /// scales have one size ([`Halving::Keep`]).
    ///
    /// The other reading of Snell et al. (2017), whose text does not say whether it is the means that
    /// are multiplied.
    PixelProduct,
}

/// What is pooled together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Terms {
    /// Contrast times structure at every scale, on the coarsest times luminance, to the power of the
    /// scale's weight.
    ContrastStructure,
    /// Luminance, contrast and structure have means and exponents of their own at every scale:
    /// `prod_j mean(l_j)^alpha_j mean(c_j)^beta_j mean(s_j)^gamma_j` (Wang et al. 2003, equation 7,
    /// where alpha counts on the coarsest scale alone). `beta` is [`Params::weights`].
    ///
    /// Contrast and structure have square roots of variances; below a deviation of 2^-20 data ranges
    /// their slopes stop growing.
    Apart {
        /// Exponents of luminance, the finest scale first; at least 0.
        alpha: [f64; MAX_SCALES],
        /// Exponents of structure.
        gamma: [f64; MAX_SCALES],
    },
}

/// When channels become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelPooling {
    /// Each has a score of its own; the mean of those is the image's.
    Scores,
    /// Means are over all channels, and there is one score (torchmetrics).
    Means,
}

/// What to do with images below [`Params::smallest_side`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// An error that names the smallest side.
    Refuse,
    /// As many scales as fit, at least one; their exponents are scaled to the sum they had together.
    FewerScales,
    /// Windows over the border, by this rule.
    Extend(Border),
}

/// Everything that decides the number, beside the images.
///
/// A plain structure: start from a named constant and change what differs, for instance
/// `Params { data_range: 1.0, ..Params::WANG_2003 }`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// Exponents of the scales, the finest first; those beyond `scales` are ignored. At least 0.
    pub weights: [f64; MAX_SCALES],
    /// Number of scales, 1 to [`MAX_SCALES`].
    pub scales: usize,
    /// Standard deviation of the window in pixels, above 0 and at most 1000.
    pub sigma: f64,
    /// How much larger it is from scale to scale, 1 to 16; 1 where images are halved instead.
    pub sigma_growth: f64,
    /// Taps on either side of the window's centre, 1 to [`MAX_RADIUS`].
    pub radius: usize,
    /// C1 = (k1 data_range)^2; between 1e-4 and 1e4.
    pub k1: f64,
    /// C2 = (k2 data_range)^2; between 1e-4 and 1e4.
    pub k2: f64,
    /// The value of white less that of black: 255 for 8-bit samples. Between 1e-20 and 1e20.
    pub data_range: f64,
    /// What a window sees beyond the image.
    pub border: Border,
    /// The same on the coarsest scale, where that has a rule of its own.
    pub coarsest_border: Option<Border>,
    /// How the next scale is made.
    pub halving: Halving,
    /// What becomes of a negative factor.
    pub negative: Negative,
    /// How the terms of all windows become one number.
    pub pooling: Pooling,
    /// What is pooled together.
    pub terms: Terms,
    /// When channels become one number.
    pub channels: ChannelPooling,
}

impl Params {
    /// These parameters with another border on all scales.
    pub const fn with_border(self, border: Border) -> Self {
        Self {
            border,
            coarsest_border: None,
            ..self
        }
    }

    /// The border rule of a scale.
    pub const fn border_of(&self, scale: usize) -> Border {
        match self.coarsest_border {
            Some(border) if scale + 1 == self.scales => border,
            _ => self.border,
        }
    }
}

/// `values`, followed by zeros.
///
/// # Panics
/// If there are more than [`MAX_SCALES`]; at compile time in a constant.
pub const fn weights(values: &[f64]) -> [f64; MAX_SCALES] {
    let mut all = [0.0; MAX_SCALES];
    let mut i = 0;
    while i < values.len() {
        all[i] = values[i];
        i += 1;
    }
    all
}
