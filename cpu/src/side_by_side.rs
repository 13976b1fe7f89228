//! Small images side by side, each in a lane of its own.
//!
//! Everything is vectors from when samples are read until the gradient is written: a plane is as many vectors as an image has
//! pixels, row by row. What is done to a line of one image, such as extending it, is done to all images at once.

use msssim_core::filter::{extend_line, extended_row, fold_line, line_padding};
use msssim_core::pyramid::{halve_rows, last_source, source_rows};
use msssim_core::statistics::Scaling;
use msssim_core::sum::Units;
use msssim_core::{Border, Halving, MAX_SCALES, Size, combine_gradient_row};

use crate::dispatch::{Task, Token};
use crate::kernel::{
    self, Backward, MAPS, Memory, RADIUS, REACH, Rows, SEGMENT_STEP, SHORTEST_SEGMENT, Target, ring,
};
use crate::lanes::{Ahead, Block, Lanes};
use crate::pyramid::Sums;

/// Columns of the widest map: of more the kernels' rings leave the second-level cache.
const WIDEST: usize = 240 - REACH;

/// Columns that are read or written at a time.
const GROUP: usize = 4;

/// Rows of samples that the kernel keeps.
const RING: usize = ring(Backward::ROWS);

/// Memory for as many images as a vector has lanes; what it holds does not matter.
#[derive(Clone, Debug)]
pub(crate) struct SideBySide {
    token: Token,
    scales: Vec<Scale>,
    kernel: Memory,
    /// Lines of `s`, of even and odd rows, lines of `d`, and one of the gradient.
    lines: Vec<Block>,
    units: Vec<[Units; 2]>,
}

/// One scale of the images.
#[derive(Clone, Debug)]
struct Scale {
    size: Size,
    /// `s = x + y - 1` and `d = x - y`; of the finest scale nothing is kept.
    samples: [Vec<Block>; 2],
    gradient: Vec<Block>,
}

/// Blocks that hold as many vectors.
fn blocks(token: Token, vectors: usize) -> usize {
    (vectors * token.lanes()).div_ceil(16)
}

impl SideBySide {
    /// The vectors to lay images side by side in, if that is worth while for `count` of them.
    pub(crate) fn token(plan: &msssim_core::MsSsim, best: Token, count: usize) -> Option<Token> {
        let fits = plan.map_size(0).width <= WIDEST && plan.size().width >= GROUP;
        let mut tokens = [Some(best), best.narrower()].into_iter().flatten();
        tokens.find(|token| fits && 2 * count > token.lanes())
    }

    pub(crate) fn new(plan: &msssim_core::MsSsim, token: Token) -> Self {
        let sizes = plan.scale_sizes().iter().enumerate();
        let scales = sizes.map(|(scale, &size)| {
            let plane =
                |kept: bool| vec![Block::ZERO; blocks(token, size.area()) * usize::from(kept)];
            Scale {
                size,
                samples: [plane(scale > 0), plane(scale > 0)],
                gradient: plane(true),
            }
        });
        let mut kernel = Memory::default();
        let segment = segment(plan.map_size(0).width);
        kernel.reserve(token.lanes(), segment, Backward::ROWS, true);
        Self {
            token,
            scales: scales.collect(),
            kernel,
            lines: vec![Block::ZERO; blocks(token, 5 * segment)],
            units: vec![[Units::default(); 2]; Backward::ROWS * token.lanes()],
        }
    }

    /// The sums of every scale's terms of as many images as there are `sums`, and every scale's gradients of its own sums.
    ///
    /// The images' samples follow each other.
    pub(crate) fn differentiate(
        &mut self,
        plan: &msssim_core::MsSsim,
        images: [&[f32]; 2],
        sums: &mut [Sums],
    ) {
        let Self {
            token,
            scales,
            kernel,
            lines,
            units,
        } = self;
        let (token, count) = (*token, sums.len());
        let halving = plan.params().halving;
        let scaling = Scaling::new(plan.params().data_range);
        sums.fill(Sums::default());
        for scale in 0..scales.len() {
            let (own, coarser) = scales.split_at_mut(scale + 1);
            let Scale {
                size,
                samples,
                gradient,
            } = &mut own[scale];
            let mut coarser = coarser.first_mut();
            let constants = plan.constants(scale);
            let line = Line::new(constants.border, *size);
            let map = plan.map_size(scale);
            let rows = Rows {
                segment: segment(map.width),
                segments: 1,
                images: count,
                width: map.width,
                count: 0,
                before: 0,
            };
            token.run(MarkColumns {
                rows,
                windows: &mut kernel.windows,
            });
            token.run(Clear {
                line,
                gradient: &mut *gradient,
                spread: &mut kernel.spread,
                len: rows.segment * RING * MAPS,
            });
            let of_kernel = kernel::Scale::new(constants);
            let height = size.height + 2 * line.beyond;
            let mut totals = [[Units::default(); 2]; 16];
            let (mut next, mut halved, mut written) = (0, 0, [None; 2]);
            for first in (0..height).step_by(Backward::ROWS) {
                while next < (first + Backward::ROWS + REACH).min(height) {
                    let row = line.row(next);
                    // The copies of a row follow each other.
                    let is_new = written[row % 2].replace(row) != Some(row);
                    token.run(LoadLine {
                        line,
                        is_new,
                        source: match scale {
                            0 => Source::Images {
                                images,
                                count,
                                scaling,
                            },
                            _ => Source::Vectors(samples),
                        },
                        row,
                        to: next,
                        lines,
                        samples: &mut kernel.samples,
                        segment: rows.segment,
                    });
                    if let Some(coarser) = &mut coarser {
                        let is_own = (line.beyond..line.beyond + size.height).contains(&next);
                        while is_own
                            && halved < coarser.size.height
                            && last_source(halving, *size, halved) <= row
                        {
                            token.run(HalveLines {
                                line,
                                halving,
                                row: halved,
                                lines,
                                width: coarser.size.width,
                                coarser: &mut coarser.samples,
                            });
                            halved += 1;
                        }
                    }
                    next += 1;
                }
                let made = Backward::ROWS.min(map.height.saturating_sub(first));
                token.run(Backward {
                    scale: &of_kernel,
                    rows: Rows {
                        count: made,
                        before: first / Backward::ROWS,
                        ..rows
                    },
                    memory: kernel,
                    ahead: &mut Ahead::default(),
                    sums: units,
                    gradient: Target::Memory,
                });
                for units in units.chunks_exact(count).take(made) {
                    for (totals, units) in totals.iter_mut().zip(units) {
                        for (total, units) in totals.iter_mut().zip(units) {
                            *total += *units;
                        }
                    }
                }
                token.run(FoldRows {
                    line,
                    first,
                    kernel: &mut kernel.gradient,
                    lines,
                    gradient,
                });
            }
            // Of so few terms sums are exact in any order.
            for (sums, totals) in sums.iter_mut().zip(totals) {
                [sums[scale].cs, sums[scale].ssim] = totals.map(Units::value);
            }
        }
    }

