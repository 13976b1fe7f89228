//! The launches of layers.

use cudarc::driver::{CudaFunction, CudaStream, DriverError, LaunchConfig, PushKernelArg};
use msssim_kernels::network::{Activation, Border, Kind, OutputSums, Product};

use super::{NetworkKernels, Part, each};
use crate::driver::threads;

/// A product with its tables and working memory on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedProduct<'p> {
    pub(crate) product: &'p Product,
    pub(crate) phases: Part,
    pub(crate) taps: Part,
    /// The sums of the depth's parts, if there are several.
    pub(crate) parts: Option<Part>,
}

impl NetworkKernels {
    /// Gives planes a border.
    pub(crate) fn pad(
        &self,
        stream: &CudaStream,
        border: &Border,
        from: Part,
        to: Part,
    ) -> Result<(), DriverError> {
        from.require("planes", border.inner_len());
        to.require("planes with their border", border.outer_len());
        bordered(stream, &self.pad, border, from, to)
    }

    /// Adds planes' borders to what they repeat.
    pub(crate) fn fold(
        &self,
        stream: &CudaStream,
        border: &Border,
        from: Part,
        to: Part,
    ) -> Result<(), DriverError> {
        from.require("planes with their border", border.outer_len());
        to.require("planes", border.inner_len());
        bordered(stream, &self.fold, border, from, to)
    }

    pub(crate) fn product(
        &self,
        stream: &CudaStream,
        planned: &PlannedProduct<'_>,
        [left, right]: [Part; 2],
        bias: Option<Part>,
        out: Part,
    ) -> Result<(), DriverError> {
        let product = planned.product;
        left.require("a layer's left factor", product.factors[0]);
        right.require("a layer's right factor", product.factors[1]);
        out.require("a layer's result", product.gather.len as usize);
        if let Some(bias) = bias {
            bias.require("a layer's biases", product.biases as usize);
        }
        let bias = bias.map_or(0, |bias| bias.address);
        let parameter = product.gather.to_bytes();
        let launch = &product.launch;
        let written = planned.parts.map_or(out.address, |parts| parts.address);
        let (kernel, threads) = match product.kind {
            Kind::Gathered => (&self.conv[launch.variant], 128),
            Kind::Lines => (&self.dense[launch.variant], 128),
            Kind::Packed => (&self.packed().products[launch.variant], 256),
        };
        let mut arguments = stream.launch_builder(kernel);
        arguments.arg(&parameter).arg(&planned.phases.address);
        arguments.arg(&planned.taps.address);
        arguments.arg(&left.address).arg(&right.address);
        arguments.arg(&bias).arg(&written);
        let config = LaunchConfig {
            grid_dim: launch.grid.into(),
            block_dim: (threads, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments of all three kinds' kernels; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(config) }.map(drop)?;
        let Some(parts) = planned.parts else {
            return Ok(());
        };
        parts.require("the parts of a layer's result", product.parts_len());
        let (len, count) = (product.gather.len, product.gather.parts);
        let activation = product.gather.activation.code();
        let mut arguments = stream.launch_builder(&self.add_parts);
        arguments.arg(&len).arg(&count);
        arguments.arg(&product.of_bias).arg(&product.biases);
        arguments.arg(&activation).arg(&parts.address);
        arguments.arg(&bias).arg(&out.address);
        // SAFETY: `add_parts`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(each(out.len)) }.map(drop)
    }

    /// `parts` has two numbers for each channel and part, which are one double.
    pub(crate) fn output_backward(
        &self,
        stream: &CudaStream,
        sums: &OutputSums,
        activation: Activation,
        [out, dout]: [Part; 2],
        parts: Part,
        dbias: Part,
    ) -> Result<(), DriverError> {
        let channels = sums.channels as usize;
        out.require("a layer's output", sums.len());
        dout.require("a layer's output's gradient", sums.len());
        dbias.require("the gradient of a layer's biases", channels);
        parts.require("parts of that gradient", 2 * channels * sums.parts as usize);
        let activation = activation.code();
        let mut arguments = stream.launch_builder(&self.output_backward);
        arguments.arg(&sums.images).arg(&sums.of_part);
        arguments.arg(&sums.area).arg(&activation);
        arguments.arg(&out.address).arg(&dout.address);
        arguments.arg(&parts.address);
        let grid = [sums.channels as u32, sums.parts as u32, 1];
        // SAFETY: `output_backward`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads(grid)) }.map(drop)?;
        let mut arguments = stream.launch_builder(&self.add_bias_parts);
        arguments.arg(&sums.channels).arg(&sums.parts);
        arguments.arg(&parts.address).arg(&dbias.address);
        // SAFETY: `add_bias_parts`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(each(channels)) }.map(drop)
    }

    /// `divergences` has two numbers for each image, which are one double.
    pub(crate) fn gaussian_forward(
        &self,
        stream: &CudaStream,
        [images, code]: [usize; 2],
        moments: Part,
        noise: Part,
        drawn: Part,
        divergences: Part,
    ) -> Result<(), DriverError> {
        moments.require("moments", 2 * images * code);
        noise.require("noise", images * code);
        drawn.require("codes", images * code);
        divergences.require("divergences", 2 * images);
        let length = code as i32;
        let mut arguments = stream.launch_builder(&self.gaussian_forward);
        arguments.arg(&length).arg(&moments.address);
        arguments.arg(&noise.address).arg(&drawn.address);
        arguments.arg(&divergences.address);
        // SAFETY: `gaussian_forward`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads([images as u32, 1, 1])) }.map(drop)
    }

    /// `factor` is that of each image's divergence.
    pub(crate) fn gaussian_backward(
        &self,
        stream: &CudaStream,
        [images, code]: [usize; 2],
        factor: f32,
        [moments, dmoments]: [Part; 2],
        noise: Part,
        dcode: Part,
    ) -> Result<(), DriverError> {
        moments.require("moments", 2 * images * code);
        dmoments.require("the gradient of moments", 2 * images * code);
        noise.require("noise", images * code);
        dcode.require("the gradient of codes", images * code);
        let length = code as i32;
        let mut arguments = stream.launch_builder(&self.gaussian_backward);
        arguments.arg(&length).arg(&factor).arg(&moments.address);
        arguments.arg(&noise.address).arg(&dcode.address);
        arguments.arg(&dmoments.address);
        let grid = [code.div_ceil(256) as u32, images as u32, 1];
        // SAFETY: `gaussian_backward`'s arguments; see the head of `driver/network/mod.rs`.
        unsafe { arguments.launch(threads(grid)) }.map(drop)
    }
}

/// `pad` or `fold`, a thread for each number that is written.
fn bordered(
    stream: &CudaStream,
    kernel: &CudaFunction,
    border: &Border,
    from: Part,
    to: Part,
) -> Result<(), DriverError> {
    let parameter = border.to_bytes();
    let mut arguments = stream.launch_builder(kernel);
    arguments.arg(&parameter);
    arguments.arg(&from.address).arg(&to.address);
    // SAFETY: the kernel's arguments; see the head of `driver/network/mod.rs`.
    unsafe { arguments.launch(each(to.len)) }.map(drop)
}
