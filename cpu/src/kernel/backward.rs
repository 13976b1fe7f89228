//! Forward and backward at once: the sums of a block's terms, and their gradient by the distorted image.

use msssim_core::ssim::{Moments, contrast_structure, luminance};
use msssim_core::sum::Units;

use super::passes::{Columns, last_columns, moments, ring_blocks, ring_starts, weigh, weigh_all};
use super::{
    COLUMNS, KEPT, Memory, RADIUS, REACH, Rows, SHORTEST_SEGMENT, Scale, Tally, repeat, ring,
    write_units,
};
use crate::dispatch::Task;
use crate::lanes::{Ahead, Lanes};

/// Rows of a block.
const R: usize = 4;

/// Blocks that a ring of rows holds.
const BLOCKS: usize = ring(R) / R;

/// Rows of a ring that come before those that a block's adjoint takes.
const OLDER: usize = ring(R) - (R + REACH);

/// Maps that go back, see `msssim_core::gradient`: `a`, `b` and minus `c`.
const MAPS: usize = 3;

/// The sums of the terms of a block of rows, and a block of rows of their gradient: those of the extended plane whose
/// lowest windows are the block's.
///
/// Blocks follow each other from the top down.
pub(crate) struct Backward<'a> {
    pub(crate) scale: &'a Scale,
    /// The block; it may have fewer rows of windows than rows of gradient, or none.
    pub(crate) rows: Rows,
    /// Whether it is the first: what others would have left in [`Memory::spread`] is zeros.
    pub(crate) is_start: bool,
    pub(crate) memory: &'a mut Memory,
    /// What the next block takes.
    pub(crate) ahead: &'a mut Ahead,
    /// As [`super::Forward::sums`].
    pub(crate) sums: &'a mut [[Units; 2]],
    /// Where the gradient's rows go.
    pub(crate) gradient: Target<'a>,
}

/// Where a block of rows of the gradient goes.
pub(crate) enum Target<'a> {
    /// Nobody needs them yet.
    Nowhere,
    /// They stay in [`Memory::gradient`].
    Memory,
    /// To lines of all lanes' segments.
    Lines {
        numbers: &'a mut [f32],
        /// Numbers from line to line. Where it is less than a line, the next line's numbers replace the end of the one
        /// before.
        stride: usize,
    },
}

impl Backward<'_> {
    /// Rows of a block.
    pub(crate) const ROWS: usize = R;
}

