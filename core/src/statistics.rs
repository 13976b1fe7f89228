//! The forward pass over one scale: window statistics, terms, and their sums row by row.

use core::ops::AddAssign;

use crate::apart::{contrast, structure};
use crate::filter::{extend_line, filter_line, line_padding, map_size, source_row};
use crate::params::{Border, Negative, Params, Terms};
use crate::part::{entry, part, part_mut, split};
use crate::plane::{Plane, Size};
use crate::real::Real;
use crate::sample::Sample;
use crate::ssim::{Moments, contrast_structure, luminance};
use crate::sum::sum_terms;
use crate::window::Window;

/// Which terms a scale has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Contrast times structure.
    ContrastStructure,
    /// That times luminance: the coarsest scale's.
    Ssim,
    /// Luminance, contrast and structure apart.
    Apart,
}

/// The numbers that the passes over one scale need, prepared once from [`Params`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// The window.
    pub window: Window,
    /// What a window sees beyond the image.
    pub border: Border,
    /// C1 for samples scaled to [0, 1].
    pub c1: f32,
    /// C2 for samples scaled to [0, 1].
    pub c2: f32,
    /// Which terms there are.
    pub kind: Kind,
    /// Whether a negative term counts as 0 before the mean is taken.
    pub clamped: bool,
}

impl Constants {
    /// The constants of a scale.
    pub fn new(params: &Params, scale: usize) -> Self {
        let growth = libm::pow(params.sigma_growth, scale as f64);
        Self {
            window: Window::gaussian(params.sigma * growth, params.radius),
            border: params.border_of(scale),
            c1: (params.k1 * params.k1) as f32,
            c2: (params.k2 * params.k2) as f32,
            kind: match params.terms {
                Terms::Apart { .. } => Kind::Apart,
                Terms::ContrastStructure if scale + 1 == params.scales => Kind::Ssim,
                Terms::ContrastStructure => Kind::ContrastStructure,
            },
            clamped: params.negative == Negative::ZeroMap,
        }
    }

    /// The size of the map of this scale's windows.
    pub fn map_size(&self, size: Size) -> Size {
        map_size(self.border, self.window.radius, size)
    }

    /// A term as it enters its mean.
    pub(crate) fn clamp(&self, term: f32) -> f32 {
        if self.clamped && term < 0.0 {
            0.0
        } else {
            term
        }
    }
}

/// One scale of an image pair: `size.area()` samples of `s = x + y - 1` and of `d = x - y`.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    /// Width and height of the scale.
    pub size: Size,
    /// `s = x + y - 1`, samples scaled to [0, 1].
    pub sum: &'a [f32],
    /// `d = x - y`.
    pub difference: &'a [f32],
    /// The weight of each sample, at least 0; without it all have weight 1. See [`crate::mask`].
    pub mask: Option<&'a [f32]>,
}

/// The rows of a scale, wherever they are kept.
pub(crate) trait Rows {
    /// Width and height of the scale.
    fn size(&self) -> Size;
    /// A row of `s`.
    fn sum(&self, row: usize) -> &[f32];
    /// A row of `d`.
    fn difference(&self, row: usize) -> &[f32];
    /// A row of the mask, where there is one.
    fn mask(&self, row: usize) -> Option<&[f32]>;
}

impl Rows for Level<'_> {
    fn size(&self) -> Size {
        self.size
    }

    fn sum(&self, row: usize) -> &[f32] {
        &self.sum[row * self.size.width..][..self.size.width]
    }

    fn difference(&self, row: usize) -> &[f32] {
        &self.difference[row * self.size.width..][..self.size.width]
    }

    fn mask(&self, row: usize) -> Option<&[f32]> {
        self.mask
            .map(|mask| &mask[row * self.size.width..][..self.size.width])
    }
}

/// Sums of the terms over one map row, or over a whole map, each times its window's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TermSums {
    /// Sum of contrast times structure.
    pub cs: f64,
    /// Sum of luminance times contrast times structure; 0 where it was not asked for.
    pub ssim: f64,
    /// Sums of luminance, contrast and structure; 0 where they were not asked for.
    pub apart: [f64; 3],
    /// Sum of the windows' weights; 0 where there is no mask.
    pub weight: f64,
}

impl AddAssign for TermSums {
    fn add_assign(&mut self, rhs: Self) {
        self.cs += rhs.cs;
        self.ssim += rhs.ssim;
        for (sum, term) in self.apart.iter_mut().zip(rhs.apart) {
            *sum += term;
        }
        self.weight += rhs.weight;
    }
}

