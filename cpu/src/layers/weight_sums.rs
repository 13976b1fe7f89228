//! Sums over the places of an image: what a convolution's gradient by the weights is made of.
//!
//! `out[l][c](i, j) = sum_{y,x} b[l](y, x) a[c](stride y + i, stride x + j)`, summed over images
//!
//! with `a` and `b` shifted by their origins. Both are laid out with the channels of a sample as
//! neighbours. What a place sees of a row of `a` is then one contiguous stretch of taps x channels,
//! whatever the stride, and a tile of it times a panel of `b`'s channels is a tile of sums in
//! registers that runs along the places of a block.
//!
//! Work is cut into groups of images and chunks of `a`'s channels; each is a task with sums of its
//! own, which are added in the order of the groups. The cut depends on the shape alone.

use std::ops::Range;

use rayon::prelude::*;

use super::correlation::even;
use super::microkernel::VECTORS;
use super::padded::{Planes, Rectangle};
use crate::dispatch::Token;

/// Channels of `a` in a task.
const CHUNK: usize = 64;

/// Places that a block should have, so that its sums are seldom fetched.
const PLACES: usize = 512;

/// Samples of `a` that a block may hold: 256 KiB.
const BLOCK: usize = 1 << 16;

/// Numbers that all tasks' sums may take.
const PARTIAL_SUMS: usize = 1 << 23;

/// The largest number of groups of images.
const MAX_GROUPS: usize = 16;

/// One factor: the planes and where the sums begin in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) planes: Planes,
    pub(super) origin: [isize; 2],
}

/// Sums of one shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WeightSums {
    a: Factor,
    b: Factor,
    /// Rows and columns of the kernel.
    kernel: usize,
    stride: usize,
    /// Rows and columns of the places.
    size: [usize; 2],
    token: Token,
    images: usize,
    /// Images of a group.
    group: usize,
    /// Channels of `a` in a chunk.
    chunk: usize,
    /// Images and rows of places of a block; more than one image only where that is all rows.
    block: [usize; 2],
}

/// Memory of one task. What it holds does not matter.
#[derive(Clone, Debug)]
pub(super) struct Task {
    a: Vec<f32>,
    b: Vec<f32>,
    /// Where each place of a block begins in `a`.
    offsets: Vec<u32>,
    /// Panels of `b` x kernel rows x (kernel columns x channels of `a`) x lanes.
    sums: Vec<f32>,
}

impl WeightSums {
    pub(super) fn new(
        token: Token,
        images: usize,
        a: Factor,
        b: Factor,
        kernel: usize,
        stride: usize,
        size: [usize; 2],
    ) -> Self {
        let chunk = even(a.planes.channels, CHUNK);
        let mut plan = Self {
            a,
            b,
            kernel,
            stride,
            size,
            token,
            images,
            group: images,
            chunk,
            block: [1, 1],
        };
        // The number of channels, not of lanes: the cut must not depend on the machine.
        let sums = kernel * kernel * a.planes.channels * b.planes.channels;
        let groups = (PARTIAL_SUMS / sums).clamp(1, MAX_GROUPS);
        plan.group = images.div_ceil(groups);
        let rows = (BLOCK / (plan.columns() * chunk)).saturating_sub(kernel) / stride + 1;
        let rows = even(size[0], rows.min(PLACES.div_ceil(size[1])));
        let images = if rows == size[0] {
            (PLACES / (rows * size[1])).clamp(1, plan.group)
        } else {
            1
        };
        plan.block = [images, rows];
        plan
    }

    /// Columns of `a` that a block copies.
    fn columns(&self) -> usize {
        (self.size[1] - 1) * self.stride + self.kernel
    }

    /// Rows of `a` that `rows` rows of places see.
    fn rows(&self, rows: usize) -> usize {
        (rows - 1) * self.stride + self.kernel
    }

    fn lanes(&self) -> usize {
        self.b.planes.channels.next_multiple_of(self.token.lanes())
    }

