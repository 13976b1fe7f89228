//! Brings rows of the extended plane into the kernels' memory, and makes the next scale of them on the way.

use std::ops::Range;

use msssim_core::filter::{extend_line, extended_row, line_padding};
use msssim_core::pyramid::{is_even, last_source, source_rows};
use msssim_core::{PlaneMut, Size};

use super::{Coarse, Job, Layout};
use crate::kernel::{Backward, Load, LoadPair, Memory, RADIUS};
use crate::lanes::{Ahead, Number};
use crate::rows::{Halve, InPlace, Planes, is_in_cache};

pub(super) struct Loader<'a, 'b> {
    job: &'a Job<'a>,
    /// Two lines of `s` and two of `d`, by turns those of even and odd rows, and one for the next scale.
    lines: &'b mut [f32],
    /// The rows in them.
    written: [Option<usize>; 2],
    /// The next row of the extended plane.
    pub(super) next: usize,
    coarse: Option<Coarse<'b>>,
    /// The next row of the next scale.
    halved: usize,
    pub(super) ahead: Ahead,
    /// Where rows lie, if they are read from there, two at a time.
    in_place: Option<InPlace<'a>>,
}

impl<'a, 'b> Loader<'a, 'b> {
    /// `lines` has room for five lines.
    pub(super) fn new(job: &'a Job<'a>, lines: &'b mut [f32], coarse: Option<Coarse<'b>>) -> Self {
        let mut loader = Self {
            job,
            lines,
            written: [None; 2],
            next: 0,
            halved: coarse.as_ref().map_or(0, |coarse| coarse.rows.start),
            coarse,
            ahead: Ahead::default(),
            in_place: None,
        };
        loader.in_place = loader.reads_in_place();
        loader
    }

    /// Notes what `count` rows of the extended plane from the next one on are made of, and the rows of the next scale
    /// that will be made.
    pub(super) fn look_ahead(&mut self, count: usize) {
        let Job {
            constants,
            size,
            source,
            ..
        } = *self.job;
        self.ahead.clear();
        let half = line_padding(constants.border, RADIUS) / 2;
        let row = |extended: usize| extended.saturating_sub(half).min(size.height);
        let rows = row(self.next)..row(self.next + count);
        if !rows.is_empty() {
            source.place(rows, &mut self.ahead);
        }
        if let Some(coarse) = self
            .coarse
            .as_ref()
            .filter(|coarse| !is_in_cache(coarse.size))
        {
            let width = coarse.size.width;
            let first = self.halved - coarse.rows.start;
            let count = (count / 2).min(coarse.rows.len() - first);
            for plane in [&*coarse.sum, &*coarse.difference] {
                self.ahead.add(&plane[first * width..], count, width, width);
            }
        }
    }

