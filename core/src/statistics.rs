//! The forward pass over one scale: window statistics, terms, and their sums row by row.

use core::ops::AddAssign;

use crate::filter::{extend_line, filter_line, line_padding, map_size, source_row};
use crate::params::{Border, Params};
use crate::plane::{Plane, Sample, Size};
use crate::ssim::{Moments, contrast_structure, luminance};
use crate::window::{WINDOW_LEN, WINDOW_RADIUS, Window};

/// The numbers that the passes over a scale need, prepared once from [`Params`].
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
}

impl Constants {
    /// The constants of `params`.
    pub fn new(params: &Params) -> Self {
        Self {
            window: Window::gaussian(params.sigma),
            border: params.border,
            c1: (params.k1 * params.k1) as f32,
            c2: (params.k2 * params.k2) as f32,
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
}

/// Sums of the terms over one map row, or over a whole map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TermSums {
    /// Sum of contrast times structure.
    pub cs: f64,
    /// Sum of luminance times contrast times structure; 0 where it was not asked for.
    pub ssim: f64,
}

impl AddAssign for TermSums {
    fn add_assign(&mut self, rhs: Self) {
        self.cs += rhs.cs;
        self.ssim += rhs.ssim;
    }
}

/// How far beyond black and white a sample may lie, in data ranges, before it saturates.
///
/// Large enough for any sensible data, small enough that squares of squares stay finite in `f32`.
pub const SATURATION: f32 = 1_048_576.0;

/// One row of `s = x + y - 1` and `d = x - y`, with samples scaled from `data_range` to 1.
///
/// Samples beyond [`SATURATION`] data ranges, infinite ones included, count as that far; NaN stays.
pub fn sum_and_difference_row<X: Sample, Y: Sample>(
    reference: &[X],
    distorted: &[Y],
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    let limit = (data_range * f64::from(SATURATION)) as f32;
    let scale = (1.0 / data_range) as f32;
    let pairs = reference.iter().zip(distorted);
    for ((s, d), (x, y)) in sum.iter_mut().zip(difference).zip(pairs) {
        let x = x.to_f32().clamp(-limit, limit);
        let y = y.to_f32().clamp(-limit, limit);
        *s = (x + y) * scale - 1.0;
        *d = (x - y) * scale;
    }
}

/// The first scale: [`sum_and_difference_row`] for each row of two planes of one size.
pub fn sum_and_difference<X: Sample, Y: Sample>(
    reference: &Plane<'_, X>,
    distorted: &Plane<'_, Y>,
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    let width = reference.size().width;
    let rows = sum
        .chunks_exact_mut(width)
        .zip(difference.chunks_exact_mut(width));
    for (i, (s, d)) in rows.enumerate() {
        sum_and_difference_row(reference.row(i), distorted.row(i), data_range, s, d);
    }
}

/// The filtered moments along one map row, and the lines that they are made from.
pub(crate) struct MomentLines<'a> {
    /// Vertically filtered, extended beyond the border: `s`, `d`, `s^2`, `d^2`.
    columns: [&'a mut [f32]; 4],
    /// Filtered both ways: one sample a window.
    moments: [&'a mut [f32]; 4],
}

impl<'a> MomentLines<'a> {
    /// Samples of scratch that lines for a plane of `width` need.
    pub(crate) const fn scratch_len(width: usize) -> usize {
        4 * (width + 2 * WINDOW_RADIUS) + 4 * width
    }

    /// Lays the lines out in `scratch`, and returns what is left of it.
    pub(crate) fn new(border: Border, size: Size, scratch: &'a mut [f32]) -> (Self, &'a mut [f32]) {
        let column_len = size.width + line_padding(border);
        let moment_len = map_size(border, size).width;
        let mut rest = scratch;
        let mut take = |len: usize| {
            let (line, tail) = core::mem::take(&mut rest).split_at_mut(len);
            rest = tail;
            line
        };
        let columns = [(); 4].map(|()| take(column_len));
        let moments = [(); 4].map(|()| take(moment_len));
        (Self { columns, moments }, rest)
    }

    /// Filters the windows of map row `row`.
    pub(crate) fn filter(&mut self, constants: &Constants, level: &Level<'_>, row: usize) {
        let Level {
            size: Size { width, height },
            sum,
            difference,
        } = *level;
        let half = line_padding(constants.border) / 2;
        let source = |k: usize| source_row(constants.border, height, row, k) * width;
        let [s, d, ss, dd] = &mut self.columns;
        for (plane, line, squares) in [(sum, s, ss), (difference, d, dd)] {
            let line = &mut line[half..][..width];
            let squares = &mut squares[half..][..width];
            vertical_pass(
                &constants.window,
                |k| &plane[source(k)..][..width],
                line,
                squares,
            );
        }
        for (column, moment) in self.columns.iter_mut().zip(&mut self.moments) {
            extend_line(constants.border, column);
            filter_line(&constants.window, column, moment);
        }
    }

    /// The moments of each window along the row, from left to right.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Moments<f32>> {
        let [s, d, ss, dd] = &self.moments;
        let pairs = s.iter().zip(d.iter()).zip(ss.iter().zip(dd.iter()));
        pairs.map(|((&s, &d), (&ss, &dd))| Moments { s, d, ss, dd })
    }
}

/// The weighted sums of eleven rows, `line`, and of their squares, `squares`.
fn vertical_pass<'r>(
    window: &Window,
    row: impl Fn(usize) -> &'r [f32],
    line: &mut [f32],
    squares: &mut [f32],
) {
    let centre = row(WINDOW_RADIUS);
    for ((line, square), v) in line.iter_mut().zip(squares.iter_mut()).zip(centre) {
        *line = window.taps[0] * v;
        *square = window.taps[0] * (v * v);
    }
    for (distance, tap) in window.taps.iter().enumerate().skip(1) {
        let (above, below) = (row(WINDOW_RADIUS - distance), row(WINDOW_RADIUS + distance));
        let sums = line.iter_mut().zip(squares.iter_mut());
        for ((line, square), (a, b)) in sums.zip(above.iter().zip(below)) {
            *line += tap * (a + b);
            *square += tap * (a * a + b * b);
        }
    }
}

