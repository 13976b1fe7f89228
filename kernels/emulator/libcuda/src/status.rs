//! The driver's error codes, and the text that goes with the last one.

use std::cell::RefCell;
use std::ffi::CString;

/// `CUresult`, as far as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Status {
    Success = 0,
    InvalidValue = 1,
    OutOfMemory = 2,
    NotInitialized = 3,
    NoDevice = 100,
    InvalidDevice = 101,
    InvalidContext = 201,
    NoBinaryForGpu = 209,
    InvalidPtx = 218,
    UnsupportedPtxVersion = 222,
    FileNotFound = 301,
    InvalidHandle = 400,
    NotFound = 500,
    NotReady = 600,
    IllegalAddress = 700,
    LaunchOutOfResources = 701,
    MisalignedAddress = 716,
    LaunchFailed = 719,
    NotSupported = 801,
    SystemDriverMismatch = 803,
    CaptureUnsupported = 900,
    CaptureInvalidated = 901,
    CaptureIsolation = 905,
    IllegalState = 401,
}

impl Status {
    const ALL: [(Self, &'static str); 24] = [
        (Self::Success, "CUDA_SUCCESS"),
        (Self::InvalidValue, "CUDA_ERROR_INVALID_VALUE"),
        (Self::OutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"),
        (Self::NotInitialized, "CUDA_ERROR_NOT_INITIALIZED"),
        (Self::NoDevice, "CUDA_ERROR_NO_DEVICE"),
        (Self::InvalidDevice, "CUDA_ERROR_INVALID_DEVICE"),
        (Self::InvalidContext, "CUDA_ERROR_INVALID_CONTEXT"),
        (Self::NoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU"),
        (Self::InvalidPtx, "CUDA_ERROR_INVALID_PTX"),
        (
            Self::UnsupportedPtxVersion,
            "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
        ),
        (Self::FileNotFound, "CUDA_ERROR_FILE_NOT_FOUND"),
        (Self::InvalidHandle, "CUDA_ERROR_INVALID_HANDLE"),
        (Self::IllegalState, "CUDA_ERROR_ILLEGAL_STATE"),
        (Self::NotFound, "CUDA_ERROR_NOT_FOUND"),
        (Self::NotReady, "CUDA_ERROR_NOT_READY"),
        (Self::IllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"),
        (
            Self::LaunchOutOfResources,
            "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
        ),
        (Self::MisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS"),
        (Self::LaunchFailed, "CUDA_ERROR_LAUNCH_FAILED"),
        (Self::NotSupported, "CUDA_ERROR_NOT_SUPPORTED"),
        (
            Self::SystemDriverMismatch,
            "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        ),
        (
            Self::CaptureUnsupported,
            "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
        ),
        (
            Self::CaptureInvalidated,
            "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
        ),
        (
            Self::CaptureIsolation,
            "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
        ),
    ];
}

/// An error with what to say about it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::new(status, "")
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

thread_local! {
    static LAST: RefCell<(i32, CString)> = RefCell::new((0, CString::default()));
}

/// Turns an outcome into the code to return, and remembers its text for this thread.
pub(crate) fn report(outcome: Outcome) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            let code = failure.status as i32;
            let text = CString::new(failure.text.replace('\0', " ")).unwrap_or_default();
            LAST.with(|last| *last.borrow_mut() = (code, text));
            code
        }
    }
}

/// The name of a code.
pub(crate) fn name(code: i32) -> Option<&'static str> {
    let found = Status::ALL
        .iter()
        .find(|(status, _)| *status as i32 == code);
    found.map(|(_, name)| *name)
}

/// What to say about a code: the text of this thread's last error if it was that one, else its name.
pub(crate) fn text(code: i32) -> Option<CString> {
    let last = LAST.with(|last| last.borrow().clone());
    if code != 0 && last.0 == code && !last.1.is_empty() {
        return Some(last.1);
    }
    CString::new(name(code)?).ok()
}
