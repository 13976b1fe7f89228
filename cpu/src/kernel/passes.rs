//! The separable filter over a block: down the columns, then along the line.

use msssim_core::ssim::Moments;

use super::{COLUMNS, KEPT, RADIUS, REACH, Rows, repeat};
use crate::lanes::Lanes;

/// Where the blocks of a ring begin, from the `first` on, in a column of `per_row` vectors a row.
#[inline(always)]
pub(super) fn ring_starts<const BLOCKS: usize>(
    first: usize,
    rows: usize,
    per_row: usize,
) -> [usize; BLOCKS] {
    let mut starts = [0; BLOCKS];
    for i in 0..BLOCKS {
        starts[i] = (first + i) % BLOCKS * rows * per_row;
    }
    starts
}

/// The blocks of a ring in a column.
#[inline(always)]
pub(super) fn ring_blocks<'a, L, const BLOCKS: usize>(
    column: &'a [L],
    starts: &[usize; BLOCKS],
    len: usize,
) -> [&'a [L]; BLOCKS] {
    let mut blocks = [column; BLOCKS];
    for i in 0..BLOCKS {
        blocks[i] = &column[starts[i]..][..len];
    }
    blocks
}

/// The weighted sum of eleven vectors from `a[first]` on, the centre's weight being 1.
#[inline(always)]
pub(super) fn weigh<L: Lanes>(ratios: &[L; RADIUS], a: &[L; 18], first: usize) -> L {
    let sum = (a[first + 4] + a[first + 6]).mul_add(ratios[0], a[first + 5]);
    let sum = (a[first + 3] + a[first + 7]).mul_add(ratios[1], sum);
    let sum = (a[first + 2] + a[first + 8]).mul_add(ratios[2], sum);
    let sum = (a[first + 1] + a[first + 9]).mul_add(ratios[3], sum);
    (a[first] + a[first + 10]).mul_add(ratios[4], sum)
}

/// The weighted sum of eleven vectors from `a[first]` on.
#[inline(always)]
pub(super) fn weigh_all<L: Lanes>(products: &[L; RADIUS + 1], a: &[L; 18], first: usize) -> L {
    let sum = (a[first + 4] + a[first + 6]).mul_add(products[1], products[0] * a[first + 5]);
    let sum = (a[first + 3] + a[first + 7]).mul_add(products[2], sum);
    let sum = (a[first + 2] + a[first + 8]).mul_add(products[3], sum);
    let sum = (a[first + 1] + a[first + 9]).mul_add(products[4], sum);
    (a[first] + a[first + 10]).mul_add(products[5], sum)
}

/// The vertical pass over one column: `R` rows of sums of `s`, `s^2`, `d` and `d^2`, one after the other.
#[inline(always)]
fn vertical<L: Lanes, const R: usize, const BLOCKS: usize>(
    ratios: &[L; RADIUS],
    blocks: &[&[L]; BLOCKS],
    out: &mut [L],
) {
    let zero = L::splat(0.0);
    let out = &mut out[..4 * R];
    // Loops of two, so that what one has loaded is not kept, in want of registers in memory, for the other.
    for m in 0..2 {
        let mut a = [zero; 18];
        repeat!(k, R + REACH, {
            a[k] = blocks[k / R][2 * (k % R) + m];
            if k >= REACH {
                out[2 * m * R + k - REACH] = weigh(ratios, &a, k - REACH);
            }
        });
    }
    for m in 0..2 {
        let mut a = [zero; 18];
        repeat!(k, R + REACH, {
            let v = blocks[k / R][2 * (k % R) + m];
            a[k] = v * v;
            if k >= REACH {
                out[(2 * m + 1) * R + k - REACH] = weigh(ratios, &a, k - REACH);
            }
        });
    }
}

/// What the vertical pass makes of a block, and of what.
pub(super) struct Columns<'a, L> {
    /// [`Memory::samples`](super::Memory::samples)
    pub(super) samples: &'a [L],
    /// [`Memory::columns`](super::Memory::columns)
    pub(super) columns: &'a mut [L],
    /// [`Memory::first_columns`](super::Memory::first_columns)
    pub(super) first_columns: &'a mut [L],
    /// Columns that are made.
    pub(super) done: usize,
}