    /// The panels of `b`'s channels, the first channel and the lanes of each.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (n, channels) = (self.token.lanes(), self.b.planes.channels);
        (0..channels).step_by(VECTORS * n).map(move |first| {
            let left = channels - first;
            (first, left.next_multiple_of(n).min(VECTORS * n))
        })
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let (channels, chunk) = (self.a.planes.channels, self.chunk);
        (0..channels)
            .step_by(chunk)
            .map(move |first| first..(first + chunk).min(channels))
    }

    pub(super) fn tasks(&self) -> Vec<Task> {
        let [images, rows] = self.block;
        let groups = self.images.div_ceil(self.group);
        let a = images * self.rows(rows) * self.columns() * self.chunk;
        let b = images * rows * self.size[1] * self.lanes();
        let tasks = (0..groups).flat_map(|_| self.chunks());
        tasks
            .map(|channels| Task {
                a: vec![0.0; a],
                b: vec![0.0; b],
                offsets: self.offsets(channels.len()),
                sums: vec![0.0; self.lanes() * self.kernel * self.kernel * channels.len()],
            })
            .collect()
    }

    /// Adds up all images; `out` is cut into parts of `part`, and `set(i, sum)` called for each, where
    /// `sum(l, c, i, j)` is what it is made of.
    pub(super) fn run(
        &self,
        tasks: &mut [Task],
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
        part: usize,
        set: impl Fn(usize, &mut [f32], &dyn Fn([usize; 4]) -> f32) + Sync,
    ) {
        let chunks: Vec<Range<usize>> = self.chunks().collect();
        let (of_a, of_b) = (self.a.planes.len(), self.b.planes.len());
        tasks.par_iter_mut().enumerate().for_each(|(at, task)| {
            let (group, channels) = (at / chunks.len(), chunks[at % chunks.len()].clone());
            let images = group * self.group..((group + 1) * self.group).min(self.images);
            task.sums.fill(0.0);
            for first in images.clone().step_by(self.block[0]) {
                let images = first..(first + self.block[0]).min(images.end);
                let [a, b] = [(a, of_a), (b, of_b)]
                    .map(|(all, len)| &all[images.start * len..images.end * len]);
                for row in (0..self.size[0]).step_by(self.block[1]) {
                    let rows = row..(row + self.block[1]).min(self.size[0]);
                    self.add_block(task, channels.clone(), a, b, images.len(), rows);
                }
            }
        });
        // The groups' sums, into those of the first group.
        let (sums, others) = tasks.split_at_mut(chunks.len());
        sums.par_iter_mut().enumerate().for_each(|(chunk, sums)| {
            for other in others.iter().skip(chunk).step_by(chunks.len()) {
                for (sum, other) in sums.sums.iter_mut().zip(&other.sums) {
                    *sum += other;
                }
            }
        });
        let sums = &*sums;
        let panel = VECTORS * self.token.lanes();
        let sum = |[l, c, i, j]: [usize; 4]| {
            let chunk = c / self.chunk;
            let channels = chunks[chunk].len();
            let (first, lanes) = (
                l / panel * panel,
                panel.min(self.lanes() - l / panel * panel),
            );
            let at = first * self.kernel * self.kernel * channels
                + ((i * self.kernel + j) * channels + c % self.chunk) * lanes;
            sums[chunk].sums[at + l - first]
        };
        out.par_chunks_mut(part)
            .enumerate()
            .for_each(|(i, out)| set(i, out, &sum));
    }

    /// Where the places of a full block begin in `a`, of which a task has `channels` channels.
    fn offsets(&self, channels: usize) -> Vec<u32> {
        let [images, rows] = self.block;
        let mut offsets = Vec::with_capacity(images * rows * self.size[1]);
        for image in 0..images {
            for y in 0..rows {
                for x in 0..self.size[1] {
                    let line = image * self.rows(rows) + y * self.stride;
                    let offset = (line * self.columns() + x * self.stride) * channels;
                    let offset = u32::try_from(offset);
                    offsets.push(offset.expect("a block is addressed with 32 bits"));
                }
            }
        }
        offsets
    }

    /// Adds a block's places to a task's sums.
    fn add_block(
        &self,
        task: &mut Task,
        channels: Range<usize>,
        a: &[f32],
        b: &[f32],
        images: usize,
        rows: Range<usize>,
    ) {
        let (columns, kernel) = (self.columns(), self.kernel);
        let a_rows = self.rows(rows.len());
        let image_of_a = a_rows * columns * channels.len();
        let [row_of_a, row_of_b] = [
            self.a.origin[0] + (rows.start * self.stride) as isize,
            self.b.origin[0] + rows.start as isize,
        ];
        let rectangle_of_a = Rectangle {
            row: row_of_a,
            column: self.a.origin[1],
            rows: a_rows,
            columns,
        };
        let copies = task.a.chunks_exact_mut(image_of_a);
        for (image, copy) in a.chunks_exact(self.a.planes.len()).zip(copies) {
            let (planes, lanes) = (self.a.planes, channels.len());
            let channels = channels.clone();
            planes.interleaved(self.token, image, channels, rectangle_of_a, lanes, copy);
        }
        let rectangle_of_b = Rectangle {
            row: row_of_b,
            column: self.b.origin[1],
            rows: rows.len(),
            columns: self.size[1],
        };
        let places = rows.len() * self.size[1];
        for (first, lanes) in self.panels() {
            let panel = first..(first + lanes).min(self.b.planes.channels);
            let copies = task.b[first * images * places..].chunks_exact_mut(places * lanes);
            for (image, copy) in b.chunks_exact(self.b.planes.len()).zip(copies) {
                let planes = self.b.planes;
                let panel = panel.clone();
                planes.interleaved(self.token, image, panel, rectangle_of_b, lanes, copy);
            }
        }

        let stretch = kernel * channels.len();
        let tile = even(stretch, self.token.rows());
        for (first, lanes) in self.panels() {
            let b = &task.b[first * images * places..][..images * places * lanes];
            let sums = &mut task.sums[first * kernel * stretch..][..lanes * kernel * stretch];
            for (i, sums) in sums.chunks_exact_mut(stretch * lanes).enumerate() {
                for (t, sums) in sums.chunks_mut(tile * lanes).enumerate() {
                    let a = &task.a[i * columns * channels.len() + t * tile..];
                    let offsets = &task.offsets[..images * places];
                    self.token
                        .interleaved(sums.len() / lanes, offsets, a, b, sums);
                }
            }
        }
    }
}
