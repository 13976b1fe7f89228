//! A product whose left factor is gathered, as `conv_*`, `dense_*` and `packed_*` compute it.

use super::Activation;
use crate::parameters::Bytes;

/// Threads of a block, and rows of its tile.
const ROWS: usize = 128;

/// Which kernels compute a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `conv_*`: samples and weights by a table of steps.
    Gathered,
    /// `dense_*`: rows and columns lie side by side in memory, `stride` and `pitch` apart.
    Lines,
    /// `packed_*`: both factors are packed, `pitch` words a sample; a phase's depth is in their steps.
    Packed,
}

impl Kind {
    /// Columns of a tile, by variant.
    fn columns(self) -> &'static [usize] {
        match self {
            Self::Gathered | Self::Lines => &[8, 32, 64],
            Self::Packed => &[64, 128],
        }
    }

    /// The least steps of a part, and of what they are a multiple: those that a kernel takes at once.
    fn least_depth(self) -> [usize; 2] {
        match self {
            Self::Gathered | Self::Lines => [128, 16],
            Self::Packed => [8, 1],
        }
    }
}

/// Blocks that keep a large device busy.
pub(super) const ENOUGH_BLOCKS: usize = 512;

/// A product, as the kernels take it. All numbers are of elements; `cu/conv.cuh` says what is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gather {
    /// Images of the result.
    pub images: i32,
    /// Columns: channels of the result.
    pub columns: i32,
    /// From image to image of what is gathered.
    pub in_image: i32,
    /// From row to row of it.
    pub in_width: i32,
    /// Rows and columns of it from one sample of a phase to the next.
    pub stride: i32,
    /// From column to column among the weights.
    pub pitch: i32,
    /// From image to image of the result.
    pub out_image: i32,
    /// From column to column of the result.
    pub out_column: i32,
    /// From row to row of it.
    pub out_width: i32,
    /// Rows and columns of it from one sample of a phase to the next.
    pub apart: i32,
    /// Parts of the depth.
    pub parts: i32,
    /// Steps of a part.
    pub of_part: i32,
    /// Numbers of the result.
    pub len: i32,
    /// Whether a bias belongs to a sample; otherwise to a column.
    pub bias_of_sample: bool,
    /// Done to the sums.
    pub activation: Activation,
}

impl Gather {
    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 60] {
        let mut out = Bytes::new();
        for field in [
            self.images,
            self.columns,
            self.in_image,
            self.in_width,
            self.stride,
            self.pitch,
            self.out_image,
            self.out_column,
            self.out_width,
            self.apart,
            self.parts,
            self.of_part,
            self.len,
            self.bias_of_sample.into(),
            self.activation.code(),
        ] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// Samples of the result whose sums take the same steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Rows of them.
    pub height: i32,
    /// Columns of them.
    pub width: i32,
    /// The first one's row in the result.
    pub row: i32,
    /// Its column.
    pub column: i32,
    /// Its first step in the table.
    pub first: i32,
    /// Its steps.
    pub depth: i32,
}

impl Phase {
    /// As the kernels read it.
    pub fn to_array(self) -> [i32; 6] {
        [
            self.height,
            self.width,
            self.row,
            self.column,
            self.first,
            self.depth,
        ]
    }

    fn samples(&self) -> usize {
        self.height as usize * self.width as usize
    }
}

/// One step along the depth of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Of the sample, from the row's first.
    pub offset: i32,
    /// Of the weight, among those of the first column.
    pub weight: i32,
}

impl Tap {
    /// As the kernels read it.
    pub fn to_array(self) -> [i32; 2] {
        [self.offset, self.weight]
    }
}

/// A launch of one of a kind's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductLaunch {
    /// Which, from that of the narrowest tiles.
    pub variant: usize,
    /// Blocks of rows, blocks of columns, parts of all phases.
    pub grid: [u32; 3],
}

/// A product with its tables and launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The parameter.
    pub gather: Gather,
    /// The phases.
    pub phases: Vec<Phase>,
    /// The steps of all phases.
    pub taps: Vec<Tap>,
    /// Which kernels compute it.
    pub kind: Kind,
    /// The launch.
    pub launch: ProductLaunch,
    /// Numbers of what is gathered, and of the weights.
    pub factors: [usize; 2],
    /// Number `n` of the result has the bias `n / of_bias % biases`.
    pub of_bias: i32,
    /// How many there are.
    pub biases: i32,
}

impl Product {
    /// Divides the depth of `gather`, of which `parts` and `of_part` are not looked at, and shapes the launch.
    /// `None` where the parts of the result would be 2^31 numbers, or tiles or phases 2^16.
    pub(super) fn new(
        kind: Kind,
        mut gather: Gather,
        mut phases: Vec<Phase>,
        taps: Vec<Tap>,
        factors: [usize; 2],
    ) -> Option<Self> {
        // The longest first, so that none of them is what the others wait for.
        phases.sort_by_key(|phase| -phase.depth);
        let [images, columns] = [gather.images, gather.columns].map(|n| n as usize);
        let rows = phases.iter().map(Phase::samples).max()? * images;
        let tiles = kind.columns();
        let variant = tiles.iter().position(|&tile| columns <= tile);
        let variant = variant.unwrap_or(tiles.len() - 1);
        let across = columns.div_ceil(tiles[variant]);
        let blocks: usize = phases
            .iter()
            .map(|phase| (phase.samples() * images).div_ceil(ROWS) * across)
            .sum();
        let depth = phases[0].depth as usize;
        let [least, step] = kind.least_depth();
        let of_part = depth
            .div_ceil((ENOUGH_BLOCKS / blocks).max(1))
            .max(least)
            .next_multiple_of(step);
        let parts = depth.div_ceil(of_part).max(1);
        (gather.parts, gather.of_part) = (parts as i32, of_part as i32);
        super::fits(&[parts, gather.len as usize])?;
        // Blocks are counted in 16 bits along these axes.
        if across.max(parts * phases.len()) >= 1 << 16 {
            return None;
        }
        let of_bias = if gather.bias_of_sample {
            1
        } else {
            gather.out_column
        };
        let biases = if gather.bias_of_sample {
            gather.out_column
        } else {
            gather.columns
        };
        Some(Self {
            launch: ProductLaunch {
                variant,
                grid: [
                    rows.div_ceil(ROWS) as u32,
                    across as u32,
                    (parts * phases.len()) as u32,
                ],
            },
            gather,
            phases,
            taps,
            kind,
            factors,
            of_bias,
            biases,
        })
    }

    /// The same with the layer's activation, and none.
    pub(super) fn with(mut self, activation: Activation) -> Self {
        self.gather.activation = activation;
        self
    }

    /// Numbers that the sums of all parts take; 0 where there is one part.
    pub fn parts_len(&self) -> usize {
        match self.gather.parts {
            1 => 0,
            parts => parts as usize * self.gather.len as usize,
        }
    }
}
