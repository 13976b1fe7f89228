//! The SSIM formula at one pixel: local moments in, terms and their partial derivatives out.
//!
//! No windows, no images, no loops: those belong to the backends, and every backend computes these
//! lines.
//!
//! The formula is that of Wang, Bovik, Sheikh and Simoncelli (2004) with C3 = C2 / 2, stated over
//! sums and differences instead of the two images. With samples scaled to [0, 1],
//!
//! ```text
//! s = x + y - 1        d = x - y
//! Vs = E[s^2] - E[s]^2 = sigma_x^2 + sigma_y^2 + 2 sigma_xy
//! Vd = E[d^2] - E[d]^2 = sigma_x^2 + sigma_y^2 - 2 sigma_xy
//!
//!       2 sigma_xy + C2                 Vs - Vd + 2 C2
//! cs = ---------------------------  =  ----------------
//!       sigma_x^2 + sigma_y^2 + C2      Vs + Vd + 2 C2
//!
//!       2 mu_x mu_y + C1                u^2 - d^2 + 2 C1
//! l  = ---------------------------  =  ------------------ ,  u = E[s] + 1,  d = E[d]
//!       mu_x^2 + mu_y^2 + C1            u^2 + d^2 + 2 C1
//! ```
//!
//! That needs four filtered maps instead of five. More important, `d` carries a small difference
//! of two bright images exactly, where `E[x^2] - E[x]^2` loses it to cancellation, and subtracting
//! 1 centres `s`. Identical images give `Vd = 0` and `d = 0`, hence exactly 1.

use core::ops::Mul;

use crate::real::Real;

/// Window-weighted means around one pixel of `s`, `d`, `s^2` and `d^2`.
///
/// Also used for partial derivatives *by* these four numbers, see [`Term::by`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments<T> {
    /// `E[s]`, `s = x + y - 1`
    pub s: T,
    /// `E[d]`, `d = x - y`
    pub d: T,
    /// `E[s^2]`
    pub ss: T,
    /// `E[d^2]`
    pub dd: T,
}

impl<T: Real> Moments<T> {
    /// All 0.
    pub fn zero() -> Self {
        let zero = T::splat(0.0);
        Self {
            s: zero,
            d: zero,
            ss: zero,
            dd: zero,
        }
    }
}

/// A term of SSIM at one pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term<T> {
    /// The term itself.
    pub value: T,
    /// Its partial derivatives by the four moments.
    ///
    /// A caller that reads `value` alone pays for it alone: the optimiser drops the rest.
    pub by: Moments<T>,
}

/// Contrast times structure, `cs = (Vs - Vd + 2 C2) / (Vs + Vd + 2 C2)`, in [-1, 1].
///
/// Rounding can make a variance slightly negative; it counts as zero, which is what keeps `cs`
/// from exceeding 1. With `c = 2 C2` and `D = Vs + Vd + c` it is `1 - 2 Vd / D`, which is exactly 1 where `Vd`
/// is 0 and never below -1, since `Vd / D` rounds to no more than 1; and
/// `dcs/dVs = 2 Vd / D^2`, `dcs/dVd = -2 (Vs + c) / D^2`, all by one division.
#[inline(always)]
pub fn contrast_structure<T: Real>(m: Moments<T>, c2: T) -> Term<T> {
    let (zero, one, two) = (T::splat(0.0), T::splat(1.0), T::splat(2.0));
    let minus_two = T::splat(-2.0);
    let signal = (m.ss - m.s * m.s).at_least_zero() + two * c2;
    let noise = (m.dd - m.d * m.d).at_least_zero();
    let inverse = one / (signal + noise);
    let lost = (noise + noise) * inverse;
    let by_vs = lost * inverse;
    let by_vd = zero - (signal + signal) * inverse * inverse;
    Term {
        value: one - lost,
        by: Moments {
            s: minus_two * m.s * by_vs,
            d: minus_two * m.d * by_vd,
            ss: by_vs,
            dd: by_vd,
        },
    }
}

/// Luminance comparison, `l = (u^2 - d^2 + 2 C1) / (u^2 + d^2 + 2 C1)`, in [-1, 1].
///
/// With `c = 2 C1` and `D = u^2 + d^2 + c`, `dl/du = 4 u d^2 / D^2` and
/// `dl/dd = -4 d (u^2 + c) / D^2`.
#[inline(always)]
pub fn luminance<T: Real>(m: Moments<T>, c1: T) -> Term<T> {
    let (zero, one, two) = (T::splat(0.0), T::splat(1.0), T::splat(2.0));
    let u = m.s + one;
    let signal = u * u + two * c1;
    let noise = m.d * m.d;
    let denominator = signal + noise;
    let scale = T::splat(4.0) / (denominator * denominator);
    Term {
        value: (signal - noise) / denominator,
        by: Moments {
            s: scale * u * noise,
            d: zero - scale * m.d * signal,
            ss: zero,
            dd: zero,
        },
    }
}

