//! The images of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;

use super::open::sniff;
use super::{PictureError, Problem};

/// The images of a folder, by name; other files and folders are passed over.
///
/// A file is an image if its name's ending or its first bytes say so, and its name does not start
/// with a dot. One that only claims to be an image is listed: opening it says what is wrong.
///
/// # Errors
/// [`PictureError`] when the folder cannot be read or holds no image.
pub fn list_images(folder: &Path) -> Result<Vec<PathBuf>, PictureError> {
    let read = |error| Problem::Read(error).of(folder);
    let mut images = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && path.is_file() && is_image(&path) {
            images.push(path);
        }
    }
    if images.is_empty() {
        return Err(Problem::NoImages.of(folder));
    }
    images.sort();
    Ok(images)
}

fn is_image(path: &Path) -> bool {
    let named = ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled());
    named || sniff(path).is_ok()
}
