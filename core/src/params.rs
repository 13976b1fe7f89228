//! Which MS-SSIM: the switches in which the published conventions differ, and their named settings.

use crate::error::Error;
use crate::plane::Size;
use crate::window::WINDOW_LEN;

/// The largest number of scales.
pub const MAX_SCALES: usize = 8;

/// What a window sees beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Nothing: only windows that lie inside the image count, and maps shrink by 10 on each axis.
    ///
    /// The corner pixel then has a thousandth of a thousandth of one window's weight: a network
    /// trained so leaves its border untrained.
    Valid,
    /// The nearest pixel of the image; maps keep the image's size.
    Replicate,
}

/// How a scale is halved: each sample of the next scale is the mean of 2 x 2 samples.
///
/// The rules differ on sides of odd length only.
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
}

/// What becomes of a scale whose mean contrast-structure is negative: its power is not real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negative {
    /// It counts as 0, so that the score is 0. The gradient through that factor is 0; and since
    /// the score is the product, it is 0 through the other factors too unless no other is 0.
    Zero,
    /// `sign(t) |t|^w`: with unit exponents the plain product, differentiable everywhere.
    Signed,
}

/// How the terms of all windows of all scales become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The product of the scales' means, each to the power of its weight.
    Means,
    /// The mean over the finest map of products pixel by pixel, each factor to the power of its
    /// weight: pixel `i` reads scale `j` at `floor(i / 2^j)`, or at the last pixel where halving has
    /// dropped that one. Maps must have the image's size, so not with [`Border::Valid`].
    ///
    /// The other reading of Snell et al. (2017), whose text does not say whether it is the means that
    /// are multiplied.
    PixelProduct,
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
    /// C1 = (k1 data_range)^2; between 1e-4 and 1e4.
    pub k1: f64,
    /// C2 = (k2 data_range)^2; between 1e-4 and 1e4.
    pub k2: f64,
    /// The value of white less that of black: 255 for 8-bit samples. Between 1e-20 and 1e20.
    pub data_range: f64,
    /// What a window sees beyond the image.
    pub border: Border,
    /// How a scale is halved.
    pub halving: Halving,
    /// What becomes of a negative factor.
    pub negative: Negative,
    /// How the terms of all windows become one number.
    pub pooling: Pooling,
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
        k1: 0.01,
        k2: 0.03,
        data_range: 255.0,
        border: Border::Valid,
        halving: Halving::Symmetric,
        negative: Negative::Zero,
        pooling: Pooling::Means,
    };

    /// Snell et al. (2017), the loss of the paper: five scales with unit exponents.
    ///
    /// Its images are as small as 32 pixels, so windows run over the border; the paper does not
    /// say how, and the nearest pixel is what its evaluation tools use. The product of per-scale
    /// means keeps its sign, which unit exponents allow.
    pub const SNELL_2017: Self = Self {
        weights: [1.0; MAX_SCALES],
        border: Border::Replicate,
        negative: Negative::Signed,
        ..Self::WANG_2003
    };

    /// Single-scale SSIM as MATLAB's `ssim` computes it: windows run over the border, the mean is
    /// over the whole map (Wang, Bovik, Sheikh and Simoncelli 2004).
    pub const MATLAB_SSIM: Self = Self {
        scales: 1,
        ..Self::SNELL_2017
    };

    /// The smallest legal side: the coarsest scale must still hold a window ([`Border::Valid`]) or
    /// a pixel ([`Border::Replicate`]).
    ///
    /// For five scales and windows inside the image it is 161 where sides are rounded up
    /// (161, 81, 41, 21, 11) and 176 where they are rounded down.
    pub const fn smallest_side(&self) -> usize {
        let mut side = match self.border {
            Border::Valid => WINDOW_LEN,
            Border::Replicate => 1,
        };
        let mut scale = 1;
        while scale < self.scales {
            side = match self.halving {
                Halving::Symmetric | Halving::Zero => 2 * side - 1,
                Halving::Floor => 2 * side,
            };
            scale += 1;
        }
        side
    }

    /// Checks every parameter, and that an image of `size` is large enough and addressable.
    pub(crate) fn check(&self, size: Size) -> Result<(), Error> {
        let parameter = |name, must| Err(Error::Parameter { name, must });
        if self.scales == 0 || self.scales > MAX_SCALES {
            return parameter("scales", "1 to 8");
        }
        if !self.weights[..self.scales]
            .iter()
            .all(|w| (0.0..=1e3).contains(w))
        {
            return parameter("weights", "0 to 1000");
        }
        if !(self.sigma > 0.0 && self.sigma <= 1e3) {
            return parameter("sigma", "above 0 and at most 1000");
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
        if self.pooling == Pooling::PixelProduct && self.border == Border::Valid {
            return parameter("border", "of same-size windows for products pixel by pixel");
        }
        let smallest = self.smallest_side();
        if size.width < smallest || size.height < smallest {
            return Err(Error::TooSmall { size, smallest });
        }
        // Ten planes of f32 cover everything that scratch is asked for.
        let addressable = size
            .width
            .checked_mul(size.height)
            .and_then(|n| n.checked_mul(40));
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
        ];
        for (expected, params) in bad {
            match params.check(size) {
                Err(Error::Parameter { name, .. }) => assert_eq!(name, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
