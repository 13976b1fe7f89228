//! What is done to the lines of all images at once.

use msssim_core::filter::{extend_line, extended_row, fold_line, line_padding};
use msssim_core::pyramid::{halve_rows, source_rows};
use msssim_core::statistics::Scaling;
use msssim_core::{Border, Halving, Size, combine_gradient_row};

use super::{GROUP, RING};
use crate::band::is_alone;
use crate::dispatch::Task;
use crate::kernel::{Backward, RADIUS, Rows};
use crate::lanes::{Block, Lanes};

/// The lines of a scale.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) border: Border,
    pub(super) size: Size,
    /// By how much lines and planes are extended at either end.
    pub(super) beyond: usize,
}

impl Line {
    pub(super) fn new(border: Border, size: Size) -> Self {
        Self {
            border,
            size,
            beyond: line_padding(border, RADIUS) / 2,
        }
    }

    /// Vectors of an extended line.
    fn len(&self) -> usize {
        self.size.width + 2 * self.beyond
    }

    /// The row that a row of the extended plane is a copy of.
    pub(super) fn row(&self, extended: usize) -> usize {
        extended_row(self.border, RADIUS, self.size.height, extended)
    }

    /// Whether a row has no other copy in the extended plane.
    pub(super) fn is_alone(&self, row: usize) -> bool {
        is_alone(self.border, self.size.height, row)
    }
}

/// Marks the columns that have windows, in the lanes that have images.
pub(super) struct MarkColumns<'a> {
    pub(super) rows: Rows,
    pub(super) windows: &'a mut [Block],
}

impl Task for MarkColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Rows {
            segment,
            images,
            width,
            ..
        } = self.rows;
        let mut of_lanes = [0.0; 16];
        of_lanes[..images].fill(f32::from_bits(!0));
        let (inside, outside) = (L::load(&of_lanes), L::splat(0.0));
        let windows = &mut L::vectors(self.windows)[..segment];
        for (i, window) in windows.iter_mut().enumerate() {
            *window = if i < width { inside } else { outside };
        }
    }
}

/// Where a scale's samples come from.
pub(super) enum Source<'a> {
    Images {
        images: [&'a [f32]; 2],
        count: usize,
        scaling: Scaling<f32>,
    },
    Vectors(&'a mut [Vec<Block>; 2]),
}

/// Makes a line of `s` and one of `d`, and puts them into the kernel's columns.
pub(super) struct LoadLine<'a> {
    pub(super) line: Line,
    /// Whether the lines have yet to be made.
    pub(super) is_new: bool,
    pub(super) source: Source<'a>,
    pub(super) row: usize,
    /// The row of the extended plane.
    pub(super) to: usize,
    pub(super) lines: &'a mut [Block],
    pub(super) samples: &'a mut [Block],
    pub(super) segment: usize,
}

impl Task for LoadLine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (line, row) = (self.line, self.row);
        let Size { width, .. } = line.size;
        let middle = line.beyond..line.beyond + width;
        let mut lines = L::vectors(self.lines).chunks_exact_mut(2 * line.len());
        let (Some(sums), Some(differences)) = (lines.next(), lines.next()) else {
            unreachable!("memory has four lines")
        };
        let s = &mut sums[row % 2 * line.len()..][..line.len()];
        let d = &mut differences[row % 2 * line.len()..][..line.len()];
        if self.is_new {
            match self.source {
                Source::Images {
                    images,
                    count,
                    scaling,
                } => {
                    let scaling = scaling.splat::<L>();
                    let (s, d) = (&mut s[middle.clone()], &mut d[middle]);
                    let mut next = 0;
                    while next < width {
                        // The last columns may be read again.
                        let first = next.min(width - GROUP);
                        let at = row * width + first;
                        let x = columns::<L>(images[0], line.size.area(), count, at);
                        let y = columns::<L>(images[1], line.size.area(), count, at);
                        for c in 0..GROUP {
                            [s[first + c], d[first + c]] = scaling.sum_and_difference(x[c], y[c]);
                        }
                        next += GROUP;
                    }
                }
                Source::Vectors([of_sum, of_difference]) => {
                    let pairs = [(&mut *s, of_sum), (&mut *d, of_difference)];
                    for (line, plane) in pairs {
                        let from = &L::vectors(plane)[row * width..][..width];
                        line[middle.clone()].copy_from_slice(from);
                    }
                }
            }
            extend_line(line.border, RADIUS, s);
            extend_line(line.border, RADIUS, d);
        }
        let samples = &mut L::vectors(self.samples)[..2 * RING * self.segment];
        let slot = self.to % RING;
        let columns = samples.chunks_exact_mut(2 * RING);
        for ((column, s), d) in columns.zip(s).zip(d) {
            column[2 * slot] = *s;
            column[2 * slot + 1] = *d;
        }
    }
}

