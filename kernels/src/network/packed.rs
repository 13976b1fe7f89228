//! Convolutions of many channels from packed factors: rounded, channels innermost (`cu/packed.cuh`).

use super::convolution::{Border, Conv, ConvPlan};
use super::{Gather, Kind, Phase, Product, fits, product};
use crate::parameters::Bytes;

/// The fewest channels of input and output that packing pays for: half a tile of either.
const LEAST_CHANNELS: i32 = 32;

/// The most taps of a kernel, which a block transposes at a time.
const MOST_TAPS: i32 = 49;

/// Words of a step.
const STEP: i32 = 16;

/// Channels of a tile of the gradient by weights, and of a block that packs.
const TILE: i32 = 128;
const BLOCK_CHANNELS: i32 = 32;

/// How planes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    images: i32,
    channels: i32,
    words: i32,
    width: i32,
    area: i32,
    outer_width: i32,
    outer_area: i32,
    first: i32,
}

impl Packing {
    fn new(images: i32, channels: i32, border: &Border, factors_of_word: i32) -> Option<Self> {
        let packing = Self {
            images,
            channels,
            words: words(channels, factors_of_word),
            width: border.width,
            area: border.width * border.height,
            outer_width: border.outer_width,
            outer_area: border.outer_width * border.outer_height,
            first: border.before * (border.outer_width + 1),
        };
        fits(&[images, packing.outer_area, packing.words].map(|n| n as usize))?;
        Some(packing)
    }

    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 28] {
        let mut out = Bytes::new();
        for field in [
            self.channels,
            self.words,
            self.width,
            self.area,
            self.outer_width,
            self.outer_area,
            self.first,
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }

    /// Samples of the planes.
    pub fn planar_len(&self) -> usize {
        self.images as usize * self.channels as usize * self.area as usize
    }

    /// Words that they are packed into, which have to be 0 before.
    pub fn packed_len(&self) -> usize {
        self.images as usize * self.outer_area as usize * self.words as usize
    }

    /// Blocks of samples, of channels, images.
    pub fn grid(&self) -> [u32; 3] {
        let [samples, channels] = [self.area, self.channels].map(|n| blocks(n, BLOCK_CHANNELS));
        [samples, channels, self.images as u32]
    }
}

/// How weights are packed: for each tap lines of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightPacking {
    /// Rows times columns of a kernel.
    pub taps: i32,
    /// Lines of a tap.
    pub lines: i32,
    /// Factors of a line.
    pub across: i32,
    /// Words of a line.
    pub words: i32,
    /// Among the weights, from line to line.
    pub line_pitch: i32,
    /// From factor to factor of a line.
    pub across_pitch: i32,
}

impl WeightPacking {
    /// Weights.
    pub fn planar_len(&self) -> usize {
        [self.taps, self.lines, self.across]
            .iter()
            .map(|&n| n as usize)
            .product()
    }

    /// Words that they are packed into.
    pub fn packed_len(&self) -> usize {
        [self.taps, self.lines, self.words]
            .iter()
            .map(|&n| n as usize)
            .product()
    }

    /// Blocks of words, lines.
    pub fn grid(&self) -> [u32; 3] {
        [blocks(self.across, BLOCK_CHANNELS), self.lines as u32, 1]
    }
}

/// The gradient by weights, from packed input and output's gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedWeight {
    in_channels: i32,
    in_words: i32,
    out_channels: i32,
    out_words: i32,
    kernel: i32,
    in_width: i32,
    of_part: i32,
    /// For each output the first sample that it saw and its own place, both with borders.
    pub outputs: Vec<[i32; 2]>,
    /// Parts of the outputs.
    pub parts: i32,
}

impl PackedWeight {
    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut out = Bytes::new();
        for field in [
            self.outputs.len() as i32,
            self.of_part,
            self.out_channels,
            self.out_words,
            self.in_channels,
            self.in_words,
            self.kernel,
            self.in_width,
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }

    /// Rows times columns of a kernel.
    pub fn taps(&self) -> i32 {
        self.kernel * self.kernel
    }

    /// Channels of the input.
    pub fn in_channels(&self) -> i32 {
        self.in_channels
    }

