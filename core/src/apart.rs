//! Contrast and structure apart, for conventions that pool them apart ([`crate::Terms::Apart`]).
//!
//! With sigma_x, sigma_y the two standard deviations and C3 = C2 / 2,
//!
//! ```text
//!      2 sigma_x sigma_y + C2                 sigma_xy + C3
//! c = ---------------------------- ,   s = -------------------
//!      sigma_x^2 + sigma_y^2 + C2            sigma_x sigma_y + C3
//! ```
//!
//! Their product is `cs`. The sums and differences of [`crate::ssim`] give each variance only with the
//! covariance of `s` and `d`, so a fifth moment is filtered, `E[s d]`:
//!
//! ```text
//! K = E[s d] - E[s] E[d] = sigma_x^2 - sigma_y^2
//! sigma_x^2 = (Vs + Vd + 2 K) / 4,  sigma_y^2 = (Vs + Vd - 2 K) / 4,  sigma_xy = (Vs - Vd) / 4
//! ```

use crate::real::Real;
use crate::ssim::{Moments, Term};

/// Numbers with square roots.
pub trait Root: Real + PartialOrd {
    /// The square root; 0 of what is negative by rounding.
    fn root(self) -> Self;

    /// The smaller; NaN stays NaN.
    fn at_most(self, bound: Self) -> Self {
        if self > bound { bound } else { self }
    }

    /// The larger; NaN stays NaN.
    fn at_least(self, bound: Self) -> Self {
        if self < bound { bound } else { self }
    }
}

impl Root for f32 {
    fn root(self) -> Self {
        libm::sqrtf(self.at_least_zero())
    }
}

impl Root for f64 {
    fn root(self) -> Self {
        libm::sqrt(self.at_least_zero())
    }
}

/// A deviation below this counts as this much in the slope of the product of two: 2^-20 of the data range.
const STEEPEST_DEVIATION: f32 = 1.0 / 1_048_576.0;

/// A term with its derivative by the fifth moment too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermApart<T> {
    /// The term and its derivatives by the four moments.
    pub term: Term<T>,
    /// Its derivative by `E[s d]`.
    pub by_sd: T,
}

/// What both terms are made of: the variances of the two images, their covariance, the product of the
/// deviations.
struct Deviations<T> {
    xx: T,
    yy: T,
    xy: T,
    product: T,
}

fn deviations<T: Root>(m: Moments<T>, sd: T) -> Deviations<T> {
    let quarter = T::splat(0.25);
    let vs = (m.ss - m.s * m.s).at_least_zero();
    let vd = (m.dd - m.d * m.d).at_least_zero();
    let k = sd - m.s * m.d;
    let xx = (quarter * (vs + vd + k + k)).at_least_zero();
    let yy = (quarter * (vs + vd - k - k)).at_least_zero();
    Deviations {
        xx,
        yy,
        xy: quarter * (vs - vd),
        product: (xx * yy).root(),
    }
}

/// The derivatives of a term by the moments, from those by `sigma_x^2`, `sigma_y^2` and `sigma_xy`.
fn by_moments<T: Root>(m: Moments<T>, [by_xx, by_yy, by_xy]: [T; 3]) -> (Moments<T>, T) {
    let (quarter, half) = (T::splat(0.25), T::splat(0.5));
    let minus_two = T::splat(-2.0);
    let by_vs = quarter * (by_xx + by_yy + by_xy);
    let by_vd = quarter * (by_xx + by_yy - by_xy);
    let by_k = half * (by_xx - by_yy);
    let by = Moments {
        s: minus_two * m.s * by_vs - by_k * m.d,
        d: minus_two * m.d * by_vd - by_k * m.s,
        ss: by_vs,
        dd: by_vd,
    };
    (by, by_k)
}

/// The derivatives of `sigma_x sigma_y` by the two variances.
fn product_slopes<T: Root>(d: &Deviations<T>) -> [T; 2] {
    let (half, least) = (T::splat(0.5), T::splat(STEEPEST_DEVIATION));
    let [x, y] = [d.xx.root(), d.yy.root()].map(|deviation| deviation.at_least(least));
    // Equal deviations, however small, give exactly a half, and identical images no gradient.
    [half * (y / x), half * (x / y)]
}

