//! Two-dimensional convolution with an output as large as the input divided by the stride.
//!
//! As networks have it: a cross-correlation, `out[o](p) = bias[o] + sum_ic w[o][i][c] in[i](s p + c)`
//! with the kernel centred on `s p`.
//!
//! How each pass is computed, and what was measured (Zen 4, one thread, AVX-512, peak 117 GFLOP/s):
//!
//! - The output is one [`Correlation`] of the input.
//! - The gradient by the input is one of the output's gradient with the kernel turned round, a
//!   correlation for each phase of the stride, since an input sample that is `r` from a multiple of
//!   `s` is seen by every `s`th tap only. It is computed over the padded input and folded back.
//! - The gradient by the weights is [`WeightSums`] over the places of the output. Where there are only
//!   a few output channels, so that lanes would stay empty, the two factors change their roles:
//!   lanes are the input's channels, and places those of the padded input.
//!
//! None of them makes patches: a matrix of the patches that outputs see, multiplied by the `gemm`
//! crate, was what stood here before; the table is that of the benchmark `cpu_step`.

use rayon::prelude::*;

use super::ShapeError;
use super::border::Padding;
use super::channel_sums::channel_sums;
use super::correlation::{Correlation, Scratch};
use super::microkernel::{FEW, Isa};
use super::padded::Planes;
use super::weight_sums::{Factor, Task, WeightSums};

/// The largest number of groups of images, of which each is computed on one thread.
const MAX_GROUPS: usize = 64;

/// The shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// Images in a batch.
    pub batch: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Rows and columns of the kernel; odd.
    pub kernel: usize,
    /// Input samples from one output to the next.
    pub stride: usize,
    /// What is beyond the image.
    pub padding: Padding,
}

impl Conv2dShape {
    /// Rows of the output.
    pub fn output_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Columns of the output.
    pub fn output_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }

    /// Elements of the input, `batch x in_channels x height x width`.
    pub fn input_len(&self) -> usize {
        self.batch * self.image_len()
    }

    /// Elements of the output, `batch x out_channels x output_height x output_width`.
    pub fn output_len(&self) -> usize {
        self.batch * self.output_image_len()
    }

    /// Elements of the weights, `out_channels x in_channels x kernel x kernel`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel * self.kernel
    }

    /// Rows and columns of the kernel before its centre.
    fn centre(&self) -> isize {
        (self.kernel / 2) as isize
    }

    /// The stride; one beyond the image is as good as one to its end.
    fn step(&self) -> usize {
        self.stride.min(self.height.max(self.width))
    }

    fn image_len(&self) -> usize {
        self.in_channels * self.height * self.width
    }

    fn output_image_len(&self) -> usize {
        self.out_channels * self.output_plane()
    }

    /// Samples of one channel of the output.
    fn output_plane(&self) -> usize {
        self.output_height() * self.output_width()
    }

    fn check(&self) -> Result<(), ShapeError> {
        let Self {
            batch,
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            stride,
            ..
        } = *self;
        if [
            batch,
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            stride,
        ]
        .contains(&0)
        {
            return Err(ShapeError::Zero(*self));
        }
        if kernel % 2 == 0 {
            return Err(ShapeError::EvenKernel(kernel));
        }
        let fits = |factors: &[usize]| {
            let bytes = factors
                .iter()
                .try_fold(4usize, |product, n| product.checked_mul(*n));
            bytes.is_some_and(|bytes| bytes <= isize::MAX as usize / 64)
        };
        // Blocks of a row of outputs are addressed with 32 bits.
        let block = width
            .checked_add(2 * kernel)
            .and_then(|columns| columns.checked_mul(kernel.max(32) * 64));
        let addressed = block.is_some_and(|block| u32::try_from(block).is_ok());
        let in_bounds = addressed
            && fits(&[batch, in_channels, height, width])
            && fits(&[batch, out_channels, height, width])
            && fits(&[out_channels, in_channels, kernel, kernel])
            && fits(&[in_channels, kernel, kernel, width]);
        if in_bounds {
            Ok(())
        } else {
            Err(ShapeError::TooLarge(*self))
        }
    }
}

/// A convolution of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    shape: Conv2dShape,
    forward: Correlation,
    by_input: Vec<Phase>,
    by_weight: WeightSums,
    /// Whether `by_weight` has the output's gradient as its first factor.
    turned: bool,
    /// Images of a group: the images of one group are computed one after another.
    group: usize,
}