/// Four vectors: lane `j` of vector `i` is sample `at + i` of image `j`.
#[inline(always)]
fn columns<L: Lanes>(images: &[f32], area: usize, count: usize, at: usize) -> [L; GROUP] {
    if count == L::COUNT {
        return L::gather(images, area, at);
    }
    let mut columns = [L::splat(0.0); GROUP];
    for (i, column) in columns.iter_mut().enumerate() {
        let mut of_lanes = [0.0; 16];
        for lane in 0..count {
            of_lanes[lane] = images[lane * area + at + i];
        }
        *column = L::load(&of_lanes);
    }
    columns
}

/// Makes a row of the next scale.
pub(super) struct HalveLines<'a> {
    pub(super) line: Line,
    pub(super) halving: Halving,
    pub(super) row: usize,
    pub(super) lines: &'a mut [Block],
    pub(super) width: usize,
    pub(super) coarser: &'a mut [Vec<Block>; 2],
}

impl Task for HalveLines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { line, halving, .. } = self;
        let [upper, lower] = source_rows(halving, line.size, self.row);
        let lines: &[L] = L::vectors(self.lines);
        // Two zeros make a sum of -1.
        for (m, outside) in [-1.0, 0.0].into_iter().enumerate() {
            let row = |row: usize| {
                &lines[(2 * m + row % 2) * line.len() + line.beyond..][..line.size.width]
            };
            let rows = [upper.map(row), lower.map(row)];
            let coarse = L::vectors(&mut self.coarser[m]);
            let coarse = &mut coarse[self.row * self.width..][..self.width];
            halve_rows(halving, line.size, rows, L::splat(outside), coarse);
        }
    }
}

/// Clears the rows of the gradient that several are added to.
pub(super) struct ClearEdges<'a> {
    pub(super) line: Line,
    pub(super) gradient: &'a mut [Block],
}

impl Task for ClearEdges<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let line = self.line;
        let rows = L::vectors(self.gradient).chunks_exact_mut(line.size.width);
        for (row, gradient) in rows.take(line.size.height).enumerate() {
            if !line.is_alone(row) {
                gradient.fill(L::splat(0.0));
            }
        }
    }
}

/// Adds a block of rows of the extended plane's gradient to the rows and columns that they are copies of.
pub(super) struct FoldRows<'a> {
    pub(super) line: Line,
    pub(super) first: usize,
    /// Of the kernel, column by column.
    pub(super) kernel: &'a mut [Block],
    pub(super) lines: &'a mut [Block],
    pub(super) gradient: &'a mut [Block],
}

impl Task for FoldRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let line = self.line;
        let Size { width, height } = line.size;
        let kernel: &[L] = L::vectors(self.kernel);
        let folded = &mut L::vectors(self.lines)[4 * line.len()..][..line.len()];
        let gradient = L::vectors(self.gradient);
        let rows = Backward::ROWS.min(height + 2 * line.beyond - self.first);
        for i in 0..rows {
            let columns = kernel.chunks_exact(Backward::ROWS);
            for (v, column) in folded.iter_mut().zip(columns) {
                *v = column[i];
            }
            fold_line(line.border, RADIUS, folded);
            let row = line.row(self.first + i);
            let own = &folded[line.beyond..][..width];
            let gradient = &mut gradient[row * width..][..width];
            if line.is_alone(row) {
                for (gradient, v) in gradient.iter_mut().zip(own) {
                    *gradient = *v;
                }
            } else {
                for (gradient, v) in gradient.iter_mut().zip(own) {
                    *gradient = *gradient + *v;
                }
            }
        }
    }
}

/// Scales one scale's gradients, and adds what is owed to the next scale's.
pub(super) struct CombineScale<'a> {
    pub(super) halving: Halving,
    pub(super) size: Size,
    pub(super) factors: [f32; 16],
    pub(super) coarser: Option<&'a mut [Block]>,
    pub(super) gradient: &'a mut [Block],
}

impl Task for CombineScale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let factors = L::load(&self.factors);
        let coarser: Option<&[L]> = match self.coarser {
            Some(coarser) => Some(L::vectors(coarser)),
            None => None,
        };
        let rows = L::vectors(self.gradient).chunks_exact_mut(self.size.width);
        for (row, fine) in rows.take(self.size.height).enumerate() {
            combine_gradient_row(self.halving, self.size, factors, coarser, row, fine);
        }
    }
}

/// Writes vectors times `share` to images that follow each other.
pub(super) struct WriteImages<'a> {
    pub(super) area: usize,
    pub(super) count: usize,
    pub(super) share: f32,
    pub(super) vectors: &'a mut [Block],
    pub(super) images: &'a mut [f32],
}

impl Task for WriteImages<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { area, count, .. } = self;
        let share = L::splat(self.share);
        let vectors = &L::vectors(self.vectors)[..area];
        let mut next = 0;
        while next < area {
            // The last may be written again.
            let at = next.min(area - GROUP);
            let mut group = [share; GROUP];
            for i in 0..GROUP {
                group[i] = vectors[at + i] * share;
            }
            if count == L::COUNT {
                L::scatter(group, self.images, area, at);
            } else {
                for (i, of_lanes) in group.into_iter().enumerate() {
                    for (lane, v) in of_lanes.numbers()[..count].iter().enumerate() {
                        self.images[lane * area + at + i] = *v;
                    }
                }
            }
            next += GROUP;
        }
    }
}
