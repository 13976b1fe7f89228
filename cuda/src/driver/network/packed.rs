//! The launches that pack the factors of convolutions, and that of a gradient by weights from packed factors.

use std::sync::Arc;

use cudarc::driver::{CudaFunction, CudaModule, CudaStream, DriverError, PushKernelArg};
use msssim_kernels::network::{PackedWeight, Packing, WeightPacking};

use super::{NetworkKernels, Part};
use crate::driver::threads;

/// The kernels of one precision.
#[derive(Debug)]
pub(super) struct PackedKernels {
    /// By the variants of a product's launch.
    pub(super) products: [CudaFunction; 2],
    weight: CudaFunction,
    pack: CudaFunction,
    pack_weights: CudaFunction,
}

impl PackedKernels {
    pub(super) fn load(module: &Arc<CudaModule>) -> Result<Self, DriverError> {
        Ok(Self {
            products: [
                module.load_function("packed_64")?,
                module.load_function("packed_128")?,
            ],
            weight: module.load_function("packed_weight")?,
            pack: module.load_function("pack")?,
            pack_weights: module.load_function("pack_weights")?,
        })
    }
}

impl NetworkKernels {
    /// # Panics
    /// In single precision, in which nothing is planned to be packed.
    pub(super) fn packed(&self) -> &PackedKernels {
        self.packed.as_ref().expect("a precision of tensor cores")
    }

    /// Borders, and channels beyond the last, keep what they hold.
    pub(crate) fn pack(
        &self,
        stream: &CudaStream,
        packing: &Packing,
        from: Part,
        to: Part,
    ) -> Result<(), DriverError> {
        from.require("planes", packing.planar_len());
        to.require("packed planes", packing.packed_len());
        let parameter = packing.to_bytes();
        let mut arguments = stream.launch_builder(&self.packed().pack);
        arguments.arg(&parameter);
        arguments.arg(&from.address).arg(&to.address);
        // SAFETY: `pack`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads(packing.grid())) }.map(drop)
    }

    pub(crate) fn pack_weights(
        &self,
        stream: &CudaStream,
        packing: &WeightPacking,
        from: Part,
        to: Part,
    ) -> Result<(), DriverError> {
        from.require("weights", packing.planar_len());
        to.require("packed weights", packing.packed_len());
        let mut arguments = stream.launch_builder(&self.packed().pack_weights);
        arguments.arg(&packing.taps).arg(&packing.across);
        arguments.arg(&packing.words).arg(&packing.line_pitch);
        arguments.arg(&packing.across_pitch);
        arguments.arg(&from.address).arg(&to.address);
        // SAFETY: `pack_weights`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads(packing.grid())) }.map(drop)
    }

    /// Of packed input and output's gradient.
    pub(crate) fn packed_weight(
        &self,
        stream: &CudaStream,
        weight: &PackedWeight,
        outputs: Part,
        [input, dout]: [(Part, &Packing); 2],
        parts: Part,
        dweight: Part,
    ) -> Result<(), DriverError> {
        for (part, packing) in [input, dout] {
            part.require("packed planes", packing.packed_len());
        }
        outputs.require("a table of outputs", 2 * weight.outputs.len());
        parts.require("parts of a gradient", weight.parts_len());
        dweight.require("the gradient of weights", weight.len());
        let parameter = weight.to_bytes();
        let mut arguments = stream.launch_builder(&self.packed().weight);
        arguments.arg(&parameter).arg(&outputs.address);
        arguments.arg(&input.0.address).arg(&dout.0.address);
        arguments.arg(&parts.address);
        // SAFETY: `packed_weight`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads(weight.grid())) }.map(drop)?;
        let (taps, ins) = (weight.taps(), weight.in_channels());
        let mut arguments = stream.launch_builder(&self.add_weight_parts);
        arguments.arg(&taps).arg(&ins).arg(&weight.parts);
        arguments.arg(&parts.address).arg(&dweight.address);
        // SAFETY: `add_weight_parts`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads(weight.sum_grid())) }.map(drop)
    }
}
