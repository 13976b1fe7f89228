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

    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 44] {
        let mut out = Bytes::new();
        let shape = [self.images, self.in_channels, self.out_channels];
        let sides = [self.height, self.width, self.out_height(), self.out_width()];
        let rest = [
            self.kernel,
            self.stride,
            self.replicate.into(),
            self.relu.into(),
        ];
        for field in shape.into_iter().chain(sides).chain(rest) {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// One step along the depth of a convolution's product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Where the plane begins in an image of the tensor that is gathered.
    pub plane: i32,
    /// Row of the kernel.
    pub row: i32,
    /// Column of the kernel.
    pub column: i32,
    /// Place among a channel's weights.
    pub weight: i32,
}

impl Tap {
    /// As the kernels read it.
    pub fn to_array(self) -> [i32; 4] {
        [self.plane, self.row, self.column, self.weight]
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
    /// Samples of the larger gradient that `fold` reads; 0 where zeros lie beyond the image.
    pub larger: usize,
    /// The grid of `fold`, whose block has 256 threads.
    pub fold_grid: [u32; 3],
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
    /// or a launch would be too large (2^31 elements, 65535 planes or rows).
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
        if positive.iter().any(|&n| n < 1) || conv.kernel % 2 == 0 || conv.height > 65535 {
            return None;
        }
        let size = |n: i32| n as usize;
        let fits = |factors: &[usize]| {
            let product = factors.iter().try_fold(1usize, |a, b| a.checked_mul(*b));
            product.filter(|&n| n < 1 << 31)
        };
        let (images, ins, outs) = (
            size(conv.images),
            size(conv.in_channels),
            size(conv.out_channels),
        );
        let kernel = size(conv.kernel);
        let out_area = fits(&[size(conv.out_height()), size(conv.out_width())])?;
        let outputs = fits(&[images, out_area])?;
        let beyond = if conv.replicate { kernel - 1 } else { 0 };
        let in_area = fits(&[
            size(conv.height).checked_add(beyond)?,
            size(conv.width).checked_add(beyond)?,
        ])?;
        let samples = fits(&[images, in_area])?;
        fits(&[outputs, outs])?;
        let larger = fits(&[samples, ins])?;
        let weights = fits(&[ins, kernel, kernel])?;
        fits(&[outs, kernel, kernel])?;
        let planes = fits(&[images, ins]).filter(|&n| n <= 65535)?;

        let taps = |channels: usize, area: usize, weight: &dyn Fn(usize, usize) -> usize| {
            let tap = |at: usize| Tap {
                plane: (at / (kernel * kernel) * area) as i32,
                row: (at / kernel % kernel) as i32,
                column: (at % kernel) as i32,
                weight: weight(at / (kernel * kernel), at % (kernel * kernel)) as i32,
            };
            (0..channels * kernel * kernel).map(tap).collect::<Vec<_>>()
        };
        // The samples of an image whose border is not extended.
        let plane = size(conv.height) * size(conv.width);
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
        Some(Self {
            conv,
            taps: taps(ins, plane, &|channel, at| channel * kernel * kernel + at),
            // A weight's place for input channel 0: channels are a kernel's area apart.
            input_taps: taps(outs, out_area, &|channel, at| channel * weights + at),
            forward: launch(outputs, outs, 1),
            input: launch(samples, ins, 1),
            larger: if conv.replicate { larger } else { 0 },
            fold_grid: [
                size(conv.width).div_ceil(256) as u32,
                conv.height as u32,
                planes as u32,
            ],
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
        let last = plan.input_taps.last().unwrap();
        assert_eq!((last.weight, last.row, last.column), (31 * 1600 + 24, 4, 4));
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
