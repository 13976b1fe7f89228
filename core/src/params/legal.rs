//! Which parameters are legal for which images, and the rules for images that are too small.

use super::{
    Border, ChannelPooling, Halving, MAX_RADIUS, MAX_SCALES, Negative, Params, Pooling, Small,
    Terms,
};
use crate::error::Error;
use crate::plane::Size;

impl Params {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::weights;

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
