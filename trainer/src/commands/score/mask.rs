//! `--mask`: the weights of an image's pixels, from a grey image.

use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::picture::Picture;

/// Weights of pixels, and the file that they are from.
pub(super) struct MaskImage {
    pub(super) path: PathBuf,
    pub(super) picture: Picture,
}

impl MaskImage {
    /// Reads a grey image, or a colour one whose channels are equal.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let mut picture = Picture::open(path)?;
        if picture
            .planes
            .iter()
            .any(|plane| *plane != picture.planes[0])
        {
            return Err(Failure::Message(format!(
                "{}: a mask is grey, its samples are weights; convert it to grey",
                path.display()
            )));
        }
        picture.planes.truncate(1);
        Ok(Self {
            path: path.to_owned(),
            picture,
        })
    }
}