/// The input samples that are one distance from a multiple of the stride, and the gradient by them.
#[derive(Clone, Debug, PartialEq)]
struct Phase {
    correlation: Correlation,
    /// Of the padded input, the first row and column that are computed.
    first: [usize; 2],
    /// Rows and columns from a multiple of the stride.
    distance: [usize; 2],
}

/// Memory of a convolution; made by [`Conv2d::workspace`]. What it holds does not matter.
#[derive(Clone, Debug)]
pub struct Conv2dWorkspace {
    /// Weights in the order in which a pass reads them.
    packed: Vec<f32>,
    groups: Vec<Scratch>,
    tasks: Vec<Task>,
}

impl Conv2d {
    /// Plans a convolution.
    ///
    /// # Errors
    /// [`ShapeError`] names what is wrong with the shape.
    pub fn new(shape: Conv2dShape) -> Result<Self, ShapeError> {
        shape.check()?;
        let isa = Isa::detect();
        let input = Planes {
            channels: shape.in_channels,
            height: shape.height,
            width: shape.width,
            padding: shape.padding,
        };
        let centre = shape.centre();
        let size = [shape.output_height(), shape.output_width()];
        let kernel = shape.kernel;
        let forward = Correlation::new(
            isa,
            input,
            shape.out_channels,
            [kernel; 2],
            shape.step(),
            [-centre; 2],
            size,
        );
        let by_input = (0..shape.step())
            .flat_map(|y| (0..shape.step()).map(move |x| [y, x]))
            .filter_map(|distance| Phase::new(isa, &shape, distance))
            .collect();
        let turned = shape.step() == 1 && shape.out_channels <= FEW && shape.in_channels > FEW;
        let output = Planes {
            channels: shape.out_channels,
            height: size[0],
            width: size[1],
            padding: Padding::Zero,
        };
        let input = Factor {
            planes: input,
            origin: [-centre; 2],
        };
        let (a, b, places) = if turned {
            let reach = kernel - 1;
            let output = Factor {
                planes: output,
                origin: [-(reach as isize); 2],
            };
            (output, input, size.map(|side| side + reach))
        } else {
            let output = Factor {
                planes: output,
                origin: [0; 2],
            };
            (input, output, size)
        };
        Ok(Self {
            shape,
            forward,
            by_input,
            by_weight: WeightSums::new(isa, shape.batch, a, b, kernel, shape.step(), places),
            turned,
            group: shape.batch.div_ceil(MAX_GROUPS),
        })
    }

    /// The planned shape.
    pub fn shape(&self) -> &Conv2dShape {
        &self.shape
    }

    /// Memory for this convolution, forward and backward.
    pub fn workspace(&self) -> Conv2dWorkspace {
        let mut scratch = Scratch::default();
        scratch.fit(&self.forward);
        let mut by_input = 0;
        for phase in &self.by_input {
            scratch.fit(&phase.correlation);
            by_input += phase.correlation.packed_len();
        }
        Conv2dWorkspace {
            packed: vec![0.0; self.forward.packed_len().max(by_input)],
            groups: vec![scratch; self.shape.batch.div_ceil(self.group)],
            tasks: self.by_weight.tasks(),
        }
    }

