//! The slow statement of the metric: float64, textbook formulas, plain loops. Read this first.
//!
//! It shares no arithmetic with the rest of the crate, on purpose: it works on the two images
//! instead of their sum and difference, sums the 121 taps of each window one by one, and sends each
//! window's gradient to the 121 pixels that it came from. Everything faster is checked against it.
//!
//! Source: Wang, Simoncelli and Bovik (2003), with C3 = C2 / 2 so that contrast and structure are
//! one fraction; the switches are those of [`Params`].

use alloc::vec;
use alloc::vec::Vec;

use crate::params::{Border, Halving, Negative, Params};
use crate::plane::Size;

/// What the reference computes of one pair of planes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// MS-SSIM.
    pub value: f64,
    /// Mean of cs of each scale, the finest first; of l times cs on the last.
    pub means: Vec<f64>,
    /// Derivative of `value` by each sample of the distorted plane, row-major.
    pub gradient: Vec<f64>,
}

/// MS-SSIM of plane `y` against plane `x`, both row-major in units of `params.data_range`.
///
/// # Panics
/// If a plane does not hold `size`, or `size` is smaller than [`Params::smallest_side`].
pub fn ms_ssim(x: &[f64], y: &[f64], size: Size, params: &Params) -> Reference {
    let side = params.smallest_side();
    assert!(
        size.width >= side && size.height >= side,
        "sides below {side}"
    );
    assert!(
        x.len() == size.area() && y.len() == size.area(),
        "planes of another size"
    );

    // Forward, scale by scale: the mean of the terms, and its gradient by that scale's y.
    let mut scales = vec![(size, x.to_vec(), y.to_vec())];
    let mut means = Vec::new();
    let mut gradients = Vec::new();
    for scale in 0..params.scales {
        let (size, x, y) = &scales[scale];
        let last = scale + 1 == params.scales;
        let (mean, gradient) = mean_term(x, y, *size, last, params);
        means.push(mean);
        gradients.push(gradient);
        if !last {
            let (half, x) = halve(x, *size, params.halving);
            let (_, y) = halve(y, *size, params.halving);
            scales.push((half, x, y));
        }
    }

    // The score is the product of the powers of the means; its derivative by one mean is that
    // power's derivative times all the other powers.
    let powers: Vec<(f64, f64)> = means
        .iter()
        .zip(&params.weights)
        .map(|(&t, &w)| power(t, w, params.negative))
        .collect();
    let value = powers.iter().map(|(power, _)| power).product();
    let by_mean = |j: usize| -> f64 {
        (0..powers.len())
            .map(|k| if k == j { powers[k].1 } else { powers[k].0 })
            .product()
    };

    // Backward, from the coarsest scale to the finest.
    let mut gradient: Vec<f64> = Vec::new();
    for scale in (0..params.scales).rev() {
        let (size, ..) = scales[scale];
        let own = gradients[scale].iter().map(|g| g * by_mean(scale));
        let owed = if gradient.is_empty() {
            vec![0.0; size.area()]
        } else {
            halve_adjoint(&gradient, size, params.halving)
        };
        gradient = own.zip(owed).map(|(own, owed)| own + owed).collect();
    }
    Reference {
        value,
        means,
        gradient,
    }
}

