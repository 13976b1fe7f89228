//! A rectangle of an image and what lies beyond the image, copied in the order that a kernel reads.

use super::border::{Padding, Tap};

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
        let (first, end) = inside(self.width, column, columns);
        for (y, out) in out.chunks_exact_mut(columns * lanes).take(rows).enumerate() {
            for (lane, channel) in channels.clone().enumerate() {
                let line = self.line(image, channel, row + y as isize);
                let mut out = out[lane..].iter_mut().step_by(lanes);
                let (before, after, line) = match (line, self.padding) {
                    (None, _) => (0.0, 0.0, None),
                    (line, Padding::Zero) => (0.0, 0.0, line),
                    (Some(line), Padding::Replicate) => (line[0], line[self.width - 1], Some(line)),
                };
                out.by_ref().take(first).for_each(|out| *out = before);
                let inner = out.by_ref().take(end - first);
                match line {
                    None => inner.for_each(|out| *out = 0.0),
                    Some(line) => {
                        let start =
                            (first as isize + column).clamp(0, self.width as isize) as usize;
                        inner.zip(&line[start..]).for_each(|(out, v)| *out = *v);
                    }
                }
                out.for_each(|out| *out = after);
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

    #[test]
    fn both_orders_are_their_definition() {
        for padding in [Padding::Zero, Padding::Replicate] {
            let planes = Planes {
                channels: 3,
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
                for lanes in [2, 4] {
                    let mut out = vec![f32::NAN; rows * columns * lanes];
                    planes.interleaved(&image, 1..3, rectangle, lanes, &mut out);
                    for (at, out) in out.iter().enumerate() {
                        let (y, x, lane) = (at / lanes / columns, at / lanes % columns, at % lanes);
                        let (y, x) = (row + y as isize, column + x as isize);
                        let expected = if lane < 2 {
                            sample(1 + lane, y, x)
                        } else {
                            0.0
                        };
                        assert_eq!(*out, expected, "{rectangle:?}");
                    }
                }
            }
        }
    }
}
