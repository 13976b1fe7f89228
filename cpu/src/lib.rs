//! MS-SSIM, its gradient and network layers on CPU threads.
//!
//! [`MsSsim`] is the metric of [`msssim_core`] on the threads of the current rayon pool, equal to
//! it bit for bit whatever their number. [`layers`] are the layers that the networks are made of.

#![deny(unsafe_code)]

mod batch;
pub mod layers;
mod metric;

pub use batch::BatchWorkspace;
pub use metric::{MsSsim, Workspace};
pub use msssim_core::{
    Bf16, Border, ChannelPooling, Error, F16, Halving, Luma, Map, Mask, Negative, Params, Plane,
    PlaneMut, Pooling, Sample, Score, Size, Small, Terms, Weighting,
};

/// The README's example, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
