//! The slow statement of the metric: float64, textbook formulas, plain loops. Read this first.
//!
//! It shares no arithmetic with the rest of the crate, on purpose: it works on the two images
//! instead of their sum and difference, sums the taps of each window one by one in two dimensions, and sends
//! each window's gradient to the pixels that it came from. Everything faster is checked against it.
//!
//! Source: Wang, Simoncelli and Bovik (2003), with C3 = C2 / 2; the switches are those of [`Params`].

mod halving;

use alloc::vec;
use alloc::vec::Vec;

use crate::params::{Border, ChannelPooling, Halving, Negative, Params, Pooling, Terms};
use crate::plane::Size;

/// What the reference computes of one pair of planes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// MS-SSIM of this channel, or of all of them together.
    pub value: f64,
    /// Mean of cs of each scale, the finest first; of l times cs on the last, unless terms are apart.
    pub means: Vec<f64>,
    /// Means of l, c and s of each scale.
    pub apart: Vec<[f64; 3]>,
    /// Derivative of `value` by each sample of the distorted plane, row-major.
    pub gradient: Vec<f64>,
}

/// MS-SSIM of plane `y` against plane `x`, both row-major in units of `params.data_range`.
///
/// # Panics
/// If a plane does not hold `size`, or `size` is smaller than [`Params::smallest_side`].
pub fn ms_ssim(x: &[f64], y: &[f64], size: Size, params: &Params) -> Reference {
    ms_ssim_of_channels(&[x.to_vec()], &[y.to_vec()], None, size, params).remove(0)
}

/// MS-SSIM of all channels of an image, weighted by a mask, of which 1 is the largest, if there is one.
///
/// # Panics
/// As [`ms_ssim`].
pub fn ms_ssim_of_channels(
    x: &[Vec<f64>],
    y: &[Vec<f64>],
    mask: Option<&[f64]>,
    size: Size,
    params: &Params,
) -> Vec<Reference> {
    let side = params.smallest_side();
    assert!(
        size.width >= side && size.height >= side,
        "sides below {side}"
    );
    let all = || {
        x.iter()
            .chain(y)
            .map(Vec::len)
            .chain(mask.map(<[f64]>::len))
    };
    assert!(
        all().all(|len| len == size.area()),
        "planes of another size"
    );
    let channels: Vec<Vec<Scale>> = x
        .iter()
        .zip(y)
        .map(|(x, y)| scales(x, y, mask, size, params))
        .collect();
    match params.channels {
        ChannelPooling::Means => score(&channels, params),
        ChannelPooling::Scores => channels
            .chunks(1)
            .flat_map(|one| score(one, params))
            .collect(),
    }
}

/// One scale of one channel.
struct Scale {
    size: Size,
    x: Vec<f64>,
    y: Vec<f64>,
    mask: Vec<f64>,
    /// Rows and columns of windows.
    grid: (usize, usize),
    terms: Vec<Term>,
}

/// A window's statistics.
struct Term {
    /// How much of the window is inside the mask.
    weight: f64,
    mu_x: f64,
    mu_y: f64,
    sigma_x: f64,
    sigma_y: f64,
    /// Luminance, contrast, structure, contrast times structure.
    l: f64,
    c: f64,
    s: f64,
    cs: f64,
    /// Denominators of `l` and `cs`, and of `s`.
    b1: f64,
    b2: f64,
    b3: f64,
}

/// Which products of terms have means on a scale.
#[derive(Clone, Copy, PartialEq)]
enum Product {
    Cs,
    Lcs,
    L,
    C,
    S,
}

impl Product {
    fn of(self, term: &Term) -> f64 {
        match self {
            Product::Cs => term.cs,
            Product::Lcs => term.l * term.cs,
            Product::L => term.l,
            Product::C => term.c,
            Product::S => term.s,
        }
    }
}

/// The products of each scale with their exponents.
fn products(params: &Params) -> Vec<Vec<(Product, f64)>> {
    let of_scale = |scale: usize| match &params.terms {
        Terms::Apart { alpha, gamma } => vec![
            (Product::L, alpha[scale]),
            (Product::C, params.weights[scale]),
            (Product::S, gamma[scale]),
        ],
        Terms::ContrastStructure if scale + 1 == params.scales => {
            vec![(Product::Lcs, params.weights[scale])]
        }
        Terms::ContrastStructure => vec![(Product::Cs, params.weights[scale])],
    };
    (0..params.scales).map(of_scale).collect()
}

