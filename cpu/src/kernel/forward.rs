//! Forward: the sums of a block's terms.

use msssim_core::ssim::{contrast_structure, luminance};
use msssim_core::sum::Units;

use super::passes::{Columns, moments};
use super::{COLUMNS, Memory, REACH, Rows, Scale, Tally, repeat, ring, write_units};
use crate::dispatch::Task;
use crate::lanes::{Ahead, Lanes};

/// Most rows of a block.
pub(crate) const R: usize = 8;

/// Blocks that a ring of rows holds.
const BLOCKS: usize = ring(R) / R;

/// The sums of the terms of a block of rows.
pub(crate) struct Forward<'a> {
    pub(crate) scale: &'a Scale,
    pub(crate) rows: Rows,
    pub(crate) memory: &'a mut Memory,
    /// What the next block takes.
    pub(crate) ahead: &'a mut Ahead,
    /// For each row, of each image: sums of `cs`, and of `l cs` where there is luminance.
    pub(crate) sums: &'a mut [[Units; 2]],
}

impl Forward<'_> {
    /// Most rows of a block.
    pub(crate) const ROWS: usize = R;
}

impl Task for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { scale, rows, .. } = self;
        let segment = rows.segment;
        let ratios = scale.ratios.map(L::splat);
        let products = scale.products.map(L::splat);
        let (c1, c2) = (L::splat(scale.c1), L::splat(scale.c2));
        let floor = L::splat(scale.floor);
        let samples: &[L] = L::vectors(&mut self.memory.samples);
        let mut columns = Columns {
            samples,
            columns: L::vectors(&mut self.memory.columns),
            first_columns: L::vectors(&mut self.memory.first_columns),
            done: 0,
        };
        let sums = L::vectors(&mut self.memory.sums);
        let windows: &[L] = L::vectors(&mut self.memory.windows);

        let mut tallies: [Tally<L>; R] = [[[L::splat(0.0); 2]; 2]; R];
        let share = self.ahead.share(rows.end() / COLUMNS * R);
        let mut at = 0;
        while at < rows.end() {
            columns.make::<R, BLOCKS>(&ratios, &rows, at + COLUMNS + REACH);
            let windows = &windows[at..at + COLUMNS];
            columns.horizontal::<R>(&products, segment, at, sums);
            for (row, tally) in tallies[..rows.count].iter_mut().enumerate() {
                self.ahead.prefetch(share);
                repeat!(c, COLUMNS, {
                    let moments = moments::<L, R>(sums, COLUMNS * row + c);
                    let cs = contrast_structure(moments, c2).value;
                    if scale.is_ssim {
                        let ssim = luminance(moments, c1).value * cs;
                        tally[1] = ssim.at_least(floor).mask(windows[c]).tally(tally[1]);
                    }
                    tally[0] = cs.at_least(floor).mask(windows[c]).tally(tally[0]);
                });
            }
            at += COLUMNS;
        }
        for (row, tally) in tallies[..rows.count].iter().enumerate() {
            write_units(tally, &rows, &mut self.sums[row * rows.images..]);
        }
    }
}