/// How far beyond black and white a sample may lie, in data ranges, before it saturates.
///
/// Large enough for any sensible data, small enough that squares of squares stay finite in `f32`.
pub const SATURATION: f32 = 1_048_576.0;

/// The value, or the limit that it is beyond; NaN stays. (`clamp` panics by a limit of NaN.)
#[inline(always)]
fn within(value: f32, limit: f32) -> f32 {
    let mut value = value;
    if value < -limit {
        value = -limit;
    }
    if value > limit {
        value = limit;
    }
    value
}

/// One row of `s = x + y - 1` and `d = x - y`, with samples scaled from `data_range` to 1.
///
/// Samples beyond [`SATURATION`] data ranges, infinite ones included, count as that far; NaN stays.
#[inline(always)]
pub fn sum_and_difference_row<X: Sample, Y: Sample>(
    reference: impl Iterator<Item = X>,
    distorted: impl Iterator<Item = Y>,
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    let limit = (data_range * f64::from(SATURATION)) as f32;
    let scale = (1.0 / data_range) as f32;
    let pairs = reference.zip(distorted);
    for ((s, d), (x, y)) in sum.iter_mut().zip(difference).zip(pairs) {
        let (x, y) = (within(x.to_f32(), limit), within(y.to_f32(), limit));
        *s = (x + y) * scale - 1.0;
        *d = (x - y) * scale;
    }
}

/// One row of samples scaled from `data_range` to 1, less 1/2; saturating as in
/// [`sum_and_difference_row`].
pub(crate) fn centred_row<T: Sample>(
    samples: impl Iterator<Item = T>,
    data_range: f64,
    out: &mut [f32],
) {
    let limit = (data_range * f64::from(SATURATION)) as f32;
    let scale = (1.0 / data_range) as f32;
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = within(sample.to_f32(), limit) * scale - 0.5;
    }
}

/// [`sum_and_difference_row`] for row `row` of two planes of one size, however they lie in memory.
#[inline(always)]
pub fn sum_and_difference<X: Sample, Y: Sample>(
    reference: &Plane<'_, X>,
    distorted: &Plane<'_, Y>,
    row: usize,
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    match (reference.packed_row(row), distorted.packed_row(row)) {
        (Some(x), Some(y)) => {
            let (x, y) = (x.iter().copied(), y.iter().copied());
            sum_and_difference_row(x, y, data_range, sum, difference);
        }
        _ => {
            let (x, y) = (reference.row(row), distorted.row(row));
            sum_and_difference_row(x, y, data_range, sum, difference);
        }
    }
}

/// The moments of one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windowed<T> {
    /// The four of [`crate::ssim`].
    pub(crate) moments: Moments<T>,
    /// `E[s d]`; 0 where terms are together.
    pub(crate) sd: T,
    /// The weight of its samples together; 1 without a mask.
    pub(crate) weight: T,
}