/// All scales of a channel with their terms.
fn scales(x: &[f64], y: &[f64], mask: Option<&[f64]>, size: Size, params: &Params) -> Vec<Scale> {
    let mask = mask.map_or(vec![1.0; size.area()], <[f64]>::to_vec);
    let (mut size, mut x, mut y, mut mask) = (size, x.to_vec(), y.to_vec(), mask);
    let mut scales = Vec::new();
    for scale in 0..params.scales {
        let mut next = Scale {
            size,
            x,
            y,
            mask,
            grid: (0, 0),
            terms: Vec::new(),
        };
        next.windows(scale, params);
        (size, x, y, mask) = next.halve(params.halving);
        scales.push(next);
    }
    scales
}

/// The score of channels pooled together, and each one's gradient.
fn score(channels: &[Vec<Scale>], params: &Params) -> Vec<Reference> {
    let mean = |scale: usize, product: Product| {
        let terms = || channels.iter().flat_map(|channel| &channel[scale].terms);
        let weight: f64 = terms().map(|term| term.weight).sum();
        let value = |term: &Term| clamped(product.of(term), params.negative);
        let sum: f64 = terms().map(|term| term.weight * value(term)).sum();
        // A mask without a window leaves nothing to differ.
        if weight > 0.0 {
            (sum / weight, weight)
        } else {
            (1.0, 1.0)
        }
    };
    let products = products(params);
    let listed: Vec<(usize, Product, f64)> = products
        .iter()
        .enumerate()
        .flat_map(|(scale, of)| of.iter().map(move |(product, w)| (scale, *product, *w)))
        .collect();
    // For each channel, scale and window the derivative of the value by each product there.
    let mut by_term: Vec<Vec<Vec<Vec<f64>>>> = channels
        .iter()
        .map(|scales| {
            let zeros =
                |(scale, of): (&Scale, &Vec<_>)| vec![vec![0.0; of.len()]; scale.terms.len()];
            scales.iter().zip(&products).map(zeros).collect()
        })
        .collect();
    let value = match params.pooling {
        Pooling::Means => {
            let powers: Vec<(f64, f64)> = listed
                .iter()
                .map(|&(scale, product, w)| power(mean(scale, product).0, w, params.negative))
                .collect();
            for (at, &(scale, product, _)) in listed.iter().enumerate() {
                let by_mean = others(&powers, at) * powers[at].1;
                let (_, weight) = mean(scale, product);
                let which = listed[..at].iter().filter(|other| other.0 == scale).count();
                for (channel, by_term) in channels.iter().zip(&mut by_term) {
                    for (term, by) in channel[scale].terms.iter().zip(&mut by_term[scale]) {
                        let counts = clamped(product.of(term), params.negative) == product.of(term);
                        by[which] = if counts {
                            by_mean * term.weight / weight
                        } else {
                            0.0
                        };
                    }
                }
            }
            powers.iter().map(|(power, _)| power).product()
        }
        Pooling::PixelProduct => mean_of_products(&channels[0], &listed, params, &mut by_term[0]),
    };

    let of_channel = |(channel, by_term): (&Vec<Scale>, &Vec<Vec<Vec<f64>>>)| {
        // Backward, from the coarsest scale to the finest.
        let mut gradient: Vec<f64> = Vec::new();
        for scale in (0..params.scales).rev() {
            let own = channel[scale].spread(scale, &products[scale], &by_term[scale], params);
            let owed = match channel.get(scale + 1) {
                Some(coarser) => channel[scale].halve_adjoint(&gradient, coarser, params.halving),
                None => vec![0.0; own.len()],
            };
            gradient = own.iter().zip(owed).map(|(own, owed)| own + owed).collect();
        }
        Reference {
            value,
            means: (0..params.scales)
                .map(|scale| {
                    let together = params.terms == Terms::ContrastStructure;
                    let last = together && scale + 1 == params.scales;
                    mean(scale, if last { Product::Lcs } else { Product::Cs }).0
                })
                .collect(),
            apart: (0..params.scales)
                .map(|scale| {
                    [Product::L, Product::C, Product::S].map(|product| mean(scale, product).0)
                })
                .collect(),
            gradient,
        }
    };
    channels.iter().zip(&by_term).map(of_channel).collect()
}