impl<L: Lanes> Columns<'_, L> {
    /// The vertical pass over all columns of the segment up to `limit`.
    #[inline(always)]
    pub(super) fn make<const R: usize, const BLOCKS: usize>(
        &mut self,
        ratios: &[L; RADIUS],
        rows: &Rows,
        limit: usize,
    ) {
        let starts = ring_starts::<BLOCKS>(rows.before, R, 2);
        let per_column = BLOCKS * R * 2;
        let from = self.done;
        while self.done < limit.min(rows.segment) {
            let column = &self.samples[self.done * per_column..][..per_column];
            let blocks = ring_blocks(column, &starts, 2 * R);
            let out = &mut self.columns[self.done % KEPT * (4 * R + 1)..][..4 * R];
            vertical::<L, R, BLOCKS>(ratios, &blocks, out);
            self.done += 1;
        }
        for column in from..self.done.min(REACH) {
            let out = &self.columns[column % KEPT * (4 * R + 1)..][..4 * R];
            let first = &mut self.first_columns[column * 4 * R..][..4 * R];
            for i in 0..4 * R {
                first[i] = out[i].rotate_down();
            }
        }
    }

    /// The horizontal pass over four windows from `at` on: of each number of a column four sums, one after the other.
    #[inline(always)]
    pub(super) fn horizontal<const R: usize>(
        &self,
        products: &[L; RADIUS + 1],
        segment: usize,
        at: usize,
        out: &mut [L],
    ) {
        if at + COLUMNS + REACH <= segment {
            horizontal_of_last(products, self.columns, at, 4 * R, out);
            return;
        }
        // Columns beyond the segment are the first ones of the next.
        let mut columns = last_columns(self.columns, at, 4 * R);
        repeat!(k, COLUMNS + REACH, {
            if at + k >= segment {
                columns[k] = &self.first_columns[(at + k - segment) * 4 * R..][..4 * R];
            }
        });
        horizontal(products, &columns, 4 * R, out);
    }
}

/// [`horizontal`] over the columns from `first` on of a memory of the last ones; `first` is a multiple of four.
///
/// There are four cases of where in the memory they are. In each they are at constant distances from its beginning, where
/// pointers to all of them would not fit the registers.
#[inline(always)]
pub(super) fn horizontal_of_last<L: Lanes>(
    products: &[L; RADIUS + 1],
    memory: &[L],
    first: usize,
    items: usize,
    out: &mut [L],
) {
    let memory = &memory[..KEPT * (items + 1)];
    match first % KEPT / COLUMNS {
        0 => horizontal(products, &last_columns(memory, 0, items), items, out),
        1 => horizontal(products, &last_columns(memory, COLUMNS, items), items, out),
        2 => horizontal(
            products,
            &last_columns(memory, 2 * COLUMNS, items),
            items,
            out,
        ),
        _ => horizontal(
            products,
            &last_columns(memory, 3 * COLUMNS, items),
            items,
            out,
        ),
    }
}

/// The horizontal pass over `items` numbers of each of the columns that four windows span: of each number four sums,
/// one after the other.
#[inline(always)]
pub(super) fn horizontal<L: Lanes>(
    products: &[L; RADIUS + 1],
    columns: &[&[L]; COLUMNS + REACH],
    items: usize,
    out: &mut [L],
) {
    let zero = L::splat(0.0);
    for (item, out) in out[..COLUMNS * items].chunks_exact_mut(COLUMNS).enumerate() {
        let mut a = [zero; 18];
        repeat!(k, COLUMNS + REACH, {
            a[k] = columns[k][item];
            if k >= REACH {
                out[k - REACH] = weigh_all(products, &a, k - REACH);
            }
        });
    }
}

/// The moments of window `at` from the sums of [`horizontal`].
#[inline(always)]
pub(super) fn moments<L: Lanes, const R: usize>(sums: &[L], at: usize) -> Moments<L> {
    let per_map = COLUMNS * R;
    let sums = &sums[..4 * per_map];
    let at = at % per_map;
    Moments {
        s: sums[at],
        ss: sums[per_map + at],
        d: sums[2 * per_map + at],
        dd: sums[3 * per_map + at],
    }
}

/// The columns from `first` on of a memory of the last ones.
#[inline(always)]
pub(super) fn last_columns<L>(
    memory: &[L],
    first: usize,
    per_column: usize,
) -> [&[L]; COLUMNS + REACH] {
    let mut columns = [&memory[..0]; COLUMNS + REACH];
    repeat!(k, COLUMNS + REACH, {
        columns[k] = &memory[(first + k) % KEPT * (per_column + 1)..][..per_column];
    });
    columns
}