/// The filtered moments along one map row, and the lines that they are made from: `s`, `d`, `s^2`, `d^2`,
/// and, where they are needed, `s d` and the mask.
///
/// Where terms are apart, square roots of variances enlarge what rounding leaves of a flat window's: there
/// the filters work in double precision, and a line is kept as the sum of two.
pub(crate) struct MomentLines<'a> {
    window: Window,
    /// Vertically filtered, extended beyond the border.
    columns: [&'a mut [f32]; 6],
    /// Filtered both ways, one sample a window; of terms apart, what `columns` lack of double precision.
    moments: [&'a mut [f32]; 6],
}

impl<'a> MomentLines<'a> {
    /// Samples of scratch for a plane of `width`.
    pub(crate) const fn scratch_len(
        width: usize,
        radius: usize,
        apart: bool,
        masked: bool,
    ) -> usize {
        let lines = 4 + apart as usize + masked as usize;
        let second = if apart { width + 2 * radius } else { width };
        lines * (width + 2 * radius + second)
    }

    /// Lays the lines out in `scratch`, and returns what is left of it.
    pub(crate) fn new(
        constants: &Constants,
        size: Size,
        masked: bool,
        scratch: &'a mut [f32],
    ) -> (Self, &'a mut [f32]) {
        let (border, radius) = (constants.border, constants.window.radius);
        let column_len = size.width + line_padding(border, radius);
        let apart = constants.kind == Kind::Apart;
        let moment_len = match constants.kind {
            Kind::Apart => column_len,
            _ => constants.map_size(size).width,
        };
        let needed = [true, true, true, true, apart, masked];
        let mut rest = scratch;
        let mut take = |needed: bool, len: usize| {
            let len = if needed { len } else { 0 };
            let (line, tail) = split(core::mem::take(&mut rest), len);
            rest = tail;
            line
        };
        let columns = needed.map(|needed| take(needed, column_len));
        let moments = needed.map(|needed| take(needed, moment_len));
        let lines = Self {
            window: constants.window,
            columns,
            moments,
        };
        (lines, rest)
    }

    /// Filters the windows of map row `row`.
    pub(crate) fn filter(&mut self, constants: &Constants, rows: &impl Rows, row: usize) {
        let Size { width, height } = rows.size();
        let Constants { window, border, .. } = constants;
        let half = line_padding(*border, window.radius) / 2;
        let source = |k: usize| source_row(*border, window.radius, height, row, k);
        if constants.kind == Kind::Apart {
            return self.filter_wide(constants, rows, source, half);
        }
        let [s, d, ss, dd, _, weight] = &mut self.columns;
        if weight.is_empty() {
            let [s, d, ss, dd] = [s, d, ss, dd].map(|line| part_mut(line, half, width));
            vertical_pass(window, |k| rows.sum(source(k)), s, ss);
            vertical_pass(window, |k| rows.difference(source(k)), d, dd);
        } else {
            for (line, value) in self.columns.iter_mut().zip(VALUES) {
                if line.is_empty() {
                    continue;
                }
                vertical_sum(window, part_mut(line, half, width), |k, j| {
                    let row = source(k);
                    let weight = rows.mask(row).map_or(1.0, |mask| entry(mask, j));
                    weight * value(entry(rows.sum(row), j), entry(rows.difference(row), j))
                });
            }
        }
        for (column, moment) in self.columns.iter_mut().zip(&mut self.moments) {
            if !column.is_empty() {
                extend_line(*border, window.radius, column);
                filter_line(window, column, moment);
            }
        }
        let [s, d, ss, dd, _, weight] = &mut self.moments;
        for (j, weight) in weight.iter_mut().enumerate() {
            // What the mask leaves nothing of has no weight, and no NaN.
            if *weight < LEAST_WEIGHT {
                *weight = 0.0;
            }
            let scale = if *weight > 0.0 { 1.0 / *weight } else { 0.0 };
            for line in [&mut *s, d, ss, dd] {
                for moment in part_mut(line, j, 1) {
                    *moment *= scale;
                }
            }
        }
    }

    /// The vertical pass in double precision.
    fn filter_wide(
        &mut self,
        constants: &Constants,
        rows: &impl Rows,
        source: impl Fn(usize) -> usize,
        half: usize,
    ) {
        let width = rows.size().width;
        let Constants { window, border, .. } = constants;
        let pairs = self.columns.iter_mut().zip(&mut self.moments);
        for ((high, low), value) in pairs.zip(WIDE_VALUES) {
            if high.is_empty() {
                continue;
            }
            let [places, below] = [&mut *high, &mut *low].map(|line| part_mut(line, half, width));
            for (j, (high, low)) in places.iter_mut().zip(below).enumerate() {
                let mut sum = 0.0f64;
                for k in 0..window.len() {
                    let row = source(k);
                    let weight = rows.mask(row).map_or(1.0, |mask| entry(mask, j).into());
                    let (s, d) = (entry(rows.sum(row), j), entry(rows.difference(row), j));
                    sum += f64::from(window.tap(k)) * weight * value(s.into(), d.into());
                }
                *high = sum as f32;
                *low = (sum - f64::from(*high)) as f32;
            }
            extend_line(*border, window.radius, high);
            extend_line(*border, window.radius, low);
        }
    }

    /// The windows along the row, from left to right, where neither `s d` nor the mask is needed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Moments<f32>> {
        let [s, d, ss, dd, ..] = &self.moments;
        let pairs = s.iter().zip(d.iter()).zip(ss.iter().zip(dd.iter()));
        pairs.map(|((&s, &d), (&ss, &dd))| Moments { s, d, ss, dd })
    }

    /// The windows along the row with their weights.
    pub(crate) fn windows(&self) -> impl Iterator<Item = Windowed<f32>> {
        let weight = &self.moments[5];
        self.iter().enumerate().map(|(j, moments)| Windowed {
            moments,
            sd: 0.0,
            weight: weight.get(j).copied().unwrap_or(1.0),
        })
    }

    /// The windows along the row where terms are apart.
    pub(crate) fn wide_windows(&self) -> impl Iterator<Item = Windowed<f64>> {
        // Taps in single precision need not sum to 1 exactly, nor their squares.
        let taps: f64 = (0..self.window.len())
            .map(|k| f64::from(self.window.tap(k)))
            .sum();
        let scale = 1.0 / (taps * taps);
        let count = self.columns[0].len() + 1 - self.window.len();
        (0..count).map(move |j| {
            let sum = |line: usize| {
                let (Some(high), Some(low)) = (self.columns.get(line), self.moments.get(line))
                else {
                    return 0.0;
                };
                let [high, low] = [high, low].map(|line| part(line, j, self.window.len()));
                let mut sum = 0.0f64;
                for (k, (high, low)) in high.iter().zip(low).enumerate() {
                    let v = f64::from(*high) + f64::from(*low);
                    sum += f64::from(self.window.tap(k)) * v;
                }
                sum * scale
            };
            let weight = if self.masked() { sum(5) } else { 1.0 };
            let inside = weight >= f64::from(LEAST_WEIGHT);
            let of = |line: usize| if inside { sum(line) / weight } else { 0.0 };
            Windowed {
                moments: Moments {
                    s: of(0),
                    d: of(1),
                    ss: of(2),
                    dd: of(3),
                },
                sd: of(4),
                weight: if inside { weight } else { 0.0 },
            }
        })
    }

    /// Whether windows have weights.
    pub(crate) fn masked(&self) -> bool {
        !self.moments[5].is_empty()
    }
}

