//! Borrowed images: one channel, row-major, with a stride.

use core::fmt;

use crate::error::Error;

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

/// A type that samples may have.
pub trait Sample: Copy + Send + Sync {
    /// The sample as `f32`, in the same units. Exact for `u8` and `u16`.
    fn to_f32(self) -> f32;
}

impl Sample for u8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Sample for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// One channel of an image.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a, T = f32> {
    samples: &'a [T],
    size: Size,
    stride: usize,
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
        check_layout(samples.len(), size, stride)?;
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

    /// Row `i`, counted from the top.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.samples[i * self.stride..][..self.size.width]
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
        check_layout(samples.len(), size, stride)?;
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

    /// Row `i`, counted from the top.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.samples[i * self.stride..][..self.size.width]
    }
}

fn check_layout(len: usize, size: Size, stride: usize) -> Result<(), Error> {
    if stride < size.width {
        return Err(Error::ShortStride {
            width: size.width,
            stride,
        });
    }
    let expected = match size.height {
        0 => Some(0),
        rows => (rows - 1)
            .checked_mul(stride)
            .and_then(|n| n.checked_add(size.width)),
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
        assert_eq!((plane.row(0), plane.row(1)), (&[1, 2][..], &[3, 4][..]));
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