    /// The gradient of each image's score times `share`, by its scales' gradients and their factors.
    pub(crate) fn combine(
        &mut self,
        plan: &msssim_core::MsSsim,
        factors: &[[f64; MAX_SCALES]],
        share: f32,
        gradient: &mut [f32],
    ) {
        for scale in (0..self.scales.len()).rev() {
            let (own, coarser) = self.scales.split_at_mut(scale + 1);
            let Scale { size, gradient, .. } = &mut own[scale];
            let mut of_images = [0.0; 16];
            for (of_image, factors) in of_images.iter_mut().zip(factors) {
                *of_image = factors[scale] as f32;
            }
            self.token.run(CombineScale {
                halving: plan.params().halving,
                size: *size,
                factors: of_images,
                coarser: coarser.first_mut().map(|coarser| &mut coarser.gradient[..]),
                gradient,
            });
        }
        self.token.run(WriteImages {
            area: plan.size().area(),
            count: factors.len(),
            share,
            vectors: &mut self.scales[0].gradient,
            images: gradient,
        });
    }
}

/// Columns of a segment that holds a whole line.
fn segment(map_width: usize) -> usize {
    (map_width + REACH)
        .max(SHORTEST_SEGMENT)
        .next_multiple_of(SEGMENT_STEP)
}

/// The lines of a scale.
#[derive(Clone, Copy)]
struct Line {
    border: Border,
    size: Size,
    /// By how much lines and planes are extended at either end.
    beyond: usize,
}

impl Line {
    fn new(border: Border, size: Size) -> Self {
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
    fn row(&self, extended: usize) -> usize {
        extended_row(self.border, RADIUS, self.size.height, extended)
    }

    /// Whether a row has no other copy in the extended plane.
    fn is_alone(&self, row: usize) -> bool {
        self.beyond == 0 || (row > RADIUS && row + RADIUS + 1 < self.size.height)
    }
}

/// Marks the columns that have windows, in the lanes that have images.
struct MarkColumns<'a> {
    rows: Rows,
    windows: &'a mut [Block],
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
enum Source<'a> {
    Images {
        images: [&'a [f32]; 2],
        count: usize,
        scaling: Scaling<f32>,
    },
    Vectors(&'a mut [Vec<Block>; 2]),
}

/// Makes a line of `s` and one of `d`, and puts them into the kernel's columns.
struct LoadLine<'a> {
    line: Line,
    /// Whether the lines have yet to be made.
    is_new: bool,
    source: Source<'a>,
    row: usize,
    /// The row of the extended plane.
    to: usize,
    lines: &'a mut [Block],
    samples: &'a mut [Block],
    segment: usize,
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
                        let to = &mut line[middle.clone()];
                        for i in 0..width {
                            to[i] = from[i];
                        }
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
struct HalveLines<'a> {
    line: Line,
    halving: Halving,
    row: usize,
    lines: &'a mut [Block],
    width: usize,
    coarser: &'a mut [Vec<Block>; 2],
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

/// Clears the rows of the gradient that several are added to, and what the kernel finds from before its first block.
struct Clear<'a> {
    line: Line,
    gradient: &'a mut [Block],
    spread: &'a mut [Block],
    len: usize,
}

impl Task for Clear<'_> {
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
        for v in &mut L::vectors(self.spread)[..self.len] {
            *v = L::splat(0.0);
        }
    }
}

/// Adds a block of rows of the extended plane's gradient to the rows and columns that they are copies of.
struct FoldRows<'a> {
    line: Line,
    first: usize,
    /// Of the kernel, column by column.
    kernel: &'a mut [Block],
    lines: &'a mut [Block],
    gradient: &'a mut [Block],
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
struct CombineScale<'a> {
    halving: Halving,
    size: Size,
    factors: [f32; 16],
    coarser: Option<&'a mut [Block]>,
    gradient: &'a mut [Block],
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
struct WriteImages<'a> {
    area: usize,
    count: usize,
    share: f32,
    vectors: &'a mut [Block],
    images: &'a mut [f32],
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
                    let of_lanes = of_lanes.numbers();
                    for lane in 0..count {
                        self.images[lane * area + at + i] = of_lanes[lane];
                    }
                }
            }
            next += GROUP;
        }
    }
}