/// What the lines are sums of.
const VALUES: [fn(f32, f32) -> f32; 6] = [
    |s, _| s,
    |_, d| d,
    |s, _| s * s,
    |_, d| d * d,
    |s, d| s * d,
    |_, _| 1.0,
];

/// The same in double precision, where products of two samples are exact.
const WIDE_VALUES: [fn(f64, f64) -> f64; 6] = [
    |s, _| s,
    |_, d| d,
    |s, _| s * s,
    |_, d| d * d,
    |s, d| s * d,
    |_, _| 1.0,
];

/// A window whose samples weigh less than this together, of 1, does not count.
const LEAST_WEIGHT: f32 = 1e-6;

/// The weighted sums of a window's rows, `line`, and of their squares, `squares`.
fn vertical_pass<'r>(
    window: &Window,
    row: impl Fn(usize) -> &'r [f32],
    line: &mut [f32],
    squares: &mut [f32],
) {
    let centre = row(window.radius);
    for ((line, square), v) in line.iter_mut().zip(squares.iter_mut()).zip(centre) {
        *line = *v;
        *square = v * v;
    }
    for (distance, tap) in window.ratio_arms() {
        let (above, below) = (row(window.radius - distance), row(window.radius + distance));
        let sums = line.iter_mut().zip(squares.iter_mut());
        for ((line, square), (a, b)) in sums.zip(above.iter().zip(below)) {
            *line += tap * (a + b);
            *square += tap * (a * a + b * b);
        }
    }
}

/// The weighted sums of any products along the columns: `value(k, j)` is that of tap `k`, column `j`.
fn vertical_sum(window: &Window, line: &mut [f32], value: impl Fn(usize, usize) -> f32) {
    let centre = window.radius;
    for (j, line) in line.iter_mut().enumerate() {
        let mut sum = value(centre, j);
        for (distance, tap) in window.ratio_arms() {
            sum += tap * (value(centre - distance, j) + value(centre + distance, j));
        }
        *line = sum;
    }
}

