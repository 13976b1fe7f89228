//! The launches of the kernels that train networks, one method a kernel.
//!
//! Each checks that the memory it is given is as long as its plan says; the plan's launches touch no
//! more. The argument lists run under the emulator.

use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaStream, DriverError, LaunchConfig, PushKernelArg,
};
use msssim_kernels::network::{Adam, Border, ConvPlan, ProductLaunch};
use msssim_kernels::{CONV_BF16, CONV_F32, CONV_REST, CONV_TF32, FEED, LOSS, OPTIMIZER};

use super::{load, threads};
use crate::error::ProbeError;
use crate::network::Precision;

/// A part of a buffer, made by [`crate::network::Buffer`] alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) address: u64,
    /// In elements.
    pub(crate) len: usize,
}

impl Part {
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

/// A convolution's plan with its tables and working memory on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedConv<'p> {
    pub(crate) plan: &'p ConvPlan,
    pub(crate) taps: Part,
    pub(crate) input_taps: Part,
    pub(crate) outputs: Part,
    /// The input with its border.
    pub(crate) padded: Part,
    /// The output's gradient with its border.
    pub(crate) dout_padded: Part,
    /// The input's gradient before it is folded; empty where it is not.
    pub(crate) larger: Part,
    /// Of the weights' gradient.
    pub(crate) parts: Part,
}

impl PlannedConv<'_> {
    /// Requires what is passed around to be of the planned lengths; what is kept was made to them.
    fn require(&self, input: Option<&Part>, output: &Part, weights: &Part, biases: Option<&Part>) {
        let plan = self.plan;
        let conv = &plan.conv;
        if let Some(input) = input {
            input.require("a convolution's input", plan.border.inner_len());
        }
        output.require("a convolution's output", plan.dout_border.inner_len());
        let outs = conv.out_channels as usize;
        weights.require("a convolution's weights", outs * plan.taps.len());
        if let Some(biases) = biases {
            biases.require("a convolution's biases", outs);
        }
    }
}

/// The memory of coming steps, and the shape of their batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedAgenda {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) side: usize,
    pub(crate) step: Part,
    pub(crate) crops: Part,
    pub(crate) coefficients: Part,
    /// A double a step.
    pub(crate) record: Part,
}

