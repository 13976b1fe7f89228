//! MS-SSIM, its gradient and network layers on CPU threads and vectors.
//!
//! [`MsSsim`] is the metric of [`msssim_core`] on the threads of the current rayon pool and the vectors of the machine
//! that it runs on ([`Isa`]). [`layers`] are the layers that the networks are made of.

#![deny(unsafe_code)]

mod band;
mod batch;
mod dispatch;
mod kernel;
mod lanes;
pub mod layers;
mod metric;
mod pyramid;
mod rows;
mod side_by_side;

pub use batch::BatchWorkspace;
pub use dispatch::Isa;
pub use metric::{MsSsim, Workspace};
pub use msssim_core::{
    Bf16, Border, ChannelPooling, Error, F16, Halving, Luma, Map, Mask, Negative, Params, Plane,
    PlaneMut, Pooling, Sample, Score, Size, Small, Terms, Weighting,
};

/// The README's example, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
