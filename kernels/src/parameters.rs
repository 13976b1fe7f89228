//! The structures that kernels take by value, byte for byte as `cu/*.cu` declares them.

/// The largest number of scales.
pub const MAX_SCALES: usize = 8;

/// Distinct taps of the symmetric 11-tap window, the centre first.
pub const TAPS: usize = 6;

/// Collects the fields of a structure in C's layout.
pub(crate) struct Bytes<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Bytes<N> {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; N],
            at: 0,
        }
    }

    /// Appends a field, aligned to its size.
    pub(crate) fn put<const B: usize>(&mut self, field: [u8; B]) {
        self.at = self.at.next_multiple_of(B);
        self.bytes[self.at..][..B].copy_from_slice(&field);
        self.at += B;
    }

    pub(crate) fn finish(self) -> [u8; N] {
        debug_assert_eq!(
            self.at.next_multiple_of(8).max(self.at),
            N.next_multiple_of(8)
        );
        self.bytes
    }
}

/// Where a batch of images lies in device memory. Strides count samples, so that any order of
/// channels, rows and columns fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Device address of the first sample.
    pub samples: u64,
    /// From one image to the next.
    pub image: i64,
    /// From one channel to the next.
    pub channel: i64,
    /// From one row to the next.
    pub row: i64,
    /// From one column to the next.
    pub column: i64,
}

impl Image {
    /// Images without gaps, channel after channel.
    pub fn planar(samples: u64, channels: usize, height: usize, width: usize) -> Self {
        Self {
            samples,
            image: (channels * height * width) as i64,
            channel: (height * width) as i64,
            row: width as i64,
            column: 1,
        }
    }

    /// Images without gaps, the channels of a pixel side by side.
    pub fn interleaved(samples: u64, channels: usize, height: usize, width: usize) -> Self {
        Self {
            samples,
            image: (channels * height * width) as i64,
            channel: 1,
            row: (channels * width) as i64,
            column: channels as i64,
        }
    }

    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut out = Bytes::new();
        out.put(self.samples.to_le_bytes());
        for stride in [self.image, self.channel, self.row, self.column] {
            out.put(stride.to_le_bytes());
        }
        out.finish()
    }
}

/// How the next scale is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halving {
    /// Means of 2 x 2. Rounds up; the last row or column is averaged with its own mirror image.
    Symmetric = 0,
    /// The same; rounds up; zeros before the first row or column take part in the means.
    Zero = 1,
    /// The same; rounds down; the last row or column is dropped.
    Floor = 2,
    /// The same; if either side is odd, the first row and column are repeated; then rounds down.
    ReplicateFirst = 3,
    /// The low-pass filter of the 9/7 wavelets, and every second sample. Rounds up.
    LowPass97 = 4,
    /// Not at all.
    Keep = 5,
}

impl Halving {
    /// The side of the next scale.
    pub fn halved(self, side: usize) -> usize {
        match self {
            Self::Symmetric | Self::Zero | Self::ReplicateFirst | Self::LowPass97 => {
                side.div_ceil(2)
            }
            Self::Floor => side / 2,
            Self::Keep => side,
        }
    }
}

/// What becomes of a negative term, whose power is not real.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Negative {
    /// A negative mean counts as 0.
    Zero,
    /// A negative term counts as 0 before the mean.
    ZeroMap,
    /// `sign(t) |t|^w`
    Signed,
    /// `|t|^w`
    Magnitude,
    /// `((1 + t) / 2)^w`
    Shifted,
    /// `max(t, bound)^w`
    LowerBound(f64),
}

impl Negative {
    /// The rule's number in `cu/power.cuh`, and the bound.
    pub(crate) fn parts(self) -> (i32, f64) {
        match self {
            Self::Zero => (0, 0.0),
            Self::ZeroMap => (1, 0.0),
            Self::Signed => (2, 0.0),
            Self::Magnitude => (3, 0.0),
            Self::Shifted => (4, 0.0),
            Self::LowerBound(bound) => (5, bound),
        }
    }
}