/// The kernels, loaded into a context.
#[derive(Debug)]
pub(crate) struct NetworkKernels {
    /// By the variants of [`ProductLaunch`].
    conv_forward: [CudaFunction; 3],
    conv_input: [CudaFunction; 3],
    pad: CudaFunction,
    fold: CudaFunction,
    conv_weight: [CudaFunction; 3],
    conv_weight_sum: CudaFunction,
    squared_error: CudaFunction,
    absolute_error: CudaFunction,
    blend_error: CudaFunction,
    relu_backward: CudaFunction,
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
        let conv = match precision {
            Precision::F32 => load(context, "conv_f32", CONV_F32)?,
            Precision::Tf32 => load(context, "conv_tf32", CONV_TF32)?,
            Precision::Bf16 => load(context, "conv_bf16", CONV_BF16)?,
        };
        let rest = load(context, "conv_rest", CONV_REST)?;
        let loss = load(context, "loss", LOSS)?;
        let optimizer = load(context, "optimizer", OPTIMIZER)?;
        let feed = load(context, "feed", FEED)?;
        Ok(Self {
            conv_forward: variants(&conv, "conv_forward")?,
            conv_input: variants(&conv, "conv_input")?,
            pad: rest.load_function("pad")?,
            fold: rest.load_function("fold")?,
            conv_weight: variants(&conv, "conv_weight")?,
            conv_weight_sum: rest.load_function("conv_weight_sum")?,
            squared_error: loss.load_function("squared_error")?,
            absolute_error: loss.load_function("absolute_error")?,
            blend_error: loss.load_function("blend_error")?,
            relu_backward: loss.load_function("relu_backward")?,
            adam: optimizer.load_function("adam")?,
            sgd: optimizer.load_function("sgd")?,
            begin_step: feed.load_function("begin_step")?,
            end_step: feed.load_function("end_step")?,
        })
    }

    /// The crops of all steps must lie in `images`, which is the agenda's to see to.
    pub(crate) fn begin_step(
        &self,
        stream: &CudaStream,
        agenda: &PlannedAgenda,
        images: [Part; 2],
        batch: [Part; 2],
        current: Part,
    ) -> Result<(), DriverError> {
        let PlannedAgenda {
            side,
            channels,
            images: count,
            ..
        } = *agenda;
        for part in batch {
            part.require("a batch", count * channels * side * side);
        }
        images[1].require("images", images[0].len);
        let (side, coefficients) = (side as i32, current.len as i32);
        let mut arguments = stream.launch_builder(&self.begin_step);
        arguments.arg(&side).arg(&coefficients);
        arguments
            .arg(&agenda.step.address)
            .arg(&agenda.crops.address);
        arguments.arg(&agenda.coefficients.address);
        arguments.arg(&images[0].address).arg(&images[1].address);
        arguments.arg(&batch[0].address).arg(&batch[1].address);
        arguments.arg(&current.address);
        let samples = agenda.side * agenda.side;
        let grid = [samples.div_ceil(256), channels, count].map(|n| n as u32);
        // SAFETY: `begin_step`'s arguments; see the head of this file.
        unsafe { arguments.launch(threads(grid)) }.map(drop)
    }

    /// `measures` is the address of a double for each image.
    pub(crate) fn end_step(
        &self,
        stream: &CudaStream,
        agenda: &PlannedAgenda,
        measures: u64,
    ) -> Result<(), DriverError> {
        let images = agenda.images as i32;
        let mut arguments = stream.launch_builder(&self.end_step);
        arguments.arg(&images).arg(&measures);
        arguments
            .arg(&agenda.record.address)
            .arg(&agenda.step.address);
        let config = LaunchConfig {
            grid_dim: (1, 1, 1),
            block_dim: (1, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: `end_step`'s arguments; see the head of this file.
        unsafe { arguments.launch(config) }.map(drop)
    }

    /// `pad` or `fold`, as it is wanted: `to` has the border or `from` has it.
    fn border(
        &self,
        stream: &CudaStream,
        kernel: &CudaFunction,
        border: &Border,
        from: Part,
        to: Part,
    ) -> Result<(), DriverError> {
        let (inner, outer) = (border.inner_len(), border.outer_len());
        assert!(
            [from.len, to.len] == [inner, outer] || [from.len, to.len] == [outer, inner],
            "{} and {} numbers where {inner} and {outer} are planned",
            from.len,
            to.len
        );
        let parameter = border.to_bytes();
        let mut arguments = stream.launch_builder(kernel);
        arguments.arg(&parameter);
        arguments.arg(&from.address).arg(&to.address);
        // SAFETY: the kernel's arguments; see the head of this file.
        unsafe { arguments.launch(each(to.len)) }.map(drop)
    }

    /// Leaves the input with its border in the plan's memory, for `conv_weight`.
    pub(crate) fn conv_forward(
        &self,
        stream: &CudaStream,
        conv: &PlannedConv<'_>,
        input: Part,
        [weights, bias]: [Part; 2],
        output: Part,
    ) -> Result<(), DriverError> {
        conv.require(Some(&input), &output, &weights, Some(&bias));
        self.border(stream, &self.pad, &conv.plan.border, input, conv.padded)?;
        let parameter = conv.plan.conv.to_bytes();
        let launch = &conv.plan.forward;
        let mut arguments = stream.launch_builder(&self.conv_forward[launch.variant]);
        arguments.arg(&parameter).arg(&conv.taps.address);
        arguments.arg(&conv.padded.address).arg(&weights.address);
        arguments.arg(&bias.address).arg(&output.address);
        // SAFETY: `conv_forward_*`'s arguments; see the head of this file.
        unsafe { arguments.launch(product(launch)) }.map(drop)
    }

    pub(crate) fn conv_input(
        &self,
        stream: &CudaStream,
        conv: &PlannedConv<'_>,
        doutput: Part,
        weights: Part,
        dinput: Part,
    ) -> Result<(), DriverError> {
        conv.require(Some(&dinput), &doutput, &weights, None);
        let plan = conv.plan;
        self.border(
            stream,
            &self.pad,
            &plan.dout_border,
            doutput,
            conv.dout_padded,
        )?;
        let written = if plan.fold { conv.larger } else { dinput };
        let parameter = plan.conv.to_bytes();
        let launch = &plan.input;
        let mut arguments = stream.launch_builder(&self.conv_input[launch.variant]);
        arguments.arg(&parameter).arg(&conv.input_taps.address);
        arguments
            .arg(&conv.dout_padded.address)
            .arg(&weights.address);
        arguments.arg(&written.address);
        // SAFETY: `conv_input_*`'s arguments; see the head of this file.
        unsafe { arguments.launch(product(launch)) }.map(drop)?;
        if plan.fold {
            self.border(stream, &self.fold, &plan.border, conv.larger, dinput)?;
        }
        Ok(())
    }

    /// Of the input that the last `conv_forward` left.
    pub(crate) fn conv_weight(
        &self,
        stream: &CudaStream,
        conv: &PlannedConv<'_>,
        doutput: Part,
        [dweights, dbias]: [Part; 2],
    ) -> Result<(), DriverError> {
        conv.require(None, &doutput, &dweights, Some(&dbias));
        let plan = conv.plan;
        let parameter = plan.conv.to_bytes();
        let launch = &plan.weight;
        let mut arguments = stream.launch_builder(&self.conv_weight[launch.variant]);
        arguments.arg(&parameter).arg(&conv.taps.address);
        arguments.arg(&conv.outputs.address);
        arguments.arg(&conv.padded.address).arg(&doutput.address);
        arguments.arg(&plan.of_part).arg(&conv.parts.address);
        // SAFETY: `conv_weight_*`'s arguments; see the head of this file.
        unsafe { arguments.launch(product(launch)) }.map(drop)?;
        let (channels, weights) = (plan.conv.out_channels, plan.taps.len() as i32);
        let count = launch.grid[2] as i32;
        let mut arguments = stream.launch_builder(&self.conv_weight_sum);
        arguments.arg(&channels).arg(&weights).arg(&count);
        arguments.arg(&conv.parts.address).arg(&dweights.address);
        arguments.arg(&dbias.address);
        // SAFETY: `conv_weight_sum`'s arguments; see the head of this file.
        unsafe { arguments.launch(threads(plan.sum_grid)) }.map(drop)
    }

    /// `squared_error` or `absolute_error` of images; `means` has a double for each, counted as two.
    pub(crate) fn error(
        &self,
        stream: &CudaStream,
        squared: bool,
        factor: f32,
        [reference, distorted]: [Part; 2],
        means: Part,
        gradient: Part,
    ) -> Result<(), DriverError> {
        let images = means.len / 2;
        distorted.require("distorted", reference.len);
        gradient.require("gradient", reference.len);
        let samples = (reference.len / images) as i32;
        assert!(
            reference.len.is_multiple_of(images),
            "{} samples are not {images} images",
            reference.len
        );
        let kernel = if squared {
            &self.squared_error
        } else {
            &self.absolute_error
        };
        let mut arguments = stream.launch_builder(kernel);
        arguments.arg(&samples).arg(&factor);
        arguments.arg(&reference.address).arg(&distorted.address);
        arguments.arg(&means.address).arg(&gradient.address);
        // SAFETY: the kernel's arguments; see the head of this file.
        unsafe { arguments.launch(threads([images as u32, 1, 1])) }.map(drop)
    }

    /// `scores` is the address of a double for each image, `means` has room for one each, counted as two.
    /// The factors are those of the error's derivative, of the score and of the error.
    pub(crate) fn blend_error(
        &self,
        stream: &CudaStream,
        [factor, score_weight, error_weight]: [f32; 3],
        [reference, distorted]: [Part; 2],
        scores: u64,
        means: Part,
        gradient: Part,
    ) -> Result<(), DriverError> {
        let images = means.len / 2;
        distorted.require("distorted", reference.len);
        gradient.require("gradient", reference.len);
        let samples = (reference.len / images) as i32;
        let mut arguments = stream.launch_builder(&self.blend_error);
        arguments.arg(&samples).arg(&factor);
        arguments.arg(&score_weight).arg(&error_weight);
        arguments.arg(&reference.address).arg(&distorted.address);
        arguments
            .arg(&scores)
            .arg(&means.address)
            .arg(&gradient.address);
        // SAFETY: `blend_error`'s arguments; see the head of this file.
        unsafe { arguments.launch(threads([images as u32, 1, 1])) }.map(drop)
    }

    pub(crate) fn relu_backward(
        &self,
        stream: &CudaStream,
        output: Part,
        doutput: Part,
    ) -> Result<(), DriverError> {
        doutput.require("a gradient", output.len);
        let samples = output.len as i32;
        let mut arguments = stream.launch_builder(&self.relu_backward);
        arguments.arg(&samples).arg(&output.address);
        arguments.arg(&doutput.address);
        // SAFETY: `relu_backward`'s arguments; see the head of this file.
        unsafe { arguments.launch(each(output.len)) }.map(drop)
    }

    /// `state` is the first and second moment.
    pub(crate) fn adam(
        &self,
        stream: &CudaStream,
        constants: &Adam,
        coefficients: Part,
        gradient: Part,
        state: [Part; 2],
        parameters: Part,
    ) -> Result<(), DriverError> {
        coefficients.require("Adam's coefficients", 3);
        for part in [gradient, state[0], state[1]] {
            part.require("gradient or state", parameters.len);
        }
        let (constants, count) = (constants.to_bytes(), parameters.len as i32);
        let mut arguments = stream.launch_builder(&self.adam);
        arguments.arg(&constants).arg(&count);
        arguments.arg(&coefficients.address).arg(&gradient.address);
        arguments.arg(&state[0].address).arg(&state[1].address);
        arguments.arg(&parameters.address);
        // SAFETY: `adam`'s arguments; see the head of this file.
        unsafe { arguments.launch(each(parameters.len)) }.map(drop)
    }

    pub(crate) fn sgd(
        &self,
        stream: &CudaStream,
        momentum: f32,
        last_layer: usize,
        coefficients: Part,
        [gradient, velocity]: [Part; 2],
        parameters: Part,
    ) -> Result<(), DriverError> {
        coefficients.require("rates", 2);
        gradient.require("gradient", parameters.len);
        velocity.require("velocity", parameters.len);
        let (last_layer, count) = (last_layer as i32, parameters.len as i32);
        let mut arguments = stream.launch_builder(&self.sgd);
        arguments.arg(&momentum).arg(&last_layer).arg(&count);
        arguments.arg(&coefficients.address).arg(&gradient.address);
        arguments.arg(&velocity.address).arg(&parameters.address);
        // SAFETY: `sgd`'s arguments; see the head of this file.
        unsafe { arguments.launch(each(parameters.len)) }.map(drop)
    }
}

/// The shape of a product's launch.
fn product(launch: &ProductLaunch) -> LaunchConfig {
    LaunchConfig {
        grid_dim: launch.grid.into(),
        block_dim: (128, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// A thread for each of `len` numbers.
fn each(len: usize) -> LaunchConfig {
    threads([len.div_ceil(256) as u32, 1, 1])
}