/// The mean over the finest windows of the products of the powers of the terms that each reads, and its
/// derivative by each term.
fn mean_of_products(
    scales: &[Scale],
    listed: &[(usize, Product, f64)],
    params: &Params,
    by_term: &mut [Vec<Vec<f64>>],
) -> f64 {
    let (rows, columns) = scales[0].grid;
    let windows = (rows * columns) as f64;
    let mut value = 0.0;
    for i in 0..rows {
        for j in 0..columns {
            let place = |scale: usize| {
                let (rows, columns) = scales[scale].grid;
                let halvings = if params.halving == Halving::Keep {
                    0
                } else {
                    scale
                };
                (i >> halvings).min(rows - 1) * columns + (j >> halvings).min(columns - 1)
            };
            let powers: Vec<(f64, f64)> = listed
                .iter()
                .map(|&(scale, product, w)| {
                    let term = product.of(&scales[scale].terms[place(scale)]);
                    power(term, w, params.negative)
                })
                .collect();
            value += powers.iter().map(|(power, _)| power).product::<f64>() / windows;
            for at in 0..listed.len() {
                by_term[at][place(at)][0] += others(&powers, at) * powers[at].1 / windows;
            }
        }
    }
    value
}

/// The product of all powers but number `j`.
fn others(powers: &[(f64, f64)], j: usize) -> f64 {
    let others = powers.iter().enumerate().filter(|(k, _)| *k != j);
    others.map(|(_, (power, _))| power).product()
}

/// A term as it enters its mean.
fn clamped(term: f64, negative: Negative) -> f64 {
    match negative {
        Negative::ZeroMap => term.max(0.0),
        _ => term,
    }
}

/// `t^w` and its derivative by `t`, by the rule for negative means ([`Negative`]).
fn power(t: f64, w: f64, negative: Negative) -> (f64, f64) {
    // Below 2^-20 the slope of an exponent under 1 stops growing.
    let slope = |t: f64| w * libm::pow(if w < 1.0 { t.max(1.0 / 1_048_576.0) } else { t }, w - 1.0);
    match negative {
        _ if w == 0.0 => (1.0, 0.0),
        Negative::Zero | Negative::ZeroMap if t <= 0.0 => (0.0, 0.0),
        Negative::Signed if t < 0.0 => (-libm::pow(-t, w), slope(-t)),
        Negative::Magnitude if t == 0.0 => (0.0, 0.0),
        Negative::Magnitude if t < 0.0 => (libm::pow(-t, w), -slope(-t)),
        Negative::Shifted => (libm::pow((1.0 + t) / 2.0, w), slope((1.0 + t) / 2.0) / 2.0),
        Negative::LowerBound(bound) if t < bound => (libm::pow(bound, w), 0.0),
        _ => (libm::pow(t, w), slope(t)),
    }
}

/// The sample of a side that stands for the one at `at`, which may lie beyond it.
fn mirror(at: isize, side: usize, repeat_edge: bool) -> usize {
    let mut at = at;
    let last = side as isize - 1;
    loop {
        if at < 0 {
            at = if repeat_edge { -1 - at } else { -at };
        } else if at > last {
            at = if repeat_edge {
                2 * last + 1 - at
            } else {
                2 * last - at
            };
        } else {
            return at as usize;
        }
        if last == 0 {
            return 0;
        }
    }
}

/// The weights of the two-dimensional window, row by row; their sum is 1.
fn window(sigma: f64, radius: usize) -> Vec<f64> {
    let len = 2 * radius + 1;
    let distance = |k: usize| (k as f64 - radius as f64) * (k as f64 - radius as f64);
    let weight = |tap: usize| {
        libm::exp(-(distance(tap / len) + distance(tap % len)) / (2.0 * sigma * sigma))
    };
    let sum: f64 = (0..len * len).map(weight).sum();
    (0..len * len).map(|tap| weight(tap) / sum).collect()
}

impl Scale {
    /// The pixels of window (i, j) with their weights and the mask's, and the part that is inside.
    fn pixels(
        &self,
        weights: &[f64],
        border: Border,
        radius: usize,
        (i, j): (usize, usize),
    ) -> (Vec<(usize, f64)>, f64) {
        let len = 2 * radius + 1;
        let at = |tap: usize, start: usize, side: usize| match border {
            Border::Valid => start + tap,
            Border::Replicate => (start + tap).saturating_sub(radius).min(side - 1),
            Border::Reflect => mirror((start + tap) as isize - radius as isize, side, false),
        };
        let weighted = weights.iter().enumerate().map(|(tap, weight)| {
            let row = at(tap / len, i, self.size.height);
            let p = row * self.size.width + at(tap % len, j, self.size.width);
            (p, weight * self.mask[p])
        });
        let mut pixels: Vec<(usize, f64)> = weighted.collect();
        let inside: f64 = pixels.iter().map(|(_, w)| w).sum();
        let inside = if inside < 1e-6 { 0.0 } else { inside };
        for (_, weight) in &mut pixels {
            *weight = if inside > 0.0 { *weight / inside } else { 0.0 };
        }
        (pixels, inside)
    }