/// One scale, for `statistics_*` and `gradient_*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
    /// Channels of an image.
    pub channels: i32,
    /// Rows of a block's strip, a multiple of 8.
    pub rows: i32,
    /// How an odd side is halved.
    pub halving: Halving,
    /// Whether windows lie inside the image; otherwise they see the nearest pixel beyond it.
    pub valid: bool,
    /// Whether the scale's term is luminance times contrast-structure.
    pub coarsest: bool,
    /// The window, the centre first; the eleven taps sum to 1.
    pub taps: [f32; TAPS],
    /// C1 for samples scaled to [0, 1].
    pub c1: f32,
    /// C2 for samples scaled to [0, 1].
    pub c2: f32,
    /// 1 / data range.
    pub sample_scale: f32,
    /// Samples beyond this count as this.
    pub limit: f32,
}

impl Scale {
    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 68] {
        let mut out = Bytes::new();
        let flags = [self.halving as i32, self.valid.into(), self.coarsest.into()];
        for field in [self.width, self.height, self.channels, self.rows] {
            out.put(field.to_le_bytes());
        }
        for field in flags {
            out.put(field.to_le_bytes());
        }
        for field in self.taps {
            out.put(field.to_le_bytes());
        }
        for field in [self.c1, self.c2, self.sample_scale, self.limit] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// All scales, for `combine`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combine {
    /// Number of scales.
    pub scales: i32,
    /// Channels of an image.
    pub channels: i32,
    /// What becomes of a negative mean.
    pub negative: Negative,
    /// Sums of a plane, scale by scale.
    pub partials: [i32; MAX_SCALES],
    /// Where a scale's sums begin, in pairs of doubles.
    pub first: [i64; MAX_SCALES],
    /// Windows of a plane.
    pub windows: [f64; MAX_SCALES],
    /// Exponents.
    pub weights: [f64; MAX_SCALES],
    /// White less black.
    pub data_range: f64,
}

impl Combine {
    /// As the kernel reads it.
    pub fn to_bytes(&self) -> [u8; 256] {
        let mut out = Bytes::new();
        let (negative, bound) = self.negative.parts();
        for field in [self.scales, self.channels, negative] {
            out.put(field.to_le_bytes());
        }
        for field in self.partials {
            out.put(field.to_le_bytes());
        }
        for field in self.first {
            out.put(field.to_le_bytes());
        }
        for field in self.windows.iter().chain(&self.weights) {
            out.put(field.to_le_bytes());
        }
        out.put(self.data_range.to_le_bytes());
        out.put(bound.to_le_bytes());
        out.finish()
    }
}

/// The pyramid, for `finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Channels of an image.
    pub channels: i32,
    /// Number of scales.
    pub scales: i32,
    /// How an odd side is halved.
    pub halving: Halving,
    /// Columns, scale by scale.
    pub width: [i32; MAX_SCALES],
    /// Rows, scale by scale.
    pub height: [i32; MAX_SCALES],
    /// Where a coarser scale's gradients begin, in samples; the first is not used.
    pub first: [i64; MAX_SCALES],
}

impl Finish {
    /// As the kernel reads it.
    pub fn to_bytes(&self) -> [u8; 144] {
        let mut out = Bytes::new();
        for field in [self.channels, self.scales, self.halving as i32] {
            out.put(field.to_le_bytes());
        }
        for field in self.width.iter().chain(&self.height) {
            out.put(field.to_le_bytes());
        }
        for field in self.first {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// One scale of the product pixel by pixel, for `rise`, `total` and `descend`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product {
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
    /// Columns of the next scale.
    pub next_width: i32,
    /// Rows of the next scale.
    pub next_height: i32,
    /// Whether the next scale is half as large; otherwise it has the same size.
    pub halves: bool,
    /// What becomes of a negative term.
    pub negative: Negative,
    /// Exponent.
    pub weight: f64,
}

impl Product {
    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut out = Bytes::new();
        let (negative, bound) = self.negative.parts();
        for field in [self.width, self.height, self.next_width, self.next_height] {
            out.put(field.to_le_bytes());
        }
        for field in [self.halves.into(), negative] {
            out.put(field.to_le_bytes());
        }
        for field in [self.weight, bound] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}
