//! MS-SSIM and its gradient as CUDA kernels: the PTX, the layout of its parameters, and the shapes and
//! memory that launches need.
//!
//! The sources are in `cu/`, the PTX made from them by `generate.py` in `ptx/`. Nothing here talks to a
//! device. A score is
//!
//! 1. `statistics_T` on the images, then `statistics_level` on each coarser scale: sums of the terms,
//!    block by block, and the next level of the pyramid;
//! 2. `combine`: means, scores, and the factors of the scales' gradients.
//!
//! A score with its gradient is `gradient_T` and `gradient_level` instead, which also write each
//! scale's own gradient, `combine`, and `finish`, which scales them and adds them up.
//!
//! Where scales are multiplied pixel by pixel, it is `terms_*`, which keep the terms; `combine` for the
//! means; `rise` from each scale to the next and `total` for the scores; and for the gradient `descend`
//! from the coarsest scale to the finest, `weighted_*` on each, and `finish`. [`Plan`] has the numbers
//! for all of it. `T` is `u8`, `u16`, `f16`, `bf16` or `f32`.
//!
//! That is what training needs. [`general`] has every other convention, and masks; [`network`] has the same for the kernels that train networks.

#![forbid(unsafe_code)]

pub mod general;
pub mod network;
mod parameters;
mod plan;

pub use parameters::{Combine, Finish, Halving, Image, MAX_SCALES, Negative, Product, Scale, TAPS};
pub use plan::{Layout, Metric, Pass, Plan, ProductPlan, Region, ScalePlan};

/// PTX of `statistics_u8`, `_u16`, `_f16`, `_bf16`, `_f32` and `_level`.
pub const STATISTICS: &str = include_str!("../ptx/statistics.ptx");
/// PTX of `gradient_u8`, `_u16`, `_f16`, `_bf16`, `_f32` and `_level`.
pub const GRADIENT: &str = include_str!("../ptx/gradient.ptx");
/// PTX of `combine`.
pub const COMBINE: &str = include_str!("../ptx/combine.ptx");
/// PTX of `terms_u8`, `_u16`, `_f16`, `_bf16`, `_f32` and `_level`.
pub const TERMS: &str = include_str!("../ptx/terms.ptx");
/// PTX of `weighted_u8`, `_u16`, `_f16`, `_bf16`, `_f32` and `_level`.
pub const WEIGHTED: &str = include_str!("../ptx/weighted.ptx");
/// PTX of `load_u8`, `_u16`, `_f16`, `_bf16`, `_f32` and `_f64`, and of `halve`.
pub const PYRAMID: &str = include_str!("../ptx/pyramid.ptx");
/// PTX of `windows_together`, `slopes_together`, `spread_together`, and of the same `_apart`.
pub const WINDOWS: &str = include_str!("../ptx/windows.ptx");
/// PTX of `pool`.
pub const POOL: &str = include_str!("../ptx/pool.ptx");
/// PTX of `rise`, `total` and `descend`.
pub const PRODUCT: &str = include_str!("../ptx/product.ptx");
/// PTX of `conv_8` and `dense_8`, and of the same of 32 and 64 columns, in single precision.
pub const CONV_F32: &str = include_str!("../ptx/conv_f32.ptx");
/// The same on tensor cores, factors rounded to 10 bits of fraction.
pub const CONV_TF32: &str = include_str!("../ptx/conv_tf32.ptx");
/// The same on tensor cores, factors rounded to 7 bits of fraction.
pub const CONV_BF16: &str = include_str!("../ptx/conv_bf16.ptx");
/// PTX of `packed_64`, `packed_128`, `packed_weight`, `pack` and `pack_weights`, on tensor cores, factors rounded to
/// 10 bits of fraction.
pub const PACKED_TF32: &str = include_str!("../ptx/packed_tf32.ptx");
/// The same, factors rounded to 7 bits of fraction.
pub const PACKED_BF16: &str = include_str!("../ptx/packed_bf16.ptx");
/// PTX of `pad`, `fold`, `add_parts`, `output_backward`, `add_bias_parts` and `add_weight_parts`.
pub const CONV_REST: &str = include_str!("../ptx/conv_rest.ptx");
/// PTX of `squared_error`, `absolute_error` and `blend_error`.
pub const LOSS: &str = include_str!("../ptx/loss.ptx");
/// PTX of `gaussian_forward` and `gaussian_backward`.
pub const CODE: &str = include_str!("../ptx/code.ptx");
/// PTX of `begin_step` and `end_step`.
pub const FEED: &str = include_str!("../ptx/feed.ptx");
/// PTX of `adam` and `sgd`.
pub const OPTIMIZER: &str = include_str!("../ptx/optimizer.ptx");
/// PTX of `finish`.
pub const FINISH: &str = include_str!("../ptx/finish.ptx");
