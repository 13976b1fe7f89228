//! Small images side by side, each in a lane of its own.
//!
//! Everything is vectors from when samples are read until the gradient is written: a plane is as many vectors as an image has
//! pixels, row by row. What is done to a line of one image, such as extending it, is done to all images at once.

mod lines;

use msssim_core::pyramid::last_source;
use msssim_core::statistics::Scaling;
use msssim_core::sum::Units;
use msssim_core::{MAX_SCALES, Size};

use self::lines::{
    ClearEdges, CombineScale, FoldRows, HalveLines, Line, LoadLine, MarkColumns, Source,
    WriteImages,
};
use crate::dispatch::Token;
use crate::kernel::{
    self, Backward, Memory, REACH, Rows, SEGMENT_STEP, SHORTEST_SEGMENT, Target, ring,
};
use crate::lanes::{Ahead, Block};
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
            token.run(ClearEdges {
                line,
                gradient: &mut *gradient,
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
                    is_start: first == 0,
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
