//! The metric's kernels over any vector: a block of rows from its samples to its sums and its gradient.
//!
//! # Layout
//!
//! A line of samples, extended by what the windows see beyond its ends, is cut into segments of equal length, and
//! lane `j` of vector `i` holds column `i` of segment `j`. So a sample's neighbours along the line are whole vectors
//! and need no shuffles; those of a segment's last ten columns are the first ten of the next, which are the
//! first ten vectors with every lane moved down by one. A vector may hold segments of several images: where one ends,
//! no window reaches into the next.
//!
//! # Passes
//!
//! A *block* is `R` rows of windows. Its `R + 10` rows of `s = x + y - 1` and `d = x - y` are kept column by column, and
//! the last ten move up for the next block. For each column the vertical pass makes `R` rows of four sums, `s`, `d`, `s^2` and `d^2`, kept for the
//! last 16 columns; from them, four columns at a time, come the windows' moments, terms, and sums. Backward, the
//! terms' derivatives take the same ways in the opposite order: they are kept for the last 16 columns, spread
//! along the line, kept again, and spread down the columns into the gradient.
//!
//! Each pass reads and writes memory that the one before has just touched. What a block needs of a column is loaded
//! just before it is used, so that eleven rows at most are in registers.

#![allow(
    clippy::absurd_extreme_comparisons,
    clippy::out_of_bounds_indexing,
    reason = "`repeat!` has bodies for indices beyond its end, which are not run"
)]
#![allow(
    clippy::manual_memcpy,
    clippy::needless_range_loop,
    reason = "plain loops, see `crate::lanes`"
)]

mod backward;
mod forward;

use msssim_core::ssim::Moments;
use msssim_core::statistics::{Constants, Kind};
use msssim_core::sum::Units;

use crate::dispatch::Task;
use crate::lanes::{Block, Lanes};

pub(crate) use backward::Backward;
pub(crate) use forward::Forward;

/// Taps on either side of the centre of the windows that the kernels know.
pub(crate) const RADIUS: usize = 5;

/// Rows or columns that a line of windows needs beyond its own number.
pub(crate) const REACH: usize = 2 * RADIUS;

/// Columns of windows that are made together.
const COLUMNS: usize = 4;

/// Columns that are kept of what one pass leaves to the next: the next power of two from `COLUMNS + REACH`.
const KEPT: usize = 16;

/// Columns of a segment at least: a window's neighbours are in its own segment or the next.
pub(crate) const SHORTEST_SEGMENT: usize = REACH.next_multiple_of(COLUMNS);

/// Segments are a multiple of this.
pub(crate) const SEGMENT_STEP: usize = COLUMNS;

/// Repeats a block with `$i` as a literal constant from 0 up to `$end`. LLVM leaves loops over arrays of 18 vectors
/// as they are, and the arrays in memory.
macro_rules! repeat {
    ($i:ident, $end:expr, $body:block) => {
        repeat!(@ $i, $end, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17)
    };
    (@ $i:ident, $end:expr, $body:block, $($n:literal)*) => {$({
        #[allow(non_upper_case_globals, reason = "an index")]
        const $i: usize = $n;
        if $i < $end $body
    })*};
}
use repeat;

/// What the kernels need of a scale's [`Constants`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) ratios: [f32; RADIUS],
    pub(crate) products: [f32; RADIUS + 1],
    pub(crate) c1: f32,
    pub(crate) c2: f32,
    /// Whether terms are times luminance.
    pub(crate) is_ssim: bool,
    /// Whether negative terms count as 0.
    pub(crate) is_clamped: bool,
}

impl Scale {
    pub(crate) fn new(constants: &Constants) -> Self {
        let window = &constants.window;
        let mut scale = Self {
            ratios: [0.0; RADIUS],
            products: [0.0; RADIUS + 1],
            c1: constants.c1,
            c2: constants.c2,
            is_ssim: constants.kind == Kind::Ssim,
            is_clamped: constants.clamped,
        };
        scale.ratios.copy_from_slice(&window.ratios[1..=RADIUS]);
        scale.products.copy_from_slice(&window.products[..=RADIUS]);
        scale
    }
}

