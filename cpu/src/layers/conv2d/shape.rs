//! The shape of a convolution, and which shapes there are.

use crate::layers::{Padding, ShapeError};

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
    pub(super) fn centre(&self) -> isize {
        (self.kernel / 2) as isize
    }

    /// The stride; one beyond the image is as good as one to its end.
    pub(super) fn step(&self) -> usize {
        self.stride.min(self.height.max(self.width))
    }

    pub(super) fn image_len(&self) -> usize {
        self.in_channels * self.height * self.width
    }

    pub(super) fn output_image_len(&self) -> usize {
        self.out_channels * self.output_plane()
    }

    /// Samples of one channel of the output.
    pub(super) fn output_plane(&self) -> usize {
        self.output_height() * self.output_width()
    }

    pub(super) fn check(&self) -> Result<(), ShapeError> {
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