    /// Weights.
    pub fn len(&self) -> usize {
        [self.out_channels, self.in_channels, self.taps()]
            .iter()
            .map(|&n| n as usize)
            .product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of all parts.
    pub fn parts_len(&self) -> usize {
        self.len() * self.parts as usize
    }

    /// Blocks of channels, taps, parts.
    pub fn grid(&self) -> [u32; 3] {
        let tiles = blocks(self.out_channels, TILE) * blocks(self.in_channels, TILE);
        [tiles, self.taps() as u32, self.parts as u32]
    }

    /// The same of `add_weight_parts`: blocks of input channels, output channels.
    pub fn sum_grid(&self) -> [u32; 3] {
        let across = blocks(self.in_channels, BLOCK_CHANNELS);
        [across, self.out_channels as u32, 1]
    }
}

/// What a convolution takes whose factors are packed, in place of what [`ConvPlan`] has under the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedPlan {
    /// Of the input.
    pub input: Packing,
    /// Of the output's gradient.
    pub dout: Packing,
    /// Of the weights for `down`.
    pub down_weights: WeightPacking,
    /// Of the weights for `up`.
    pub up_weights: WeightPacking,
    /// From the packed input to the output.
    pub down: Product,
    /// From the packed output's side to the input's.
    pub up: Product,
    /// The gradient by the weights.
    pub weight: PackedWeight,
}

impl PackedPlan {
    /// The same convolution as `plan`'s, with `factors_of_word` factors in a word; `None` where packing does not
    /// pay (few channels), a kernel is large, the border repeats samples, or a packed tensor would be 2^31
    /// words.
    pub fn new(plan: &ConvPlan, factors_of_word: i32) -> Option<Self> {
        let conv = plan.conv;
        let taps = conv.kernel * conv.kernel;
        let (ins, outs) = (conv.in_channels, conv.out_channels);
        if conv.replicate || taps > MOST_TAPS || ins.min(outs) < LEAST_CHANNELS {
            return None;
        }
        // Blocks are counted in 16 bits along these axes.
        if [conv.images, ins, outs].iter().any(|&n| n >= 1 << 16) {
            return None;
        }
        let input = Packing::new(conv.images, ins, &plan.border, factors_of_word)?;
        let dout = Packing::new(conv.images, outs, &plan.dout_border, factors_of_word)?;
        let down_weights = WeightPacking {
            taps,
            lines: outs,
            across: ins,
            words: input.words,
            line_pitch: ins * taps,
            across_pitch: taps,
        };
        let up_weights = WeightPacking {
            lines: ins,
            across: outs,
            words: dout.words,
            line_pitch: taps,
            across_pitch: ins * taps,
            ..down_weights
        };
        fits(&[taps, outs, input.words].map(|n| n as usize))?;
        fits(&[taps, ins, dout.words].map(|n| n as usize))?;
        let product = |of: &Product, packing: &Packing, weights: &WeightPacking| {
            packed(of, packing, weights.packed_len())
        };
        Some(Self {
            down: product(&plan.down, &input, &down_weights)?,
            up: product(&plan.up, &dout, &up_weights)?,
            weight: weight(&conv, &input, &dout)?,
            input,
            dout,
            down_weights,
            up_weights,
        })
    }
}

/// Blocks of `of` that `n` take.
fn blocks(n: i32, of: i32) -> u32 {
    (n as u32).div_ceil(of as u32)
}

/// Words of a sample's channels: whole steps.
fn words(channels: i32, factors_of_word: i32) -> i32 {
    let step = STEP * factors_of_word;
    (channels + step - 1) / step * STEP
}

/// The same product of packed factors: of each phase the steps of the first channel, each of them as many as a
/// sample has steps of words.
fn packed(of: &Product, packing: &Packing, weights: usize) -> Option<Product> {
    let mut taps = Vec::new();
    let phases = of.phases.iter().map(|phase| {
        let steps = phase.depth / packing.channels;
        let first = taps.len() as i32;
        let begin = phase.first as usize;
        taps.extend(of.taps[begin..begin + steps as usize].iter().copied());
        Phase {
            first,
            depth: steps * (packing.words / STEP),
            ..*phase
        }
    });
    let phases: Vec<Phase> = phases.collect();
    let gather = Gather {
        in_image: packing.outer_area,
        pitch: packing.words,
        ..of.gather
    };
    Product::new(
        Kind::Packed,
        gather,
        phases,
        taps,
        [packing.packed_len(), weights],
    )
}