/// A block of rows of windows of one scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Columns of a segment.
    pub(crate) segment: usize,
    /// Segments of an image.
    pub(crate) segments: usize,
    /// Images in a vector.
    pub(crate) images: usize,
    /// Windows of a row.
    pub(crate) width: usize,
    /// Rows of windows, at most the kernel's `R`.
    pub(crate) count: usize,
}

/// Memory of the kernels, of any content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// `s` and `d`, column by column the last `R + 10` rows.
    pub(crate) samples: Vec<Block>,
    /// What the vertical pass has made of the last columns.
    pub(crate) columns: Vec<Block>,
    /// The same of the first columns of the next segment.
    pub(crate) first_columns: Vec<Block>,
    /// Which lanes of each column are windows.
    pub(crate) windows: Vec<Block>,
    /// Derivatives of the last columns.
    pub(crate) slopes: Vec<Block>,
    /// The same of the first columns of the next segment.
    pub(crate) first_slopes: Vec<Block>,
    /// Derivatives spread along the line, column by column the last `R + 10` rows.
    pub(crate) spread: Vec<Block>,
    /// A block's gradient, column by column.
    pub(crate) gradient: Vec<Block>,
}

impl Memory {
    /// Makes room for blocks of `rows` rows of segments of up to `segment` columns of `lanes` lanes.
    pub(crate) fn reserve(&mut self, lanes: usize, segment: usize, rows: usize, backward: bool) {
        let room = |memory: &mut Vec<Block>, vectors: usize| {
            let blocks = (vectors * lanes).div_ceil(16);
            if memory.len() < blocks {
                memory.resize(blocks, Block::ZERO);
            }
        };
        room(&mut self.samples, segment * (rows + REACH) * 2);
        room(&mut self.columns, KEPT * (4 * rows + 1));
        room(&mut self.first_columns, REACH * 4 * rows);
        room(&mut self.windows, segment);
        if backward {
            room(&mut self.slopes, KEPT * (3 * rows + 1));
            room(&mut self.first_slopes, SHORTEST_SEGMENT * 3 * rows);
            room(&mut self.spread, segment * (rows + REACH) * 3);
            room(&mut self.gradient, segment * rows);
        }
    }
}

/// The weighted sum of eleven vectors from `a[first]` on, the centre's weight being 1.
#[inline(always)]
fn weigh<L: Lanes>(ratios: &[L; RADIUS], a: &[L; 18], first: usize) -> L {
    let sum = (a[first + 4] + a[first + 6]).mul_add(ratios[0], a[first + 5]);
    let sum = (a[first + 3] + a[first + 7]).mul_add(ratios[1], sum);
    let sum = (a[first + 2] + a[first + 8]).mul_add(ratios[2], sum);
    let sum = (a[first + 1] + a[first + 9]).mul_add(ratios[3], sum);
    (a[first] + a[first + 10]).mul_add(ratios[4], sum)
}

/// The weighted sum of eleven vectors from `a[first]` on.
#[inline(always)]
fn weigh_all<L: Lanes>(products: &[L; RADIUS + 1], a: &[L; 18], first: usize) -> L {
    let sum = (a[first + 4] + a[first + 6]).mul_add(products[1], products[0] * a[first + 5]);
    let sum = (a[first + 3] + a[first + 7]).mul_add(products[2], sum);
    let sum = (a[first + 2] + a[first + 8]).mul_add(products[3], sum);
    let sum = (a[first + 1] + a[first + 9]).mul_add(products[4], sum);
    (a[first] + a[first + 10]).mul_add(products[5], sum)
}