/// Mean over all windows of cs (of l times cs with `last`), and its gradient by `y`.
fn mean_term(x: &[f64], y: &[f64], size: Size, last: bool, params: &Params) -> (f64, Vec<f64>) {
    let c1 = square(params.k1 * params.data_range);
    let c2 = square(params.k2 * params.data_range);
    let weights = window(params.sigma);
    let (rows, columns) = match params.border {
        Border::Valid => (size.height - 10, size.width - 10),
        Border::Replicate => (size.height, size.width),
    };
    let count = (rows * columns) as f64;
    let mut sum = 0.0;
    let mut gradient = vec![0.0; size.area()];
    for i in 0..rows {
        for j in 0..columns {
            let pixels = || {
                (0..121).map(|tap| {
                    let (row, column) = match params.border {
                        Border::Valid => (i + tap / 11, j + tap % 11),
                        Border::Replicate => (
                            (i + tap / 11).saturating_sub(5).min(size.height - 1),
                            (j + tap % 11).saturating_sub(5).min(size.width - 1),
                        ),
                    };
                    (row * size.width + column, weights[tap])
                })
            };
            let (mut mu_x, mut mu_y) = (0.0, 0.0);
            for (p, w) in pixels() {
                mu_x += w * x[p];
                mu_y += w * y[p];
            }
            // Centred sums: no cancellation, so that the reference is good to the last digits.
            let (mut sigma_xx, mut sigma_yy, mut sigma_xy) = (0.0, 0.0, 0.0);
            for (p, w) in pixels() {
                sigma_xx += w * (x[p] - mu_x) * (x[p] - mu_x);
                sigma_yy += w * (y[p] - mu_y) * (y[p] - mu_y);
                sigma_xy += w * (x[p] - mu_x) * (y[p] - mu_y);
            }
            let b1 = mu_x * mu_x + mu_y * mu_y + c1;
            let b2 = sigma_xx + sigma_yy + c2;
            let l = if last {
                (2.0 * mu_x * mu_y + c1) / b1
            } else {
                1.0
            };
            let cs = (2.0 * sigma_xy + c2) / b2;
            sum += l * cs;
            // dl/dy_p  = w (2 mu_x - 2 mu_y l) / b1
            // dcs/dy_p = w (2 (x_p - mu_x) - 2 cs (y_p - mu_y)) / b2
            let dl = if last {
                2.0 * (mu_x - mu_y * l) / b1
            } else {
                0.0
            };
            for (p, w) in pixels() {
                let dcs = 2.0 * ((x[p] - mu_x) - cs * (y[p] - mu_y)) / b2;
                gradient[p] += w * (dl * cs + l * dcs) / count;
            }
        }
    }
    (sum / count, gradient)
}

/// The 121 weights of the two-dimensional window, row by row; their sum is 1.
fn window(sigma: f64) -> Vec<f64> {
    let distance = |k: usize| (k as f64 - 5.0) * (k as f64 - 5.0);
    let weight =
        |tap: usize| libm::exp(-(distance(tap / 11) + distance(tap % 11)) / (2.0 * sigma * sigma));
    let sum: f64 = (0..121).map(weight).sum();
    (0..121).map(|tap| weight(tap) / sum).collect()
}

/// `t^w` and its derivative by `t`, by the rule for negative means ([`Negative`]).
fn power(t: f64, w: f64, negative: Negative) -> (f64, f64) {
    // Below 2^-20 the slope of an exponent under 1 stops growing.
    let slope = |t: f64| w * libm::pow(if w < 1.0 { t.max(1.0 / 1_048_576.0) } else { t }, w - 1.0);
    match negative {
        _ if w == 0.0 => (1.0, 0.0),
        Negative::Zero if t <= 0.0 => (0.0, 0.0),
        Negative::Signed if t < 0.0 => (-libm::pow(-t, w), slope(-t)),
        _ => (libm::pow(t, w), slope(t)),
    }
}

/// The four finer samples, `None` for a zero, that coarser sample (i, j) is the mean of.
fn quad(size: Size, halving: Halving, i: usize, j: usize) -> [Option<usize>; 4] {
    let pair = |side: usize, i: usize| match halving {
        Halving::Zero if side % 2 == 1 => [(2 * i).checked_sub(1), Some(2 * i)],
        _ => [Some(2 * i), Some((2 * i + 1).min(side - 1))],
    };
    let ([top, bottom], [left, right]) = (pair(size.height, i), pair(size.width, j));
    let at = |row: Option<usize>, column: Option<usize>| Some(row? * size.width + column?);
    [
        at(top, left),
        at(top, right),
        at(bottom, left),
        at(bottom, right),
    ]
}

