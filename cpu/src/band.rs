//! A band: consecutive rows of one scale, on one thread, from their samples to their sums, the next scale's samples
//! and the gradient.

mod loader;

use std::ops::Range;

use msssim_core::filter::{extended_row, fold_line, line_padding};
use msssim_core::statistics::Constants;
use msssim_core::sum::Units;
use msssim_core::{Border, Halving, PlaneMut, Size};

use self::loader::Loader;
use crate::dispatch::Token;
use crate::kernel::{
    Backward, Forward, MarkWindows, Memory, RADIUS, REACH, Rows, SEGMENT_STEP, SHORTEST_SEGMENT,
    Scale, Target, ring,
};
use crate::lanes::{Block, MOST_TALLIED, numbers};
use crate::rows::{Add, Source};

/// Bands begin at a multiple of this: of every kernel's rows.
pub(crate) const BAND_STEP: usize = 8;

/// Rows of a band at least: those of the gradient that are added to one row, and those that a band makes again of
/// the one above.
pub(crate) const SHORTEST_BAND: usize = 32;

/// Rows of windows that a band makes again for its gradient.
const WARM_UP: usize = REACH.next_multiple_of(Backward::ROWS);

/// How the lines of a scale lie in vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    token: Token,
    /// Columns of a segment.
    segment: usize,
    /// Segments of a line.
    segments: usize,
}

impl Layout {
    /// The layout with the least work for maps `width` wide.
    pub(crate) fn new(token: Token, width: usize) -> Self {
        let columns = width + REACH;
        let of = |token: Token| {
            let segment = columns.div_ceil(token.lanes());
            let segment = segment.max(SHORTEST_SEGMENT).next_multiple_of(SEGMENT_STEP);
            Self {
                token,
                segment,
                segments: columns.div_ceil(segment),
            }
        };
        let wide = of(token);
        match token.narrower() {
            // Twice the lanes take nearly twice the time on some machines.
            Some(token) if 9 * wide.segment > 5 * of(token).segment => of(token),
            _ => wide,
        }
    }

    /// Numbers in a line of all lanes.
    fn line(&self) -> usize {
        self.token.lanes() * self.segment
    }

    /// Whether a row's sums fit, see `Lanes::tally`.
    pub(crate) fn fits(&self) -> bool {
        self.segment <= MOST_TALLIED
    }
}

/// Memory that a band needs; what it holds does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    kernel: Memory,
    /// Two lines of `s`, two of `d`, one for the next scale, and a block's of the gradient.
    lines: Vec<Block>,
    units: Vec<[Units; 2]>,
}

impl Scratch {
    /// Makes room for bands of a layout.
    pub(crate) fn reserve(&mut self, layout: &Layout) {
        let Layout { token, segment, .. } = *layout;
        self.kernel
            .reserve(token.lanes(), segment, Forward::ROWS, false);
        self.kernel
            .reserve(token.lanes(), segment, Backward::ROWS, true);
        let lines = ((5 + Backward::ROWS) * layout.line()).div_ceil(16);
        self.lines.resize(self.lines.len().max(lines), Block::ZERO);
        let units = Forward::ROWS.max(Backward::ROWS);
        self.units
            .resize(self.units.len().max(units), [Units::default(); 2]);
    }
}

/// What the bands of a scale share.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) layout: Layout,
    pub(crate) scale: Scale,
    pub(crate) constants: &'a Constants,
    pub(crate) size: Size,
    pub(crate) halving: Halving,
    pub(crate) source: &'a dyn Source,
}

/// Planes of the next scale's `s` and `d`: the rows that a band makes.
pub(crate) struct Coarse<'a> {
    pub(crate) size: Size,
    /// The rows.
    pub(crate) rows: Range<usize>,
    pub(crate) sum: &'a mut [f32],
    pub(crate) difference: &'a mut [f32],
}

/// A band and what it writes.
pub(crate) struct Band<'a, 'p> {
    /// The rows of windows whose sums count, and of the extended plane whose gradient is written.
    pub(crate) rows: Range<usize>,
    /// Sums of `cs` and of `l cs` of every row of windows.
    pub(crate) sums: &'a mut [[f64; 2]],
    pub(crate) coarse: Option<Coarse<'a>>,
    /// The rows of the gradient that are the band's ([`target_rows`]).
    pub(crate) gradient: Option<PlaneMut<'p>>,
}

/// The rows of the plane whose gradient a band over `rows` of the extended plane writes, of a plane of `height` rows and
/// windows of `map_height`.
pub(crate) fn target_rows(
    border: Border,
    rows: &Range<usize>,
    map_height: usize,
    height: usize,
) -> Range<usize> {
    let half = line_padding(border, RADIUS) / 2;
    let end = match rows.end >= map_height {
        true => height,
        false => rows.end - half,
    };
    rows.start.saturating_sub(half)..end
}

/// The rows of the next scale, of `height` rows, that a band over `rows` makes.
pub(crate) fn coarse_rows(rows: &Range<usize>, map_height: usize, height: usize) -> Range<usize> {
    // One lower than half its own rows, since some rules take the row above.
    let at = |row: usize| match row {
        0 => 0,
        row => (row / 2 + 1).min(height),
    };
    let end = match rows.end >= map_height {
        true => height,
        false => at(rows.end),
    };
    at(rows.start)..end
}