/// Sums `f64` terms of a row in eight interleaved partial sums, added pairwise: a fixed order that
/// does not wait for one addition to finish before the next begins.
fn sum_weighted(terms: impl Iterator<Item = f32>) -> f64 {
    let mut lanes = [0.0f64; 8];
    for (i, term) in terms.enumerate() {
        lanes[i % 8] += f64::from(term);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// Samples of scratch that [`row_sums`] needs for a plane of `width`, by a window of `radius`, whatever
/// the terms.
pub const fn row_scratch_len(width: usize, radius: usize) -> usize {
    MomentLines::scratch_len(width, radius, true, true)
}

/// The sums of the terms along map row `row`.
///
/// # Panics
/// If `scratch` is shorter than [`row_scratch_len`].
pub fn row_sums(
    constants: &Constants,
    level: &Level<'_>,
    row: usize,
    scratch: &mut [f32],
) -> TermSums {
    row_sums_of(constants, level, level.mask.is_some(), row, scratch)
}

/// [`row_sums`] of rows wherever they are kept.
pub(crate) fn row_sums_of(
    constants: &Constants,
    rows: &impl Rows,
    masked: bool,
    row: usize,
    scratch: &mut [f32],
) -> TermSums {
    let (mut lines, _) = MomentLines::new(constants, rows.size(), masked, scratch);
    lines.filter(constants, rows, row);
    term_sums(constants, &lines)
}

/// Like [`row_sums`], and writes the terms, one a window: `cs`, or on the coarsest scale `l cs`.
///
/// # Panics
/// If `scratch` is shorter than [`row_scratch_len`].
pub fn row_terms(
    constants: &Constants,
    level: &Level<'_>,
    row: usize,
    scratch: &mut [f32],
    terms: &mut [f32],
) -> TermSums {
    let (mut lines, _) = MomentLines::new(constants, level.size, false, scratch);
    lines.filter(constants, level, row);
    for (term, m) in terms.iter_mut().zip(lines.iter()) {
        let cs = contrast_structure(m, constants.c2).value;
        *term = constants.clamp(match constants.kind {
            Kind::Ssim => luminance(m, constants.c1).value * cs,
            _ => cs,
        });
    }
    term_sums(constants, &lines)
}

/// The sums of the terms of filtered lines.
pub(crate) fn term_sums(constants: &Constants, lines: &MomentLines<'_>) -> TermSums {
    let Constants { c1, c2, kind, .. } = *constants;
    if kind == Kind::Apart {
        return sums_apart(constants, lines);
    }
    let cs = |m| constants.clamp(contrast_structure(m, c2).value);
    let ssim = |m| constants.clamp(luminance(m, c1).value * contrast_structure(m, c2).value);
    let mut sums = TermSums::default();
    if lines.masked() {
        let weighted = |w: Windowed<f32>, term: f32| w.weight * term;
        sums.cs = sum_weighted(lines.windows().map(|w| weighted(w, cs(w.moments))));
        if kind == Kind::Ssim {
            sums.ssim = sum_weighted(lines.windows().map(|w| weighted(w, ssim(w.moments))));
        }
        sums.weight = sum_weighted(lines.windows().map(|w| w.weight));
    } else {
        sums.cs = sum_terms(lines.iter().map(cs));
        if kind == Kind::Ssim {
            sums.ssim = sum_terms(lines.iter().map(ssim));
        }
    }
    sums
}

fn sums_apart(constants: &Constants, lines: &MomentLines<'_>) -> TermSums {
    let [c1, c2] = [constants.c1, constants.c2].map(f64::from);
    let clamp = |term: f64| match constants.clamped {
        true => term.at_least_zero(),
        false => term,
    };
    let mut sums = TermSums::default();
    for Windowed {
        moments,
        sd,
        weight,
    } in lines.wide_windows()
    {
        sums.cs += weight * clamp(contrast_structure(moments, c2).value);
        let terms = [
            luminance(moments, c1).value,
            contrast(moments, sd, c2).term.value,
            structure(moments, sd, c2).term.value,
        ];
        for (sum, term) in sums.apart.iter_mut().zip(terms) {
            *sum += weight * clamp(term);
        }
        if lines.masked() {
            sums.weight += weight;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_and_difference_of_extremes_are_finite() {
        let x = [f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 255.0, 0.0];
        let y = [f32::MAX, f32::MAX, f32::INFINITY, 0.0, 0.0];
        let (mut s, mut d) = ([f32::NAN; 5], [f32::NAN; 5]);
        sum_and_difference_row(x.into_iter(), y.into_iter(), 255.0, &mut s, &mut d);
        assert_eq!(d, [0.0, 0.0, -2.0 * SATURATION, 1.0, 0.0]);
        assert_eq!((s[3], s[4]), (0.0, -1.0));
        assert!(s.iter().all(|s| s.is_finite()), "{s:?}");
        let nan = [f32::NAN].into_iter();
        sum_and_difference_row(nan, [1.0f32].into_iter(), 255.0, &mut s[..1], &mut d[..1]);
        assert!(s[0].is_nan() && d[0].is_nan(), "NaN stays");
    }

    #[test]
    fn a_weighted_row_sums_to_its_sum() {
        assert_eq!(sum_weighted((1..=21).map(|v| v as f32)), 231.0);
    }
}
