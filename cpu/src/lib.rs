//! MS-SSIM, its gradient and network layers on CPU threads.

#![forbid(unsafe_code)]

pub mod layers;
