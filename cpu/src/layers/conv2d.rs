//! Two-dimensional convolution with an output as large as the input divided by the stride.
//!
//! As networks have it: a cross-correlation, `out[o](p) = bias[o] + sum_ic w[o][i][c] in[i](s p + c)`
//! with the kernel centred on `s p`. A tile of output rows is turned into a matrix whose columns
//! are the patches that the outputs see; the convolution is then one matrix product, and its two
//! backward passes are the products with the transposes. Tiles are small enough for the patches
//! to stay in the second-level cache.

use rayon::prelude::*;

use super::ShapeError;
use super::border::{Padding, Tap};
use super::matrix_product::{Layout, matrix_product};

/// Samples of patches that a tile should not exceed: half a mebibyte.
const TILE: usize = 1 << 17;

/// Outputs that a tile should hold before the product's own overhead shows.
const MIN_TILE_OUTPUTS: usize = 96;

/// Samples that partial sums of weight gradients may take.
const PARTIAL_SUMS: usize = 1 << 24;

/// The largest number of groups that a batch is split into.
const MAX_GROUPS: usize = 16;

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
        self.out_channels * self.patch_len()
    }

    fn image_len(&self) -> usize {
        self.in_channels * self.height * self.width
    }

    fn output_image_len(&self) -> usize {
        self.out_channels * self.output_height() * self.output_width()
    }

    /// Input samples that one output sees.
    fn patch_len(&self) -> usize {
        self.in_channels * self.kernel * self.kernel
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
        let in_bounds = fits(&[batch, in_channels, height, width])
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    shape: Conv2dShape,
    /// Output rows of a tile.
    tile_rows: usize,
    /// Images of a group: the images of one group are computed one after another.
    group: usize,
}

/// Memory of a convolution; made by [`Conv2d::workspace`]. What it holds does not matter.
#[derive(Clone, Debug)]
pub struct Conv2dWorkspace {
    groups: Vec<Group>,
}

/// What one group of images needs.
#[derive(Clone, Debug)]
struct Group {
    /// Patches of one tile, one output a column.
    patches: Vec<f32>,
    /// Sum over the group's images of the weights' gradient.
    dweight: Vec<f32>,
}

impl Conv2d {
    /// Plans a convolution.
    ///
    /// # Errors
    /// [`ShapeError`] names what is wrong with the shape.
    pub fn new(shape: Conv2dShape) -> Result<Self, ShapeError> {
        shape.check()?;
        let width = shape.output_width();
        let rows = (TILE / (shape.patch_len() * width)).max(MIN_TILE_OUTPUTS.div_ceil(width));
        let groups = (PARTIAL_SUMS / shape.weight_len()).clamp(1, MAX_GROUPS);
        Ok(Self {
            shape,
            tile_rows: rows.min(shape.output_height()),
            group: shape.batch.div_ceil(groups),
        })
    }

    /// The planned shape.
    pub fn shape(&self) -> &Conv2dShape {
        &self.shape
    }

