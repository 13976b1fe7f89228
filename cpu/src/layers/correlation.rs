//! Weighted sums of samples under a sliding kernel, of one image: what a convolution's output and
//! its gradient by the input are made of.
//!
//! `out[l](y, x) = init[l] + sum_{c,i,j} w[l][c](i, j) source[c](stride y + i + row, stride x + j + column)`
//!
//! Nothing is copied per tap. The source is laid out once with its border, so that the samples
//! which neighbouring outputs see under one tap are neighbours, and a kernel ([`super::microkernel`]) adds up a tile
//! of outputs in registers while it runs along a table of the taps' places. With more than
//! [`FEW`] output channels these are the lanes; with fewer, the columns are.
//!
//! Work is cut into rows and source channels so that the copied source, the weights of one panel of
//! lanes and the sums each fit into a part of the second-level cache.

use std::ops::Range;

use super::border::Padding;
use super::microkernel::{FEW, VECTORS, most_vectors};
use super::padded::{Planes, Rectangle};
use crate::dispatch::Token;

/// Products of a sum that are added up at once, the depth of a block: with two vectors of 16 lanes,
/// 256 KiB of weights.
const DEPTH: usize = 2048;

/// Samples of the source, and sums, that a block may hold: 256 KiB of each.
const BLOCK: usize = 1 << 16;

/// A correlation of one shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Correlation {
    pub(super) source: Planes,
    /// Channels of the output.
    pub(super) outputs: usize,
    /// Rows and columns of the kernel.
    pub(super) taps: [usize; 2],
    /// Source samples from one output to the next.
    pub(super) stride: usize,
    /// Where the first output's first tap is in the source.
    pub(super) origin: [isize; 2],
    /// Rows and columns of the output.
    pub(super) size: [usize; 2],
    token: Token,
    /// Output rows of a block.
    block_rows: usize,
    /// Source channels of a block.
    block_channels: usize,
    /// Of each product of a block, where its sample is: source rows x channels x columns.
    offsets: Vec<u32>,
}

/// Memory of a correlation. What it holds does not matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    source: Vec<f32>,
    sums: Vec<f32>,
    /// Lines of the output of one panel.
    lines: Vec<f32>,
}

impl Scratch {
    /// Grows to what `correlation` needs.
    pub(super) fn fit(&mut self, correlation: &Correlation) {
        let lens = correlation.scratch_lens();
        let memory = [&mut self.source, &mut self.sums, &mut self.lines];
        for (memory, len) in memory.into_iter().zip(lens) {
            memory.resize(memory.len().max(len), 0.0);
        }
    }
}

impl Correlation {
    pub(super) fn new(
        token: Token,
        source: Planes,
        outputs: usize,
        taps: [usize; 2],
        stride: usize,
        origin: [isize; 2],
        size: [usize; 2],
    ) -> Self {
        let kernel = taps[0] * taps[1];
        let channels = even(source.channels, (DEPTH / kernel).max(1));
        let mut plan = Self {
            source,
            outputs,
            taps,
            stride,
            origin,
            size,
            token,
            block_rows: 1,
            block_channels: channels,
            offsets: Vec::new(),
        };
        let source_rows = BLOCK / (channels * plan.pitch());
        let of_source = source_rows.saturating_sub(taps[0]) / stride + 1;
        let of_sums = (BLOCK / plan.sums_of_row()).max(1);
        plan.block_rows = even(size[0], of_source.min(of_sums));
        let (rows, phase) = (plan.source_rows(), plan.phase());
        for i in 0..taps[0] {
            for c in 0..channels {
                for j in 0..taps[1] {
                    let line = (c * rows + i) * stride + j % stride;
                    let offset = u32::try_from(line * phase + j / stride);
                    plan.offsets
                        .push(offset.expect("a block's source is addressed with 32 bits"));
                }
            }
        }
        plan
    }

    /// Whether columns are the lanes.
    fn few(&self) -> bool {
        self.outputs <= FEW
    }

    /// Columns of the copied source in each phase of the stride.
    fn phase(&self) -> usize {
        self.size[1] + (self.taps[1] - 1) / self.stride
    }

    /// Samples of a row of the copied source.
    fn pitch(&self) -> usize {
        self.phase() * self.stride
    }

    /// Rows of the copied source.
    fn source_rows(&self) -> usize {
        (self.block_rows - 1) * self.stride + self.taps[0]
    }

    /// Columns of the sums where they are lanes.
    fn planar_columns(&self) -> usize {
        self.size[1].next_multiple_of(self.token.lanes())
    }

    /// Sums of one output row.
    fn sums_of_row(&self) -> usize {
        if self.few() {
            self.outputs * self.planar_columns()
        } else {
            self.outputs.next_multiple_of(self.token.lanes()) * self.size[1]
        }
    }