fn weight(conv: &Conv, input: &Packing, dout: &Packing) -> Option<PackedWeight> {
    let (width, area) = (dout.width, dout.area);
    let outputs = (0..conv.images * area).map(|output| {
        let (image, pixel) = (output / area, output % area);
        let (row, column) = (pixel / width, pixel % width);
        let saw = conv.stride * (row * input.outer_width + column);
        [
            image * input.outer_area + saw,
            image * dout.outer_area + row * dout.outer_width + column + dout.first,
        ]
    });
    let outputs: Vec<[i32; 2]> = outputs.collect();
    let mut weight = PackedWeight {
        in_channels: conv.in_channels,
        in_words: input.words,
        out_channels: conv.out_channels,
        out_words: dout.words,
        kernel: conv.kernel,
        in_width: input.outer_width,
        of_part: 0,
        parts: 1,
        outputs,
    };
    let [blocks, taps, _] = weight.grid().map(|n| n as usize);
    let parts = (product::ENOUGH_BLOCKS / (blocks * taps)).max(1);
    // Whole steps in either precision.
    let of_part = weight.outputs.len().div_ceil(parts).next_multiple_of(32);
    weight.of_part = of_part as i32;
    weight.parts = weight.outputs.len().div_ceil(of_part) as i32;
    fits(&[weight.len(), weight.parts as usize])?;
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Activation;

    /// The autoencoder's middle convolution.
    const PAPER: Conv = Conv {
        images: 32,
        in_channels: 128,
        out_channels: 256,
        height: 48,
        width: 48,
        kernel: 5,
        stride: 2,
        replicate: false,
        transposed: false,
        activation: Activation::Relu,
    };

    fn packed_plan(conv: Conv, factors_of_word: i32) -> Option<PackedPlan> {
        PackedPlan::new(&ConvPlan::new(conv).unwrap(), factors_of_word)
    }

    #[test]
    fn all_products_are_made_and_none_with_a_zero_between() {
        for (factors, channels) in [(1, 16), (2, 32)] {
            let plan = packed_plan(PAPER, factors).unwrap();
            let depth = |product: &Product| -> Vec<i32> {
                product.phases.iter().map(|phase| phase.depth).collect()
            };
            assert_eq!(depth(&plan.down), [25 * 128 / channels]);
            // Of 5 x 5 taps 3 x 3, 3 x 2, 2 x 3 and 2 x 2.
            assert_eq!(
                depth(&plan.up),
                [9, 6, 6, 4].map(|taps| taps * 256 / channels)
            );
            let weight = plan.weight;
            assert_eq!(weight.grid(), [2, 25, 10]);
            assert!(weight.of_part * weight.parts >= 32 * 24 * 24);
        }
    }

    #[test]
    fn everything_taken_lies_within_the_border() {
        for (height, kernel, stride) in [(48, 5, 2), (7, 3, 1), (9, 5, 3)] {
            let conv = Conv {
                height,
                kernel,
                stride,
                ..PAPER
            };
            let plan = packed_plan(conv, 2).unwrap();
            for (product, packing) in [(&plan.down, &plan.input), (&plan.up, &plan.dout)] {
                let Gather {
                    images,
                    in_image,
                    in_width,
                    stride,
                    ..
                } = product.gather;
                for phase in &product.phases {
                    let taps = phase.depth / (packing.words / STEP);
                    for tap in &product.taps[phase.first as usize..][..taps as usize] {
                        assert!((0..kernel * kernel).contains(&tap.weight));
                        let row = (phase.height - 1) * stride * in_width;
                        let last = row + (phase.width - 1) * stride + tap.offset;
                        assert!(tap.offset >= 0 && last < in_image);
                    }
                }
                assert_eq!(
                    images * in_image * packing.words,
                    packing.packed_len() as i32
                );
            }
            let reach = (kernel - 1) * (plan.input.outer_width + 1);
            let [saw, place] = plan.weight.outputs.last().unwrap();
            assert!(((saw + reach) * plan.input.words) < plan.input.packed_len() as i32);
            assert!((place * plan.dout.words) < plan.dout.packed_len() as i32);
        }
    }

    #[test]
    fn few_channels_are_not_packed() {
        for conv in [
            Conv {
                in_channels: 31,
                ..PAPER
            },
            Conv {
                replicate: true,
                stride: 1,
                ..PAPER
            },
            Conv { kernel: 9, ..PAPER },
        ] {
            assert_eq!(packed_plan(conv, 2), None);
        }
    }
}
