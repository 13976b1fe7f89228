//! Between samples whose channels are neighbours and lines whose columns are: four columns of as many channels as a vector
//! has lanes at a time, the rest one by one.

#![allow(
    clippy::needless_range_loop,
    reason = "plain loops, see `crate::lanes`"
)]

use crate::dispatch::{Task, Token};
use crate::lanes::Lanes;

/// Columns that are moved at a time.
const COLUMNS: usize = 4;

impl Token {
    /// `lines[c * pitch + x] = samples[x * width + c]` for the columns of `samples` and all `width` channels.
    ///
    /// # Panics
    /// If a line does not have room for the columns, or `lines` for the lines.
    pub(super) fn to_lines(self, samples: &[f32], width: usize, lines: &mut [f32], pitch: usize) {
        self.run(ToLines {
            samples,
            width,
            lines,
            pitch,
        });
    }

    /// `samples[x * width + c] = planes[c * plane + at + x]` for the columns of `samples` and as many channels as there are
    /// planes; those beyond stay.
    ///
    /// # Panics
    /// If a plane does not have the columns, or there are more planes than `width`.
    pub(super) fn to_samples(
        self,
        planes: &[f32],
        plane: usize,
        at: usize,
        samples: &mut [f32],
        width: usize,
    ) {
        self.run(ToSamples {
            planes,
            plane,
            at,
            samples,
            width,
        });
    }
}

struct ToLines<'a> {
    samples: &'a [f32],
    width: usize,
    lines: &'a mut [f32],
    pitch: usize,
}

impl Task for ToLines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self {
            samples,
            width,
            lines,
            pitch,
        } = self;
        let columns = samples.len() / width;
        assert!(
            columns <= pitch && lines.len() >= width * pitch,
            "{columns} columns of {width} channels in {} numbers, lines of {pitch}",
            lines.len()
        );
        let (whole, moved) = (width - width % L::COUNT, columns - columns % COLUMNS);
        let mut c = 0;
        while c < whole {
            let lines = &mut lines[c * pitch..];
            let mut x = 0;
            while x < moved {
                let mut four = [L::splat(0.0); COLUMNS];
                for i in 0..COLUMNS {
                    four[i] = L::load(&samples[(x + i) * width + c..]);
                }
                L::scatter(four, lines, pitch, x);
                x += COLUMNS;
            }
            c += L::COUNT;
        }
        for x in 0..columns {
            let first = if x < moved { whole } else { 0 };
            for c in first..width {
                lines[c * pitch + x] = samples[x * width + c];
            }
        }
    }
}

struct ToSamples<'a> {
    planes: &'a [f32],
    plane: usize,
    at: usize,
    samples: &'a mut [f32],
    width: usize,
}

impl Task for ToSamples<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self {
            planes,
            plane,
            at,
            samples,
            width,
        } = self;
        let (channels, columns) = (planes.len() / plane, samples.len() / width);
        assert!(
            channels <= width && at + columns <= plane,
            "{columns} columns from {at} of {plane}, {channels} channels of {width}"
        );
        let (whole, moved) = (channels - channels % L::COUNT, columns - columns % COLUMNS);
        let mut c = 0;
        while c < whole {
            let planes = &planes[c * plane..];
            let mut x = 0;
            while x < moved {
                let four = L::gather(planes, plane, at + x);
                for i in 0..COLUMNS {
                    four[i].store(&mut samples[(x + i) * width + c..]);
                }
                x += COLUMNS;
            }
            c += L::COUNT;
        }
        for x in 0..columns {
            let first = if x < moved { whole } else { 0 };
            for c in first..channels {
                samples[x * width + c] = planes[c * plane + at + x];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dispatch::Isa;

    #[test]
    fn both_ways_are_their_definition() {
        let tokens = Isa::ALL.into_iter().filter_map(|isa| isa.check().ok());
        for token in tokens {
            for (columns, channels) in [(1, 1), (3, 40), (4, 16), (33, 20), (9, 7), (6, 33)] {
                let (width, plane, at) = (channels + 2, columns + 5, 3);
                let planes: Vec<f32> = (0..channels * plane).map(|v| v as f32).collect();
                let mut samples = vec![-1.0; columns * width];
                token.to_samples(&planes, plane, at, &mut samples, width);
                let mut lines = vec![-2.0; width * plane];
                token.to_lines(&samples, width, &mut lines, plane);
                for (x, c) in (0..columns).flat_map(|x| (0..width).map(move |c| (x, c))) {
                    let what = format!("{token:?}, {c} of {channels}, {x} of {columns}");
                    let expected = match c < channels {
                        true => planes[c * plane + at + x],
                        false => -1.0,
                    };
                    assert_eq!(samples[x * width + c], expected, "{what}");
                    assert_eq!(lines[c * plane + x], expected, "{what}");
                }
                let beyond = lines.chunks_exact(plane).flat_map(|line| &line[columns..]);
                assert!(beyond.into_iter().all(|v| *v == -2.0));
            }
        }
    }
}
