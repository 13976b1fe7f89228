//! Forward: the sums of a block's terms.

use msssim_core::ssim::{contrast_structure, luminance};
use msssim_core::sum::Units;

use super::{
    COLUMNS, Memory, REACH, Rows, Scale, Tally, last_columns, moments, repeat, vertical_until,
    write_units,
};
use crate::dispatch::Task;
use crate::lanes::Lanes;

/// Most rows of a block.
pub(crate) const R: usize = 8;

/// The sums of the terms of a block of rows.
pub(crate) struct Forward<'a> {
    pub(crate) scale: &'a Scale,
    pub(crate) rows: Rows,
    pub(crate) memory: &'a mut Memory,
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
        let samples = L::vectors(&mut self.memory.samples);
        let columns = L::vectors(&mut self.memory.columns);
        let first_columns = L::vectors(&mut self.memory.first_columns);
        let windows: &[L] = L::vectors(&mut self.memory.windows);

        let mut tallies: [Tally<L>; R] = [[[L::splat(0.0); 3]; 2]; R];
        let (mut done, mut at) = (0, 0);
        while at < rows.end() {
            done = vertical_until::<L, R, true>(
                &ratios,
                segment,
                samples,
                columns,
                first_columns,
                done,
                at + COLUMNS + REACH,
            );
            let windows = &windows[at..at + COLUMNS];
            let columns = last_columns(columns, at, 4 * R);
            for (row, tally) in tallies[..rows.count].iter_mut().enumerate() {
                let moments = moments::<L, R>(&products, &columns, row);
                repeat!(c, COLUMNS, {
                    let mut cs = contrast_structure(moments[c], c2).value;
                    if scale.is_ssim {
                        let mut ssim = luminance(moments[c], c1).value * cs;
                        if scale.is_clamped {
                            ssim = ssim.zero_where_negative(ssim);
                        }
                        tally[1] = ssim.mask(windows[c]).tally(tally[1]);
                    }
                    if scale.is_clamped {
                        cs = cs.zero_where_negative(cs);
                    }
                    tally[0] = cs.mask(windows[c]).tally(tally[0]);
                });
            }
            at += COLUMNS;
        }
        for (row, tally) in tallies[..rows.count].iter().enumerate() {
            write_units(tally, &rows, &mut self.sums[row * rows.images..]);
        }
    }
}
