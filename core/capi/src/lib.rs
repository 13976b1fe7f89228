//! The C interface of `msssim-core`: `include/msssim.h` is made of this crate and says how it is used.
//!
//! Every function checks what can be checked, pointers for null and alignment, memory for length and
//! overlap, numbers for range, and returns a status. Nothing is allocated, nothing is kept between calls
//! but in memory that the caller has given, and nothing unwinds into C.

#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod image;
mod memory;
mod params;
mod score;
mod status;
mod stream;

pub use image::{MSSSIM_MAX_CHANNELS, MsssimImage, MsssimSample, msssim_image};
pub use params::{
    MSSSIM_MAX_RADIUS, MSSSIM_MAX_SCALES, MsssimBorder, MsssimChannels, MsssimHalving,
    MsssimNegative, MsssimParams, MsssimPooling, MsssimSmall, MsssimTerms, msssim_params_check,
    msssim_params_fit, msssim_params_name, msssim_params_named, msssim_params_smallest_side,
};
pub use score::{
    MsssimMeans, MsssimScore, msssim_gradient_scratch_len, msssim_score, msssim_score_and_gradient,
    msssim_scratch_len,
};
pub use status::{MsssimStatus, msssim_status_string, msssim_version};
pub use stream::{
    MSSSIM_STREAM_ALIGN, MsssimStream, msssim_stream_bytes, msssim_stream_init, msssim_stream_push,
    msssim_stream_restart, msssim_stream_rows, msssim_stream_score,
};

/// Stops: there is nobody to tell.
#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
