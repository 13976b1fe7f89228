//! The structures that the general kernels take by value, byte for byte as `cu/windows.cuh`,
//! `cu/pyramid.cuh` and `cu/pool.cu` declare them.

use crate::parameters::{Bytes, Halving, MAX_SCALES, Negative};

/// Distinct taps of the widest window, the centre first.
pub const MAX_TAPS: usize = 17;

/// What a window sees beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Nothing: windows lie inside the image.
    Valid = 0,
    /// The nearest pixel.
    Replicate = 1,
    /// The image mirrored about its outermost pixels.
    Reflect = 2,
}

/// One scale, for `windows_*`, `slopes_*` and `spread_*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeneralScale {
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
    /// Channels of an image.
    pub channels: i32,
    /// What a window sees beyond the image.
    pub border: Border,
    /// Taps on either side of the window's centre.
    pub radius: i32,
    /// Whether the scale's term is luminance times contrast-structure.
    pub coarsest: bool,
    /// Whether a negative term counts as 0.
    pub clamped: bool,
    /// The window, the centre first.
    pub taps: [f32; MAX_TAPS],
    /// C1 for samples scaled to [0, 1].
    pub c1: f32,
    /// C2 for samples scaled to [0, 1].
    pub c2: f32,
    /// Which scale it is.
    pub scale: i32,
    /// Number of scales.
    pub scales: i32,
    /// Weights from one image's mask to the next one's; 0 where one is for all.
    pub mask_image: i64,
}

impl GeneralScale {
    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 128] {
        let mut out = Bytes::new();
        let flags = [self.coarsest.into(), self.clamped.into()];
        let sizes = [self.width, self.height, self.channels];
        let window = [self.border as i32, self.radius];
        for field in sizes.into_iter().chain(window).chain(flags) {
            out.put(field.to_le_bytes());
        }
        for field in self.taps.into_iter().chain([self.c1, self.c2]) {
            out.put(field.to_le_bytes());
        }
        for field in [self.scale, self.scales] {
            out.put(field.to_le_bytes());
        }
        // Rounded taps need not sum to 1, nor their products.
        let arms: f64 = self.taps[1..].iter().map(|tap| f64::from(*tap)).sum();
        let sum = f64::from(self.taps[0]) + 2.0 * arms;
        out.put((1.0 / (sum * sum)).to_le_bytes());
        out.put(self.mask_image.to_le_bytes());
        out.finish()
    }
}

/// A scale and the next one, for `halve` and `spread_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halved {
    /// How the next scale is made.
    pub halving: Halving,
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
    /// Columns of the next scale.
    pub next_width: i32,
    /// Rows of the next scale.
    pub next_height: i32,
}

impl Halved {
    /// As the kernels read it.
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut out = Bytes::new();
        out.put((self.halving as i32).to_le_bytes());
        for field in [self.width, self.height, self.next_width, self.next_height] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}

/// All scales, for `pool`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// Number of scales.
    pub scales: i32,
    /// Channels of an image.
    pub channels: i32,
    /// Whether luminance, contrast and structure have exponents of their own.
    pub apart: bool,
    /// Whether channels have one score together.
    pub joint: bool,
    /// Whether windows have weights.
    pub masked: bool,
    /// What becomes of a negative mean.
    pub negative: Negative,
    /// Tiles of a plane, scale by scale.
    pub tiles: [i32; MAX_SCALES],
    /// Where a scale's sums begin, in tiles.
    pub first: [i64; MAX_SCALES],
    /// Windows of a plane.
    pub windows: [f64; MAX_SCALES],
    /// Exponents; of contrast where terms are apart.
    pub weights: [f64; MAX_SCALES],
    /// Exponents of luminance, where terms are apart.
    pub alpha: [f64; MAX_SCALES],
    /// Exponents of structure, where terms are apart.
    pub gamma: [f64; MAX_SCALES],
    /// White less black.
    pub data_range: f64,
}

impl Pool {
    /// As the kernel reads it.
    pub fn to_bytes(&self) -> [u8; 392] {
        let mut out = Bytes::new();
        let (negative, bound) = self.negative.parts();
        let flags = [self.joint.into(), self.masked.into(), negative];
        for field in [self.apart.into(), self.scales, self.channels]
            .into_iter()
            .chain(flags)
            .chain(self.tiles)
        {
            out.put(field.to_le_bytes());
        }
        for field in self.first {
            out.put(field.to_le_bytes());
        }
        let exponents = self.weights.iter().chain(&self.alpha).chain(&self.gamma);
        for field in self.windows.iter().chain(exponents) {
            out.put(field.to_le_bytes());
        }
        for field in [self.data_range, bound] {
            out.put(field.to_le_bytes());
        }
        out.finish()
    }
}
