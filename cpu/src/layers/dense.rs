//! The fully connected layer: each output is a weighted sum of all inputs of its image.
//!
//! `out[n][o] = bias[o] + sum_i w[o][i] in[n][i]`, weights `outputs x inputs` as PyTorch has them.
//! With a batch in rows these are the matrix products `in w^T`, `dout w` and `dout^T in`. Each is
//! cut into blocks of columns (of rows for the weights) whose number depends on the shape alone; a
//! block is one product on one thread, so no sum depends on how many threads there are.

use rayon::prelude::*;

use super::ShapeError;
use super::matrix_product::{Layout, matrix_product};

/// Columns of a block: wide enough that a product's own packing does not show.
const BLOCK: usize = 128;

/// Rows of the weights' gradient in a block.
const WEIGHT_ROWS: usize = 16;

/// The shape of a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenseShape {
    /// Images in a batch.
    pub batch: usize,
    /// Numbers that come in for each image.
    pub inputs: usize,
    /// Numbers that go out for each image.
    pub outputs: usize,
}

impl DenseShape {
    /// Elements of the input, `batch x inputs`.
    pub fn input_len(&self) -> usize {
        self.batch * self.inputs
    }

    /// Elements of the output, `batch x outputs`.
    pub fn output_len(&self) -> usize {
        self.batch * self.outputs
    }

    /// Elements of the weights, `outputs x inputs`.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.inputs
    }

    fn check(&self) -> Result<(), ShapeError> {
        let Self {
            batch,
            inputs,
            outputs,
        } = *self;
        if [batch, inputs, outputs].contains(&0) {
            return Err(ShapeError::EmptyDense(*self));
        }
        let pairs = [(batch, inputs), (batch, outputs), (outputs, inputs)];
        let fits = pairs.into_iter().all(|(rows, columns)| {
            rows.checked_mul(columns)
                .is_some_and(|len| len <= isize::MAX as usize / 64)
        });
        if fits {
            Ok(())
        } else {
            Err(ShapeError::DenseTooLarge(*self))
        }
    }
}

/// A fully connected layer of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    shape: DenseShape,
}

/// Memory of a fully connected layer; made by [`Dense::workspace`]. What it holds does not matter.
#[derive(Clone, Debug)]
pub struct DenseWorkspace {
    /// A result block by block, each `batch` rows of up to [`BLOCK`] columns.
    blocks: Vec<f32>,
}

impl Dense {
    /// Plans a layer.
    ///
    /// # Errors
    /// [`ShapeError`] names what is wrong with the shape.
    pub fn new(shape: DenseShape) -> Result<Self, ShapeError> {
        shape.check()?;
        Ok(Self { shape })
    }

    /// The planned shape.
    pub fn shape(&self) -> &DenseShape {
        &self.shape
    }

    /// Memory for this layer, forward and backward.
    pub fn workspace(&self) -> DenseWorkspace {
        let widest = self.shape.inputs.max(self.shape.outputs);
        DenseWorkspace {
            blocks: vec![0.0; self.shape.batch * widest],
        }
    }

    /// `output = input * weight^T + bias`, row by row.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn forward(
        &self,
        workspace: &mut DenseWorkspace,
        input: &[f32],
        weight: &[f32],
        bias: &[f32],
        output: &mut [f32],
    ) {
        let DenseShape {
            batch,
            inputs,
            outputs,
        } = self.shape;
        self.require(&[
            ("input", input.len(), self.shape.input_len()),
            ("weight", weight.len(), self.shape.weight_len()),
            ("bias", bias.len(), outputs),
            ("output", output.len(), self.shape.output_len()),
        ]);
        let blocks = workspace.blocks[..batch * outputs].par_chunks_mut(batch * BLOCK);
        blocks
            .zip(weight.par_chunks(BLOCK * inputs))
            .for_each(|(block, weight)| {
                let columns = block.len() / batch;
                matrix_product(
                    (input, Layout::row_major(batch, inputs, inputs)),
                    (
                        weight,
                        Layout::row_major(columns, inputs, inputs).transposed(),
                    ),
                    false,
                    (block, Layout::row_major(batch, columns, columns)),
                );
            });
        self.unblock(workspace, output);
        output.par_chunks_exact_mut(outputs).for_each(|output| {
            for (output, bias) in output.iter_mut().zip(bias) {
                *output += bias;
            }
        });
    }

    /// The gradient by the input, the adjoint of [`Dense::forward`] by its input.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn backward_input(
        &self,
        workspace: &mut DenseWorkspace,
        doutput: &[f32],
        weight: &[f32],
        dinput: &mut [f32],
    ) {
        let DenseShape {
            batch,
            inputs,
            outputs,
        } = self.shape;
        self.require(&[
            ("doutput", doutput.len(), self.shape.output_len()),
            ("weight", weight.len(), self.shape.weight_len()),
            ("dinput", dinput.len(), self.shape.input_len()),
        ]);
        let blocks = workspace.blocks[..batch * inputs].par_chunks_mut(batch * BLOCK);
        blocks.enumerate().for_each(|(i, block)| {
            let columns = block.len() / batch;
            matrix_product(
                (doutput, Layout::row_major(batch, outputs, outputs)),
                (
                    &weight[i * BLOCK..],
                    Layout::row_major(outputs, columns, inputs),
                ),
                false,
                (block, Layout::row_major(batch, columns, columns)),
            );
        });
        self.unblock(workspace, dinput);
    }

    /// The gradients by the weights and the bias, summed over the batch.
    ///
    /// # Panics
    /// If a slice's length is not the shape's.
    pub fn backward_weight(
        &self,
        doutput: &[f32],
        input: &[f32],
        dweight: &mut [f32],
        dbias: &mut [f32],
    ) {
        let DenseShape {
            batch,
            inputs,
            outputs,
        } = self.shape;
        self.require(&[
            ("doutput", doutput.len(), self.shape.output_len()),
            ("input", input.len(), self.shape.input_len()),
            ("dweight", dweight.len(), self.shape.weight_len()),
            ("dbias", dbias.len(), outputs),
        ]);
        let blocks = dweight.par_chunks_mut(WEIGHT_ROWS * inputs);
        blocks.enumerate().for_each(|(i, dweight)| {
            let rows = dweight.len() / inputs;
            matrix_product(
                (
                    &doutput[i * WEIGHT_ROWS..],
                    Layout::row_major(batch, rows, outputs).transposed(),
                ),
                (input, Layout::row_major(batch, inputs, inputs)),
                false,
                (dweight, Layout::row_major(rows, inputs, inputs)),
            );
        });
        for (o, dbias) in dbias.iter_mut().enumerate() {
            let column = doutput[o..].iter().step_by(outputs);
            *dbias = column.map(|v| f64::from(*v)).sum::<f64>() as f32;
        }
    }

    /// Lays the blocks side by side, into rows.
    fn unblock(&self, workspace: &DenseWorkspace, out: &mut [f32]) {
        let batch = self.shape.batch;
        let columns = out.len() / batch;
        let blocks = &workspace.blocks[..out.len()];
        out.par_chunks_exact_mut(columns)
            .enumerate()
            .for_each(|(row, out)| {
                let blocks = blocks.chunks(batch * BLOCK);
                for (out, block) in out.chunks_mut(BLOCK).zip(blocks) {
                    out.copy_from_slice(&block[row * out.len()..][..out.len()]);
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
