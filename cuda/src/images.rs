//! Batches of images in device memory: where each sample lies.

use cudarc::driver::{CudaView, CudaViewMut, DeviceRepr};
use half::{bf16, f16};
use msssim_core::Size;
use msssim_kernels::Image;

use crate::error::Error;

/// The type of samples, as kernels are named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 8-bit integers.
    U8,
    /// IEEE half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// Single precision.
    F32,
    /// 16-bit integers.
    U16,
    /// Double precision, rounded to single where it is read.
    F64,
}

impl Format {
    /// Bytes of a sample.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// A type that samples in device memory may have: `u8`, `u16`, `f16`, `bf16` or `f32`, and, in a plan that is
/// [`crate::MsSsim::general`], `f64`. Kernels read it as it is and compute in `f32`.
pub trait Sample: DeviceRepr + sealed::Sealed {
    /// Which of them it is.
    const FORMAT: Format;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
    impl Sealed for f32 {}
    impl Sealed for u16 {}
    impl Sealed for f64 {}
}

impl Sample for u8 {
    const FORMAT: Format = Format::U8;
}

impl Sample for f16 {
    const FORMAT: Format = Format::F16;
}

impl Sample for bf16 {
    const FORMAT: Format = Format::Bf16;
}

impl Sample for f32 {
    const FORMAT: Format = Format::F32;
}

impl Sample for u16 {
    const FORMAT: Format = Format::U16;
}

impl Sample for f64 {
    const FORMAT: Format = Format::F64;
}

/// The order of a batch's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// images x channels x height x width, without gaps.
    Planar,
    /// images x height x width x channels, without gaps.
    Interleaved,
    /// Any other: how many samples it is from one image to the next, and so on.
    Strided {
        /// From one image to the next.
        image: usize,
        /// From one channel to the next.
        channel: usize,
        /// From one row to the next.
        row: usize,
        /// From one column to the next.
        column: usize,
    },
}

/// Images to be read.
#[derive(Debug)]
pub struct Images<'a, T> {
    pub(crate) samples: CudaView<'a, T>,
    layout: Layout,
}

impl<'a, T: Sample> Images<'a, T> {
    /// The images that `samples` holds in that order. Whether they are enough is checked in use.
    pub fn new(samples: CudaView<'a, T>, layout: Layout) -> Self {
        Self { samples, layout }
    }

    /// Images one after the other, channel by channel, row by row.
    pub fn planar(samples: CudaView<'a, T>) -> Self {
        Self::new(samples, Layout::Planar)
    }

    /// Images one after the other, row by row, the channels of a pixel side by side.
    pub fn interleaved(samples: CudaView<'a, T>) -> Self {
        Self::new(samples, Layout::Interleaved)
    }

    pub(crate) fn place(&self, batch: &Batch, what: &'static str) -> Result<Place, Error> {
        Place::new(self.layout, batch, self.samples.len(), what)
    }
}

/// Images to be written: a gradient.
#[derive(Debug)]
pub struct ImagesMut<'a> {
    pub(crate) samples: CudaViewMut<'a, f32>,
    layout: Layout,
}

impl<'a> ImagesMut<'a> {
    /// Room for images in that order. Whether it is enough, and whether every sample has a place of its
    /// own, is checked in use.
    pub fn new(samples: CudaViewMut<'a, f32>, layout: Layout) -> Self {
        Self { samples, layout }
    }

    /// Room for images one after the other, channel by channel, row by row.
    pub fn planar(samples: CudaViewMut<'a, f32>) -> Self {
        Self::new(samples, Layout::Planar)
    }

    /// Room for images one after the other, row by row, the channels of a pixel side by side.
    pub fn interleaved(samples: CudaViewMut<'a, f32>) -> Self {
        Self::new(samples, Layout::Interleaved)
    }

    pub(crate) fn place(&self, batch: &Batch, what: &'static str) -> Result<Place, Error> {
        let place = Place::new(self.layout, batch, self.samples.len(), what)?;
        if place.overlaps(batch) {
            return Err(Error::Overlap {
                strides: place.strides,
            });
        }
        Ok(place)
    }
}

/// What a batch consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) size: Size,
}