/// Contrast, in [0, 1].
pub fn contrast<T: Root>(m: Moments<T>, sd: T, c2: T) -> TermApart<T> {
    let two = T::splat(2.0);
    let d = deviations(m, sd);
    let denominator = d.xx + d.yy + c2;
    // The geometric mean is at most the arithmetic one, also where its root was rounded up.
    let signal = (two * d.product).at_most(d.xx + d.yy) + c2;
    let value = signal / denominator;
    let slopes = product_slopes(&d);
    let by = |slope: T| (two * slope - value) / denominator;
    let (by, by_sd) = by_moments(m, [by(slopes[0]), by(slopes[1]), T::splat(0.0)]);
    TermApart {
        term: Term { value, by },
        by_sd,
    }
}

/// Structure, in [-1, 1].
pub fn structure<T: Root>(m: Moments<T>, sd: T, c2: T) -> TermApart<T> {
    let (zero, one) = (T::splat(0.0), T::splat(1.0));
    let c3 = T::splat(0.5) * c2;
    let d = deviations(m, sd);
    // By Cauchy and Schwarz the covariance is at most the product, also where rounding made it more.
    let product = d.product.at_least(d.xy).at_least(zero - d.xy);
    let denominator = product + c3;
    let value = (d.xy + c3) / denominator;
    let slopes = product_slopes(&d);
    let by = |slope: T| (zero - value * slope) / denominator;
    let by_all = [by(slopes[0]), by(slopes[1]), one / denominator];
    let (by, by_sd) = by_moments(m, by_all);
    TermApart {
        term: Term { value, by },
        by_sd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssim::contrast_structure;

    const M: Moments<f64> = Moments {
        s: -0.22,
        d: -0.16,
        ss: 0.09,
        dd: 0.05,
    };
    const SD: f64 = 0.03;
    const C2: f64 = 9e-4;

    #[test]
    fn the_product_is_contrast_structure() {
        let product = contrast(M, SD, C2).term.value * structure(M, SD, C2).term.value;
        let together = contrast_structure(M, C2).value;
        assert!((product - together).abs() < 1e-14, "{product} {together}");
    }

    #[test]
    fn partials_match_central_differences() {
        let h = 1e-6;
        for term in [contrast::<f64>, structure::<f64>] {
            let slope = |change: &dyn Fn(f64) -> (Moments<f64>, f64)| {
                let at = |step| {
                    let (m, sd) = change(step);
                    term(m, sd, C2).term.value
                };
                (at(h) - at(-h)) / (2.0 * h)
            };
            let TermApart { term: t, by_sd } = term(M, SD, C2);
            let pairs = [
                (t.by.s, slope(&|h| (Moments { s: M.s + h, ..M }, SD))),
                (t.by.d, slope(&|h| (Moments { d: M.d + h, ..M }, SD))),
                (t.by.ss, slope(&|h| (Moments { ss: M.ss + h, ..M }, SD))),
                (t.by.dd, slope(&|h| (Moments { dd: M.dd + h, ..M }, SD))),
                (by_sd, slope(&|h| (M, SD + h))),
            ];
            for (analytic, numeric) in pairs {
                let bound = 1e-6 * (1.0 + numeric.abs());
                assert!((analytic - numeric).abs() < bound, "{analytic} {numeric}");
            }
        }
    }

    #[test]
    fn identical_flat_and_bad_windows() {
        for ss in [0.0f32, 0.1, 0.37, 1.0] {
            let m = Moments {
                s: 0.0,
                d: 0.0,
                ss,
                dd: 0.0,
            };
            assert_eq!(contrast(m, 0.0, 9e-4).term.value, 1.0);
            assert_eq!(structure(m, 0.0, 9e-4).term.value, 1.0);
            let by = structure(m, 0.0, 9e-4).term.by;
            assert!(by.ss.is_finite() && by.dd.is_finite());
        }
        // One image flat, the other not: no root of a negative number, no infinite slope.
        let m = Moments {
            s: 0.0f32,
            d: 0.0,
            ss: 0.1,
            dd: 0.1,
        };
        for sd in [0.1, -0.1, 0.1001, -0.1001] {
            for term in [contrast(m, sd, 9e-4), structure(m, sd, 9e-4)] {
                assert!(term.term.value.abs() <= 1.0 && term.by_sd.is_finite());
            }
        }
        assert!(
            structure(Moments { dd: f32::NAN, ..m }, 0.0, 9e-4)
                .term
                .value
                .is_nan()
        );
    }
}
