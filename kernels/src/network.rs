//! The structures and shapes of the kernels that train networks.

use crate::parameters::Bytes;

/// Threads of a block of `conv_*`, and rows of its product.
const ROWS: usize = 128;

/// Blocks that keep a large device busy.
const ENOUGH_BLOCKS: usize = 512;

/// A convolution, as its kernels take it. Tensors are contiguous, images x channels x height x width,
/// weights out x in x kernel x kernel; the kernel is centred on every `stride`-th sample.
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
    /// Whether negative outputs become 0.
    pub relu: bool,
}

impl Conv {
    /// Rows of the output.
    pub fn out_height(&self) -> i32 {
        (self.height - 1) / self.stride + 1
    }

    /// Columns of the output.
    pub fn out_width(&self) -> i32 {
        (self.width - 1) / self.stride + 1
    }

    /// How the input gets its border.
    pub fn border(&self) -> Border {
        Border {
            planes: self.images * self.in_channels,
            height: self.height,
            width: self.width,
            outer_height: self.height + self.kernel - 1,
            outer_width: self.width + self.kernel - 1,
            before: self.kernel / 2,
            apart: 1,
            replicate: self.replicate,
        }
    }

    /// Rows and columns of the input's gradient as `conv_input_*` makes it: with what falls on the border,
    /// where that repeats samples.
    pub fn din_size(&self) -> [i32; 2] {
        let beyond = if self.replicate { self.kernel - 1 } else { 0 };
        [self.height + beyond, self.width + beyond]
    }

    /// How the output's gradient is spread out to the input's grid.
    pub fn dout_border(&self) -> Border {
        let [height, width] = self.din_size();
        Border {
            planes: self.images * self.out_channels,
            height: self.out_height(),
            width: self.out_width(),
            outer_height: height + self.kernel - 1,
            outer_width: width + self.kernel - 1,
            before: if self.replicate {
                self.kernel - 1
            } else {
                self.kernel / 2
            },
            apart: self.stride,
            replicate: false,
        }
    }

    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 56] {
        let (input, dout) = (self.border(), self.dout_border());
        let din = self.din_size();
        let mut out = Bytes::new();
        for field in [
            self.images,
            self.in_channels,
            self.out_channels,
            self.out_height() * self.out_width(),
            self.out_width(),
            self.kernel,
            self.stride,
            self.relu.into(),
            input.outer_width,
            input.outer_width * input.outer_height,
            dout.outer_width,
            dout.outer_width * dout.outer_height,
            din[1],
            din[0] * din[1],
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
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
    /// Rows and columns from one sample to the next.
    pub apart: i32,
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
        [self.planes, self.outer_height, self.outer_width]
            .iter()
            .map(|&n| n as usize)
            .product()
    }

    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut out = Bytes::new();
        for field in [
            self.planes,
            self.height,
            self.width,
            self.outer_height,
            self.outer_width,
            self.before,
            self.apart,
            self.replicate.into(),
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// One step along the depth of a convolution's product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Of the sample, from the row's first.
    pub offset: i32,
    /// Of the weight, among those of the column.
    pub weight: i32,
}

impl Tap {
    /// As the kernels read it.
    pub fn to_array(self) -> [i32; 2] {
        [self.offset, self.weight]
    }
}

/// A launch of one of `conv_*_8`, `_32`, `_64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductLaunch {
    /// Which: 0, 1 or 2.
    pub variant: usize,
    /// Blocks of rows, blocks of columns, parts.
    pub grid: [u32; 3],
}

/// All launches of a convolution and its gradients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvPlan {
    /// The parameter of all of them.
    pub conv: Conv,
    /// Steps of `conv_forward_*` and weights of `conv_weight_*`.
    pub taps: Vec<Tap>,
    /// Steps of `conv_input_*`.
    pub input_taps: Vec<Tap>,
    /// `conv_forward_*`.
    pub forward: ProductLaunch,
    /// `conv_input_*`.
    pub input: ProductLaunch,
    /// The input's border; what its gradient gathered there is folded back where `fold` says so.
    pub border: Border,
    /// The border of the output's gradient.
    pub dout_border: Border,
    /// Whether `conv_input_*` writes a gradient with a border, to be folded back.
    pub fold: bool,
    /// For each output of `conv_weight_*` the first sample that it saw, and its place in the first channel
    /// of the output's gradient.
    pub outputs: Vec<[i32; 2]>,
    /// `conv_weight_*`.
    pub weight: ProductLaunch,
    /// Outputs of a part.
    pub of_part: i32,
    /// Numbers that all parts take.
    pub parts: usize,
    /// The grid of `conv_weight_sum`, whose block has 256 threads.
    pub sum_grid: [u32; 3],
}

