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

use crate::params::{Border, Halving, Negative, Params, Pooling};
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

    // Forward, scale by scale: the term of every window.
    let mut scales = vec![(size, x.to_vec(), y.to_vec())];
    let mut terms: Vec<Vec<Term>> = Vec::new();
    for scale in 0..params.scales {
        let (size, x, y) = &scales[scale];
        let last = scale + 1 == params.scales;
        terms.push(windows(x, y, *size, last, params));
        if !last {
            let (half, x) = halve(x, *size, params.halving);
            let (_, y) = halve(y, *size, params.halving);
            scales.push((half, x, y));
        }
    }
    let mean = |terms: &Vec<Term>| {
        terms.iter().map(|term| term.l * term.cs).sum::<f64>() / terms.len() as f64
    };
    let means: Vec<f64> = terms.iter().map(mean).collect();
    let (value, by_term) = match params.pooling {
        Pooling::Means => product_of_means(&means, &terms, params),
        Pooling::PixelProduct => {
            let sizes: Vec<Size> = scales.iter().map(|(size, ..)| *size).collect();
            mean_of_products(&terms, &sizes, params)
        }
    };

    // Backward, from the coarsest scale to the finest.
    let mut gradient: Vec<f64> = Vec::new();
    for scale in (0..params.scales).rev() {
        let (size, x, y) = &scales[scale];
        let own = spread(x, y, *size, &terms[scale], &by_term[scale], params);
        let owed = if gradient.is_empty() {
            vec![0.0; size.area()]
        } else {
            halve_adjoint(&gradient, *size, params.halving)
        };
        gradient = own.iter().zip(owed).map(|(own, owed)| own + owed).collect();
    }
    Reference {
        value,
        means,
        gradient,
    }
}

/// The product of the powers of the means, and its derivative by each term: that power's derivative
/// times all the other powers, and each term's share in its mean.
fn product_of_means(means: &[f64], terms: &[Vec<Term>], params: &Params) -> (f64, Vec<Vec<f64>>) {
    let powers: Vec<(f64, f64)> = means
        .iter()
        .zip(&params.weights)
        .map(|(&t, &w)| power(t, w, params.negative))
        .collect();
    let by_term = |(j, terms): (usize, &Vec<Term>)| {
        let by_mean = others(&powers, j) * powers[j].1;
        vec![by_mean / terms.len() as f64; terms.len()]
    };
    let value = powers.iter().map(|(power, _)| power).product();
    (value, terms.iter().enumerate().map(by_term).collect())
}

/// The mean over the finest pixels of the products of the powers of the terms that each reads, and its
/// derivative by each term.
fn mean_of_products(terms: &[Vec<Term>], sizes: &[Size], params: &Params) -> (f64, Vec<Vec<f64>>) {
    let pixels = sizes[0].area() as f64;
    let mut by_term: Vec<Vec<f64>> = terms.iter().map(|terms| vec![0.0; terms.len()]).collect();
    let mut value = 0.0;
    for i in 0..sizes[0].height {
        for j in 0..sizes[0].width {
            let place = |scale: usize| {
                let Size { width, height } = sizes[scale];
                (i >> scale).min(height - 1) * width + (j >> scale).min(width - 1)
            };
            let powers: Vec<(f64, f64)> = (0..sizes.len())
                .map(|scale| {
                    let Term { l, cs, .. } = terms[scale][place(scale)];
                    power(l * cs, params.weights[scale], params.negative)
                })
                .collect();
            value += powers.iter().map(|(power, _)| power).product::<f64>() / pixels;
            for scale in 0..sizes.len() {
                let by_factor = others(&powers, scale) * powers[scale].1;
                by_term[scale][place(scale)] += by_factor / pixels;
            }
        }
    }
    (value, by_term)
}

/// The product of all powers but the one of scale `j`.
fn others(powers: &[(f64, f64)], j: usize) -> f64 {
    let others = powers.iter().enumerate().filter(|(k, _)| *k != j);
    others.map(|(_, (power, _))| power).product()
}

/// A window's statistics, as far as its gradient needs them.
struct Term {
    mu_x: f64,
    mu_y: f64,
    /// Luminance; 1 where it does not count, on all scales but the coarsest.
    l: f64,
    cs: f64,
    /// Denominators of `l` and `cs`.
    b1: f64,
    b2: f64,
}

/// The pixels of window (i, j) with their weights.
fn pixels<'w>(
    params: &Params,
    size: Size,
    weights: &'w [f64],
    (i, j): (usize, usize),
) -> impl Iterator<Item = (usize, f64)> + 'w {
    let border = params.border;
    weights.iter().enumerate().map(move |(tap, weight)| {
        let (row, column) = match border {
            Border::Valid => (i + tap / 11, j + tap % 11),
            Border::Replicate => (
                (i + tap / 11).saturating_sub(5).min(size.height - 1),
                (j + tap % 11).saturating_sub(5).min(size.width - 1),
            ),
        };
        (row * size.width + column, *weight)
    })
}

/// Rows and columns of windows.
fn grid(size: Size, border: Border) -> (usize, usize) {
    match border {
        Border::Valid => (size.height - 10, size.width - 10),
        Border::Replicate => (size.height, size.width),
    }
}

/// All windows of a scale, row by row.
fn windows(x: &[f64], y: &[f64], size: Size, last: bool, params: &Params) -> Vec<Term> {
    let c1 = square(params.k1 * params.data_range);
    let c2 = square(params.k2 * params.data_range);
    let weights = window(params.sigma);
    let (rows, columns) = grid(size, params.border);
    let mut terms = Vec::new();
    for i in 0..rows {
        for j in 0..columns {
            let pixels = || pixels(params, size, &weights, (i, j));
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
            terms.push(Term {
                mu_x,
                mu_y,
                l,
                cs,
                b1,
                b2,
            });
        }
    }
    terms
}

/// The gradient by `y` of the sum of the terms, each times its weight in `by_term`.
fn spread(
    x: &[f64],
    y: &[f64],
    size: Size,
    terms: &[Term],
    by_term: &[f64],
    params: &Params,
) -> Vec<f64> {
    let weights = window(params.sigma);
    let (_, columns) = grid(size, params.border);
    let mut gradient = vec![0.0; size.area()];
    for (at, (term, by_term)) in terms.iter().zip(by_term).enumerate() {
        let Term {
            mu_x, mu_y, l, cs, ..
        } = *term;
        // dl/dy_p  = w (2 mu_x - 2 mu_y l) / b1
        // dcs/dy_p = w (2 (x_p - mu_x) - 2 cs (y_p - mu_y)) / b2
        let dl = if l == 1.0 {
            // Luminance does not count, or is at its maximum.
            0.0
        } else {
            2.0 * (mu_x - mu_y * l) / term.b1
        };
        for (p, w) in pixels(params, size, &weights, (at / columns, at % columns)) {
            let dcs = 2.0 * ((x[p] - mu_x) - cs * (y[p] - mu_y)) / term.b2;
            gradient[p] += by_term * w * (dl * cs + l * dcs);
        }
    }
    gradient
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
            (
                Params {
                    scales: 3,
                    pooling: Pooling::PixelProduct,
                    halving: Halving::Floor,
                    ..Params::SNELL_2017
                },
                Size {
                    width: 9,
                    height: 13,
                },
            ),
            (
                Params {
                    scales: 3,
                    pooling: Pooling::PixelProduct,
                    weights: [1.5, 2.0, 1.2, 0.0, 0.0, 0.0, 0.0, 0.0],
                    ..Params::SNELL_2017
                },
                Size {
                    width: 10,
                    height: 7,
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