impl Batch {
    fn counts(&self) -> [usize; 4] {
        [
            self.images,
            self.channels,
            self.size.height,
            self.size.width,
        ]
    }
}

/// Strides that were found to fit a batch and the memory it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    strides: [usize; 4],
}

impl Place {
    fn new(
        layout: Layout,
        batch: &Batch,
        samples: usize,
        what: &'static str,
    ) -> Result<Self, Error> {
        let [_, channels, height, width] = batch.counts();
        let strides = match layout {
            Layout::Planar => [channels * height * width, height * width, width, 1],
            Layout::Interleaved => [channels * height * width, 1, width * channels, channels],
            Layout::Strided {
                image,
                channel,
                row,
                column,
            } => [image, channel, row, column],
        };
        let last = strides
            .iter()
            .zip(batch.counts())
            .try_fold(0usize, |last, (stride, count)| {
                stride
                    .checked_mul(count - 1)
                    .and_then(|span| last.checked_add(span))
            });
        let needed = last.and_then(|last| last.checked_add(1));
        let fits = needed.is_some_and(|needed| needed <= samples && needed <= 1 << 60);
        if !fits {
            return Err(Error::ShortImages {
                what,
                expected: needed.unwrap_or(usize::MAX),
                actual: samples,
            });
        }
        Ok(Self { strides })
    }

    /// Whether two samples may have one place. Counted from the smallest stride, each must reach beyond
    /// all that the smaller ones span; orders that interlace without meeting are refused too.
    fn overlaps(&self, batch: &Batch) -> bool {
        let mut axes: Vec<(usize, usize)> = self.strides.into_iter().zip(batch.counts()).collect();
        axes.retain(|&(_, count)| count > 1);
        axes.sort_unstable();
        let mut span = 0;
        axes.iter().any(|&(stride, count)| {
            let overlaps = stride <= span;
            span += stride * (count - 1);
            overlaps
        })
    }

    /// As kernels take it, for samples that begin at `address`.
    pub(crate) fn at(&self, address: u64) -> Image {
        // Strides of an axis of one element were not checked, and are not used.
        let [image, channel, row, column] = self.strides.map(|stride| stride as i64);
        Image {
            samples: address,
            image,
            channel,
            row,
            column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Batch = Batch {
        images: 2,
        channels: 3,
        size: Size {
            width: 5,
            height: 4,
        },
    };

    fn place(layout: Layout, samples: usize) -> Result<Place, Error> {
        Place::new(layout, &BATCH, samples, "reference")
    }

    #[test]
    fn the_last_sample_must_be_there() {
        for layout in [Layout::Planar, Layout::Interleaved] {
            assert!(place(layout, 120).is_ok());
            let error = place(layout, 119).unwrap_err().to_string();
            assert!(error.contains("119") && error.contains("120"), "{error}");
        }
        let padded = Layout::Strided {
            image: 96,
            channel: 32,
            row: 8,
            column: 1,
        };
        // (2 - 1) 96 + (3 - 1) 32 + (4 - 1) 8 + (5 - 1) + 1
        assert!(place(padded, 189).is_ok());
        assert!(place(padded, 188).is_err());
    }

    #[test]
    fn absurd_strides_are_errors() {
        let strided = |image, column| Layout::Strided {
            image,
            channel: 20,
            row: 5,
            column,
        };
        for layout in [
            strided(usize::MAX, 1),
            strided(60, usize::MAX / 2),
            strided(usize::MAX - 40, 1),
        ] {
            assert!(place(layout, usize::MAX).is_err(), "{layout:?}");
        }
    }

    #[test]
    fn samples_to_be_written_have_places_of_their_own() {
        let overlaps = |image, channel, row, column| {
            Place {
                strides: [image, channel, row, column],
            }
            .overlaps(&BATCH)
        };
        assert!(!overlaps(60, 20, 5, 1));
        assert!(!overlaps(60, 1, 15, 3));
        assert!(!overlaps(1, 2, 6, 24));
        assert!(overlaps(60, 0, 5, 1));
        assert!(overlaps(60, 20, 4, 1));
        assert!(overlaps(59, 20, 5, 1));
    }
}
