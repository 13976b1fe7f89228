//! Reading image files of any kind, without trusting them.

use std::fs;
use std::io::{BufRead, BufReader, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ImageError, ImageFormat, ImageReader, Limits};

use super::{Picture, PictureError, Problem};

/// The largest number of pixels that is read: a square of 16,384.
pub const MAX_PIXELS: u64 = 1 << 28;

/// File name endings that [`list_images`] takes for images.
const EXTENSIONS: [&str; 13] = [
    "bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp", "jfif",
];

impl Picture {
    /// Reads an image file of any kind that the content, not the name, says it is.
    ///
    /// Grey stays grey and 16 bits stay 16 bits; palettes and CMYK become RGB; an alpha channel
    /// that is opaque throughout is dropped.
    ///
    /// # Errors
    /// [`PictureError`] names the file and what is wrong with it. Memory stays within what an
    /// image of [`MAX_PIXELS`] takes, whatever the header claims.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        let (reader, format) = reader(path)?;
        let (width, height) = dimensions(path)?;
        if is_animated(path, format)? {
            return Err(Problem::Animated.of(path));
        }
        // The decoders are other people's code over hostile bytes: a panic there is one bad file.
        let image = catch_unwind(AssertUnwindSafe(|| reader.decode()))
            .map_err(|_| Problem::Damaged("the decoder failed".into()).of(path))?
            .map_err(|error| refusal(error, width, height).of(path))?;
        Self::from_image(image).map_err(|problem| problem.of(path))
    }

    fn from_image(image: DynamicImage) -> Result<Self, Problem> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let picture = |channels: usize, colours: usize, data_range: f32, samples: &[f32]| {
            if channels > colours {
                let opaque = |pixel: &[f32]| pixel[colours] == data_range;
                if !samples.chunks_exact(channels).all(opaque) {
                    return Err(Problem::Transparent);
                }
            }
            let plane = |c| samples[c..].iter().step_by(channels).copied().collect();
            let planes = (0..colours).map(plane).collect();
            Ok(Self {
                width,
                height,
                planes,
                data_range,
            })
        };
        let bytes = |samples: Vec<u8>| -> Vec<f32> { samples.into_iter().map(f32::from).collect() };
        let words =
            |samples: Vec<u16>| -> Vec<f32> { samples.into_iter().map(f32::from).collect() };
        match image {
            DynamicImage::ImageLuma8(image) => picture(1, 1, 255.0, &bytes(image.into_raw())),
            DynamicImage::ImageLumaA8(image) => picture(2, 1, 255.0, &bytes(image.into_raw())),
            DynamicImage::ImageRgb8(image) => picture(3, 3, 255.0, &bytes(image.into_raw())),
            DynamicImage::ImageRgba8(image) => picture(4, 3, 255.0, &bytes(image.into_raw())),
            DynamicImage::ImageLuma16(image) => picture(1, 1, 65535.0, &words(image.into_raw())),
            DynamicImage::ImageLumaA16(image) => picture(2, 1, 65535.0, &words(image.into_raw())),
            DynamicImage::ImageRgb16(image) => picture(3, 3, 65535.0, &words(image.into_raw())),
            DynamicImage::ImageRgba16(image) => picture(4, 3, 65535.0, &words(image.into_raw())),
            _ => Err(Problem::Float),
        }
    }
}

/// The width and height that a file's header states.
///
/// # Errors
/// [`PictureError`] when the file is no image or states more than [`MAX_PIXELS`].
pub fn dimensions(path: &Path) -> Result<(u32, u32), PictureError> {
    let (reader, _) = reader(path)?;
    let (width, height) = reader
        .into_dimensions()
        .map_err(|error| refusal(error, 0, 0).of(path))?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Problem::TooLarge(width, height).of(path));
    }
    if width == 0 || height == 0 {
        return Err(Problem::Damaged("it has no pixels".into()).of(path));
    }
    Ok((width, height))
}

/// The images of a folder, by name; other files and folders are passed over.
///
/// # Errors
/// [`PictureError`] when the folder cannot be read or holds no image.
pub fn list_images(folder: &Path) -> Result<Vec<PathBuf>, PictureError> {
    let read = |error| Problem::Read(error).of(folder);
    let mut images = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let extension = path
            .extension()
            .and_then(|text| text.to_str())
            .map(str::to_ascii_lowercase);
        if path.is_file() && extension.is_some_and(|text| EXTENSIONS.contains(&text.as_str())) {
            images.push(path);
        }
    }
    if images.is_empty() {
        return Err(Problem::NoImages.of(folder));
    }
    images.sort();
    Ok(images)
}

/// A reader that knows the format from the content and keeps memory bounded.
fn reader(path: &Path) -> Result<(ImageReader<impl BufRead + Seek>, ImageFormat), PictureError> {
    let read = |error| Problem::Read(error).of(path);
    let file = fs::File::open(path).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    if metadata.is_dir() {
        return Err(read(std::io::ErrorKind::IsADirectory.into()));
    }
    if metadata.len() == 0 {
        return Err(Problem::Empty.of(path));
    }
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(read)?;
    let format = reader.format().ok_or_else(|| Problem::Unknown.of(path))?;
    let mut limits = Limits::default();
    // Four channels of 16 bits.
    limits.max_alloc = Some(8 * MAX_PIXELS);
    reader.limits(limits);
    Ok((reader, format))
}

/// Whether the file holds more than one frame.
fn is_animated(path: &Path, format: ImageFormat) -> Result<bool, PictureError> {
    let damaged = |error| refusal(error, 0, 0).of(path);
    let file = fs::File::open(path).map_err(|error| Problem::Read(error).of(path))?;
    let file = BufReader::new(file);
    match format {
        ImageFormat::Gif => {
            let decoder = GifDecoder::new(file).map_err(damaged)?;
            Ok(decoder.into_frames().take(2).filter(Result::is_ok).count() > 1)
        }
        ImageFormat::Png => PngDecoder::new(file)
            .and_then(|d| d.is_apng())
            .map_err(damaged),
        ImageFormat::WebP => Ok(WebPDecoder::new(file).map_err(damaged)?.has_animation()),
        _ => Ok(false),
    }
}

/// A decoder's error in this module's words; the size is what the header states.
fn refusal(error: ImageError, width: u32, height: u32) -> Problem {
    match error {
        ImageError::Limits(_) => Problem::TooLarge(width, height),
        error => Problem::Damaged(error.to_string()),
    }
}
