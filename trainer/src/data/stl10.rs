//! STL-10 (Coates, Lee and Ng 2011) as it is distributed: `train_X.bin`, `test_X.bin` and
//! `unlabeled_X.bin`, images of 96 x 96 pixels in 8 bits without a header.
//!
//! An image is a plane of red, one of green and one of blue, each column by column (it was written by
//! MATLAB). 5,000, 8,000 and 100,000 of them make 138 MB, 221 MB and 2.8 GB, so images are read one
//! at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{DataError, Problem};
use crate::picture::Picture;

/// Rows and columns of an image.
pub const SIDE: usize = 96;

/// Bytes of an image.
pub const IMAGE_BYTES: usize = 3 * SIDE * SIDE;

/// A file of images, read where it is asked to.
#[derive(Debug)]
pub struct Stl10 {
    file: File,
    path: PathBuf,
    images: u64,
    /// The image at which the file stands.
    next: u64,
}

impl Stl10 {
    /// Opens a file of images.
    ///
    /// # Errors
    /// [`DataError`] when it cannot be read or is no whole number of images, as labels, archives and
    /// files that were cut off are not.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::try_open(path).map_err(|problem| problem.of(path))
    }

    fn try_open(path: &Path) -> Result<Self, Problem> {
        let mut file = File::open(path)?;
        // A folder can be opened, but has no length to trust.
        if !file.metadata()?.is_file() {
            return Err(Problem::Read(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        let bytes = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        if bytes == 0 {
            return Err(Problem::Empty);
        }
        let mut start = Vec::new();
        (&mut file).take(512).read_to_end(&mut start)?;
        file.seek(SeekFrom::Start(0))?;
        let is_tar = start.get(257..262) == Some(b"ustar");
        if is_tar || start.starts_with(&[0x1F, 0x8B]) && !bytes.is_multiple_of(IMAGE_BYTES as u64) {
            return Err(Problem::Archive);
        }
        if !bytes.is_multiple_of(IMAGE_BYTES as u64) {
            // A label is a byte from 1 to 10, and a class index at most 10.
            let labels = start.iter().all(|byte| (1..=10).contains(byte));
            return Err(if labels {
                Problem::Stl10Labels
            } else {
                Problem::NotStl10 {
                    bytes,
                    image: IMAGE_BYTES,
                }
            });
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            images: bytes / IMAGE_BYTES as u64,
            next: 0,
        })
    }

    /// The number of images.
    pub fn len(&self) -> u64 {
        self.images
    }

    /// Whether there is none; a file without images does not open.
    pub fn is_empty(&self) -> bool {
        self.images == 0
    }

    /// Reads image `index`: `bytes` becomes planes of red, green and blue, row by row.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read or has become shorter.
    ///
    /// # Panics
    /// If there is no such image, or `bytes` is not [`IMAGE_BYTES`] long.
    pub fn read(&mut self, index: u64, bytes: &mut [u8]) -> Result<(), DataError> {
        assert!(index < self.images, "image {index} of {}", self.images);
        assert!(
            bytes.len() == IMAGE_BYTES,
            "{} bytes for an image",
            bytes.len()
        );
        self.try_read(index, bytes).map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::UnexpectedEof => Problem::CutOff(index),
                _ => Problem::Read(error),
            };
            problem.of(&self.path)
        })
    }

    fn try_read(&mut self, index: u64, bytes: &mut [u8]) -> io::Result<()> {
        if self.next != index {
            self.file
                .seek(SeekFrom::Start(index * IMAGE_BYTES as u64))?;
        }
        // Until the file is known to stand at the next image, it stands nowhere.
        self.next = u64::MAX;
        self.file.read_exact(bytes)?;
        self.next = index + 1;
        for plane in bytes.chunks_exact_mut(SIDE * SIDE) {
            transpose(plane);
        }
        Ok(())
    }

    /// Image `index` in colour.
    ///
    /// # Errors
    /// As [`Stl10::read`].
    ///
    /// # Panics
    /// If there is no such image.
    pub fn picture(&mut self, index: u64) -> Result<Picture, DataError> {
        let mut bytes = vec![0; IMAGE_BYTES];
        self.read(index, &mut bytes)?;
        let planes = bytes.chunks_exact(SIDE * SIDE);
        Ok(Picture {
            width: SIDE,
            height: SIDE,
            planes: planes
                .map(|plane| plane.iter().map(|v| f32::from(*v)).collect())
                .collect(),
            data_range: 255.0,
        })
    }
}

