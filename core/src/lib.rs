//! Multiscale structural similarity (MS-SSIM) and its gradient: no_std, no allocation, no unsafe.
//!
//! MS-SSIM (Wang, Simoncelli and Bovik 2003) compares two images of one size. At each of M scales,
//! each half as large as the one before, a Gaussian window of 11 x 11 taps gives local means,
//! variances and the covariance; from them come luminance `l` and contrast times structure `cs`:
//!
//! ```text
//!        2 mu_x mu_y + C1                  2 sigma_xy + C2
//! l = ------------------------ ,  cs = ---------------------------
//!      mu_x^2 + mu_y^2 + C1             sigma_x^2 + sigma_y^2 + C2
//!
//! MS-SSIM = mean(cs_1)^w1 mean(cs_2)^w2 ... mean(l_M cs_M)^wM
//! ```
//!
//! At least nine different numbers go by that name. They differ in few switches, which [`Params`]
//! holds; a named constant is each known implementation.
//!
//! ```
//! use msssim_core::{MsSsim, Params, Plane, Size};
//!
//! let size = Size { width: 32, height: 32 };
//! let metric = MsSsim::new(size, 1, &Params::SNELL_2017)?;
//! let mut scratch = vec![0.0; metric.scratch_len()];
//!
//! let reference: Vec<u8> = (0..1024).map(|i| (i % 97) as u8).collect();
//! let distorted: Vec<u8> = reference.iter().map(|v| v / 2).collect();
//! let score = metric.score(
//!     &[Plane::new(&reference, size)?],
//!     &[Plane::new(&distorted, size)?],
//!     &mut scratch,
//! )?;
//! assert!(score.value < 0.9);
//! # Ok::<(), msssim_core::Error>(())
//! ```
//!
//! # Accuracy
//!
//! Samples and windows are `f32`, the terms of windows are summed as integers, rows in `f64`. Over the stored
//! vectors, every named convention on images of odd and even sides, grey and colour, the largest error against
//! exact arithmetic is 5.2e-8 of a score (2.1e-7 of [`Params::ZHAO_2017`]'s) and 5.1e-6 of a sample of the
//! gradient, relative to the largest sample; `tests/conventions.rs` checks these figures. The same inputs give
//! the same bits on every target: nothing is fused or reordered, and powers and roots are `libm`'s.
//!
//! To understand the metric, read `reference.rs` first: the same thing in float64, slow and plain.
//! Production follows in [`ssim`] (the formula), [`filter`], [`pyramid`], [`statistics`],
//! [`gradient`], [`combine`] or [`product`], and [`MsSsim`], which calls them in order.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "conformance"))]
extern crate std;

#[cfg(feature = "reference")]
extern crate alloc;

pub mod apart;
pub mod cached;
pub mod combine;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod filter;
pub mod gradient;
mod luma;
mod map;
pub mod mask;
mod metric;
mod params;
mod part;
mod plane;
pub mod product;
pub mod pyramid;
mod real;
#[cfg(feature = "reference")]
pub mod reference;
mod sample;
mod score;
pub mod ssim;
pub mod statistics;
mod stream;
pub mod sum;
mod window;

pub use cached::Cached;
pub use error::Error;
pub use luma::Luma;
pub use map::Map;
pub use mask::Mask;
pub use metric::{MsSsim, Weighting, combine_gradient_row};
pub use params::{
    Border, ChannelPooling, Halving, MAX_RADIUS, MAX_SCALES, Negative, Params, Pooling, Small,
    Terms, weights,
};
pub use plane::{Plane, PlaneMut, Size};
pub use real::Real;
pub use sample::{Bf16, F16, Native, Sample};
pub use score::{Apart, ScaleMeans, Score};
pub use stream::Stream;
pub use window::Window;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    //! What several modules' tests share.

    use std::vec::Vec;

    /// Repeatable numbers in [-1, 1), different for every seed.
    pub(crate) fn noise(seed: u32, len: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    /// The scalar product, in float64.
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len(), "dot product of different lengths");
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    }
}