    /// `output = weight * input + bias`.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn forward(
        &self,
        workspace: &mut Conv2dWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
        output: &mut [f32],
    ) {
        self.require(&[("bias", bias.len(), self.shape.out_channels)]);
        self.apply(workspace, input, weight, Some(bias), false, output);
    }

    /// `output = max(weight * input + bias, 0)`, as [`relu_forward`](super::relu_forward) makes it of
    /// [`Conv2d::forward`]'s output.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn forward_relu(
        &self,
        workspace: &mut Conv2dWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
        output: &mut [f32],
    ) {
        self.require(&[("bias", bias.len(), self.shape.out_channels)]);
        self.apply(workspace, input, weight, Some(bias), true, output);
    }

    /// [`Conv2d::forward`], with or without a bias and a rectifier.
    pub(super) fn apply(
        &self,
        workspace: &mut Conv2dWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        output: &mut [f32],
    ) {
        let shape = &self.shape;
        self.require(&[
            ("input", input.len(), shape.input_len()),
            ("weight", weight.len(), shape.weight_len()),
            ("output", output.len(), shape.output_len()),
        ]);
        let (kernel, inputs) = (shape.kernel, shape.in_channels);
        let at =
            |o: usize, c: usize, i: usize, j: usize| ((o * inputs + c) * kernel + i) * kernel + j;
        self.forward.pack(weight, at, &mut workspace.packed);
        let packed = &workspace.packed;
        let (image, output_image) = (shape.image_len(), shape.output_image_len());
        let (rows, columns) = (shape.output_height(), shape.output_width());
        output
            .par_chunks_mut(self.group * output_image)
            .zip(input.par_chunks(self.group * image))
            .zip(&mut workspace.groups)
            .for_each(|((outputs, inputs), scratch)| {
                let pairs = outputs
                    .chunks_exact_mut(output_image)
                    .zip(inputs.chunks_exact(image));
                for (output, input) in pairs {
                    let init = |o: usize| bias.map_or(0.0, |bias| bias[o]);
                    self.forward
                        .run(scratch, input, packed, init, |o, y, sums| {
                            let output = &mut output[(o * rows + y) * columns..][..columns];
                            for (output, sum) in output.iter_mut().zip(sums) {
                                *output = if relu && *sum < 0.0 { 0.0 } else { *sum };
                            }
                        });
                }
            });
    }

    /// The gradient by the input, the adjoint of [`Conv2d::forward`] by its input.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn backward_input(
        &self,
        workspace: &mut Conv2dWorkspace,
        doutput: &[f32],
        weight: &[f32],
        dinput: &mut [f32],
    ) {
        self.apply_adjoint(workspace, doutput, weight, None, false, dinput);
    }

    /// [`Conv2d::backward_input`], with or without a number added to each channel and a rectifier.
    pub(super) fn apply_adjoint(
        &self,
        workspace: &mut Conv2dWorkspace,
        doutput: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        dinput: &mut [f32],
    ) {
        let shape = &self.shape;
        self.require(&[
            ("doutput", doutput.len(), shape.output_len()),
            ("weight", weight.len(), shape.weight_len()),
            ("dinput", dinput.len(), shape.input_len()),
        ]);
        let mut packed = &mut workspace.packed[..];
        for phase in &self.by_input {
            let (of_phase, rest) = packed.split_at_mut(phase.correlation.packed_len());
            phase.pack(shape, weight, of_phase);
            packed = rest;
        }
        let packed = &workspace.packed;
        let (image, output_image) = (shape.image_len(), shape.output_image_len());
        let plane = shape.height * shape.width;
        dinput
            .par_chunks_mut(self.group * image)
            .zip(doutput.par_chunks(self.group * output_image))
            .zip(&mut workspace.groups)
            .for_each(|((dinputs, doutputs), scratch)| {
                let pairs = dinputs
                    .chunks_exact_mut(image)
                    .zip(doutputs.chunks_exact(output_image));
                for (dinput, doutput) in pairs {
                    for (c, dinput) in dinput.chunks_exact_mut(plane).enumerate() {
                        dinput.fill(bias.map_or(0.0, |bias| bias[c]));
                    }
                    let mut packed = &packed[..];
                    for phase in &self.by_input {
                        phase.run(shape, scratch, doutput, packed, dinput);
                        packed = &packed[phase.correlation.packed_len()..];
                    }
                    if relu {
                        for sample in dinput {
                            *sample = if *sample < 0.0 { 0.0 } else { *sample };
                        }
                    }
                }
            });
    }

    /// The gradients by the weights and the bias, summed over the batch.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn backward_weight(
        &self,
        workspace: &mut Conv2dWorkspace,
        doutput: &[f32],
        input: &[f32],
        dweight: &mut [f32],
        dbias: &mut [f32],
    ) {
        self.require(&[("dbias", dbias.len(), self.shape.out_channels)]);
        self.by_weight(workspace, doutput, input, dweight);
        channel_sums(doutput, self.shape.output_plane(), dbias);
    }

    /// The gradient by the weights alone.
    pub(super) fn by_weight(
        &self,
        workspace: &mut Conv2dWorkspace,
        doutput: &[f32],
        input: &[f32],
        dweight: &mut [f32],
    ) {
        let shape = &self.shape;
        self.require(&[
            ("doutput", doutput.len(), shape.output_len()),
            ("input", input.len(), shape.input_len()),
            ("dweight", dweight.len(), shape.weight_len()),
        ]);
        let (a, b) = if self.turned {
            (doutput, input)
        } else {
            (input, doutput)
        };
        let kernel = shape.kernel;
        let of_output = shape.in_channels * kernel * kernel;
        let tasks = &mut workspace.tasks;
        self.by_weight
            .run(tasks, a, b, dweight, of_output, |o, dweight, sum| {
                for (at, dweight) in dweight.iter_mut().enumerate() {
                    let (c, i, j) = (at / (kernel * kernel), at / kernel % kernel, at % kernel);
                    *dweight = sum(if self.turned {
                        [c, o, kernel - 1 - i, kernel - 1 - j]
                    } else {
                        [o, c, i, j]
                    });
                }
            });
    }

    fn require(&self, lengths: &[(&str, usize, usize)]) {
        for (name, len, expected) in lengths {
            assert!(
                len == expected,
                "{name} holds {len} where {:?} needs {expected}",
                self.shape
            );
        }
    }
}

