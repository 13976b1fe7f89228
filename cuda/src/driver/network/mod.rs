//! The launches of the kernels that train networks, one method a kernel.
//!
//! Each checks that the memory it is given is as long as its plan says; the plan's launches touch no
//! more. The argument lists run under the emulator.

mod agenda;
mod layers;
mod loss;
mod packed;
mod update;

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, DriverError, LaunchConfig};
use msssim_kernels::{
    CODE, CONV_BF16, CONV_F32, CONV_REST, CONV_TF32, FEED, LOSS, OPTIMIZER, PACKED_BF16,
    PACKED_TF32,
};

use super::{load, threads};
use crate::error::ProbeError;
use crate::network::Precision;

pub(crate) use agenda::PlannedAgenda;
pub(crate) use layers::PlannedProduct;

/// A part of a buffer, made by [`crate::network::Buffer`] alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) address: u64,
    /// In elements.
    pub(crate) len: usize,
}

impl Part {
    /// Its first `len` elements.
    ///
    /// # Panics
    /// If it has fewer.
    pub(crate) fn first(self, len: usize) -> Self {
        assert!(len <= self.len, "{len} of {} numbers", self.len);
        Self { len, ..self }
    }

    /// # Panics
    /// If it is not of that length.
    fn require(&self, what: &str, len: usize) {
        assert!(
            self.len == len,
            "{what} holds {} numbers where {len} are planned",
            self.len
        );
    }
}

/// The kernels, loaded into a context.
#[derive(Debug)]
pub(crate) struct NetworkKernels {
    /// By the variants of a product's launch.
    conv: [CudaFunction; 3],
    dense: [CudaFunction; 3],
    /// None in single precision.
    packed: Option<packed::PackedKernels>,
    pad: CudaFunction,
    fold: CudaFunction,
    add_parts: CudaFunction,
    output_backward: CudaFunction,
    add_bias_parts: CudaFunction,
    add_weight_parts: CudaFunction,
    gaussian_forward: CudaFunction,
    gaussian_backward: CudaFunction,
    squared_error: CudaFunction,
    absolute_error: CudaFunction,
    blend_error: CudaFunction,
    adam: CudaFunction,
    sgd: CudaFunction,
    begin_step: CudaFunction,
    end_step: CudaFunction,
}

impl NetworkKernels {
    pub(crate) fn load(
        context: &Arc<CudaContext>,
        precision: Precision,
    ) -> Result<Self, ProbeError> {
        let variants = |module: &Arc<CudaModule>, stem: &str| -> Result<_, DriverError> {
            let kernel = |width: u32| module.load_function(&format!("{stem}_{width}"));
            Ok([kernel(8)?, kernel(32)?, kernel(64)?])
        };
        let products = match precision {
            Precision::F32 => load(context, "conv_f32", CONV_F32)?,
            Precision::Tf32 => load(context, "conv_tf32", CONV_TF32)?,
            Precision::Bf16 => load(context, "conv_bf16", CONV_BF16)?,
        };
        let packed = match precision {
            Precision::F32 => None,
            Precision::Tf32 => Some(load(context, "packed_tf32", PACKED_TF32)?),
            Precision::Bf16 => Some(load(context, "packed_bf16", PACKED_BF16)?),
        };
        let rest = load(context, "conv_rest", CONV_REST)?;
        let code = load(context, "code", CODE)?;
        let loss = load(context, "loss", LOSS)?;
        let optimizer = load(context, "optimizer", OPTIMIZER)?;
        let feed = load(context, "feed", FEED)?;
        Ok(Self {
            conv: variants(&products, "conv")?,
            dense: variants(&products, "dense")?,
            packed: match packed {
                Some(module) => Some(packed::PackedKernels::load(&module)?),
                None => None,
            },
            pad: rest.load_function("pad")?,
            fold: rest.load_function("fold")?,
            add_parts: rest.load_function("add_parts")?,
            output_backward: rest.load_function("output_backward")?,
            add_bias_parts: rest.load_function("add_bias_parts")?,
            add_weight_parts: rest.load_function("add_weight_parts")?,
            gaussian_forward: code.load_function("gaussian_forward")?,
            gaussian_backward: code.load_function("gaussian_backward")?,
            squared_error: loss.load_function("squared_error")?,
            absolute_error: loss.load_function("absolute_error")?,
            blend_error: loss.load_function("blend_error")?,
            adam: optimizer.load_function("adam")?,
            sgd: optimizer.load_function("sgd")?,
            begin_step: feed.load_function("begin_step")?,
            end_step: feed.load_function("end_step")?,
        })
    }
}

/// A thread for each of `len` numbers.
fn each(len: usize) -> LaunchConfig {
    threads([len.div_ceil(256) as u32, 1, 1])
}