    fn scratch_lens(&self) -> [usize; 3] {
        // A planar tile reads whole vectors, beyond the last row, and writes lines as they are.
        let source = self.block_channels * self.source_rows() * self.pitch();
        let (beyond, lines) = if self.few() {
            (self.token.lanes(), 0)
        } else {
            (0, self.widest() * self.size[1])
        };
        [source + beyond, self.block_rows * self.sums_of_row(), lines]
    }

    /// Products that a sum is made of.
    fn depth(&self) -> usize {
        self.source.channels * self.taps[0] * self.taps[1]
    }

    /// The panels of output channels: the first, and the lanes of the panel, one or [`VECTORS`] vectors. A few channels are
    /// a panel without lanes beyond them.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (n, widest, outputs) = (self.token.lanes(), self.widest(), self.outputs);
        (0..outputs).step_by(widest).map(move |first| {
            let left = (outputs - first).next_multiple_of(n);
            (first, left.min(widest))
        })
    }

    /// Lanes of the widest panel.
    fn widest(&self) -> usize {
        if self.few() {
            self.outputs
        } else {
            VECTORS * self.token.lanes()
        }
    }

    /// Length of the weights as the kernels read them.
    pub(super) fn packed_len(&self) -> usize {
        self.depth() * self.panels().map(|(_, lanes)| lanes).sum::<usize>()
    }

    /// Puts the weights into the order of the kernels: panels x blocks of channels x rows x channels x
    /// columns x lanes. `at(output, channel, i, j)` is where the weight is.
    pub(super) fn pack(
        &self,
        weight: &[f32],
        at: impl Fn(usize, usize, usize, usize) -> usize + Sync,
        packed: &mut [f32],
    ) {
        use rayon::prelude::*;
        let widest = self.widest();
        packed[..self.packed_len()]
            .par_chunks_mut(widest * self.depth())
            .enumerate()
            .for_each(|(panel, packed)| {
                let (first, lanes) = (panel * widest, packed.len() / self.depth());
                let mut rows = packed.chunks_exact_mut(lanes);
                for channels in self.channel_blocks() {
                    for i in 0..self.taps[0] {
                        for c in channels.clone() {
                            for (j, row) in (0..self.taps[1]).zip(rows.by_ref()) {
                                for (lane, out) in row.iter_mut().enumerate() {
                                    let output = first + lane;
                                    *out = if output < self.outputs {
                                        weight[at(output, c, i, j)]
                                    } else {
                                        0.0
                                    };
                                }
                            }
                        }
                    }
                }
            });
    }

    fn channel_blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (channels, block) = (self.source.channels, self.block_channels);
        (0..channels)
            .step_by(block)
            .map(move |first| first..(first + block).min(channels))
    }

    /// Computes an image; `emit(channel, row, line)` is handed each line of the output.
    pub(super) fn run(
        &self,
        scratch: &mut Scratch,
        image: &[f32],
        packed: &[f32],
        init: impl Fn(usize) -> f32,
        mut emit: impl FnMut(usize, usize, &[f32]),
    ) {
        for first in (0..self.size[0]).step_by(self.block_rows) {
            let rows = first..(first + self.block_rows).min(self.size[0]);
            self.initialise(&mut scratch.sums, rows.len(), &init);
            for channels in self.channel_blocks() {
                let rectangle = Rectangle {
                    row: (first * self.stride) as isize + self.origin[0],
                    column: self.origin[1],
                    rows: self.source_rows(),
                    columns: self.pitch(),
                };
                self.source.planar(
                    image,
                    channels.clone(),
                    rectangle,
                    self.stride,
                    &mut scratch.source,
                );
                if self.few() {
                    self.add_planar(scratch, packed, channels, rows.clone());
                } else {
                    self.add_interleaved(scratch, packed, channels, rows.clone());
                }
            }
            self.emit(scratch, rows, &mut emit);
        }
    }

    /// The taps' rows under which output row `y` sees anything but zeros, as places in `offsets` for a
    /// block of `channels` channels.
    fn seen(&self, y: usize, channels: usize) -> Range<usize> {
        let row = channels * self.taps[1];
        if self.source.padding != Padding::Zero {
            return 0..self.taps[0] * row;
        }
        let top = (y * self.stride) as isize + self.origin[0];
        let first = (-top).clamp(0, self.taps[0] as isize);
        let end = (self.source.height as isize - top).clamp(first, self.taps[0] as isize);
        first as usize * row..end as usize * row
    }

    /// The table of places for a block of `channels` channels, which may be fewer than planned.
    fn offsets(&self, channels: usize, i: Range<usize>) -> impl Iterator<Item = &[u32]> {
        // Whole blocks run through all rows of taps at once, the last block row by row.
        let whole = channels == self.block_channels;
        let row = channels * self.taps[1];
        let planned = self.block_channels * self.taps[1];
        let steps = if whole {
            usize::from(!i.is_empty())
        } else {
            i.len() / row
        };
        (0..steps).map(move |step| {
            if whole {
                &self.offsets[i.clone()]
            } else {
                &self.offsets[(i.start / row + step) * planned..][..row]
            }
        })
    }

    fn add_interleaved(
        &self,
        scratch: &mut Scratch,
        packed: &[f32],
        channels: Range<usize>,
        rows: Range<usize>,
    ) {
        let kernel = self.taps[0] * self.taps[1];
        let columns = self.size[1];
        let tile = even(columns, self.token.rows());
        let sums_pitch = rows.len() * columns;
        for (first, lanes) in self.panels() {
            let packed = &packed[first * self.depth() + channels.start * kernel * lanes..];
            let sums = &mut scratch.sums[first * sums_pitch..][..sums_pitch * lanes];
            for (r, sums) in sums.chunks_exact_mut(columns * lanes).enumerate() {
                let seen = self.seen(rows.start + r, channels.len());
                let source = &scratch.source[r * self.stride * self.pitch()..];
                for (t, sums) in sums.chunks_mut(tile * lanes).enumerate() {
                    let mut k = seen.start;
                    for offsets in self.offsets(channels.len(), seen.clone()) {
                        let weights = &packed[k * lanes..][..offsets.len() * lanes];
                        let source = &source[t * tile..];
                        let pixels = sums.len() / lanes;
                        self.token
                            .interleaved(pixels, offsets, source, weights, sums);
                        k += offsets.len();
                    }
                }
            }
        }
    }

    fn add_planar(
        &self,
        scratch: &mut Scratch,
        packed: &[f32],
        channels: Range<usize>,
        rows: Range<usize>,
    ) {
        let kernel = self.taps[0] * self.taps[1];
        let (columns, n) = (self.planar_columns(), self.token.lanes());
        let pitch = rows.len() * columns;
        let tile = even(columns / n, most_vectors(self.outputs));
        let packed = &packed[channels.start * kernel * self.outputs..];
        for (r, y) in rows.clone().enumerate() {
            let seen = self.seen(y, channels.len());
            let source = &scratch.source[r * self.stride * self.pitch()..];
            for x in (0..columns).step_by(tile * n) {
                let vectors = ((columns - x) / n).min(tile);
                let size = [self.outputs, vectors, pitch];
                let sums = &mut scratch.sums[r * columns + x..];
                let mut k = seen.start;
                for offsets in self.offsets(channels.len(), seen.clone()) {
                    let weights = &packed[k * self.outputs..][..offsets.len() * self.outputs];
                    self.token
                        .planar(size, offsets, &source[x..], weights, sums);
                    k += offsets.len();
                }
            }
        }
    }

    fn initialise(&self, sums: &mut [f32], rows: usize, init: &impl Fn(usize) -> f32) {
        if self.few() {
            let sums = sums.chunks_exact_mut(rows * self.planar_columns());
            for (channel, sums) in (0..self.outputs).zip(sums) {
                sums.fill(init(channel));
            }
            return;
        }
        let pixels = rows * self.size[1];
        for (first, lanes) in self.panels() {
            let sums = &mut sums[first * pixels..][..pixels * lanes];
            let (row, others) = sums.split_at_mut(self.size[1] * lanes);
            for sums in row.chunks_exact_mut(lanes) {
                for (sum, channel) in sums.iter_mut().zip(first..) {
                    *sum = if channel < self.outputs {
                        init(channel)
                    } else {
                        0.0
                    };
                }
            }
            for sums in others.chunks_exact_mut(row.len()) {
                sums.copy_from_slice(row);
            }
        }
    }

    fn emit(
        &self,
        scratch: &mut Scratch,
        rows: Range<usize>,
        emit: &mut impl FnMut(usize, usize, &[f32]),
    ) {
        let Scratch { sums, lines, .. } = scratch;
        let columns = self.size[1];
        if self.few() {
            let mut lines = sums.chunks_exact(self.planar_columns());
            for channel in 0..self.outputs {
                for (y, line) in rows.clone().zip(lines.by_ref()) {
                    emit(channel, y, &line[..columns]);
                }
            }
            return;
        }
        let pixels = rows.len() * columns;
        for (first, lanes) in self.panels() {
            let sums = &sums[first * pixels..][..pixels * lanes];
            for (y, sums) in rows.clone().zip(sums.chunks_exact(columns * lanes)) {
                self.token.to_lines(sums, lanes, lines, columns);
                let lines = lines.chunks_exact(columns).take(lanes);
                (first..self.outputs)
                    .zip(lines)
                    .for_each(|(channel, line)| emit(channel, y, line));
            }
        }
    }
}

/// The size of parts of `whole` that are about equally large and not above `most`.
pub(super) fn even(whole: usize, most: usize) -> usize {
    whole.div_ceil(whole.div_ceil(most))
}