/// The product rule, so that `ssim = luminance * contrast_structure`.
impl<T: Real> Mul for Term<T> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, rhs: Self) -> Self {
        let (a, b) = (self.value, rhs.value);
        Self {
            value: a * b,
            by: Moments {
                s: a * rhs.by.s + self.by.s * b,
                d: a * rhs.by.d + self.by.d * b,
                ss: a * rhs.by.ss + self.by.ss * b,
                dd: a * rhs.by.dd + self.by.dd * b,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C1: f64 = 1e-4;
    const C2: f64 = 9e-4;
    const M: Moments<f64> = Moments {
        s: -0.22,
        d: -0.16,
        ss: 0.09,
        dd: 0.05,
    };

    fn ssim<T: Real>(m: Moments<T>) -> Term<T> {
        luminance(m, T::splat(1e-4)) * contrast_structure(m, T::splat(9e-4))
    }

    #[test]
    fn equals_the_textbook_formula() {
        // From E over x and y: x = (s + 1 + d) / 2, y = (s + 1 - d) / 2, with E[s d] = 0.03.
        let sd = 0.03;
        let (mu_x, mu_y) = ((M.s + 1.0 + M.d) / 2.0, (M.s + 1.0 - M.d) / 2.0);
        let (vs, vd) = (M.ss - M.s * M.s, M.dd - M.d * M.d);
        let cov = sd - M.s * M.d;
        let (xx, yy) = ((vs + vd + 2.0 * cov) / 4.0, (vs + vd - 2.0 * cov) / 4.0);
        let xy = (vs - vd) / 4.0;
        let l = (2.0 * mu_x * mu_y + C1) / (mu_x * mu_x + mu_y * mu_y + C1);
        let cs = (2.0 * xy + C2) / (xx + yy + C2);
        assert!((luminance(M, C1).value - l).abs() < 1e-14, "luminance");
        assert!(
            (contrast_structure(M, C2).value - cs).abs() < 1e-14,
            "contrast-structure"
        );
    }

    #[test]
    fn partials_match_central_differences() {
        let h = 1e-6;
        for term in [luminance::<f64>, contrast_structure::<f64>, |m, _| ssim(m)] {
            let slope = |up, down| (term(up, C1).value - term(down, C1).value) / (2.0 * h);
            let by = term(M, C1).by;
            let pairs = [
                (
                    by.s,
                    slope(Moments { s: M.s + h, ..M }, Moments { s: M.s - h, ..M }),
                ),
                (
                    by.d,
                    slope(Moments { d: M.d + h, ..M }, Moments { d: M.d - h, ..M }),
                ),
                (
                    by.ss,
                    slope(Moments { ss: M.ss + h, ..M }, Moments { ss: M.ss - h, ..M }),
                ),
                (
                    by.dd,
                    slope(Moments { dd: M.dd + h, ..M }, Moments { dd: M.dd - h, ..M }),
                ),
            ];
            for (analytic, numeric) in pairs {
                let bound = 1e-7 * (1.0 + numeric.abs());
                assert!(
                    (analytic - numeric).abs() < bound,
                    "{analytic} against {numeric}"
                );
            }
        }
    }

    #[test]
    fn identical_images_score_exactly_one_without_gradient() {
        for s in [-1.0f32, -0.3, 0.1, 1.0] {
            // Even when rounding left the variance of s negative.
            let term = ssim(Moments {
                s,
                d: 0.0,
                ss: s * s - 1e-7,
                dd: 0.0,
            });
            assert_eq!(term.value, 1.0);
            assert_eq!((term.by.s, term.by.d, term.by.ss), (0.0, 0.0, 0.0));
        }
    }

    #[test]
    fn no_term_exceeds_one_and_nan_is_not_hidden() {
        let m = Moments {
            s: 0.5f32,
            d: 0.25,
            ss: 0.25,
            dd: 0.0624,
        };
        assert!(
            contrast_structure(m, 9e-4).value <= 1.0,
            "negative variance of d"
        );
        assert!(
            ssim(Moments { dd: f32::NAN, ..m }).value.is_nan(),
            "NaN variance"
        );
    }
}
