//! Borrowed images: one channel, row-major, with a stride.

use core::fmt;

use crate::error::Error;
use crate::sample::Sample;

/// The size of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// Number of pixels; the caller knows that it does not overflow.
    pub const fn area(self) -> usize {
        self.width * self.height
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} pixels", self.width, self.height)
    }
}

/// One channel of an image, wherever its samples lie.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a, T = f32> {
    samples: &'a [T],
    size: Size,
    stride: usize,
    step: usize,
}

impl<'a, T: Sample> Plane<'a, T> {
    /// A plane whose rows follow each other without gaps.
    ///
    /// # Errors
    /// [`Error::ShortPlane`] or [`Error::TooLarge`] when `samples` does not hold `size`.
    pub fn new(samples: &'a [T], size: Size) -> Result<Self, Error> {
        Self::with_stride(samples, size, size.width)
    }

    /// A plane whose row `i` begins at sample `i * stride`. The last row may end with its width.
    ///
    /// # Errors
    /// [`Error::ShortStride`], [`Error::ShortPlane`] or [`Error::TooLarge`].
    pub fn with_stride(samples: &'a [T], size: Size, stride: usize) -> Result<Self, Error> {
        Self::with_steps(samples, size, stride, 1)
    }

    /// A plane whose sample (i, j) is `samples[i * stride + j * step]`.
    ///
    /// # Errors
    /// As [`Plane::with_stride`]; [`Error::ShortStride`] for a step of 0.
    pub fn with_steps(
        samples: &'a [T],
        size: Size,
        stride: usize,
        step: usize,
    ) -> Result<Self, Error> {
        check_layout(samples.len(), size, stride, step)?;
        Ok(Self {
            samples,
            size,
            stride,
            step,
        })
    }

    /// Channel `channel` of `channels` of an image whose pixels follow each other without gaps, such as
    /// RGBRGB.
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] where there is no such channel; [`Error::ShortPlane`],
    /// [`Error::TooLarge`].
    pub fn interleaved(
        samples: &'a [T],
        size: Size,
        channels: usize,
        channel: usize,
    ) -> Result<Self, Error> {
        let Some(samples) = samples.get(channel..).filter(|_| channel < channels) else {
            return Err(Error::ChannelMismatch {
                expected: channels,
                actual: channel,
            });
        };
        let stride = size.width.checked_mul(channels);
        let stride = stride.ok_or(Error::TooLarge { size })?;
        Self::with_steps(samples, size, stride, channels)
    }

    /// The same without `border` pixels on each side.
    ///
    /// # Errors
    /// [`Error::TooSmall`] where nothing would be left.
    pub fn cropped(&self, border: usize) -> Result<Self, Error> {
        let left = |side: usize| {
            let twice = border.checked_mul(2)?;
            side.checked_sub(twice).filter(|left| *left > 0)
        };
        let (Some(width), Some(height)) = (left(self.size.width), left(self.size.height)) else {
            return Err(Error::TooSmall {
                size: self.size,
                smallest: border.saturating_mul(2).saturating_add(1),
            });
        };
        Ok(Self {
            samples: &self.samples[border * self.stride + border * self.step..],
            size: Size { width, height },
            ..*self
        })
    }

    /// The size in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Samples from the beginning of one row to that of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The samples of row `i`, counted from the top; none where there is no such row.
    pub fn row(&self, i: usize) -> impl Iterator<Item = T> + 'a {
        let row = self.samples_from_row(i).unwrap_or_default().iter();
        // The step is at least 1, which the optimiser does not know.
        row.step_by(self.step.max(1)).take(self.size.width).copied()
    }

    /// Row `i` where its samples follow each other without gaps; `None` where there is no such row either.
    pub fn packed_row(&self, i: usize) -> Option<&'a [T]> {
        self.packed_from(i)
            .and_then(|row| row.get(..self.size.width))
    }

    /// The samples from row `i` on to the end, gaps between rows included, where those of a row follow each other; `None`
    /// where there is no such row either.
    pub fn packed_from(&self, i: usize) -> Option<&'a [T]> {
        self.samples_from_row(i).filter(|_| self.step == 1)
    }

    /// The samples from row `i` on.
    fn samples_from_row(&self, i: usize) -> Option<&'a [T]> {
        let start = i.checked_mul(self.stride)?;
        self.samples.get(start..).filter(|_| i < self.size.height)
    }
}

/// One channel of an image, to be written.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    samples: &'a mut [f32],
    size: Size,
    stride: usize,
}

impl<'a> PlaneMut<'a> {
    /// A plane whose rows follow each other without gaps.
    ///
    /// # Errors
    /// [`Error::ShortPlane`] or [`Error::TooLarge`] when `samples` does not hold `size`.
    pub fn new(samples: &'a mut [f32], size: Size) -> Result<Self, Error> {
        Self::with_stride(samples, size, size.width)
    }