/// The vertical pass over one column: `R` rows of sums of `s`, `s^2`, `d` and `d^2`, one after the other.
///
/// Where it `SHIFTS`, the last ten rows move up, to be the first ones of the next block.
#[inline(always)]
fn vertical<L: Lanes, const R: usize, const SHIFTS: bool>(
    ratios: &[L; RADIUS],
    column: &mut [L],
    out: &mut [L],
) {
    let zero = L::splat(0.0);
    let (column, out) = (&mut column[..2 * (R + REACH)], &mut out[..4 * R]);
    // Loops of two, so that what one has loaded is not kept, in want of registers in memory, for the other.
    for m in 0..2 {
        let mut a = [zero; 18];
        repeat!(k, R + REACH, {
            a[k] = column[2 * k + m];
            if k >= REACH {
                out[2 * m * R + k - REACH] = weigh(ratios, &a, k - REACH);
            }
        });
    }
    for m in 0..2 {
        let mut a = [zero; 18];
        repeat!(k, R + REACH, {
            let v = column[2 * k + m];
            a[k] = v * v;
            if SHIFTS && k >= R {
                column[2 * (k - R) + m] = v;
            }
            if k >= REACH {
                out[(2 * m + 1) * R + k - REACH] = weigh(ratios, &a, k - REACH);
            }
        });
    }
}

/// The vertical pass over all columns up to `limit`, of which those before `done` are made. Columns beyond the segment
/// are the first ones of the next.
#[inline(always)]
fn vertical_until<L: Lanes, const R: usize, const SHIFTS: bool>(
    ratios: &[L; RADIUS],
    segment: usize,
    samples: &mut [L],
    columns: &mut [L],
    first_columns: &mut [L],
    mut done: usize,
    limit: usize,
) -> usize {
    let per_column = 2 * (R + REACH);
    let from = done;
    while done < limit.min(segment) {
        let column = &mut samples[done * per_column..][..per_column];
        let out = &mut columns[done % KEPT * (4 * R + 1)..][..4 * R];
        vertical::<L, R, SHIFTS>(ratios, column, out);
        done += 1;
    }
    for column in from..done.min(REACH) {
        let out = &columns[column % KEPT * (4 * R + 1)..][..4 * R];
        let first = &mut first_columns[column * 4 * R..][..4 * R];
        for i in 0..4 * R {
            first[i] = out[i].rotate_down();
        }
    }
    while done < limit {
        let first = &first_columns[(done - segment) * 4 * R..][..4 * R];
        let out = &mut columns[done % KEPT * (4 * R + 1)..][..4 * R];
        for i in 0..4 * R {
            out[i] = first[i];
        }
        done += 1;
    }
    done
}

/// Moves each column's last ten rows up, to be the first ones of the next block.
#[inline(always)]
fn shift<L: Lanes>(memory: &mut [L], columns: usize, rows: usize, per_row: usize) {
    let per_column = (rows + REACH) * per_row;
    for column in memory[..columns * per_column].chunks_exact_mut(per_column) {
        for i in 0..REACH * per_row {
            column[i] = column[i + rows * per_row];
        }
    }
}

/// The moments of four windows of one row, from the columns of vertical sums that they span.
#[inline(always)]
fn moments<L: Lanes, const R: usize>(
    products: &[L; RADIUS + 1],
    columns: &[&[L]; COLUMNS + REACH],
    row: usize,
) -> [Moments<L>; COLUMNS] {
    let zero = L::splat(0.0);
    let (mut s, mut ss) = ([zero; COLUMNS], [zero; COLUMNS]);
    let (mut d, mut dd) = ([zero; COLUMNS], [zero; COLUMNS]);
    macro_rules! line {
        ($out:ident, $map:literal) => {
            let mut a = [zero; 18];
            repeat!(k, COLUMNS + REACH, {
                // Says that the row is inside.
                a[k] = columns[k][$map * R + row % R];
                if k >= REACH {
                    $out[k - REACH] = weigh_all(products, &a, k - REACH);
                }
            });
        };
    }
    line!(s, 0);
    line!(ss, 1);
    line!(d, 2);
    line!(dd, 3);
    let mut moments = [Moments {
        s: zero,
        d: zero,
        ss: zero,
        dd: zero,
    }; COLUMNS];
    repeat!(c, COLUMNS, {
        moments[c] = Moments {
            s: s[c],
            d: d[c],
            ss: ss[c],
            dd: dd[c],
        };
    });
    moments
}