fn half_size(size: Size, halving: Halving) -> Size {
    match halving {
        Halving::Floor => Size {
            width: size.width / 2,
            height: size.height / 2,
        },
        _ => Size {
            width: size.width.div_ceil(2),
            height: size.height.div_ceil(2),
        },
    }
}

/// The next scale: means of four samples.
fn halve(plane: &[f64], size: Size, halving: Halving) -> (Size, Vec<f64>) {
    let half = half_size(size, halving);
    let mut out = Vec::new();
    for i in 0..half.height {
        for j in 0..half.width {
            let four = quad(size, halving, i, j);
            out.push(four.iter().flatten().map(|&p| plane[p]).sum::<f64>() / 4.0);
        }
    }
    (half, out)
}

/// What each finer sample owes to the gradient of the next scale.
fn halve_adjoint(gradient: &[f64], size: Size, halving: Halving) -> Vec<f64> {
    let half = half_size(size, halving);
    let mut out = vec![0.0; size.area()];
    for i in 0..half.height {
        for j in 0..half.width {
            for p in quad(size, halving, i, j).into_iter().flatten() {
                out[p] += gradient[i * half.width + j] / 4.0;
            }
        }
    }
    out
}

fn square(v: f64) -> f64 {
    v * v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::noise;

    /// Two planes in [0, 255] that resemble each other.
    fn pair(size: Size) -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = noise(7, size.area())
            .iter()
            .map(|v| 127.5 * (1.0 + f64::from(*v)))
            .collect();
        let y = noise(8, size.area());
        let y = x
            .iter()
            .zip(y)
            .map(|(x, v)| 0.8 * x + 40.0 * f64::from(v) + 30.0)
            .collect();
        (x, y)
    }

    #[test]
    fn gradient_matches_directional_differences() {
        let conventions = [
            (
                Params {
                    scales: 2,
                    ..Params::WANG_2003
                },
                Size {
                    width: 24,
                    height: 23,
                },
            ),
            (
                Params {
                    scales: 2,
                    halving: Halving::Zero,
                    ..Params::WANG_2003
                },
                Size {
                    width: 23,
                    height: 24,
                },
            ),
            (
                Params {
                    scales: 2,
                    halving: Halving::Floor,
                    ..Params::WANG_2003
                },
                Size {
                    width: 25,
                    height: 23,
                },
            ),
            (
                Params {
                    scales: 3,
                    ..Params::SNELL_2017
                },
                Size {
                    width: 9,
                    height: 13,
                },
            ),
        ];
        for (params, size) in conventions {
            let (x, y) = pair(size);
            let direction: Vec<f64> = noise(9, size.area()).into_iter().map(f64::from).collect();
            let at = |step: f64| {
                let y: Vec<f64> = y
                    .iter()
                    .zip(&direction)
                    .map(|(y, v)| y + step * v)
                    .collect();
                ms_ssim(&x, &y, size, &params).value
            };
            let numeric = (at(1e-3) - at(-1e-3)) / 2e-3;
            let gradient = ms_ssim(&x, &y, size, &params).gradient;
            let analytic: f64 = gradient.iter().zip(&direction).map(|(g, v)| g * v).sum();
            assert!(
                (numeric - analytic).abs() < 1e-7 * analytic.abs(),
                "{numeric} {analytic}"
            );
        }
    }

    #[test]
    fn identical_planes_score_one() {
        let size = Size {
            width: 11,
            height: 11,
        };
        let (x, _) = pair(size);
        let result = ms_ssim(
            &x,
            &x,
            size,
            &Params {
                scales: 1,
                ..Params::WANG_2003
            },
        );
        assert!(
            (result.value - 1.0).abs() < 1e-15 && result.gradient.iter().all(|g| g.abs() < 1e-17)
        );
    }
}
