//! The moments of a row of windows: the vertical pass over eleven rows, and the horizontal one along the line.

use super::{Constants, Kind, Rows};
use crate::filter::{extend_line, filter_line, line_padding, source_row};
use crate::part::{entry, part, part_mut, split};
use crate::plane::Size;
use crate::ssim::Moments;
use crate::window::Window;

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