/// Sums `f64` terms of a row in eight interleaved partial sums, added pairwise: a fixed order that
/// does not wait for one addition to finish before the next begins.
pub(crate) fn sum_row(terms: impl Iterator<Item = f32>) -> f64 {
    let mut lanes = [0.0f64; 8];
    for (i, term) in terms.enumerate() {
        lanes[i % 8] += f64::from(term);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// Samples of scratch that [`row_sums`] needs for a plane of `width`.
pub const fn row_scratch_len(width: usize) -> usize {
    MomentLines::scratch_len(width)
}

/// The sums of the terms along map row `row`; with `coarsest`, of luminance's product too.
///
/// # Panics
/// If `scratch` is shorter than [`row_scratch_len`].
pub fn row_sums(
    constants: &Constants,
    level: &Level<'_>,
    coarsest: bool,
    row: usize,
    scratch: &mut [f32],
) -> TermSums {
    let (mut lines, _) = MomentLines::new(constants.border, level.size, scratch);
    lines.filter(constants, level, row);
    term_sums(constants, &lines, coarsest)
}

/// Like [`row_sums`], and writes the terms, one a window: `cs`, or with `coarsest` `l cs`.
///
/// # Panics
/// If `scratch` is shorter than [`row_scratch_len`].
pub fn row_terms(
    constants: &Constants,
    level: &Level<'_>,
    coarsest: bool,
    row: usize,
    scratch: &mut [f32],
    terms: &mut [f32],
) -> TermSums {
    let (mut lines, _) = MomentLines::new(constants.border, level.size, scratch);
    lines.filter(constants, level, row);
    for (term, m) in terms.iter_mut().zip(lines.iter()) {
        let cs = contrast_structure(m, constants.c2).value;
        *term = if coarsest {
            luminance(m, constants.c1).value * cs
        } else {
            cs
        };
    }
    term_sums(constants, &lines, coarsest)
}

/// The sums of the terms of filtered lines.
pub(crate) fn term_sums(
    constants: &Constants,
    lines: &MomentLines<'_>,
    coarsest: bool,
) -> TermSums {
    let cs = |m| contrast_structure(m, constants.c2).value;
    let ssim = |m| luminance(m, constants.c1).value * cs(m);
    TermSums {
        cs: sum_row(lines.iter().map(cs)),
        ssim: if coarsest {
            sum_row(lines.iter().map(ssim))
        } else {
            0.0
        },
    }
}

// The padding of a line and the window's length are one fact.
const _: () = assert!(WINDOW_LEN == 2 * WINDOW_RADIUS + 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_and_difference_of_extremes_are_finite() {
        let x = [f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 255.0, 0.0];
        let y = [f32::MAX, f32::MAX, f32::INFINITY, 0.0, 0.0];
        let (mut s, mut d) = ([f32::NAN; 5], [f32::NAN; 5]);
        sum_and_difference_row(&x, &y, 255.0, &mut s, &mut d);
        assert_eq!(d, [0.0, 0.0, -2.0 * SATURATION, 1.0, 0.0]);
        assert_eq!((s[3], s[4]), (0.0, -1.0));
        assert!(s.iter().all(|s| s.is_finite()), "{s:?}");
        sum_and_difference_row(&[f32::NAN], &[1.0f32], 255.0, &mut s[..1], &mut d[..1]);
        assert!(s[0].is_nan() && d[0].is_nan(), "NaN stays");
    }

    #[test]
    fn a_row_sum_is_the_sum() {
        assert_eq!(sum_row((1..=21).map(|v| v as f32)), 231.0);
    }
}