    /// Loads all rows before `end` into a ring of `RING`.
    pub(super) fn load<const RING: usize>(&mut self, memory: &mut Memory, end: usize) {
        let Job {
            layout,
            constants,
            size,
            source,
            ..
        } = *self.job;
        let (border, token) = (constants.border, layout.token);
        let half = line_padding(border, RADIUS) / 2;
        let line = layout.line();
        while self.next < end {
            match self.in_place {
                Some(InPlace::Floats(planes)) => {
                    self.load_pair::<_, RING>(planes, memory);
                    continue;
                }
                Some(InPlace::Bytes(planes)) => {
                    self.load_pair::<_, RING>(planes, memory);
                    continue;
                }
                None => {}
            }
            let row = extended_row(border, RADIUS, size.height, self.next);
            let (sums, differences) = self.lines[..4 * line].split_at_mut(2 * line);
            let sum = &mut sums[row % 2 * line..][..line];
            let difference = &mut differences[row % 2 * line..][..line];
            // The copies of a row follow each other.
            let is_new = self.written[row % 2] != Some(row);
            if is_new {
                self.written[row % 2] = Some(row);
                let (s, d) = (
                    &mut sum[..size.width + 2 * half],
                    &mut difference[..size.width + 2 * half],
                );
                let middle = half..half + size.width;
                source.write(token, row, &mut s[middle.clone()], &mut d[middle]);
                extend_line(border, RADIUS, s);
                extend_line(border, RADIUS, d);
            }
            token.run(Load::<'_, RING> {
                segment: layout.segment,
                row: self.next,
                sum,
                difference,
                samples: &mut memory.samples,
            });
            if (half..half + size.height).contains(&self.next) {
                self.halve(row, half);
            }
            self.next += 1;
        }
    }

    /// The rows of the gradient from row `first` on, if a block's can be written where they lie.
    pub(super) fn in_place_target<'g>(
        &mut self,
        gradient: &'g mut PlaneMut<'_>,
        targets: &Range<usize>,
        first: usize,
    ) -> Option<&'g mut [f32]> {
        let Size { width, .. } = self.job.size;
        let row = first
            .checked_sub(targets.start)
            .filter(|_| self.in_place.is_some())?;
        let rows = gradient.packed_from_mut(row)?;
        let len = (Backward::ROWS - 1) * width + self.job.layout.line();
        if let Some(next) = rows.get(Backward::ROWS * width..) {
            self.ahead.add(next, Backward::ROWS, width, width);
        }
        (rows.len() >= len).then_some(rows)
    }

    /// The rows if they can be read from where they lie: there is no border, and halving takes whole pairs of rows and of
    /// columns.
    fn reads_in_place(&self) -> Option<InPlace<'a>> {
        let Job {
            constants,
            size,
            halving,
            source,
            ..
        } = *self.job;
        let pairs = line_padding(constants.border, RADIUS) == 0
            && (self.coarse.is_none() || is_even(halving, size));
        source.in_place().filter(|_| pairs)
    }

    /// Loads the next two rows, the last one twice where it is alone.
    fn load_pair<N: Number, const RING: usize>(
        &mut self,
        planes: Planes<'_, N>,
        memory: &mut Memory,
    ) {
        let Job { layout, size, .. } = *self.job;
        let Layout { token, segment, .. } = layout;
        let line = layout.line();
        let (lines, coarse_line) = self.lines.split_at_mut(4 * line);
        let lower = (self.next + 1).min(size.height - 1);
        let mut rows = [self.next, lower].map(|row| planes.rows_from(row));
        let copies = bytemuck::cast_slice_mut(lines).chunks_exact_mut(line);
        for (numbers, copy) in rows.as_flattened_mut().iter_mut().zip(copies) {
            // What follows a row in memory is in lanes beyond the last column. After the last rows too little follows.
            if numbers.len() < line {
                copy[..numbers.len()].copy_from_slice(numbers);
                *numbers = copy;
            }
        }
        let (sum, difference) = coarse_line.split_at_mut(line / 2);
        token.run(LoadPair::<'_, N, RING> {
            segment,
            row: self.next,
            rows,
            scaling: planes.scaling,
            samples: &mut memory.samples,
            coarse: self
                .coarse
                .is_some()
                .then_some([&mut *sum, &mut *difference]),
        });
        if let Some(coarse) = &mut self.coarse {
            let row = self.next / 2;
            if coarse.rows.contains(&row) {
                let width = coarse.size.width;
                let at = (row - coarse.rows.start) * width;
                coarse.sum[at..][..width].copy_from_slice(&sum[..width]);
                coarse.difference[at..][..width].copy_from_slice(&difference[..width]);
                self.halved = row + 1;
            }
        }
        self.next += 2;
    }

    /// Makes the rows of the next scale whose last row is `row`.
    fn halve(&mut self, row: usize, half: usize) {
        let Job {
            layout,
            size,
            halving,
            ..
        } = *self.job;
        let Some(coarse) = &mut self.coarse else {
            return;
        };
        let line = layout.line();
        let (sums, differences) = self.lines[..4 * line].split_at(2 * line);
        let width = coarse.size.width;
        while self.halved < coarse.rows.end && last_source(halving, size, self.halved) <= row {
            let at = (self.halved - coarse.rows.start) * width;
            let sources = source_rows(halving, size, self.halved);
            // Two zeros make a sum of -1.
            for (lines, outside, out) in [
                (sums, -1.0, &mut *coarse.sum),
                (differences, 0.0, &mut *coarse.difference),
            ] {
                let row = |row: usize| &lines[row % 2 * line + half..][..size.width];
                layout.token.run(Halve {
                    halving,
                    size,
                    rows: sources.map(|source| source.map(row)),
                    outside,
                    coarse: &mut out[at..][..width],
                });
            }
            self.halved += 1;
        }
    }
}
