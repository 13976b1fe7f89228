//! Two-dimensional convolution with an output as large as the input divided by the stride.
//!
//! As networks have it: a cross-correlation, `out[o](p) = bias[o] + sum_ic w[o][i][c] in[i](s p + c)`
//! with the kernel centred on `s p`.
//!
//! How each pass is computed:
//!
//! - The output is one [`Correlation`] of the input.
//! - The gradient by the input is one of the output's gradient with the kernel turned round, a
//!   correlation for each phase of the stride, since an input sample that is `r` from a multiple of
//!   `s` is seen by every `s`th tap only. It is computed over the padded input and folded back.
//! - The gradient by the weights is [`WeightSums`] over the places of the output. Where there are only
//!   a few output channels, so that lanes would stay empty, the two factors change their roles:
//!   lanes are the input's channels, and places those of the padded input.
//!
//! None of them makes a matrix of the patches that outputs see, for a matrix product: that reached 70 GFLOP/s
//! in a step of SRCNN at 33 x 33 and 4 to 9 in its last layer, where these reach 160 and 40 to 90 (two threads of
//! a Zen 4, peak 234; the benchmark `cpu_step` prints each pass).

mod phase;
mod shape;

use rayon::prelude::*;

use self::phase::Phase;
pub use self::shape::Conv2dShape;
use super::ShapeError;
use super::border::Padding;
use super::channel_sums::channel_sums;
use super::correlation::{Correlation, Scratch};
use super::microkernel::FEW;
use super::padded::Planes;
use super::weight_sums::{Factor, Task, WeightSums};
use crate::dispatch::Token;

/// The largest number of groups of images, of which each is computed on one thread.
const MAX_GROUPS: usize = 64;

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
        let token = Token::best();
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
            token,
            input,
            shape.out_channels,
            [kernel; 2],
            shape.step(),
            [-centre; 2],
            size,
        );
        let by_input = (0..shape.step())
            .flat_map(|y| (0..shape.step()).map(move |x| [y, x]))
            .filter_map(|distance| Phase::new(token, &shape, distance))
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
            by_weight: WeightSums::new(token, shape.batch, a, b, kernel, shape.step(), places),
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