    /// Memory for this convolution, forward and backward.
    pub fn workspace(&self) -> Conv2dWorkspace {
        let tile = self.tile_rows * self.shape.output_width();
        let group = Group {
            patches: vec![0.0; self.shape.patch_len() * tile],
            dweight: vec![0.0; self.shape.weight_len()],
        };
        Conv2dWorkspace {
            groups: vec![group; self.shape.batch.div_ceil(self.group)],
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
        self.apply(workspace, input, weight, Some(bias), output);
    }

    /// [`Conv2d::forward`], with or without a bias.
    pub(super) fn apply(
        &self,
        workspace: &mut Conv2dWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) {
        let shape = &self.shape;
        self.require(&[
            ("input", input.len(), shape.input_len()),
            ("weight", weight.len(), shape.weight_len()),
            ("output", output.len(), shape.output_len()),
        ]);
        let (image, output_image) = (shape.image_len(), shape.output_image_len());
        let plane = output_image / shape.out_channels;
        let groups = output.par_chunks_mut(self.group * output_image);
        groups
            .zip(input.par_chunks(self.group * image))
            .zip(&mut workspace.groups)
            .for_each(|((outputs, inputs), Group { patches, .. })| {
                let pairs = outputs
                    .chunks_exact_mut(output_image)
                    .zip(inputs.chunks_exact(image));
                for (output, input) in pairs {
                    for (o, output) in output.chunks_exact_mut(plane).enumerate() {
                        output.fill(bias.map_or(0.0, |bias| bias[o]));
                    }
                    for tile in self.tiles() {
                        self.gather(&tile, input, patches);
                        matrix_product(
                            (weight, self.weight_layout()),
                            (patches, self.patch_layout(&tile)),
                            true,
                            (&mut output[tile.first..], self.output_layout(&tile)),
                        );
                    }
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
        let shape = &self.shape;
        self.require(&[
            ("doutput", doutput.len(), shape.output_len()),
            ("weight", weight.len(), shape.weight_len()),
            ("dinput", dinput.len(), shape.input_len()),
        ]);
        let (image, output_image) = (shape.image_len(), shape.output_image_len());
        let groups = dinput.par_chunks_mut(self.group * image);
        groups
            .zip(doutput.par_chunks(self.group * output_image))
            .zip(&mut workspace.groups)
            .for_each(|((dinputs, doutputs), Group { patches, .. })| {
                dinputs.fill(0.0);
                let pairs = dinputs
                    .chunks_exact_mut(image)
                    .zip(doutputs.chunks_exact(output_image));
                for (dinput, doutput) in pairs {
                    for tile in self.tiles() {
                        matrix_product(
                            (weight, self.weight_layout().transposed()),
                            (&doutput[tile.first..], self.output_layout(&tile)),
                            false,
                            (patches, self.patch_layout(&tile)),
                        );
                        self.scatter(&tile, patches, dinput);
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
        let shape = &self.shape;
        self.require(&[("dbias", dbias.len(), shape.out_channels)]);
        self.by_weight(workspace, doutput, input, dweight);
        let plane = shape.output_height() * shape.output_width();
        let channels = shape.out_channels;
        dbias.par_iter_mut().enumerate().for_each(|(o, dbias)| {
            let planes = doutput.chunks_exact(plane).skip(o).step_by(channels);
            let of_planes = planes.map(|plane| plane.iter().map(|v| f64::from(*v)).sum::<f64>());
            *dbias = of_planes.sum::<f64>() as f32;
        });
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
        let (image, output_image) = (shape.image_len(), shape.output_image_len());
        let groups = doutput.par_chunks(self.group * output_image);
        groups
            .zip(input.par_chunks(self.group * image))
            .zip(&mut workspace.groups)
            .for_each(|((doutputs, inputs), Group { patches, dweight })| {
                dweight.fill(0.0);
                let pairs = doutputs
                    .chunks_exact(output_image)
                    .zip(inputs.chunks_exact(image));
                for (doutput, input) in pairs {
                    for tile in self.tiles() {
                        self.gather(&tile, input, patches);
                        matrix_product(
                            (&doutput[tile.first..], self.output_layout(&tile)),
                            (patches, self.patch_layout(&tile).transposed()),
                            true,
                            (dweight, self.weight_layout()),
                        );
                    }
                }
            });
        dweight.fill(0.0);
        for group in &workspace.groups {
            for (sum, partial) in dweight.iter_mut().zip(&group.dweight) {
                *sum += partial;
            }
        }
    }

    fn tiles(&self) -> impl Iterator<Item = Tile> {
        let (rows, width) = (self.shape.output_height(), self.shape.output_width());
        (0..rows).step_by(self.tile_rows).map(move |row| Tile {
            row,
            first: row * width,
            len: self.tile_rows.min(rows - row) * width,
        })
    }

    fn weight_layout(&self) -> Layout {
        let patch = self.shape.patch_len();
        Layout::row_major(self.shape.out_channels, patch, patch)
    }

    fn patch_layout(&self, tile: &Tile) -> Layout {
        Layout::row_major(self.shape.patch_len(), tile.len, tile.len)
    }

    /// A tile's part of one image's output, whose channels are planes.
    fn output_layout(&self, tile: &Tile) -> Layout {
        let plane = self.shape.output_height() * self.shape.output_width();
        Layout::row_major(self.shape.out_channels, tile.len, plane)
    }

    /// Visits the lines of a tile's patch matrix: for each the tap, the range in the matrix, and
    /// where the input's line begins in the image, `None` for a line of zeros.
    fn for_each_line(&self, tile: &Tile, mut visit: impl FnMut(Tap, usize, Option<usize>)) {
        let Conv2dShape {
            in_channels,
            height,
            width,
            kernel,
            stride,
            padding,
            ..
        } = self.shape;
        let output_width = self.shape.output_width();
        let centre = (kernel / 2) as isize;
        let mut at = 0;
        for channel in 0..in_channels {
            for tap_row in 0..kernel {
                for tap_column in 0..kernel {
                    let tap = Tap {
                        padding,
                        stride,
                        offset: tap_column as isize - centre,
                    };
                    for row in 0..tile.len / output_width {
                        let row = ((tile.row + row) * stride + tap_row) as isize - centre;
                        let line = padding.source(height, row);
                        visit(tap, at, line.map(|row| (channel * height + row) * width));
                        at += output_width;
                    }
                }
            }
        }
    }

    /// Writes the patches that a tile's outputs see.
    fn gather(&self, tile: &Tile, input: &[f32], patches: &mut [f32]) {
        let (width, output_width) = (self.shape.width, self.shape.output_width());
        self.for_each_line(tile, |tap, at, line| {
            let out = &mut patches[at..][..output_width];
            match line {
                Some(start) => tap.gather(&input[start..][..width], out),
                None => out.fill(0.0),
            }
        });
    }

    /// The adjoint of [`Conv2d::gather`]: adds a tile's patches to the samples they came from.
    fn scatter(&self, tile: &Tile, patches: &[f32], dinput: &mut [f32]) {
        let (width, output_width) = (self.shape.width, self.shape.output_width());
        self.for_each_line(tile, |tap, at, line| {
            if let Some(start) = line {
                tap.scatter(
                    &patches[at..][..output_width],
                    &mut dinput[start..][..width],
                );
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

/// Rows of the output that are computed together.
struct Tile {
    /// The first output row.
    row: usize,
    /// Its first sample in a channel's plane.
    first: usize,
    /// Samples of the tile in each channel.
    len: usize,
}