impl Phase {
    /// `None` where no tap sees the phase's samples, or there are none.
    fn new(isa: Isa, shape: &Conv2dShape, distance: [usize; 2]) -> Option<Self> {
        let (step, kernel) = (shape.step(), shape.kernel);
        let centre = kernel / 2;
        let output = [shape.output_height(), shape.output_width()];
        let input = [shape.height, shape.width];
        let mut first = [0; 2];
        let (mut taps, mut size, mut origin) = ([0; 2], [0; 2], [0; 2]);
        for axis in 0..2 {
            // Samples `step * u + distance` of the padded input, from the first to the end.
            let (begin, end) = match shape.padding {
                Padding::Zero => (centre, centre + input[axis]),
                Padding::Replicate => (0, (output[axis] - 1) * step + kernel),
            };
            let u = [begin, end].map(|at| at.saturating_sub(distance[axis]).div_ceil(step));
            taps[axis] = kernel.saturating_sub(distance[axis]).div_ceil(step);
            size[axis] = u[1] - u[0];
            if taps[axis] == 0 || size[axis] == 0 {
                return None;
            }
            first[axis] = u[0];
            origin[axis] = u[0] as isize - (taps[axis] - 1) as isize;
        }
        let output = Planes {
            channels: shape.out_channels,
            height: output[0],
            width: output[1],
            padding: Padding::Zero,
        };
        let correlation = Correlation::new(isa, output, shape.in_channels, taps, 1, origin, size);
        Some(Self {
            correlation,
            first,
            distance,
        })
    }

    fn pack(&self, shape: &Conv2dShape, weight: &[f32], packed: &mut [f32]) {
        let (kernel, inputs, step) = (shape.kernel, shape.in_channels, shape.step());
        let [rows, columns] = self.correlation.taps;
        let [y, x] = self.distance;
        let at = |c: usize, o: usize, i: usize, j: usize| {
            let (i, j) = (y + step * (rows - 1 - i), x + step * (columns - 1 - j));
            ((o * inputs + c) * kernel + i) * kernel + j
        };
        self.correlation.pack(weight, at, packed);
    }

    /// Adds the gradient by the phase's samples.
    fn run(
        &self,
        shape: &Conv2dShape,
        scratch: &mut Scratch,
        doutput: &[f32],
        packed: &[f32],
        dinput: &mut [f32],
    ) {
        let (height, width, step) = (shape.height, shape.width, shape.step());
        let place =
            |axis: usize| (step * self.first[axis] + self.distance[axis]) as isize - shape.centre();
        let (top, left) = (place(0), place(1));
        // Columns before the image, and where the first in it goes.
        let before = (-left).max(0) as usize;
        let before = before.div_ceil(step);
        let start = (left + (before * step) as isize) as usize;
        let run = &self.correlation;
        run.run(
            scratch,
            doutput,
            packed,
            |_| 0.0,
            |c, y, mut sums| {
                let row = top + (y * step) as isize;
                let row = row.clamp(0, height as isize - 1) as usize;
                let dinput = &mut dinput[(c * height + row) * width..][..width];
                sums.by_ref().take(before).for_each(|sum| dinput[0] += sum);
                let inside = width.saturating_sub(start).div_ceil(step);
                let samples = dinput.iter_mut().skip(start).step_by(step);
                for (sample, sum) in samples.zip(sums.by_ref().take(inside)) {
                    *sample += sum;
                }
                sums.for_each(|sum| dinput[width - 1] += sum);
            },
        );
    }
}