    /// A plane whose row `i` begins at sample `i * stride`. What lies between rows is left alone.
    ///
    /// # Errors
    /// [`Error::ShortStride`], [`Error::ShortPlane`] or [`Error::TooLarge`].
    pub fn with_stride(samples: &'a mut [f32], size: Size, stride: usize) -> Result<Self, Error> {
        check_layout(samples.len(), size, stride, 1)?;
        Ok(Self {
            samples,
            size,
            stride,
        })
    }

    /// The size in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The same plane for a while.
    pub fn reborrow(&mut self) -> PlaneMut<'_> {
        PlaneMut {
            samples: self.samples,
            ..*self
        }
    }

    /// The first `rows` rows, or all if there are fewer, and the others.
    pub fn split_rows(self, rows: usize) -> (Self, Self) {
        let rows = rows.min(self.size.height);
        // The last row may end before its stride does.
        let at = (rows * self.stride).min(self.samples.len());
        let (upper, lower) = self.samples.split_at_mut(at);
        let part = |samples, height| Self {
            samples,
            size: Size {
                height,
                ..self.size
            },
            stride: self.stride,
        };
        (part(upper, rows), part(lower, self.size.height - rows))
    }

    /// All rows from row `i` on, where they follow each other without gaps; `None` where there is no such row either.
    pub fn packed_from_mut(&mut self, i: usize) -> Option<&mut [f32]> {
        let Size { width, height } = self.size;
        let range = i.checked_mul(width)?..height.checked_mul(width)?;
        let rows = self.samples.get_mut(range)?;
        (i < height && self.stride == width).then_some(rows)
    }

    /// Row `i`, counted from the top.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.samples[i * self.stride..][..self.size.width]
    }
}

fn check_layout(len: usize, size: Size, stride: usize, step: usize) -> Result<(), Error> {
    // Samples from a row's first to its last, and one.
    let row = match size.width {
        0 => Some(0),
        width => (width - 1).checked_mul(step).and_then(|n| n.checked_add(1)),
    };
    let Some(row) = row else {
        return Err(Error::TooLarge { size });
    };
    if stride < row || step == 0 {
        return Err(Error::ShortStride {
            width: row.max(size.width),
            stride: if step == 0 { 0 } else { stride },
        });
    }
    let expected = match size.height {
        0 => Some(0),
        rows => (rows - 1)
            .checked_mul(stride)
            .and_then(|n| n.checked_add(row)),
    };
    match expected {
        None => Err(Error::TooLarge { size }),
        Some(expected) if len < expected => Err(Error::ShortPlane {
            expected,
            actual: len,
        }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_rows_are_the_rows() {
        let mut samples = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0, 5.0, 6.0];
        let size = Size {
            width: 2,
            height: 3,
        };
        let plane = PlaneMut::with_stride(&mut samples, size, 3).unwrap();
        let (upper, mut rest) = plane.split_rows(1);
        assert_eq!((upper.size().height, rest.size().height), (1, 2));
        assert_eq!(rest.reborrow().row_mut(1), [5.0, 6.0]);
        let (mut rest, nothing) = rest.split_rows(7);
        assert_eq!((rest.size().height, nothing.size().height), (2, 0));
        assert_eq!(rest.row_mut(0), [3.0, 4.0]);
    }

    #[test]
    fn rows_follow_the_stride() {
        let samples = [1u8, 2, 99, 3, 4];
        let plane = Plane::with_stride(
            &samples,
            Size {
                width: 2,
                height: 2,
            },
            3,
        )
        .unwrap();
        assert_eq!(plane.packed_row(1), Some(&[3, 4][..]));
        assert!(plane.row(0).eq([1, 2]) && plane.row(1).eq([3, 4]));
    }

    #[test]
    fn interleaved_and_cropped() {
        let samples: [u8; 24] = core::array::from_fn(|i| i as u8);
        let size = Size {
            width: 4,
            height: 3,
        };
        let green = Plane::interleaved(&samples, size, 2, 1).unwrap();
        assert!(green.row(1).eq([9, 11, 13, 15]) && green.packed_row(1).is_none());
        let middle = green.cropped(1).unwrap();
        assert!(middle.size().height == 1 && middle.row(0).eq([11, 13]));
        assert!(green.cropped(2).is_err() && green.cropped(usize::MAX).is_err());
        assert!(Plane::interleaved(&samples, size, 2, 2).is_err());
        assert!(Plane::interleaved(&samples[..23], size, 2, 1).is_err());
        assert!(Plane::with_steps(&samples, size, 4, 0).is_err());
    }

    #[test]
    fn bad_layouts_are_refused_by_name() {
        let samples = [0.0f32; 8];
        let size = Size {
            width: 3,
            height: 3,
        };
        let short = Plane::new(&samples, size).unwrap_err();
        assert_eq!(
            short,
            Error::ShortPlane {
                expected: 9,
                actual: 8
            }
        );
        let narrow = Plane::with_stride(&samples, size, 2).unwrap_err();
        assert_eq!(
            narrow,
            Error::ShortStride {
                width: 3,
                stride: 2
            }
        );
        let huge = Size {
            width: 2,
            height: usize::MAX,
        };
        assert_eq!(
            Plane::new(&samples, huge).unwrap_err(),
            Error::TooLarge { size: huge }
        );
    }
}
