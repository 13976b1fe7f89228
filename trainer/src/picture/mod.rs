//! An image in memory, and image files of every kind in and out.

mod container;
mod folder;
mod open;
mod save;

use std::io;
use std::path::{Path, PathBuf};

pub use folder::list_images;
pub use open::{MAX_PIXELS, dimensions};

/// An image as planes of samples in the file's own units.
///
/// One plane is grey, three are red, green and blue. Rows follow each other without gaps, so
/// sample (row, column) of a plane is at `row * width + column`.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// One plane for grey, three for RGB; each `width * height` samples in 0 to `data_range`.
    pub planes: Vec<Vec<f32>>,
    /// The value of white: 255 for 8-bit files, 65535 for 16-bit ones.
    pub data_range: f32,
}

impl Picture {
    /// A grey image.
    ///
    /// # Panics
    /// If `plane` does not hold `width * height` samples.
    pub fn grey(width: usize, height: usize, plane: Vec<f32>, data_range: f32) -> Self {
        assert!(
            plane.len() == width * height,
            "plane of another size than {width} x {height}"
        );
        Self {
            width,
            height,
            planes: vec![plane],
            data_range,
        }
    }

    /// Whether there is one plane only.
    pub fn is_grey(&self) -> bool {
        self.planes.len() == 1
    }

    /// The same image with white at `data_range`.
    pub fn with_data_range(mut self, data_range: f32) -> Self {
        if data_range != self.data_range {
            let scale = f64::from(data_range) / f64::from(self.data_range);
            for sample in self.planes.iter_mut().flatten() {
                *sample = (f64::from(*sample) * scale) as f32;
            }
            self.data_range = data_range;
        }
        self
    }
}

/// What is wrong with an image file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct PictureError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// A problem with a file or a folder of images.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It cannot be written.
    #[error("cannot be written: {0}")]
    Write(io::Error),
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// No decoder knows it.
    #[error("not an image that can be read (PNG, JPEG, BMP, GIF, TIFF, WebP and PNM can)")]
    Unknown,
    /// Its kind of image is not decoded.
    #[error("cannot be decoded ({0}); convert it to an 8- or 16-bit PNG")]
    Unsupported(String),
    /// A decoder gave up.
    #[error("the image is damaged or cut off ({0}); copy or export it again")]
    Damaged(String),
    /// Its header asks for more than a sane image has.
    #[error(
        "the header claims {0} x {1} pixels, more than {MAX_PIXELS} in all; crop or scale it down"
    )]
    TooLarge(u32, u32),
    /// Its header asks for more memory than a sane image takes.
    #[error(
        "the header claims more than the {MAX_PIXELS} pixels that are read; crop or scale it down"
    )]
    TooMuch,
    /// It has several frames.
    #[error("an animation; extract one frame first")]
    Animated,
    /// Some pixels are transparent.
    #[error("has transparent pixels, whose colour depends on what is behind; flatten it first")]
    Transparent,
    /// Samples without a stated range.
    #[error("has floating-point samples without a stated range; convert it to 8 or 16 bits")]
    Float,
    /// A folder without images.
    #[error("no image in this folder")]
    NoImages,
}

impl Problem {
    fn of(self, path: &Path) -> PictureError {
        PictureError {
            path: path.to_owned(),
            problem: self,
        }
    }
}
