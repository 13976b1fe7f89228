//! The score from the means of the scales, and its derivative by each of them.

use crate::params::{MAX_SCALES, Negative};

/// Below this mean the derivative of a power with exponent under 1 stops growing.
///
/// `w t^(w - 1)` has no bound at 0 for the published exponents; taking it at `max(t, 2^-20)` keeps
/// the gradient finite and leaves every mean above a millionth alone. The value is not touched.
pub const STEEPEST_MEAN: f64 = 1.0 / 1_048_576.0;

/// The score `prod_j t_j^w_j`, and the derivative of it by each mean `t_j`.
///
/// `means[j]` is scale j's mean of cs, on the last of them of l times cs. The derivative is made
/// from products of the factors on either side, so that a factor of 0 is not divided by. A NaN
/// mean makes everything NaN.
pub fn combine(means: &[f64], weights: &[f64], negative: Negative) -> (f64, [f64; MAX_SCALES]) {
    let mut derivatives = [0.0; MAX_SCALES];
    let powers = means.iter().zip(weights);
    let value = product_of_powers(powers.map(|(&t, &w)| (t, w)), negative, &mut derivatives);
    (value, derivatives)
}

/// The product of the powers of means, each with its exponent, and its derivative by each mean.
pub(crate) fn product_of_powers(
    powers: impl DoubleEndedIterator<Item = (f64, f64)> + Clone,
    negative: Negative,
    derivatives: &mut [f64],
) -> f64 {
    let count = powers.clone().count();
    let mut before = 1.0;
    for (derivative, (mean, weight)) in derivatives.iter_mut().zip(powers.clone()) {
        let (value, slope) = power(mean, weight, negative);
        *derivative = before * slope;
        before *= value;
    }
    let mut after = 1.0;
    let last_first = derivatives.iter_mut().take(count).rev();
    for (derivative, (mean, weight)) in last_first.zip(powers.rev()) {
        *derivative *= after;
        after *= power(mean, weight, negative).0;
    }
    before
}

/// `t^w` and its derivative, by the rule for negative means.
pub(crate) fn power(mean: f64, weight: f64, negative: Negative) -> (f64, f64) {
    if weight == 0.0 && !mean.is_nan() {
        return (1.0, 0.0);
    }
    // What the power is taken of, its derivative by the mean, and the sign of the power.
    let (size, by_mean, sign) = match negative {
        Negative::Zero | Negative::ZeroMap if mean <= 0.0 => return (0.0, 0.0),
        Negative::Zero | Negative::ZeroMap => (mean, 1.0, 1.0),
        Negative::Signed if mean < 0.0 => (-mean, -1.0, -1.0),
        Negative::Magnitude if mean == 0.0 => (mean, 0.0, 1.0),
        Negative::Magnitude if mean < 0.0 => (-mean, -1.0, 1.0),
        Negative::Signed | Negative::Magnitude => (mean, 1.0, 1.0),
        // No mean is below -1 but by rounding.
        Negative::Shifted => ((0.5 * (1.0 + mean)).max(0.0), 0.5, 1.0),
        Negative::LowerBound(bound) if mean < bound => (bound, 0.0, 1.0),
        Negative::LowerBound(_) => (mean, 1.0, 1.0),
    };
    let value = if weight == 1.0 {
        size
    } else {
        libm::pow(size, weight)
    };
    let slope = if weight == 1.0 {
        1.0
    } else if weight < 1.0 {
        weight * libm::pow(size.max(STEEPEST_MEAN), weight - 1.0)
    } else {
        weight * libm::pow(size, weight - 1.0)
    };
    if mean.is_nan() {
        // NaN.max(x) is x: a NaN mean must not become a finite number.
        return (mean, mean);
    }
    (sign * value, sign * by_mean * slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANG: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

    #[test]
    fn by_hand() {
        let (score, derivatives) = combine(&[0.5, -0.25], &[1.0, 1.0], Negative::Signed);
        assert_eq!(
            (score, derivatives[0], derivatives[1]),
            (-0.125, -0.25, 0.5)
        );
        let (score, derivatives) = combine(&[0.5, -0.25], &[1.0, 1.0], Negative::Zero);
        assert_eq!((score, derivatives[0], derivatives[1]), (0.0, 0.0, 0.0));
        let (score, derivatives) = combine(&[0.25], &[0.5], Negative::Zero);
        assert_eq!((score, derivatives[0]), (0.5, 1.0));
        assert_eq!(combine(&[1.0; 5], &WANG, Negative::Zero).0, 1.0);
    }

    #[test]
    fn rules_for_negative_means_by_hand() {
        // 0.25^0.5 = 0.5, with slope 0.5 / 0.5 = 1.
        for (negative, mean, expected) in [
            (Negative::Zero, -0.25, (0.0, 0.0)),
            (Negative::ZeroMap, -0.25, (0.0, 0.0)),
            (Negative::Signed, -0.25, (-0.5, 1.0)),
            (Negative::Magnitude, -0.25, (0.5, -1.0)),
            (Negative::Magnitude, 0.25, (0.5, 1.0)),
            (Negative::Shifted, -0.5, (0.5, 0.5)),
            (Negative::LowerBound(0.25), -0.5, (0.5, 0.0)),
            (Negative::LowerBound(0.25), 0.25, (0.5, 1.0)),
        ] {
            assert_eq!(power(mean, 0.5, negative), expected, "{negative:?} {mean}");
        }
    }

    #[test]
    fn derivatives_match_central_differences() {
        let means = [0.9, 0.8, -0.7, 0.95, 0.6];
        let weights = [WANG, [1.0; 5], [2.5, 0.0, 1.0, 0.5, 3.0]];
        let rules = [Negative::Signed, Negative::Magnitude, Negative::Shifted];
        for (weights, negative) in weights
            .into_iter()
            .flat_map(|weights| rules.map(|rule| (weights, rule)))
        {
            let (_, derivatives) = combine(&means, &weights, negative);
            for j in 0..5 {
                let at = |delta| {
                    let mut means = means;
                    means[j] += delta;
                    combine(&means, &weights, negative).0
                };
                let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((derivatives[j] - numeric).abs() < 1e-8, "{weights:?} {j}");
            }
        }
    }

    #[test]
    fn a_zero_factor_passes_its_own_gradient_only() {
        let (score, derivatives) = combine(&[0.0, 0.5], &[1.0, 1.0], Negative::Signed);
        assert_eq!((score, derivatives[0], derivatives[1]), (0.0, 0.5, 0.0));
    }

    #[test]
    fn tiny_means_have_finite_slopes_and_nan_stays() {
        for negative in [
            Negative::Zero,
            Negative::ZeroMap,
            Negative::Signed,
            Negative::Magnitude,
            Negative::Shifted,
            Negative::LowerBound(0.1),
        ] {
            for mean in [0.0, 1e-300, -1e-300, 1e-9, -1.0] {
                let (score, derivatives) = combine(&[mean, 0.5], &WANG[..2], negative);
                assert!(score.is_finite(), "{mean}");
                assert!(
                    derivatives.iter().all(|d| d.abs() < 1e6),
                    "{mean}: {derivatives:?}"
                );
            }
            let (score, derivatives) = combine(&[f64::NAN, 0.5], &WANG[..2], negative);
            assert!(score.is_nan() && derivatives[0].is_nan() && derivatives[1].is_nan());
        }
    }
}
