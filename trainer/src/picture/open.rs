//! Reading image files of any kind, without trusting them.

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::container::{is_animated, jpeg_is_whole};
use super::{Picture, PictureError, Problem};

/// The largest number of pixels that is read: a square of 16,384.
pub const MAX_PIXELS: u64 = 1 << 28;

/// The most that a decoder may allocate: four channels of 16 bits.
const MAX_DECODED_BYTES: u64 = 8 * MAX_PIXELS;

/// The longest file that is read: the largest image, stored plainly, and its metadata.
const MAX_FILE_BYTES: u64 = MAX_DECODED_BYTES + (1 << 24);

/// Bytes at the start of a file that nearly always hold the header; some TIFFs have it at the end.
const HEADER_BYTES: u64 = 1 << 18;

/// Bytes at the start of a file that tell its format.
const SIGNATURE_BYTES: u64 = 64;

impl Picture {
    /// Reads an image file of any kind that the content, not the name, says it is.
    ///
    /// Grey stays grey and 16 bits stay 16 bits; 1, 2 and 4 bits are expanded to 8; palettes and
    /// CMYK become RGB; an alpha channel that is opaque throughout is dropped. Samples are those
    /// in the file: no colour profile, gamma or orientation is applied. Of a TIFF with several
    /// pages it is the first.
    ///
    /// # Errors
    /// [`PictureError`] names the file and what is wrong with it. Memory stays within what an
    /// image of [`MAX_PIXELS`] takes, whatever the header claims.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        let format = sniff(path)?;
        let bytes = read(path, MAX_FILE_BYTES)?;
        let image = guarded(|| {
            let decoder = decoder(format, &bytes)?;
            if is_animated(format, &bytes).map_err(refusal)? {
                return Err(Problem::Animated);
            }
            if format == ImageFormat::Jpeg && !jpeg_is_whole(&bytes) {
                return Err(Problem::Damaged("it ends early".into()));
            }
            DynamicImage::from_decoder(decoder).map_err(refusal)
        });
        drop(bytes);
        image
            .and_then(Self::from_image)
            .map_err(|problem| problem.of(path))
    }

    fn from_image(image: DynamicImage) -> Result<Self, Problem> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let channels = usize::from(image.color().channel_count());
        let (planes, data_range) = match image {
            DynamicImage::ImageLuma8(image) => planes(&image, channels, u8::MAX),
            DynamicImage::ImageLumaA8(image) => planes(&image, channels, u8::MAX),
            DynamicImage::ImageRgb8(image) => planes(&image, channels, u8::MAX),
            DynamicImage::ImageRgba8(image) => planes(&image, channels, u8::MAX),
            DynamicImage::ImageLuma16(image) => planes(&image, channels, u16::MAX),
            DynamicImage::ImageLumaA16(image) => planes(&image, channels, u16::MAX),
            DynamicImage::ImageRgb16(image) => planes(&image, channels, u16::MAX),
            DynamicImage::ImageRgba16(image) => planes(&image, channels, u16::MAX),
            _ => return Err(Problem::Float),
        }?;
        Ok(Self {
            width,
            height,
            planes,
            data_range,
        })
    }
}

/// The colour planes of interleaved samples, and the value of white.
fn planes<T: Copy + Into<f32> + PartialEq>(
    samples: &[T],
    channels: usize,
    white: T,
) -> Result<(Vec<Vec<f32>>, f32), Problem> {
    let colours = if channels < 3 { 1 } else { 3 };
    let plane = |c| samples.iter().skip(c).step_by(channels).copied();
    if channels > colours && !plane(colours).all(|alpha| alpha == white) {
        return Err(Problem::Transparent);
    }
    let planes = (0..colours).map(|c| plane(c).map(Into::into).collect());
    Ok((planes.collect(), white.into()))
}

/// The width and height that a file's header states.
///
/// # Errors
/// [`PictureError`] when the file is no image or states more than [`MAX_PIXELS`].
pub fn dimensions(path: &Path) -> Result<(u32, u32), PictureError> {
    let format = sniff(path)?;
    let stated = |most| {
        let bytes = read(path, most)?;
        guarded(|| Ok(decoder(format, &bytes)?.dimensions())).map_err(|problem| problem.of(path))
    };
    stated(HEADER_BYTES).or_else(|_| stated(MAX_FILE_BYTES))
}

/// The format that the first bytes of a file tell.
pub(super) fn sniff(path: &Path) -> Result<ImageFormat, PictureError> {
    let start = read(path, SIGNATURE_BYTES)?;
    if start.is_empty() {
        return Err(Problem::Empty.of(path));
    }
    image::guess_format(&start).map_err(|_| Problem::Unknown.of(path))
}

/// The bytes of a file, no more than `most`.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| Problem::Read(error).of(path))?;
    Ok(bytes)
}

/// A decoder that has read a header which is allowed.
fn decoder(format: ImageFormat, bytes: &[u8]) -> Result<impl ImageDecoder + '_, Problem> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Problem::TooLarge(width, height));
    }
    if width == 0 || height == 0 {
        return Err(Problem::Damaged("it has no pixels".into()));
    }
    Ok(decoder)
}

/// Runs a decoder; a panic in it is a damaged file.
///
/// The decoders are other people's code over hostile bytes, and have panicked before. Nothing of
/// theirs outlives the call, so nobody sees a state that a panic left broken.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(Problem::Damaged("the decoder failed".into())))
}

/// A decoder's error in this module's words.
fn refusal(error: ImageError) -> Problem {
    match error {
        ImageError::Limits(_) => Problem::TooMuch,
        ImageError::Unsupported(error) => Problem::Unsupported(error.to_string()),
        error => Problem::Damaged(error.to_string()),
    }
}
