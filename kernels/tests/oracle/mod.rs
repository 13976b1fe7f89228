//! MS-SSIM and its gradient in float64, from the textbook formula, window by window: slow and plain.

use msssim_kernels::{Halving, Metric, Negative};

/// What the oracle computes of a pair of planes.
pub(crate) struct Expected {
    pub(crate) score: f64,
    /// Of cs, and of l cs, scale by scale.
    pub(crate) means: Vec<[f64; 2]>,
    pub(crate) gradient: Vec<f64>,
}

/// Planes `x` and `y` of `h` rows and `w` columns.
pub(crate) fn ms_ssim(x: &[f64], y: &[f64], h: usize, w: usize, metric: &Metric) -> Expected {
    let (mut means, mut gradients, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut x, mut y, mut h, mut w) = (x.to_vec(), y.to_vec(), h, w);
    for j in 0..metric.scales {
        let last = j + 1 == metric.scales;
        let (mean, gradient) = scale(&x, &y, h, w, last, metric);
        means.push(mean);
        gradients.push(gradient);
        sizes.push((h, w));
        x = halve(&x, h, w, metric.halving);
        y = halve(&y, h, w, metric.halving);
        (h, w) = (metric.halving.halved(h), metric.halving.halved(w));
    }
    let power = |j: usize| {
        let t = means[j][usize::from(j + 1 == metric.scales)];
        let e = metric.weights[j];
        if t <= 0.0 && metric.negative == Negative::Zero {
            return (0.0, 0.0);
        }
        (t.signum() * t.abs().powf(e), e * t.abs().powf(e - 1.0))
    };
    let mut gradient: Vec<f64> = Vec::new();
    for j in (0..metric.scales).rev() {
        let (h, w) = sizes[j];
        let by_mean: f64 = (0..metric.scales)
            .map(|k| if k == j { power(k).1 } else { power(k).0 })
            .product();
        let mut sum: Vec<f64> = gradients[j].iter().map(|g| g * by_mean).collect();
        for (i, owed) in gradient.iter().enumerate() {
            let half = metric.halving.halved(w);
            for p in quad(i / half, i % half, h, w, metric.halving)
                .into_iter()
                .flatten()
            {
                sum[p] += owed / 4.0;
            }
        }
        gradient = sum;
    }
    Expected {
        score: (0..metric.scales).map(|j| power(j).0).product(),
        means,
        gradient,
    }
}

/// The means of cs and of l cs, and the gradient by `y` of the one that counts.
fn scale(
    x: &[f64],
    y: &[f64],
    h: usize,
    w: usize,
    last: bool,
    metric: &Metric,
) -> ([f64; 2], Vec<f64>) {
    let range = metric.data_range * metric.data_range;
    let (c1, c2) = (f64::from(metric.c1) * range, f64::from(metric.c2) * range);
    let border = if metric.valid { 5 } else { 0 };
    let mut gradient = vec![0.0; h * w];
    let (mut sums, mut count) = ([0.0; 2], 0.0);
    for i in border..h - border {
        for j in border..w - border {
            let pixels: Vec<(usize, f64)> = (0..121)
                .map(|k| {
                    let row = (i + k / 11).saturating_sub(5).min(h - 1);
                    let column = (j + k % 11).saturating_sub(5).min(w - 1);
                    let tap = |d: usize| f64::from(metric.taps[d.abs_diff(5)]);
                    (row * w + column, tap(k / 11) * tap(k % 11))
                })
                .collect();
            let mean =
                |f: &dyn Fn(usize) -> f64| pixels.iter().map(|&(p, t)| t * f(p)).sum::<f64>();
            let (mx, my) = (mean(&|p| x[p]), mean(&|p| y[p]));
            let xx = mean(&|p| (x[p] - mx).powi(2));
            let yy = mean(&|p| (y[p] - my).powi(2));
            let xy = mean(&|p| (x[p] - mx) * (y[p] - my));
            let (b1, b2) = (mx * mx + my * my + c1, xx + yy + c2);
            let (l, cs) = ((2.0 * mx * my + c1) / b1, (2.0 * xy + c2) / b2);
            sums[0] += cs;
            sums[1] += if last { l * cs } else { 0.0 };
            count += 1.0;
            for (p, t) in pixels {
                let dcs = 2.0 * ((x[p] - mx) - cs * (y[p] - my)) / b2;
                let dl = 2.0 * (mx - l * my) / b1;
                gradient[p] += t * if last { dl * cs + l * dcs } else { dcs };
            }
        }
    }
    gradient.iter_mut().for_each(|g| *g /= count);
    (sums.map(|s| s / count), gradient)
}

/// The pixels that pixel (i, j) of the next scale is the mean of; `None` is a zero.
fn quad(i: usize, j: usize, h: usize, w: usize, halving: Halving) -> [Option<usize>; 4] {
    let pair = |i: usize, side: usize| match halving {
        Halving::Zero if side % 2 == 1 => [(2 * i).checked_sub(1), Some(2 * i)],
        _ => [Some(2 * i), Some((2 * i + 1).min(side - 1))],
    };
    let at = |row: Option<usize>, column: Option<usize>| Some(row? * w + column?);
    let ([a, b], [c, d]) = (pair(i, h), pair(j, w));
    [at(a, c), at(a, d), at(b, c), at(b, d)]
}

fn halve(plane: &[f64], h: usize, w: usize, halving: Halving) -> Vec<f64> {
    let (rows, columns) = (halving.halved(h), halving.halved(w));
    (0..rows * columns)
        .map(|p| {
            let four = quad(p / columns, p % columns, h, w, halving);
            four.into_iter().flatten().map(|p| plane[p]).sum::<f64>() / 4.0
        })
        .collect()
}
