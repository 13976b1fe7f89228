//! Data sets in the form in which they are distributed, and one that is made here.

pub mod faces;
pub mod stl10;
pub mod yale;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::patches::Images;
use crate::picture;
use crate::probe::Labels;

/// Faces, and what is known of each.
#[derive(Clone, Debug)]
pub struct Faces {
    /// Grey squares of one size.
    pub images: Images,
    /// Who it is, and where the light comes from.
    pub labels: Labels,
}

impl Faces {
    /// These faces, then others of the same size.
    ///
    /// # Panics
    /// If they are of another size.
    pub fn followed_by(self, others: Self) -> Self {
        let size = |images: &Images| (images.width, images.height, images.channels);
        assert!(
            size(&self.images) == size(&others.images),
            "faces of different sizes"
        );
        let samples = self.images.samples.iter().chain(&*others.images.samples);
        let both = |mut these: Vec<f64>, others| {
            these.extend::<Vec<f64>>(others);
            these
        };
        let mut subject = self.labels.subject;
        subject.extend(others.labels.subject);
        Self {
            images: Images {
                samples: samples.copied().collect(),
                ..self.images
            },
            labels: Labels {
                subject,
                azimuth: both(self.labels.azimuth, others.labels.azimuth),
                elevation: both(self.labels.elevation, others.labels.elevation),
            },
        }
    }

    /// The faces of some numbers, in that order.
    ///
    /// # Panics
    /// If there is no face of such a number.
    pub fn subset(&self, numbers: &[usize]) -> Images {
        let image = self.images.image_len();
        let samples = numbers
            .iter()
            .flat_map(|at| &self.images.samples[at * image..][..image]);
        Images {
            samples: samples.copied().collect::<Arc<[u8]>>(),
            ..self.images
        }
    }
}

/// A file or folder of a data set, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct DataError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file or folder of a data set, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// An archive where its content is expected.
    #[error("is an archive; unpack it and give the folder")]
    Archive,
    /// A file of images has no image.
    #[error("the file is empty")]
    Empty,
    /// A file does not end where an image does.
    #[error(
        "has {bytes} bytes, no whole number of STL-10 images of {image} bytes each; \
         it is cut off or something else, copy it again"
    )]
    NotStl10 {
        /// Its length.
        bytes: u64,
        /// The length of an image.
        image: usize,
    },
    /// A file of labels where images are expected.
    #[error("holds labels, not images; give the file whose name ends in _X.bin")]
    Stl10Labels,
    /// The file became shorter.
    #[error("was cut off while it was read, at image {0}")]
    CutOff(u64),
    /// The folder is not the set.
    #[error(
        "has no folders yaleB01 to yaleB39: give the folder CroppedYale of Extended Yale B \
         (cropped), or leave --train out"
    )]
    NotYale,
    /// A subject's folder is missing.
    #[error(
        "has no folder yaleB{0:02}: Extended Yale B has 38 subjects, 01 to 39 without 14; \
         copy the set again"
    )]
    NoSubject(u32),
    /// A subject has no usable image.
    #[error("has no image of a labelled light (yaleBss_P00A+aaaE+ee.pgm); copy the set again")]
    NoFaces,
    /// A file name that says nothing.
    #[error("its name does not say who and where the light is, as yaleBss_P00A+aaaE+ee.pgm does")]
    Label,
    /// A file of another subject.
    #[error("is of subject {0:02}, but lies in the folder of another")]
    OtherSubject(u32),
    /// A colour image.
    #[error("is a colour image; the faces of Extended Yale B are grey")]
    Colour,
    /// An image of another size than those before it.
    #[error(
        "has {width} x {height} pixels, but those before it {expected_width} x \
         {expected_height}; copy it again"
    )]
    Size {
        /// Its columns.
        width: usize,
        /// Its rows.
        height: usize,
        /// Columns of the first image.
        expected_width: usize,
        /// Rows of the first image.
        expected_height: usize,
    },
    /// An image that cannot be decoded.
    #[error(transparent)]
    Picture(picture::Problem),
}

impl Problem {
    /// The error that says which file or folder has this problem.
    fn of(self, path: &Path) -> DataError {
        DataError {
            path: path.to_owned(),
            problem: self,
        }
    }
}