/// The columns from `first` on of a memory of the last ones.
#[inline(always)]
fn last_columns<L>(memory: &[L], first: usize, per_column: usize) -> [&[L]; COLUMNS + REACH] {
    let mut columns = [&memory[..0]; COLUMNS + REACH];
    repeat!(k, COLUMNS + REACH, {
        columns[k] = &memory[(first + k) % KEPT * (per_column + 1)..][..per_column];
    });
    columns
}

/// Sums of a row's terms in every lane, see [`Lanes::tally`]: of `cs`, and of `l cs` where there is luminance.
type Tally<L> = [[L; 3]; 2];

/// Each image's sums of a row's terms.
#[inline(always)]
fn write_units<L: Lanes>(tally: &Tally<L>, rows: &Rows, out: &mut [[Units; 2]]) {
    for (kind, tally) in tally.iter().enumerate() {
        let [high, low, check] = [tally[0].numbers(), tally[1].numbers(), tally[2].numbers()];
        for (image, out) in out[..rows.images].iter_mut().enumerate() {
            let (mut sum, mut is_nan) = (0, false);
            for lane in image * rows.segments..(image + 1) * rows.segments {
                let integer = |number: f32| i64::from(number.to_bits().cast_signed());
                sum += integer(high[lane]) * 65536 + integer(low[lane]);
                is_nan |= check[lane].is_nan();
            }
            out[kind] = Units::new(sum, is_nan);
        }
    }
}

/// Puts a line of `s` and one of `d` into the columns of samples of a block.
pub(crate) struct Load<'a> {
    pub(crate) segment: usize,
    /// Rows of a block and what its windows reach beyond it.
    pub(crate) rows: usize,
    /// Which of them it is.
    pub(crate) row: usize,
    pub(crate) sum: &'a [f32],
    pub(crate) difference: &'a [f32],
    pub(crate) samples: &'a mut [Block],
}

impl Task for Load<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let samples = L::vectors(self.samples);
        let per_column = 2 * self.rows;
        let mut at = 0;
        while at < self.segment {
            let s = L::gather(self.sum, self.segment, at);
            let d = L::gather(self.difference, self.segment, at);
            repeat!(c, COLUMNS, {
                let place = &mut samples[(at + c) * per_column + 2 * self.row..][..2];
                place[0] = s[c];
                place[1] = d[c];
            });
            at += COLUMNS;
        }
    }
}

impl Rows {
    /// Columns from which on no lane has a window.
    #[inline(always)]
    fn end(&self) -> usize {
        match self.segments {
            1 => self.width.next_multiple_of(COLUMNS),
            _ => self.segment,
        }
    }
}

/// Marks the windows among the lanes of each column.
pub(crate) struct MarkWindows<'a> {
    pub(crate) rows: Rows,
    pub(crate) line: &'a mut [f32],
    pub(crate) windows: &'a mut [Block],
}

impl Task for MarkWindows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Rows {
            segment,
            segments,
            images,
            width,
            ..
        } = self.rows;
        for lane in 0..L::COUNT {
            let first = lane % segments * segment;
            for i in 0..segment {
                // What is left of a vector holds no image, and must owe nothing to the next lane.
                let is_window = first + i < width && lane < images * segments;
                self.line[lane * segment + i] = f32::from_bits(if is_window { !0 } else { 0 });
            }
        }
        let windows = L::vectors(self.windows);
        let mut at = 0;
        while at < segment {
            let columns = L::gather(self.line, segment, at);
            windows[at..at + COLUMNS].copy_from_slice(&columns);
            at += COLUMNS;
        }
    }
}
