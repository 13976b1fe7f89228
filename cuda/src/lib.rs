//! MS-SSIM and its gradient on CUDA devices, launched through [`cudarc`].
//!
//! [`MsSsim`] is the metric of [`msssim_core`] over batches in device memory; nothing but NVIDIA's
//! driver has to be installed. [`Device::probe`] says in a typed answer whether there is a device that
//! computes a known pair rightly. All work goes into the caller's stream, all memory is planned before,
//! and nothing waits for the device until scores are asked for; [`Captured`] is the whole computation
//! as one graph. [`network`] has what training a network takes beside that.
//!
//! Results do not depend on how images are split into batches, on the stream, or on what the workspace
//! held: they are the same bits. They agree with the portable form within the tolerances of
//! [`msssim_core`]'s conformance suite; kernels fuse multiplications with additions, it does not.

#![deny(unsafe_code)]

mod convention;
mod device;
#[allow(
    unsafe_code,
    reason = "launches, device memory and the driver library: the one file of them, and those below it"
)]
mod driver;
mod error;
mod graph;
mod images;
mod metric;
pub mod network;
mod weighting;
mod workspace;

pub use cudarc;
pub use device::Device;
pub use error::{Error, ProbeError, Version};
pub use graph::{Buffers, Captured};
pub use half::{bf16, f16};
pub use images::{Format, Images, ImagesMut, Layout, Sample};
pub use metric::{MsSsim, Pass, Workspace};
pub use msssim_core::{Params, Plane, Pooling, Score, Size};
pub use weighting::{Mask, Upstream, Weighting};
