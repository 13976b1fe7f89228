//! Images in C's memory.

use core::ffi::c_void;
use core::mem::size_of;

use msssim_core::{Plane, Sample, Size};

use crate::memory::{Region, slice};
use crate::status::MsssimStatus;

/// The largest number of channels of an image.
pub const MSSSIM_MAX_CHANNELS: usize = 4;

/// The type of samples.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimSample {
    /// uint8_t
    U8 = 0,
    /// uint16_t
    U16 = 1,
    /// float
    F32 = 2,
}

/// An image, wherever its samples lie: sample (i, j) of channel c, row i, column j, is number
/// `c * channel_stride + i * stride + j * step` from `samples` on.
///
/// msssim_image fills it in for images without gaps.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MsssimImage {
    /// The first sample.
    pub samples: *const c_void,
    /// Samples, not bytes, that may be read.
    pub len: usize,
    /// One of MsssimSample.
    pub sample: u32,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Channels, 1 to MSSSIM_MAX_CHANNELS.
    pub channels: usize,
    /// Samples from one row to the next.
    pub stride: usize,
    /// Samples from one column to the next, at least 1.
    pub step: usize,
    /// Samples from one channel to the next.
    pub channel_stride: usize,
}

/// An image without gaps whose channels are interleaved, such as RGBRGB, or that has one.
///
/// `samples` must be `width * height * channels` of type `sample`, one of MsssimSample. Nothing is checked
/// here.
#[unsafe(no_mangle)]
pub extern "C" fn msssim_image(
    samples: *const c_void,
    sample: u32,
    width: usize,
    height: usize,
    channels: usize,
) -> MsssimImage {
    // What overflows cannot be addressed, and is refused as such when the image is used.
    let stride = width.saturating_mul(channels);
    MsssimImage {
        samples,
        len: stride.saturating_mul(height),
        sample,
        width,
        height,
        channels,
        stride,
        step: channels,
        channel_stride: 1,
    }
}

impl MsssimImage {
    /// The size in pixels.
    pub(crate) fn size(&self) -> Size {
        Size {
            width: self.width,
            height: self.height,
        }
    }

    /// The memory that may be read.
    pub(crate) fn region(&self) -> Result<Region, MsssimStatus> {
        match self.sample {
            s if s == MsssimSample::U8 as u32 => Region::of(self.samples.cast::<u8>(), self.len),
            s if s == MsssimSample::U16 as u32 => Region::of(self.samples.cast::<u16>(), self.len),
            s if s == MsssimSample::F32 as u32 => Region::of(self.samples.cast::<f32>(), self.len),
            _ => Err(MsssimStatus::SampleType),
        }
    }

    /// The channels; beyond their number the first again.
    ///
    /// # Safety
    /// `len` samples of type `T` can be read, and nothing writes them during `'a`.
    unsafe fn planes<'a, T: Sample>(
        &self,
    ) -> Result<[Plane<'a, T>; MSSSIM_MAX_CHANNELS], MsssimStatus> {
        const { assert!(size_of::<T>() <= 4, "a type of MsssimSample") };
        // SAFETY: the caller knows that they are readable.
        let samples: &[T] = unsafe { slice(self.samples.cast(), self.len) }?;
        let plane = |channel: usize| {
            let start = channel.checked_mul(self.channel_stride);
            let start = start.ok_or(MsssimStatus::TooLarge)?;
            let samples = samples.get(start..).ok_or(MsssimStatus::ShortImage)?;
            Ok::<_, MsssimStatus>(Plane::with_steps(
                samples,
                self.size(),
                self.stride,
                self.step,
            )?)
        };
        let mut planes = [plane(0)?; MSSSIM_MAX_CHANNELS];
        for (channel, entry) in planes.iter_mut().enumerate().take(self.channels) {
            *entry = plane(channel)?;
        }
        Ok(planes)
    }
}

/// The channels of two images, whatever the type of their samples.
pub(crate) enum Pair<'a> {
    U8([Channels<'a, u8>; 2]),
    U16([Channels<'a, u16>; 2]),
    F32([Channels<'a, f32>; 2]),
}

/// The channels of an image.
pub(crate) struct Channels<'a, T> {
    planes: [Plane<'a, T>; MSSSIM_MAX_CHANNELS],
    len: usize,
}

impl<'a, T: Sample> Channels<'a, T> {
    pub(crate) fn planes(&self) -> &[Plane<'a, T>] {
        self.planes.get(..self.len).unwrap_or_default()
    }

    /// The channel of an image that has one.
    pub(crate) fn single(&self) -> Result<&Plane<'a, T>, MsssimStatus> {
        match self.planes() {
            [plane] => Ok(plane),
            _ => Err(MsssimStatus::ChannelMismatch),
        }
    }

    /// # Safety
    /// As of [`MsssimImage::planes`].
    unsafe fn of(image: &MsssimImage) -> Result<Self, MsssimStatus> {
        // SAFETY: the caller's.
        let planes = unsafe { image.planes() }?;
        Ok(Self {
            planes,
            len: image.channels,
        })
    }
}

impl<'a> Pair<'a> {
    /// The channels of two images that agree in type, size and number of channels.
    ///
    /// # Safety
    /// Each image's `len` samples of its type can be read, and nothing writes them during `'a`.
    pub(crate) unsafe fn of(x: &MsssimImage, y: &MsssimImage) -> Result<Self, MsssimStatus> {
        if x.sample != y.sample {
            return Err(MsssimStatus::SampleType);
        }
        if x.channels != y.channels || x.channels == 0 || x.channels > MSSSIM_MAX_CHANNELS {
            return Err(MsssimStatus::ChannelMismatch);
        }
        if x.size() != y.size() {
            return Err(MsssimStatus::SizeMismatch);
        }
        // SAFETY: the caller's, of samples of the type that the images name.
        unsafe {
            Ok(match x.sample {
                s if s == MsssimSample::U8 as u32 => Self::U8([Channels::of(x)?, Channels::of(y)?]),
                s if s == MsssimSample::U16 as u32 => {
                    Self::U16([Channels::of(x)?, Channels::of(y)?])
                }
                s if s == MsssimSample::F32 as u32 => {
                    Self::F32([Channels::of(x)?, Channels::of(y)?])
                }
                _ => return Err(MsssimStatus::SampleType),
            })
        }
    }
}