/// The file to train on that `path` means: itself, or in the folder where STL-10 was unpacked the
/// unlabelled images, else the training ones. `None` for what is not STL-10.
pub fn training_file(path: &Path) -> Option<PathBuf> {
    file(path, ["unlabeled_X.bin", "train_X.bin"])
}

/// The file to measure on, likewise: the test images, else the training ones.
pub fn test_file(path: &Path) -> Option<PathBuf> {
    file(path, ["test_X.bin", "train_X.bin"])
}

fn file(path: &Path, names: [&str; 2]) -> Option<PathBuf> {
    let itself = || path.extension().is_some_and(|ending| ending == "bin") && path.is_file();
    let inside = names.map(|name| path.join(name));
    let found = inside.into_iter().find(|path| path.is_file());
    found.or_else(|| itself().then(|| path.to_owned()))
}

/// Rows become columns.
fn transpose(plane: &mut [u8]) {
    for row in 0..SIDE {
        for column in 0..row {
            plane.swap(row * SIDE + column, column * SIDE + row);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Sample (row, column) of plane `c` of image `i`.
    fn sample(i: usize, c: usize, row: usize, column: usize) -> u8 {
        (i * 101 + c * 37 + row * 2 + column * 5) as u8
    }

    fn file(images: usize) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("train_X.bin");
        let mut bytes = Vec::new();
        for i in 0..images {
            for c in 0..3 {
                for column in 0..SIDE {
                    bytes.extend((0..SIDE).map(|row| sample(i, c, row, column)));
                }
            }
        }
        fs::write(&path, bytes).unwrap();
        (root, path)
    }

    #[test]
    fn images_are_upright_in_any_order() {
        let (root, path) = file(4);
        let mut set = Stl10::open(&path).unwrap();
        assert_eq!(set.len(), 4);
        for i in [0, 1, 3, 2, 2] {
            let picture = set.picture(i).unwrap();
            for (c, row, column) in [(0, 0, 0), (1, 0, 95), (2, 95, 0), (0, 17, 40)] {
                let expected = f32::from(sample(i as usize, c, row, column));
                assert_eq!(picture.planes[c][row * SIDE + column], expected);
            }
        }
        for found in [training_file, test_file] {
            assert_eq!(found(root.path()), Some(path.clone()));
            assert_eq!(found(&path), Some(path.clone()));
            assert_eq!(found(&root.path().join("none.bin")), None);
        }
        fs::copy(&path, root.path().join("test_X.bin")).unwrap();
        assert_eq!(training_file(root.path()), Some(path));
        assert_eq!(test_file(root.path()), Some(root.path().join("test_X.bin")));
    }

    #[test]
    fn what_is_no_file_of_images_is_named() {
        let (root, path) = file(2);
        let whole = fs::read(&path).unwrap();
        let refusal = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            Stl10::open(&path).unwrap_err().to_string()
        };
        let mut tar = vec![0; 1024];
        tar[257..262].copy_from_slice(b"ustar");
        for (content, words) in [
            (&whole[..whole.len() - 1], "has 55295 bytes"),
            (&whole[..100], "has 100 bytes"),
            (&[][..], "empty"),
            (&[1, 10, 3, 7][..], "labels"),
            (&[0x1F, 0x8B, 8, 0][..], "archive"),
            (&tar[..], "archive"),
        ] {
            let error = refusal(content);
            assert!(
                error.contains("train_X.bin") && error.contains(words),
                "{error}"
            );
        }
        let error = Stl10::open(root.path()).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
        let error = Stl10::open(&root.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn a_file_cut_off_while_it_is_read_is_named() {
        let (_root, path) = file(2);
        let mut set = Stl10::open(&path).unwrap();
        let shorter = File::options().write(true).open(&path).unwrap();
        shorter.set_len(IMAGE_BYTES as u64 + 10).unwrap();
        assert!(set.picture(0).is_ok());
        let error = set.picture(1).unwrap_err().to_string();
        assert!(
            error.contains("cut off") && error.contains("image 1"),
            "{error}"
        );
        assert!(set.picture(0).is_ok(), "what is there can still be read");
    }
}
