//! What can be wrong with a request, in values and words.

use core::fmt;

use crate::plane::Size;

/// Why a metric could not be planned or computed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// An image is smaller than its coarsest scale allows.
    TooSmall {
        /// The image's size.
        size: Size,
        /// The smallest legal side for these parameters.
        smallest: usize,
    },
    /// An image has more samples than this machine's memory can be asked for.
    TooLarge {
        /// The image's size.
        size: Size,
    },
    /// An image is not of the size that the plan was made for.
    SizeMismatch {
        /// The planned size.
        expected: Size,
        /// The image's size.
        actual: Size,
    },
    /// There are more or fewer planes than the plan has channels.
    ChannelMismatch {
        /// The planned number of channels.
        expected: usize,
        /// The number of planes given.
        actual: usize,
    },
    /// The samples of a plane end before its last row does.
    ShortPlane {
        /// Samples that the size and stride ask for.
        expected: usize,
        /// Samples given.
        actual: usize,
    },
    /// A row's stride is shorter than the row.
    ShortStride {
        /// Samples in a row.
        width: usize,
        /// Samples from one row to the next.
        stride: usize,
    },
    /// Scratch is shorter than its length function says.
    ShortScratch {
        /// Samples needed.
        expected: usize,
        /// Samples given.
        actual: usize,
    },
    /// A parameter is out of its range.
    Parameter {
        /// Its name in [`crate::Params`].
        name: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { size, smallest } => write!(
                f,
                "image of {size} is too small for these scales and this window: each side must be at least {smallest}"
            ),
            Self::TooLarge { size } => {
                write!(f, "image of {size} has more samples than can be addressed")
            }
            Self::SizeMismatch { expected, actual } => {
                write!(f, "image of {actual} where {expected} was expected")
            }
            Self::ChannelMismatch { expected, actual } => {
                write!(f, "{actual} planes where {expected} were expected")
            }
            Self::ShortPlane { expected, actual } => {
                write!(
                    f,
                    "plane of {actual} samples where its size and stride need {expected}"
                )
            }
            Self::ShortStride { width, stride } => {
                write!(
                    f,
                    "stride of {stride} samples is shorter than a row of {width}"
                )
            }
            Self::ShortScratch { expected, actual } => {
                write!(f, "scratch of {actual} samples where {expected} are needed")
            }
            Self::Parameter { name, must } => write!(f, "parameter {name} must be {must}"),
        }
    }
}

impl core::error::Error for Error {}
