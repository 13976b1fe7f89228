//! A stand-in for `libcuda.so`: the functions of the CUDA driver that cudarc reaches, over the PTX
//! emulator. Programs written against the driver run unchanged where there is no GPU.
//!
//! ```no_run
//! // First thing in a test, before anything touches cudarc:
//! let emulator = msssim_emulated_libcuda::load()?;
//! // From here on cudarc finds the emulator where it looks for libcuda.
//! # Ok::<(), msssim_emulated_libcuda::LoadError>(())
//! ```
//!
//! # How a plain `cargo test` finds it
//!
//! This package is a `cdylib` and an `rlib` of the same sources. As a dev-dependency it is built as
//! both, and Cargo puts the shared library beside the test executables (`target/debug/deps`).
//! [`load`] opens it there by its absolute path and keeps it open. Its name for the linker (`SONAME`)
//! is `libcuda.so`; the dynamic linker gives a library that is loaded under a name to whoever asks for
//! that name later, so cudarc's `dlopen("libcuda.so")` returns it. No environment is set, no file is
//! written, and nothing outside the test's process is affected. Linux only.
//!
//! # What is different from a driver
//!
//! Everything happens at once, in the order of the calls, unless another [`Order`] is set; but what is put into a
//! capturing stream is only recorded, and runs when the graph is launched. A launch that breaks a rule of CUDA's returns
//! `CUDA_ERROR_LAUNCH_FAILED`, `CUDA_ERROR_ILLEGAL_ADDRESS` or `CUDA_ERROR_MISALIGNED_ADDRESS`, and
//! `cuGetErrorString` then says what happened, with kernel, block, warp, lane and line of PTX. Later
//! calls are not affected by it. Copies and fills must lie within one allocation, fresh memory holds
//! all ones, and addresses are never used twice.

#![deny(unsafe_code)]

mod alone;
#[allow(
    unsafe_code,
    reason = "the C interface: pointers from callers, exported names"
)]
mod api;
mod driver;
#[allow(unsafe_code, reason = "opening a shared library")]
mod load;
mod status;

/// The examples of README.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use alone::{Alone, alone};
pub use load::{Emulator, Idle, LoadError, Order, Setting, load};
