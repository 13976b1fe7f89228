//! What went wrong, as a number and in words.

use core::ffi::{CStr, c_char};

use msssim_core::Error;

/// What a function returns: 0 or what was wrong. Nothing is written through any pointer then, but what a
/// function says.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimStatus {
    /// Done.
    Ok = 0,
    /// A pointer that must not be is null.
    Null = 1,
    /// A pointer is not aligned as its type, or a stream's memory not to MSSSIM_STREAM_ALIGN bytes.
    Misaligned = 2,
    /// Memory that is written overlaps other memory of the same call.
    Overlap = 3,
    /// Scratch, a gradient or a stream's memory is shorter than its length function says.
    ShortMemory = 4,
    /// No convention has this name.
    UnknownName = 5,
    /// A parameter is out of its range; msssim_params_check says which.
    Parameter = 6,
    /// An image is smaller than its coarsest scale allows; see msssim_params_smallest_side.
    TooSmall = 7,
    /// An image has more samples than memory can be asked for.
    TooLarge = 8,
    /// Images differ in size, or rows do not fit a stream's image.
    SizeMismatch = 9,
    /// Images differ in their number of channels, or it is none, more than MSSSIM_MAX_CHANNELS, or in a
    /// stream not one.
    ChannelMismatch = 10,
    /// Images differ in the type of their samples, or it is none of MsssimSample.
    SampleType = 11,
    /// The samples of an image end before its last row does.
    ShortImage = 12,
    /// A stride is shorter than what it steps over, or a step is 0.
    ShortStride = 13,
    /// A pointer to a stream is to something else.
    NotAStream = 14,
    /// A score was asked for before all rows have arrived.
    MissingRows = 15,
    /// None of the above; a newer core has errors that this interface does not know.
    Other = 16,
}

impl From<Error> for MsssimStatus {
    fn from(error: Error) -> Self {
        match error {
            Error::TooSmall { .. } => Self::TooSmall,
            Error::TooLarge { .. } => Self::TooLarge,
            Error::SizeMismatch { .. } => Self::SizeMismatch,
            Error::ChannelMismatch { .. } => Self::ChannelMismatch,
            Error::ShortPlane { .. } => Self::ShortImage,
            Error::ShortStride { .. } => Self::ShortStride,
            Error::ShortScratch { .. } => Self::ShortMemory,
            Error::Parameter { .. } => Self::Parameter,
            _ => Self::Other,
        }
    }
}

impl From<Result<(), MsssimStatus>> for MsssimStatus {
    fn from(result: Result<(), Self>) -> Self {
        match result {
            Ok(()) => Self::Ok,
            Err(status) => status,
        }
    }
}

/// A status in words, in English, for ever; of any other number too.
#[unsafe(no_mangle)]
pub extern "C" fn msssim_status_string(status: u32) -> *const c_char {
    let words: &CStr = match status {
        0 => c"ok",
        1 => c"a pointer is null",
        2 => c"a pointer is not aligned",
        3 => c"memory that is written overlaps other memory of the call",
        4 => c"scratch, a gradient or a stream's memory is too short: ask for its length",
        5 => c"no convention has this name: msssim_params_name lists them",
        6 => c"a parameter is out of its range: msssim_params_check says which",
        7 => {
            c"the image is too small for these scales and this window: msssim_params_smallest_side says how large it must be, msssim_params_fit has rules for smaller ones"
        }
        8 => c"the image has more samples than can be addressed",
        9 => c"images differ in size, or rows do not fit the stream's image",
        10 => {
            c"images differ in their number of channels, or have none, too many, or in a stream not one"
        }
        11 => c"images differ in the type of their samples, or it is unknown",
        12 => c"the samples of an image end before its last row does",
        13 => c"a stride is shorter than what it steps over, or a step is 0",
        14 => c"not a stream, or one that was not initialised",
        15 => c"rows are missing",
        16 => c"another error",
        _ => c"not a status",
    };
    words.as_ptr()
}

/// The version of this library, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn msssim_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