    /// All windows, row by row.
    fn windows(&mut self, scale: usize, params: &Params) {
        let (c1, c2) = constants(params);
        let (border, radius) = (params.border_of(scale), params.radius);
        let weights = window(sigma(params, scale), radius);
        let Size { width, height } = self.size;
        self.grid = match border {
            Border::Valid => (height - 2 * radius, width - 2 * radius),
            Border::Replicate | Border::Reflect => (height, width),
        };
        let (x, y) = (&self.x, &self.y);
        let mut terms = Vec::new();
        for i in 0..self.grid.0 {
            for j in 0..self.grid.1 {
                let (pixels, weight) = self.pixels(&weights, border, radius, (i, j));
                let (mut mu_x, mut mu_y) = (0.0, 0.0);
                for &(p, w) in &pixels {
                    mu_x += w * x[p];
                    mu_y += w * y[p];
                }
                // Centred sums: no cancellation, so that the reference is good to the last digits.
                let (mut sigma_xx, mut sigma_yy, mut sigma_xy) = (0.0, 0.0, 0.0);
                for &(p, w) in &pixels {
                    sigma_xx += w * (x[p] - mu_x) * (x[p] - mu_x);
                    sigma_yy += w * (y[p] - mu_y) * (y[p] - mu_y);
                    sigma_xy += w * (x[p] - mu_x) * (y[p] - mu_y);
                }
                let (sigma_x, sigma_y) = (libm::sqrt(sigma_xx), libm::sqrt(sigma_yy));
                let b1 = mu_x * mu_x + mu_y * mu_y + c1;
                let b2 = sigma_xx + sigma_yy + c2;
                let b3 = sigma_x * sigma_y + c2 / 2.0;
                terms.push(Term {
                    weight,
                    mu_x,
                    mu_y,
                    sigma_x,
                    sigma_y,
                    l: (2.0 * mu_x * mu_y + c1) / b1,
                    c: (2.0 * sigma_x * sigma_y + c2) / b2,
                    s: (sigma_xy + c2 / 2.0) / b3,
                    cs: (2.0 * sigma_xy + c2) / b2,
                    b1,
                    b2,
                    b3,
                });
            }
        }
        self.terms = terms;
    }

    /// The gradient by `y` of the terms' products, each times its derivative in `by_term`.
    fn spread(
        &self,
        scale: usize,
        products: &[(Product, f64)],
        by_term: &[Vec<f64>],
        params: &Params,
    ) -> Vec<f64> {
        let weights = window(sigma(params, scale), params.radius);
        let border = params.border_of(scale);
        let least = params.data_range / 1_048_576.0;
        let mut gradient = vec![0.0; self.size.area()];
        for (at, (term, by_term)) in self.terms.iter().zip(by_term).enumerate() {
            let place = (at / self.grid.1, at % self.grid.1);
            let ratio = term.sigma_x.max(least) / term.sigma_y.max(least);
            for (p, w) in self.pixels(&weights, border, params.radius, place).0 {
                // Derivatives by y_p of the mean of y, of its variance, and of the covariance.
                let (dx, dy) = (self.x[p] - term.mu_x, self.y[p] - term.mu_y);
                let dl = w * 2.0 * (term.mu_x - term.mu_y * term.l) / term.b1;
                let dcs = w * 2.0 * (dx - term.cs * dy) / term.b2;
                let dc = w * 2.0 * dy * (ratio - term.c) / term.b2;
                let ds = w * (dx - term.s * ratio * dy) / term.b3;
                for ((product, _), by) in products.iter().zip(by_term) {
                    gradient[p] += by
                        * match product {
                            Product::Cs => dcs,
                            Product::Lcs => dl * term.cs + term.l * dcs,
                            Product::L => dl,
                            Product::C => dc,
                            Product::S => ds,
                        };
                }
            }
        }
        gradient
    }
}

fn constants(params: &Params) -> (f64, f64) {
    let square = |v: f64| v * v;
    (
        square(params.k1 * params.data_range),
        square(params.k2 * params.data_range),
    )
}

fn sigma(params: &Params, scale: usize) -> f64 {
    (0..scale).fold(params.sigma, |sigma, _| sigma * params.sigma_growth)
}

#[cfg(test)]
mod tests;
