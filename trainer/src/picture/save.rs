//! Writing images as PNG.

use std::io;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::{Picture, PictureError, Problem};
use crate::atomic_file;

impl Picture {
    /// The samples as bytes, pixel by pixel: scaled to 255, rounded half up, clamped; NaN is 0.
    pub fn to_bytes(&self) -> Vec<u8> {
        let scale = 255.0 / self.data_range;
        let byte = |sample: f32| (sample * scale + 0.5).floor().clamp(0.0, 255.0) as u8;
        let pixels = 0..self.width * self.height;
        pixels
            .flat_map(|i| self.planes.iter().map(move |plane| byte(plane[i])))
            .collect()
    }

    /// Writes an 8-bit PNG, whole or not at all. An existing file is replaced.
    ///
    /// # Errors
    /// [`PictureError`] when it cannot be written.
    pub fn save_png(&self, path: &Path) -> Result<(), PictureError> {
        let colour = if self.is_grey() {
            ExtendedColorType::L8
        } else {
            ExtendedColorType::Rgb8
        };
        let (width, height) = (self.width as u32, self.height as u32);
        let bytes = self.to_bytes();
        atomic_file::write(path, |out| {
            PngEncoder::new(out)
                .write_image(&bytes, width, height, colour)
                .map_err(io::Error::other)
        })
        .map_err(|error| Problem::Write(error).of(path))
    }
}
