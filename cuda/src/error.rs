//! What can go wrong with a device, and with what is asked of it.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;
use thiserror::Error;

/// Why there is no usable device.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// No driver library is installed.
    #[error("no CUDA driver library on this machine: install NVIDIA's driver")]
    NoDriver,
    /// The driver is of an older CUDA version.
    #[error("the CUDA driver is of version {have}, at least {need} is needed: update the driver")]
    DriverTooOld {
        /// The driver's CUDA version.
        have: Version,
        /// The oldest that will do.
        need: Version,
    },
    /// The driver knows no such device.
    #[error("no CUDA device {ordinal}: the driver knows {count}")]
    NoDevice {
        /// The device that was asked for.
        ordinal: usize,
        /// How many there are; fewer where `CUDA_VISIBLE_DEVICES` hides some.
        count: usize,
    },
    /// The device is older than the kernels.
    #[error("{name} is of compute capability {have}, at least {need} is needed")]
    ArchitectureTooOld {
        /// The device's name.
        name: String,
        /// Its compute capability.
        have: Version,
        /// The oldest that will do.
        need: Version,
    },
    /// The driver cannot translate the kernels.
    #[error("the driver refuses the kernels in {module}.ptx: {log}")]
    PtxRefused {
        /// The file of kernels.
        module: &'static str,
        /// What the driver's compiler wrote.
        log: String,
    },
    /// Not even a known pair of small images fits into what is free of the device's memory.
    #[error(
        "{asked} bytes of device memory asked, {free} free: end what else uses the device, or choose another"
    )]
    OutOfMemory {
        /// Bytes that were asked for.
        asked: usize,
        /// Bytes that are free.
        free: usize,
    },
    /// A known pair of images has another score or gradient than it should have.
    #[error(
        "{name} computes {actual} for the {what} of a known pair of images, not {expected}: do not trust it"
    )]
    WrongAnswer {
        /// The device's name.
        name: String,
        /// Which number is wrong.
        what: &'static str,
        /// The right number.
        expected: f64,
        /// What the device computed.
        actual: f64,
    },
    /// Anything else, such as a driver that does not run.
    #[error(transparent)]
    Device(Error),
}

/// Why something could not be computed on a device.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong in itself, on any backend.
    #[error(transparent)]
    Metric(#[from] msssim_core::Error),
    /// The request is right, but not on this device or in this plan.
    #[error("not possible on a CUDA device: {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// A launch cannot be that large.
    #[error(
        "{images} images of {channels} channels and {size} are too many for one launch: split the batch"
    )]
    TooLarge {
        /// Images of the batch.
        images: usize,
        /// Channels of an image.
        channels: usize,
        /// Size of an image.
        size: msssim_core::Size,
    },
    /// Samples in device memory end before the last image does.
    #[error("{what} holds {actual} samples where its sizes and strides need {expected}")]
    ShortImages {
        /// Which argument it is.
        what: &'static str,
        /// Samples that sizes and strides ask for.
        expected: usize,
        /// Samples given.
        actual: usize,
    },
    /// Two samples of images to be written have one place.
    #[error(
        "strides {strides:?} (image, channel, row, column) give two samples of the gradient one place"
    )]
    Overlap {
        /// From one image, channel, row, column to the next.
        strides: [usize; 4],
    },
    /// Device memory is exhausted.
    #[error(
        "{asked} bytes of device memory asked, {free} free: split the batch, or end what else uses the device"
    )]
    OutOfMemory {
        /// Bytes that were asked for.
        asked: usize,
        /// Bytes that are free.
        free: usize,
    },
    /// The host has no memory that can be page-locked.
    #[error(
        "{asked} bytes of page-locked host memory asked, and refused: free memory of the host, or let this \
         process lock more of it (a container's limit, ulimit -l)"
    )]
    HostMemory {
        /// Bytes that were asked for.
        asked: usize,
    },
    /// More training images at a time than kernels count.
    #[error(
        "{samples} samples of training images on the device at a time, at most {most} are counted in 32 bits: \
         take fewer or smaller images"
    )]
    TooManySamples {
        /// Samples of a plane of images, those of both halves where images are streamed.
        samples: usize,
        /// The most that are possible.
        most: usize,
    },
    /// The driver cannot translate kernels.
    #[error("the driver refuses the kernels in {module}.ptx: {log}")]
    PtxRefused {
        /// The file of kernels.
        module: &'static str,
        /// What the driver's compiler wrote.
        log: String,
    },
    /// An answer of the driver. After a failed launch every later call may return it.
    #[error("the CUDA driver says {name}: {text}")]
    Driver {
        /// The driver's name of the error.
        name: String,
        /// Its explanation.
        text: String,
    },
}

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        let text = |words: Result<&std::ffi::CStr, DriverError>| {
            words.map_or_else(
                |_| format!("error {}", error.0 as u32),
                |words| words.to_string_lossy().into_owned(),
            )
        };
        Self::Driver {
            name: text(error.error_name()),
            text: text(error.error_string()),
        }
    }
}

impl From<Error> for ProbeError {
    fn from(error: Error) -> Self {
        match error {
            Error::PtxRefused { module, log } => Self::PtxRefused { module, log },
            Error::OutOfMemory { asked, free } => Self::OutOfMemory { asked, free },
            error => Self::Device(error),
        }
    }
}

impl From<DriverError> for ProbeError {
    fn from(error: DriverError) -> Self {
        Self::Device(error.into())
    }
}

/// Whether the driver ran out of memory.
pub(crate) fn is_out_of_memory(error: DriverError) -> bool {
    error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY
}

/// A version of CUDA or of a device's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the point.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