impl ConvPlan {
    /// The plan of a convolution; `None` where a count is not positive, the kernel is even, or a tensor
    /// would be too large with its border (2^31 elements).
    pub fn new(conv: Conv) -> Option<Self> {
        let positive = [
            conv.images,
            conv.in_channels,
            conv.out_channels,
            conv.height,
            conv.width,
            conv.kernel,
            conv.stride,
        ];
        if positive.iter().any(|&n| n < 1) || conv.kernel % 2 == 0 {
            return None;
        }
        let size = |n: i32| n as usize;
        let fits = |factors: &[usize]| {
            let product = factors.iter().try_fold(1usize, |a, b| a.checked_mul(*b));
            product.filter(|&n| n < 1 << 31)
        };
        let [images, ins, outs] =
            [conv.images, conv.in_channels, conv.out_channels].map(|n| n as usize);
        let kernel = size(conv.kernel);
        // The largest planes there are: the output's gradient, where its border is widest.
        let with_border = |side: i32| size(side).checked_add(2 * (kernel - 1));
        let area = fits(&[with_border(conv.height)?, with_border(conv.width)?])?;
        fits(&[images, ins, area])?;
        fits(&[images, outs, area])?;
        let weights = fits(&[ins, kernel, kernel])?;
        fits(&[outs, weights + 1])?;

        let (border, dout_border) = (conv.border(), conv.dout_border());
        // The steps of a product over `channels` planes with that border.
        let taps = |channels: usize, border: &Border, weight: &dyn Fn(usize, usize) -> usize| {
            let (area, width) = (
                size(border.outer_height) * size(border.outer_width),
                size(border.outer_width),
            );
            let tap = |at: usize| {
                let (channel, at) = (at / (kernel * kernel), at % (kernel * kernel));
                let offset = channel * area + at / kernel * width + at % kernel;
                Tap {
                    offset: offset as i32,
                    weight: weight(channel, at) as i32,
                }
            };
            (0..channels * kernel * kernel).map(tap).collect::<Vec<_>>()
        };
        let in_image = ins * size(border.outer_height) * size(border.outer_width);
        let out_area = size(conv.out_height()) * size(conv.out_width());
        let output = |at: usize| {
            let (image, pixel) = (at / out_area, at % out_area);
            let [row, column] = [
                pixel / size(conv.out_width()),
                pixel % size(conv.out_width()),
            ];
            let first = size(conv.stride) * (row * size(border.outer_width) + column);
            [image * in_image + first, image * outs * out_area + pixel].map(|n| n as i32)
        };
        let outputs = images * out_area;
        let [din_height, din_width] = conv.din_size().map(size);
        let samples = images * din_height * din_width;
        let launch = |rows: usize, columns: usize, parts: usize| {
            let variant = match columns {
                0..=8 => 0,
                9..=32 => 1,
                _ => 2,
            };
            ProductLaunch {
                variant,
                grid: [
                    rows.div_ceil(ROWS) as u32,
                    columns.div_ceil([8, 32, 64][variant]) as u32,
                    parts as u32,
                ],
            }
        };
        let [rows, columns, _] = launch(weights + 1, outs, 1).grid;
        let busy = ENOUGH_BLOCKS.div_ceil((rows * columns) as usize);
        let of_part = outputs.div_ceil(busy).max(64).next_multiple_of(8);
        let parts = outputs.div_ceil(of_part);
        let last = kernel * kernel - 1;
        Some(Self {
            conv,
            taps: taps(ins, &border, &|channel, at| channel * kernel * kernel + at),
            // Backwards: the sample before an output met a later weight. Its place is that of input
            // channel 0; channels are a kernel's area apart.
            input_taps: taps(outs, &dout_border, &|channel, at| {
                channel * weights + last - at
            }),
            outputs: (0..outputs).map(output).collect(),
            forward: launch(outputs, outs, 1),
            input: launch(samples, ins, 1),
            border,
            dout_border,
            fold: conv.replicate,
            weight: launch(weights + 1, outs, parts),
            of_part: of_part as i32,
            parts: fits(&[parts, outs, weights + 1])?,
            sum_grid: [(outs * (weights + 1)).div_ceil(256) as u32, 1, 1],
        })
    }
}

/// A square crop of images in device memory, for `begin_step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Where its first sample lies.
    pub first: i32,
    /// Samples from row to row.
    pub row: i32,
    /// Samples from plane to plane.
    pub plane: i32,
    /// Bits flip rows (1), flip columns (2), and transpose (4).
    pub symmetry: i32,
}

impl Crop {
    /// As the kernel reads it.
    pub fn to_array(self) -> [i32; 4] {
        [self.first, self.row, self.plane, self.symmetry]
    }

