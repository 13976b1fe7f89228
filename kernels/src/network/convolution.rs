//! A convolution, its gradients, and its transpose as products.

use super::{Activation, Gather, Kind, OutputSums, Phase, Product, Tap, fits};
use crate::parameters::Bytes;

/// A convolution. Tensors are contiguous, images x channels x height x width, weights
/// out x in x kernel x kernel; the kernel is centred on every `stride`-th sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Images of a batch.
    pub images: i32,
    /// Channels of the input.
    pub in_channels: i32,
    /// Channels of the output.
    pub out_channels: i32,
    /// Rows of the input.
    pub height: i32,
    /// Columns of the input.
    pub width: i32,
    /// Rows and columns of the kernel; odd.
    pub kernel: i32,
    /// Input samples from one output to the next.
    pub stride: i32,
    /// Whether the nearest sample is seen beyond the image; otherwise zeros are.
    pub replicate: bool,
    /// Whether the layer is the convolution's adjoint instead, from its output to its input.
    pub transposed: bool,
    /// What the layer does to its sums.
    pub activation: Activation,
}

impl Conv {
    /// Rows of the convolution's output.
    pub fn out_height(&self) -> i32 {
        (self.height - 1) / self.stride + 1
    }

    /// Columns of the convolution's output.
    pub fn out_width(&self) -> i32 {
        (self.width - 1) / self.stride + 1
    }

    /// How the input gets its border.
    fn border(&self) -> Border {
        Border {
            planes: self.images * self.in_channels,
            height: self.height,
            width: self.width,
            outer_height: self.height + self.kernel - 1,
            outer_width: self.width + self.kernel - 1,
            before: self.kernel / 2,
            replicate: self.replicate,
        }
    }

    fn weights(&self) -> usize {
        [
            self.out_channels,
            self.in_channels,
            self.kernel,
            self.kernel,
        ]
        .iter()
        .map(|&n| n as usize)
        .product()
    }

    /// Rows and columns of the input's gradient as its product makes it: with what falls on the border, where
    /// that repeats samples; and how many of them lie before the first sample.
    fn din(&self) -> ([i32; 2], i32) {
        let (beyond, before) = if self.replicate {
            (self.kernel - 1, self.kernel / 2)
        } else {
            (0, 0)
        };
        ([self.height + beyond, self.width + beyond], before)
    }

    /// How the output's gradient gets its border: the outputs that samples of the input's see go from
    /// `before` ones ahead of the first to some beyond the last.
    fn dout_border(&self) -> Border {
        let (din, first) = self.din();
        // Sample i of the gradient sees output (i - first + kernel / 2 - k) / stride, where that is a whole number.
        let centre = self.kernel / 2 - first;
        let before = (self.kernel - 1 - centre).max(0) / self.stride;
        let outer =
            |side: i32, outputs: i32| before + ((side - 1 + centre) / self.stride + 1).max(outputs);
        Border {
            planes: self.images * self.out_channels,
            height: self.out_height(),
            width: self.out_width(),
            outer_height: outer(din[0], self.out_height()),
            outer_width: outer(din[1], self.out_width()),
            before,
            replicate: false,
        }
    }
}

/// How `pad` copies planes into larger ones, and `fold` adds them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    /// Planes of a batch.
    pub planes: i32,
    /// Rows of a plane.
    pub height: i32,
    /// Columns of a plane.
    pub width: i32,
    /// Rows with the border.
    pub outer_height: i32,
    /// Columns with the border.
    pub outer_width: i32,
    /// Rows above the first sample, and columns before it.
    pub before: i32,
    /// Whether the border repeats the nearest sample; otherwise it is 0.
    pub replicate: bool,
}

impl Border {
    /// Samples without the border.
    pub fn inner_len(&self) -> usize {
        [self.planes, self.height, self.width]
            .iter()
            .map(|&n| n as usize)
            .product()
    }

    /// Samples with it.
    pub fn outer_len(&self) -> usize {
        self.planes as usize * self.outer_area()
    }

