//! Why a layer cannot be planned.

use super::{Conv2dShape, DenseShape};

/// Why a shape has no layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A count of the shape is zero.
    #[error("convolution of {0:?}: every count must be at least 1")]
    Zero(Conv2dShape),
    /// An even kernel has no centre.
    #[error("convolution with an even kernel of {0}: a kernel needs a centre, so an odd side")]
    EvenKernel(usize),
    /// A tensor would have more elements than memory has addresses.
    #[error("convolution of {0:?}: too large to address")]
    TooLarge(Conv2dShape),
    /// A count of a fully connected layer is zero.
    #[error("fully connected layer of {0:?}: every count must be at least 1")]
    EmptyDense(DenseShape),
    /// A tensor of a fully connected layer would have more elements than memory has addresses.
    #[error("fully connected layer of {0:?}: too large to address")]
    DenseTooLarge(DenseShape),
}
