//! A rectangle of an image and what lies beyond the image, copied in the order that a kernel reads.

use super::border::{Padding, Tap};
use crate::dispatch::Token;

/// Planes of an image, one channel after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planes {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) padding: Padding,
}

/// Where a copied rectangle begins, in samples of the planes, and how large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rectangle {
    pub(super) row: isize,
    pub(super) column: isize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Planes {
    /// Samples of an image.
    pub(super) fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The line of `image` that `channel` has at signed `row`, `None` for a line of zeros.
    fn line<'a>(&self, image: &'a [f32], channel: usize, row: isize) -> Option<&'a [f32]> {
        let row = self.padding.source(self.height, row)?;
        Some(&image[(channel * self.height + row) * self.width..][..self.width])
    }

    /// Copies `channels` of the rectangle so that samples which neighbouring outputs see under one
    /// tap are neighbours: `out` is channels x rows x `phases` x (columns / phases, rounded up), column
    /// `x` in phase `x % phases`.
    pub(super) fn planar(
        &self,
        image: &[f32],
        channels: std::ops::Range<usize>,
        rectangle: Rectangle,
        phases: usize,
        out: &mut [f32],
    ) {
        let Rectangle {
            row, column, rows, ..
        } = rectangle;
        let columns = rectangle.columns.div_ceil(phases);
        let lines = channels.flat_map(|channel| (0..rows).map(move |y| (channel, y)));
        let out = out.chunks_exact_mut(phases * columns);
        for ((channel, y), out) in lines.zip(out) {
            match self.line(image, channel, row + y as isize) {
                None => out.fill(0.0),
                Some(line) => {
                    for (phase, out) in out.chunks_exact_mut(columns).enumerate() {
                        let tap = Tap {
                            padding: self.padding,
                            stride: phases,
                            offset: column + phase as isize,
                        };
                        tap.gather(line, out);
                    }
                }
            }
        }
    }

    /// Copies `channels` of the rectangle sample by sample with the channels of each as neighbours:
    /// `out` is rows x columns x `lanes`, of which those beyond the channels are zero.
    pub(super) fn interleaved(
        &self,
        token: Token,
        image: &[f32],
        channels: std::ops::Range<usize>,
        rectangle: Rectangle,
        lanes: usize,
        out: &mut [f32],
    ) {
        let Rectangle {
            row,
            column,
            rows,
            columns,
        } = rectangle;
        if channels.len() < lanes {
            out.fill(0.0);
        }
        let plane = self.height * self.width;
        let planes = &image[channels.start * plane..channels.end * plane];
        let (first, end) = inside(self.width, column, columns);
        for (y, out) in out.chunks_exact_mut(columns * lanes).take(rows).enumerate() {
            let Some(row) = self.padding.source(self.height, row + y as isize) else {
                out.fill(0.0);
                continue;
            };
            if first < end {
                let at = (row * self.width).wrapping_add_signed(first as isize + column);
                let inner = &mut out[first * lanes..end * lanes];
                token.to_samples(planes, plane, at, inner, lanes);
            }
            for x in (0..first).chain(end..columns) {
                let source = self.padding.source(self.width, column + x as isize);
                let sample = &mut out[x * lanes..][..channels.len()];
                for (out, plane) in sample.iter_mut().zip(planes.chunks_exact(plane)) {
                    *out = source.map_or(0.0, |x| plane[row * self.width + x]);
                }
            }
        }
    }
}

/// Of `columns` that begin at `column`, those inside a line of `width`, as `first..end`.
fn inside(width: usize, column: isize, columns: usize) -> (usize, usize) {
    let first = (-column).clamp(0, columns as isize);
    let end = (width as isize - column).clamp(first, columns as isize);
    (first as usize, end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Isa;

    #[test]
    fn both_orders_are_their_definition() {
        for padding in [Padding::Zero, Padding::Replicate] {
            let planes = Planes {
                channels: 20,
                height: 4,
                width: 5,
                padding,
            };
            let image: Vec<f32> = (1..=planes.len()).map(|v| v as f32).collect();
            let sample = |channel: usize, y: isize, x: isize| {
                let at = padding.source(4, y).zip(padding.source(5, x));
                at.map_or(0.0, |(y, x)| image[(channel * 4 + y) * 5 + x])
            };
            for (row, column, rows, columns) in
                [(-2, -3, 8, 11), (1, 2, 2, 2), (0, -4, 4, 3), (3, 6, 3, 4)]
            {
                let rectangle = Rectangle {
                    row,
                    column,
                    rows,
                    columns,
                };
                for phases in [1, 2, 3] {
                    let pitch = columns.div_ceil(phases) * phases;
                    let mut out = vec![f32::NAN; 2 * rows * pitch];
                    planes.planar(&image, 1..3, rectangle, phases, &mut out);
                    for (at, out) in out.iter().enumerate() {
                        let (channel, y, place) =
                            (1 + at / pitch / rows, at / pitch % rows, at % pitch);
                        let (phase, x) = (place / (pitch / phases), place % (pitch / phases));
                        let x = column + (x * phases + phase) as isize;
                        assert_eq!(*out, sample(channel, row + y as isize, x), "{rectangle:?}");
                    }
                }
                let tokens = Isa::ALL.into_iter().filter_map(|isa| isa.check().ok());
                for (token, lanes) in tokens.flat_map(|token| [(token, 18), (token, 32)]) {
                    let mut out = vec![f32::NAN; rows * columns * lanes];
                    planes.interleaved(token, &image, 1..19, rectangle, lanes, &mut out);
                    for (at, out) in out.iter().enumerate() {
                        let (y, x, lane) = (at / lanes / columns, at / lanes % columns, at % lanes);
                        let (y, x) = (row + y as isize, column + x as isize);
                        let expected = if lane < 18 {
                            sample(1 + lane, y, x)
                        } else {
                            0.0
                        };
                        assert_eq!(*out, expected, "{token:?}, {rectangle:?}");
                    }
                }
            }
        }
    }
}