    /// Samples of a plane with it.
    fn outer_area(&self) -> usize {
        self.outer_height as usize * self.outer_width as usize
    }

    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 28] {
        let mut out = Bytes::new();
        for field in [
            self.planes,
            self.height,
            self.width,
            self.outer_height,
            self.outer_width,
            self.before,
            self.replicate.into(),
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// What a convolution and its gradients take; its transpose takes the same, in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvPlan {
    /// Of what.
    pub conv: Conv,
    /// From the input with its border to the output. The layer's forward product, or a transposed one's
    /// gradient by its input.
    pub down: Product,
    /// From the output's side with its border to the input's. The gradient by the input, or a transposed
    /// layer's forward product.
    pub up: Product,
    /// The gradient by the weights, from the input with its border and the output's gradient; of a transposed
    /// layer, from its output's gradient with its border and its input.
    pub weight: Product,
    /// The input's border, by which also `up` is folded back where `fold` says so.
    pub border: Border,
    /// The border of the output's side.
    pub dout_border: Border,
    /// Whether `up` has a border.
    pub fold: bool,
    /// The gradient by the layer's biases.
    pub sums: OutputSums,
}

impl ConvPlan {
    /// The plan of a convolution or its transpose; `None` where a count is not positive, the kernel is even,
    /// a tensor would be too large with its border (2^31 elements), the stride is 256 or more, or a transposed one
    /// repeats the border.
    pub fn new(conv: Conv) -> Option<Self> {
        let counts = [
            conv.images,
            conv.in_channels,
            conv.out_channels,
            conv.height,
            conv.width,
            conv.kernel,
            conv.stride,
        ];
        if counts.iter().any(|&n| n < 1) || conv.kernel % 2 == 0 {
            return None;
        }
        if conv.transposed && conv.replicate {
            return None;
        }
        let size = |n: i32| n as usize;
        let [images, ins, outs, height, width, kernel, _] = counts.map(size);
        // The largest planes there are.
        let with_border = |side: usize| side.checked_add(2 * (kernel - 1));
        let area = fits(&[with_border(height)?, with_border(width)?])?;
        fits(&[images, ins, area])?;
        fits(&[images, outs, area])?;
        let weights = fits(&[ins, kernel, kernel])?;
        fits(&[outs, weights])?;

        let of_layer = |transposed: bool| {
            if conv.transposed == transposed {
                conv.activation
            } else {
                Activation::Identity
            }
        };
        let (out_height, out_width) = (size(conv.out_height()), size(conv.out_width()));
        let sums = match conv.transposed {
            false => OutputSums::new(images, outs, out_height * out_width),
            true => OutputSums::new(images, ins, height * width),
        };
        Some(Self {
            conv,
            down: down(&conv)?.with(of_layer(false)),
            up: up(&conv)?.with(of_layer(true)),
            weight: weight(&conv)?,
            border: conv.border(),
            dout_border: conv.dout_border(),
            fold: conv.replicate,
            sums,
        })
    }
}

/// Every output sums all weights of its channel.
fn down(conv: &Conv) -> Option<Product> {
    let border = conv.border();
    let kernel = conv.kernel;
    let area = border.outer_area() as i32;
    let taps = (0..conv.in_channels * kernel * kernel).map(|weight| {
        let (channel, at) = (weight / (kernel * kernel), weight % (kernel * kernel));
        Tap {
            offset: channel * area + at / kernel * border.outer_width + at % kernel,
            weight,
        }
    });
    let taps: Vec<Tap> = taps.collect();
    let out_area = conv.out_height() * conv.out_width();
    let gather = Gather {
        images: conv.images,
        columns: conv.out_channels,
        in_image: conv.in_channels * area,
        in_width: border.outer_width,
        stride: conv.stride,
        pitch: taps.len() as i32,
        out_image: conv.out_channels * out_area,
        out_column: out_area,
        out_width: conv.out_width(),
        apart: 1,
        len: conv.images * conv.out_channels * out_area,
        ..Gather::default()
    };
    let all = Phase {
        height: conv.out_height(),
        width: conv.out_width(),
        row: 0,
        column: 0,
        first: 0,
        depth: taps.len() as i32,
    };
    Product::new(
        Kind::Gathered,
        gather,
        vec![all],
        taps,
        [border.outer_len(), conv.weights()],
    )
}

/// Samples of the input that are `stride` apart see the same rows and columns of the kernel.
fn up(conv: &Conv) -> Option<Product> {
    let border = conv.dout_border();
    let ([height, width], first) = conv.din();
    let (kernel, stride) = (conv.kernel, conv.stride);
    let (area, weights) = (
        border.outer_area() as i32,
        kernel * kernel * conv.in_channels,
    );
    // The outputs that sample `at` sees along one axis, from that of the same number in its phase with the
    // border before it, and through which row or column of the kernel.
    let seen = |at: i32| {
        (0..kernel).filter_map(move |k| {
            let ahead = at - first + kernel / 2 - k;
            let output = ahead.div_euclid(stride) + border.before;
            (ahead.rem_euclid(stride) == 0).then_some((output, k))
        })
    };
    let (mut phases, mut taps) = (Vec::new(), Vec::new());
    for row in 0..stride.min(height) {
        for column in 0..stride.min(width) {
            let begin = taps.len();
            for channel in 0..conv.out_channels {
                for (i, k) in seen(row) {
                    taps.extend(seen(column).map(|(j, l)| Tap {
                        offset: channel * area + i * border.outer_width + j,
                        weight: channel * weights + k * kernel + l,
                    }));
                }
            }
            phases.push(Phase {
                height: (height - 1 - row) / stride + 1,
                width: (width - 1 - column) / stride + 1,
                row,
                column,
                first: begin as i32,
                depth: (taps.len() - begin) as i32,
            });
        }
    }
    let gather = Gather {
        images: conv.images,
        columns: conv.in_channels,
        in_image: conv.out_channels * area,
        in_width: border.outer_width,
        stride: 1,
        pitch: kernel * kernel,
        out_image: conv.in_channels * height * width,
        out_column: height * width,
        out_width: width,
        apart: stride,
        len: conv.images * conv.in_channels * height * width,
        ..Gather::default()
    };
    Product::new(
        Kind::Gathered,
        gather,
        phases,
        taps,
        [border.outer_len(), conv.weights()],
    )
}

/// A weight met one sample for each output: rows are the weights of a channel, steps are outputs.
fn weight(conv: &Conv) -> Option<Product> {
    let border = conv.border();
    let (kernel, stride) = (conv.kernel, conv.stride);
    let (out_width, out_area) = (conv.out_width(), conv.out_height() * conv.out_width());
    let area = border.outer_area() as i32;
    let taps = (0..conv.images * out_area).map(|output| {
        let (image, pixel) = (output / out_area, output % out_area);
        let (row, column) = (pixel / out_width, pixel % out_width);
        Tap {
            offset: image * conv.in_channels * area + stride * (row * border.outer_width + column),
            weight: image * conv.out_channels * out_area + pixel,
        }
    });
    let taps: Vec<Tap> = taps.collect();
    let of_channel = conv.in_channels * kernel * kernel;
    let gather = Gather {
        images: conv.in_channels,
        columns: conv.out_channels,
        in_image: area,
        in_width: border.outer_width,
        stride: 1,
        pitch: out_area,
        out_image: kernel * kernel,
        out_column: of_channel,
        out_width: kernel,
        apart: 1,
        len: conv.out_channels * of_channel,
        ..Gather::default()
    };
    let all = Phase {
        height: kernel,
        width: kernel,
        row: 0,
        column: 0,
        first: 0,
        depth: taps.len() as i32,
    };
    let outputs = (conv.out_channels * conv.images * out_area) as usize;
    Product::new(
        Kind::Gathered,
        gather,
        vec![all],
        taps,
        [border.outer_len(), outputs],
    )
}

#[cfg(test)]
mod tests;
