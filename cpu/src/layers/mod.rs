//! The layers of the networks, forward and backward.
//!
//! Tensors are contiguous `f32` slices in the order batch, channel, row, column. A forward and its
//! backward stand in one file with the arguments mirrored; gradients are named `d...` and
//! overwrite what was there. Sums run in an order that depends on the shape alone, so results are
//! the same bits for any number of threads.

mod border;
mod channel_sums;
mod conv2d;
mod correlation;
mod dense;
mod gaussian_code;
mod matrix_product;
mod microkernel;
mod padded;
mod relu;
mod shape_error;
mod sigmoid;
mod transposed;
mod transposition;
mod weight_sums;

pub use border::Padding;
pub use conv2d::{Conv2d, Conv2dShape, Conv2dWorkspace};
pub use dense::{Dense, DenseShape, DenseWorkspace};
pub use gaussian_code::GaussianCode;
pub use relu::{relu_backward, relu_forward};
pub use shape_error::ShapeError;
pub use sigmoid::{sigmoid_backward, sigmoid_forward};
pub use transposed::TransposedConv2d;