/// Whether no row of the extended plane but one is a copy of row `row` of a plane of `height` rows.
pub(crate) fn is_alone(border: Border, height: usize, row: usize) -> bool {
    line_padding(border, RADIUS) == 0 || (row > RADIUS && row + RADIUS + 1 < height)
}

impl Job<'_> {
    /// The size of the scale's maps.
    fn map(&self) -> Size {
        self.constants.map_size(self.size)
    }

    fn block(&self, count: usize, before: usize) -> Rows {
        Rows {
            segment: self.layout.segment,
            segments: self.layout.segments,
            images: 1,
            width: self.map().width,
            count,
            before,
        }
    }

    /// Makes a band.
    pub(crate) fn run(&self, band: Band<'_, '_>, scratch: &mut Scratch) {
        let Layout { token, .. } = self.layout;
        let line = self.layout.line();
        scratch.reserve(&self.layout);
        let Scratch {
            kernel,
            lines,
            units,
        } = scratch;
        let (samples, gradient_lines) = numbers(lines).split_at_mut(5 * line);
        let gradient_lines = &mut gradient_lines[..Backward::ROWS * line];
        token.run(MarkWindows {
            rows: self.block(0, 0),
            line: &mut samples[..line],
            windows: &mut kernel.windows,
        });
        samples.fill(0.0);
        let mut loader = Loader::new(self, samples, band.coarse);

        let map = self.map();
        match band.gradient {
            None => {
                loader.next = band.rows.start;
                let end = band.rows.end.min(map.height);
                let mut first = band.rows.start;
                let mut sums = band.sums.chunks_mut(Forward::ROWS);
                while first < end {
                    let count = Forward::ROWS.min(end - first);
                    let until = first + count + REACH;
                    loader.load::<{ ring(Forward::ROWS) }>(kernel, until);
                    loader.look_ahead(Forward::ROWS);
                    token.run(Forward {
                        scale: &self.scale,
                        rows: self.block(count, first / Forward::ROWS),
                        memory: kernel,
                        ahead: &mut loader.ahead,
                        sums: units,
                    });
                    if let Some(sums) = sums.next() {
                        write_sums(units, sums);
                    }
                    first += count;
                }
            }
            Some(mut gradient) => {
                let height = map.height + REACH;
                let end = if band.rows.end >= map.height {
                    height
                } else {
                    band.rows.end
                };
                let start = band.rows.start.saturating_sub(WARM_UP);
                let mut first = start;
                loader.next = first;
                let mut sums = band.sums.chunks_mut(Backward::ROWS);
                let targets = target_rows(
                    self.constants.border,
                    &band.rows,
                    map.height,
                    self.size.height,
                );
                self.clear_edges(&mut gradient, &targets);
                while first < end {
                    let count = Backward::ROWS.min(map.height.saturating_sub(first));
                    let until = (first + Backward::ROWS + REACH).min(height);
                    loader.load::<{ ring(Backward::ROWS) }>(kernel, until);
                    loader.look_ahead(Backward::ROWS);
                    let counts = first >= band.rows.start;
                    let (lines, stride, in_place) =
                        match loader.in_place_target(&mut gradient, &targets, first) {
                            Some(rows) => (rows, self.size.width, true),
                            None => (&mut *gradient_lines, line, false),
                        };
                    token.run(Backward {
                        scale: &self.scale,
                        rows: self.block(count, first / Backward::ROWS),
                        is_start: first == start,
                        memory: kernel,
                        ahead: &mut loader.ahead,
                        sums: units,
                        gradient: match counts {
                            true => Target::Lines {
                                numbers: lines,
                                stride,
                            },
                            false => Target::Nowhere,
                        },
                    });
                    if counts && let Some(sums) = sums.next() {
                        write_sums(units, sums);
                    }
                    if counts && !in_place {
                        for (i, row) in gradient_lines.chunks_exact_mut(line).enumerate() {
                            if first + i < end {
                                self.write_gradient(first + i, row, &mut gradient, &targets);
                            }
                        }
                    }
                    first += Backward::ROWS;
                }
            }
        }
    }

    /// Clears the rows that several are added to.
    fn clear_edges(&self, gradient: &mut PlaneMut<'_>, targets: &Range<usize>) {
        let (border, height) = (self.constants.border, self.size.height);
        for row in targets
            .clone()
            .filter(|&row| !is_alone(border, height, row))
        {
            gradient.row_mut(row - targets.start).fill(0.0);
        }
    }

    /// Adds row `row` of the extended plane's gradient, a line of all lanes, to the rows that it is a copy of.
    fn write_gradient(
        &self,
        row: usize,
        line: &mut [f32],
        gradient: &mut PlaneMut<'_>,
        targets: &Range<usize>,
    ) {
        let (border, Size { width, height }) = (self.constants.border, self.size);
        let half = line_padding(border, RADIUS) / 2;
        let target = extended_row(border, RADIUS, height, row);
        fold_line(border, RADIUS, &mut line[..width + 2 * half]);
        self.layout.token.run(Add {
            row: &line[half..][..width],
            is_first: is_alone(border, height, target),
            gradient: gradient.row_mut(target - targets.start),
        });
    }
}

/// Each row's sums as numbers.
fn write_sums(units: &[[Units; 2]], sums: &mut [[f64; 2]]) {
    for (sums, units) in sums.iter_mut().zip(units) {
        *sums = units.map(Units::value);
    }
}
