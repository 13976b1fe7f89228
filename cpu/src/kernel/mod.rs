//! The metric's kernels over any vector: a block of rows from its samples to its sums and its gradient.
//!
//! # Layout
//!
//! A line of samples, extended by what the windows see beyond its ends, is cut into segments of equal length, and
//! lane `j` of vector `i` holds column `i` of segment `j`. So a sample's neighbours along the line are whole vectors
//! and need no shuffles; those of a segment's last ten columns are the first ten of the next, which are the
//! first ten vectors with every lane moved down by one. Of small images a vector holds several, each a single segment in a lane
//! of its own: where one ends, no window reaches into the next.
//!
//! # Passes
//!
//! A *block* is `R` rows of windows. Its `R + 10` rows of `s = x + y - 1` and `d = x - y` are kept column by column in a
//! ring, where `R` new ones take the place of the oldest for the next block. For each column the vertical pass makes `R`
//! rows of four sums, `s`, `d`, `s^2` and `d^2`, kept for the last 16 columns; of them the horizontal pass makes four
//! columns of windows' moments at a time, from which the formula makes terms, and sums. Backward, the
//! terms' derivatives take the same ways in the opposite order: they are kept for the last 16 columns, spread
//! along the line, kept again, and spread down the columns into the gradient.
//!
//! Each pass reads and writes memory that the one before has just touched, and does nothing else: a pass with
//! the formula after it in one loop has more numbers at a time than there are registers. What a block needs of a
//! column is loaded just before it is used, so that eleven rows at most are in registers; what the next block needs of the images
//! is asked for meanwhile.

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
mod passes;

use msssim_core::pyramid::mean_of_four;
use msssim_core::statistics::{Constants, Kind, Scaling};
use msssim_core::sum::Units;

use crate::dispatch::Task;
use crate::lanes::{Block, Lanes, Number, tallied};

pub(crate) use backward::{Backward, Target};
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
    /// Terms below count as it: 0, or no term.
    pub(crate) floor: f32,
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
            floor: if constants.clamped {
                0.0
            } else {
                -f32::INFINITY
            },
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
    /// How many blocks of `R` rows were before it.
    pub(crate) before: usize,
}

/// Rows of samples that are kept for blocks of `rows` rows: those that a block's windows see, in whole blocks. A block of
/// new rows takes the place of the oldest.
pub(crate) const fn ring(rows: usize) -> usize {
    (rows + REACH).next_multiple_of(rows)
}

/// Memory of the kernels, of any content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// `s` and `d`, column by column a [`ring`] of rows.
    pub(crate) samples: Vec<Block>,
    /// What the vertical pass has made of the last columns.
    pub(crate) columns: Vec<Block>,
    /// The same of the first columns of the next segment.
    pub(crate) first_columns: Vec<Block>,
    /// What the horizontal pass has made of the last columns.
    pub(crate) sums: Vec<Block>,
    /// Which lanes of each column are windows.
    pub(crate) windows: Vec<Block>,
    /// Derivatives of the last columns.
    pub(crate) slopes: Vec<Block>,
    /// The same of the first columns of the next segment.
    pub(crate) first_slopes: Vec<Block>,
    /// Derivatives spread along the line, column by column a [`ring`] of rows.
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
        room(&mut self.samples, segment * ring(rows) * 2);
        room(&mut self.columns, KEPT * (4 * rows + 1));
        room(&mut self.first_columns, REACH * 4 * rows);
        room(&mut self.sums, COLUMNS * 4 * rows);
        room(&mut self.windows, segment);
        if backward {
            room(&mut self.slopes, KEPT * (3 * rows + 1));
            room(&mut self.first_slopes, SHORTEST_SEGMENT * 3 * rows);
            room(&mut self.spread, segment * ring(rows) * 3);
            room(&mut self.gradient, segment * rows);
        }
    }
}

/// Sums of a row's terms in every lane, see [`Lanes::tally`]: of `cs`, and of `l cs` where there is luminance.
type Tally<L> = [[L; 2]; 2];

/// Each image's sums of a row's terms.
#[inline(always)]
fn write_units<L: Lanes>(tally: &Tally<L>, rows: &Rows, out: &mut [[Units; 2]]) {
    for (kind, tally) in tally.iter().enumerate() {
        let [units, sums] = [tally[0].numbers(), tally[1].numbers()];
        let mut of_lanes = [0; 16];
        for lane in 0..16 {
            of_lanes[lane] = tallied(units[lane], sums[lane]);
        }
        for (image, out) in out[..rows.images].iter_mut().enumerate() {
            let (mut sum, mut is_nan) = (0i64, false);
            for lane in image * rows.segments..(image + 1) * rows.segments {
                // That of a NaN may be anything.
                sum = sum.wrapping_add(of_lanes[lane]);
                is_nan |= sums[lane].is_nan();
            }
            out[kind] = Units::new(sum, is_nan);
        }
    }
}