    /// Whether a crop of `channels` planes and `side` rows and columns lies within `samples`.
    pub fn fits(&self, channels: usize, side: usize, samples: usize) -> bool {
        let size = |n: i32| usize::try_from(n).ok();
        let end = || {
            let planes = size(self.plane)?.checked_mul(channels.checked_sub(1)?)?;
            let rows = size(self.row)?.checked_mul(side.checked_sub(1)?)?;
            let last = planes.checked_add(rows)?.checked_add(side)?;
            size(self.first)?.checked_add(last)
        };
        (0..8).contains(&self.symmetry) && end().is_some_and(|end| end <= samples)
    }
}

/// The constants of `adam`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// `1 - beta1`.
    pub complement1: f32,
    /// `1 - beta2`.
    pub complement2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl Adam {
    /// As the kernel reads it.
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut out = Bytes::new();
        for field in [
            self.beta1,
            self.beta2,
            self.complement1,
            self.complement2,
            self.epsilon,
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRCNN: Conv = Conv {
        images: 128,
        in_channels: 64,
        out_channels: 32,
        height: 33,
        width: 33,
        kernel: 5,
        stride: 1,
        replicate: true,
        relu: true,
    };

    #[test]
    fn parts_cover_all_outputs_and_depend_on_the_shape_alone() {
        for conv in [
            SRCNN,
            Conv { images: 1, ..SRCNN },
            Conv {
                in_channels: 1,
                out_channels: 64,
                kernel: 9,
                ..SRCNN
            },
            Conv {
                stride: 2,
                replicate: false,
                ..SRCNN
            },
        ] {
            let plan = ConvPlan::new(conv).unwrap();
            let outputs = conv.images * conv.out_height() * conv.out_width();
            let parts = plan.weight.grid[2] as i32;
            assert!(parts * plan.of_part >= outputs && (parts - 1) * plan.of_part < outputs);
            assert_eq!(plan, ConvPlan::new(conv).unwrap());
        }
    }

    #[test]
    fn taps_name_every_weight_once() {
        let plan = ConvPlan::new(SRCNN).unwrap();
        let mut weights: Vec<i32> = plan.taps.iter().map(|tap| tap.weight).collect();
        weights.sort_unstable();
        assert!(weights.into_iter().eq(0..64 * 25));
        // The last step of the gradient by the input meets the first weight of the last output channel,
        // in planes of 33 + 4 + 4 rows and columns.
        let last = plan.input_taps.last().unwrap();
        assert_eq!(
            (last.weight, last.offset),
            (31 * 1600, 31 * 41 * 41 + 4 * 41 + 4)
        );
    }

    #[test]
    fn everything_gathered_lies_within_the_border() {
        for (stride, replicate) in [(1, true), (2, false), (3, true)] {
            let conv = Conv {
                stride,
                replicate,
                images: 2,
                ..SRCNN
            };
            let plan = ConvPlan::new(conv).unwrap();
            let reach = |taps: &[Tap]| taps.iter().map(|tap| tap.offset).max().unwrap();
            let first = plan.outputs.iter().map(|output| output[0]).max().unwrap();
            let last = (first + reach(&plan.taps)) as usize;
            assert!(last < plan.border.outer_len());
            let dout = plan.dout_border;
            let [height, width] = conv.din_size();
            let area = dout.outer_height * dout.outer_width;
            let first = area * conv.out_channels + (height - 1) * dout.outer_width + width - 1;
            assert_eq!(
                (first + reach(&plan.input_taps)) as usize,
                dout.outer_len() - 1
            );
            let places: Vec<i32> = plan.outputs.iter().map(|output| output[1]).collect();
            let area = conv.out_height() * conv.out_width();
            let last = 32 * area + area - 1;
            assert_eq!((places[0], *places.last().unwrap()), (0, last));
        }
    }

    #[test]
    fn crops_stay_inside_their_images() {
        let crop = Crop {
            first: 10,
            row: 20,
            plane: 400,
            symmetry: 7,
        };
        // 10 + 400 + 4 * 20 + 5
        assert!(crop.fits(2, 5, 495) && !crop.fits(2, 5, 494));
        assert!(!Crop { first: -1, ..crop }.fits(1, 1, 1000));
        assert!(
            !Crop {
                symmetry: 8,
                ..crop
            }
            .fits(1, 1, 1000)
        );
    }

    #[test]
    fn impossible_shapes_have_no_plan() {
        for conv in [
            Conv { images: 0, ..SRCNN },
            Conv { kernel: 4, ..SRCNN },
            Conv { stride: 0, ..SRCNN },
            Conv {
                width: i32::MAX,
                ..SRCNN
            },
            Conv {
                images: 1 << 20,
                ..SRCNN
            },
        ] {
            assert_eq!(ConvPlan::new(conv), None);
        }
    }
}