impl Task for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { scale, rows, .. } = self;
        let segment = rows.segment;
        let ratios = scale.ratios.map(L::splat);
        let products = scale.products.map(L::splat);
        let (c1, c2) = (L::splat(scale.c1), L::splat(scale.c2));
        let floor = L::splat(scale.floor);
        let zero = L::splat(0.0);
        let samples: &[L] = L::vectors(&mut self.memory.samples);
        let mut columns = Columns {
            samples,
            columns: L::vectors(&mut self.memory.columns),
            first_columns: L::vectors(&mut self.memory.first_columns),
            done: 0,
        };
        let sums = L::vectors(&mut self.memory.sums);
        let windows: &[L] = L::vectors(&mut self.memory.windows);
        let slopes = L::vectors(&mut self.memory.slopes);
        let first_slopes = L::vectors(&mut self.memory.first_slopes);
        let spread = L::vectors(&mut self.memory.spread);
        let gradient = L::vectors(&mut self.memory.gradient);
        let per_slope = MAPS * R + 1;
        let [first_sample, ..] = ring_starts::<BLOCKS>(rows.before, R, 2);
        let spread_starts = ring_starts::<BLOCKS>(rows.before, R, MAPS);
        let [.., newest] = spread_starts;

        let mut tallies: [Tally<L>; R] = [[[zero; 2]; 2]; R];
        let share = self.ahead.share(segment / COLUMNS * R);
        let mut at = 0;
        // The first columns' gradient comes last where it takes slopes of the segment before; there are none before an
        // image's first.
        let late = if rows.segments == 1 {
            0
        } else {
            SHORTEST_SEGMENT
        };
        if late == 0 {
            // Those of the columns before the first.
            for v in &mut slopes[(KEPT - REACH) * per_slope..KEPT * per_slope] {
                *v = zero;
            }
        }
        while at < segment + late {
            if at >= segment {
                repeat!(c, COLUMNS, {
                    let first = &first_slopes[(at - segment + c) * MAPS * R..][..MAPS * R];
                    let out = &mut slopes[(at + c) % KEPT * per_slope..][..MAPS * R];
                    for i in 0..MAPS * R {
                        out[i] = first[i];
                    }
                });
            } else {
                let count = if at < rows.end() { rows.count } else { 0 };
                if count > 0 {
                    columns.make::<R, BLOCKS>(&ratios, &rows, at + COLUMNS + REACH);
                    let windows = &windows[at..at + COLUMNS];
                    columns.horizontal::<R>(&products, segment, at, sums);
                    for (row, tally) in tallies[..count].iter_mut().enumerate() {
                        self.ahead.prefetch(share);
                        repeat!(c, COLUMNS, {
                            let moments = moments::<L, R>(sums, COLUMNS * row + c);
                            let by =
                                slope(scale.is_ssim, moments, c1, c2, floor, windows[c], tally);
                            let out = &mut slopes[(at + c) % KEPT * per_slope..][..MAPS * R];
                            repeat!(m, MAPS, {
                                // Says that the row is inside.
                                out[row % R * MAPS + m] = by[m];
                            });
                        });
                    }
                }
                if count < R {
                    for c in 0..COLUMNS {
                        let out = &mut slopes[(at + c) % KEPT * per_slope..][..MAPS * R];
                        for v in &mut out[count * MAPS..] {
                            *v = zero;
                        }
                    }
                }
                if at < late {
                    for c in 0..COLUMNS {
                        let out = &slopes[(at + c) % KEPT * per_slope..][..MAPS * R];
                        let first = &mut first_slopes[(at + c) * MAPS * R..][..MAPS * R];
                        for i in 0..MAPS * R {
                            first[i] = out[i].rotate_down();
                        }
                    }
                }
            }
            if at >= late {
                let kept = last_columns(slopes, at + KEPT - REACH, MAPS * R);
                let is_first = at >= segment;
                let to = if is_first { at - segment } else { at };
                let per_column = MAPS * ring(R);
                let spread = &mut spread[to * per_column..][..COLUMNS * per_column];
                if self.is_start {
                    for v in &mut *spread {
                        *v = zero;
                    }
                }
                for item in 0..MAPS * R {
                    if rows.count == 0 {
                        for c in 0..COLUMNS {
                            spread[c * per_column + newest + item] = zero;
                        }
                        continue;
                    }
                    let mut a = [zero; 18];
                    repeat!(k, COLUMNS + REACH, {
                        a[k] = kept[k][item];
                        if k >= REACH {
                            let mut v = weigh_all(&products, &a, k - REACH);
                            if is_first {
                                v = v.rotate_up();
                            }
                            spread[(k - REACH) * per_column + newest + item] = v;
                        }
                    });
                }
                if !matches!(self.gradient, Target::Nowhere) {
                    for c in 0..COLUMNS {
                        let column = &spread[c * per_column..][..per_column];
                        let column = ring_blocks(column, &spread_starts, MAPS * R);
                        let samples = &samples[(to + c) * 2 * ring(R) + first_sample..][..2 * R];
                        let out = &mut gradient[(to + c) * R..][..R];
                        gather_down(&ratios, &column, samples, out);
                    }
                }
            }
            at += COLUMNS;
        }
        for (row, tally) in tallies[..rows.count].iter().enumerate() {
            write_units(tally, &rows, &mut self.sums[row * rows.images..]);
        }
        if let Target::Lines { numbers, stride } = self.gradient {
            for row in 0..R {
                let line = &mut numbers[row * stride..][..L::COUNT * segment];
                let mut at = 0;
                while at < segment {
                    let mut columns = [zero; COLUMNS];
                    repeat!(c, COLUMNS, {
                        columns[c] = gradient[(at + c) * R + row];
                    });
                    L::scatter(columns, line, segment, at);
                    at += COLUMNS;
                }
            }
        }
    }
}

/// The derivatives of a term that go back, 0 where it is no window's; counts the term.
#[inline(always)]
fn slope<L: Lanes>(
    is_ssim: bool,
    moments: Moments<L>,
    c1: L,
    c2: L,
    floor: L,
    window: L,
    tally: &mut Tally<L>,
) -> [L; MAPS] {
    let mut term = contrast_structure(moments, c2);
    tally[0] = term.value.at_least(floor).mask(window).tally(tally[0]);
    if is_ssim {
        term = luminance(moments, c1) * term;
        tally[1] = term.value.at_least(floor).mask(window).tally(tally[1]);
    }
    let counts = window.zero_where_below(term.value, floor);
    [
        (term.by.s - term.by.d).mask(counts),
        term.by.ss.mask(counts),
        (L::splat(0.0) - term.by.dd).mask(counts),
    ]
}

/// The adjoint of the vertical pass over one column, and the gradient by `y` from what comes of it.
#[inline(always)]
fn gather_down<L: Lanes>(
    ratios: &[L; RADIUS],
    column: &[&[L]; BLOCKS],
    samples: &[L],
    out: &mut [L],
) {
    let zero = L::splat(0.0);
    let two = L::splat(2.0);
    let (samples, out) = (&samples[..2 * R], &mut out[..R]);
    let mut maps = [[zero; R]; MAPS];
    for m in 0..MAPS {
        let mut a = [zero; 18];
        repeat!(k, R + REACH, {
            a[k] = column[(k + OLDER) / R][MAPS * ((k + OLDER) % R) + m];
            if k >= REACH {
                maps[m][k - REACH] = weigh(ratios, &a, k - REACH);
            }
        });
    }
    repeat!(row, R, {
        let (s, d) = (samples[2 * row], samples[2 * row + 1]);
        let by_squares = d.mul_add(maps[2][row], s * maps[1][row]);
        // No zero is negative.
        out[row] = zero + by_squares.mul_add(two, maps[0][row]);
    });
}
