//! Executes CUDA kernels, in the PTX form that compilers emit, on the CPU, and reports what
//! NVIDIA's compute-sanitizer would report on a card.
//!
//! ```
//! use msssim_ptx_emulator::{Device, Module, Shape};
//!
//! let text = "
//! .version 7.0
//! .target sm_80
//! .address_size 64
//! .visible .entry twice(.param .u64 data) {
//!     .reg .b64 %a<3>; .reg .b32 %r<2>; .reg .f32 %f<2>;
//!     ld.param.u64 %a0, [data];
//!     mov.u32 %r0, %tid.x;
//!     mul.wide.u32 %a1, %r0, 4;
//!     add.s64 %a2, %a0, %a1;
//!     ld.global.f32 %f0, [%a2];
//!     add.f32 %f1, %f0, %f0;
//!     st.global.f32 [%a2], %f1;
//!     ret;
//! }";
//! let mut device = Device::new();
//! let module = device.load(Module::parse(text)?);
//! let data = device.upload(&1.5f32.to_le_bytes());
//! device.launch(&module, "twice", Shape::new([1; 3], [1; 3]), &[data.into()])?;
//! assert_eq!(device.read(data, 4), Some(&3f32.to_le_bytes()[..]));
//!
//! // Two threads, one element: the second is out of bounds, and says where.
//! let error = device.launch(&module, "twice", Shape::new([1; 3], [2, 1, 1]), &[data.into()]);
//! assert!(error.unwrap_err().to_string().starts_with("twice, block (0, 0, 0), warp 0, lane 1, PTX line 11"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is reported, with kernel, block, warp, lane and line of PTX: see [`Fault`]. What is wrong
//! with a launch before it starts: [`LaunchError`]. What is wrong with the text: [`ParseError`].
//! A run depends on nothing but its inputs, so results and findings can be compared bit for bit.

#![forbid(unsafe_code)]

mod ast;
mod decode;
mod error;
mod execute;
mod finding;
mod half;
mod lanes;
mod launch;
mod lex;
mod memory;
mod program;
mod rounding;
mod shared;
mod syntax;
mod types;

/// The examples of README.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use error::{LaunchError, ParseError, Problem};
pub use execute::Counters;
pub use finding::{Access, Fault, Finding};
pub use launch::{
    Argument, DEFAULT_LIMIT, Device, KernelInfo, LoadedModule, MAX_SHARED, MAX_THREADS, Module,
    Shape,
};
pub use program::Variable;
pub use types::Space;