/// Puts a line of `s` and one of `d` into the columns of samples of a block, a [`ring`] of `RING` rows.
pub(crate) struct Load<'a, const RING: usize> {
    pub(crate) segment: usize,
    /// The row; it takes the place of the one `RING` before.
    pub(crate) row: usize,
    pub(crate) sum: &'a [f32],
    pub(crate) difference: &'a [f32],
    pub(crate) samples: &'a mut [Block],
}

impl<const RING: usize> Task for Load<'_, RING> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let samples = &mut L::vectors(self.samples)[..2 * RING * self.segment];
        let row = self.row % RING;
        let mut at = 0;
        for columns in samples.chunks_exact_mut(COLUMNS * 2 * RING) {
            let s = L::gather(self.sum, self.segment, at);
            let d = L::gather(self.difference, self.segment, at);
            repeat!(c, COLUMNS, {
                columns[2 * (c * RING + row)] = s[c];
                columns[2 * (c * RING + row) + 1] = d[c];
            });
            at += COLUMNS;
        }
    }
}

/// Puts two rows of `s` and `d`, straight from where they lie, into the columns of samples of a block, a [`ring`] of
/// `RING` rows, and makes a row of the next scale.
pub(crate) struct LoadPair<'a, N, const RING: usize> {
    pub(crate) segment: usize,
    /// The upper row; they take the place of those `RING` before.
    pub(crate) row: usize,
    /// For each row the numbers from its beginning on, of `x` and `y` or of `s` and `d`.
    pub(crate) rows: [[&'a [N]; 2]; 2],
    /// How `s` and `d` are made of `x` and `y`.
    pub(crate) scaling: Option<Scaling<f32>>,
    pub(crate) samples: &'a mut [Block],
    /// Means of 2 x 2 of `s` and of `d`: lines of half of all lanes' segments.
    pub(crate) coarse: Option<[&'a mut [f32]; 2]>,
}

impl<N: Number, const RING: usize> Task for LoadPair<'_, N, RING> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let segment = self.segment;
        let samples = &mut L::vectors(self.samples)[..2 * RING * segment];
        let row = self.row % RING;
        let [upper, lower] = self.rows;
        let scaling = self.scaling.map(Scaling::splat);
        let mut coarse = self.coarse;
        let zero = L::splat(0.0);
        let mut next = 0;
        while next < segment {
            // Eight columns, of which four of the next scale are made; the last eight may be partly made again.
            let first = next.min(segment - 2 * COLUMNS);
            let mut means = [[zero; COLUMNS]; 2];
            for half in 0..2 {
                let at = first + half * COLUMNS;
                let above = four_columns(upper, scaling, segment, at);
                let below = four_columns(lower, scaling, segment, at);
                let columns = &mut samples[2 * at * RING..][..2 * COLUMNS * RING];
                for m in 0..2 {
                    for c in 0..COLUMNS {
                        columns[2 * (c * RING + row) + m] = above[m][c];
                        columns[2 * (c * RING + row + 1) + m] = below[m][c];
                    }
                    for c in 0..COLUMNS / 2 {
                        let upper = [above[m][2 * c], above[m][2 * c + 1]];
                        let lower = [below[m][2 * c], below[m][2 * c + 1]];
                        means[m][half * COLUMNS / 2 + c] = mean_of_four(upper, lower);
                    }
                }
            }
            if let Some([sum, difference]) = &mut coarse {
                L::scatter(means[0], sum, segment / 2, first / 2);
                L::scatter(means[1], difference, segment / 2, first / 2);
            }
            next += 2 * COLUMNS;
        }
    }
}

/// `s` and `d` of four columns from `at` on.
#[inline(always)]
fn four_columns<L: Lanes, N: Number>(
    numbers: [&[N]; 2],
    scaling: Option<Scaling<L>>,
    segment: usize,
    at: usize,
) -> [[L; COLUMNS]; 2] {
    let mut s = N::gather(numbers[0], segment, at);
    let mut d = N::gather(numbers[1], segment, at);
    if let Some(scaling) = scaling {
        for c in 0..COLUMNS {
            [s[c], d[c]] = scaling.sum_and_difference(s[c], d[c]);
        }
    }
    [s, d]
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
