//! The vector that every target has, by [`wide`].

use core::ops::{Add, Div, Mul, Sub};

use msssim_core::Real;
use msssim_core::sum::UNITS;
use wide::{f32x4, i32x4};

use super::{Block, Lanes, check_segments};

/// `wide`'s vector of four: SSE2, NEON, wasm's SIMD, or plain numbers, as the target has them.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Portable(f32x4);

vector!(Portable, 4, Add::add, Sub::sub, Mul::mul, Div::div);

impl Portable {
    /// Whether [`Lanes::mul_add`] rounds once.
    pub(crate) const FUSED: bool = cfg!(any(
        all(target_feature = "sse2", target_feature = "fma"),
        all(target_feature = "neon", target_arch = "aarch64")
    ));

    #[inline(always)]
    fn columns(line: &[f32], segment: usize, at: usize) -> [f32x4; 4] {
        let row = |lane: usize| {
            let four = line[lane * segment + at..].first_chunk();
            f32x4::new(*four.expect("checked by the caller"))
        };
        f32x4::transpose([row(0), row(1), row(2), row(3)])
    }
}

impl Real for Portable {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(f32x4::splat(value))
    }

    #[inline(always)]
    fn at_least_zero(self) -> Self {
        self.at_least(Self(f32x4::ZERO))
    }

    #[inline(always)]
    fn within(self, limit: Self) -> Self {
        let value = self.at_least(Self(-limit.0)).0;
        if cfg!(target_feature = "sse2") {
            // `minps`, which gives its second operand where one is NaN.
            Self(limit.0.fast_min(value))
        } else {
            Self(value.simd_gt(limit.0).bitselect(limit.0, value))
        }
    }
}

impl Lanes for Portable {
    const COUNT: usize = 4;

    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        Self(self.0.mul_add(by.0, plus.0))
    }

    #[inline(always)]
    fn mask(self, mask: Self) -> Self {
        Self(self.0 & mask.0)
    }

    #[inline(always)]
    fn at_least(self, floor: Self) -> Self {
        if cfg!(target_feature = "sse2") {
            // `maxps`, which gives its second operand where one is NaN, or both are zeros.
            Self(floor.0.fast_max(self.0))
        } else {
            Self(self.0.simd_lt(floor.0).bitselect(floor.0, self.0))
        }
    }

    #[inline(always)]
    fn zero_where_below(self, of: Self, floor: Self) -> Self {
        Self(of.0.simd_lt(floor.0).bitselect(f32x4::ZERO, self.0))
    }

    #[inline(always)]
    fn rotate_down(self) -> Self {
        let [a, b, c, d] = self.0.to_array();
        Self(f32x4::new([b, c, d, a]))
    }

    #[inline(always)]
    fn rotate_up(self) -> Self {
        let [a, b, c, d] = self.0.to_array();
        Self(f32x4::new([d, a, b, c]))
    }

    #[inline(always)]
    fn gather(line: &[f32], segment: usize, at: usize) -> [Self; 4] {
        check_segments(line.len(), Self::COUNT, segment, at);
        Self::columns(line, segment, at).map(Self)
    }

    #[inline(always)]
    fn gather_bytes(line: &[u8], segment: usize, at: usize) -> [Self; 4] {
        check_segments(line.len(), Self::COUNT, segment, at);
        let word = |lane: usize| {
            let four = line[lane * segment + at..].first_chunk();
            i32::from_le_bytes(*four.expect("checked by the caller"))
        };
        let words = i32x4::new([word(0), word(1), word(2), word(3)]);
        let byte = i32x4::splat(0xFF);
        [
            words & byte,
            (words >> 8) & byte,
            (words >> 16) & byte,
            (words >> 24) & byte,
        ]
        .map(|column| Self(column.round_float()))
    }

    #[inline(always)]
    fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize) {
        check_segments(line.len(), Self::COUNT, segment, at);
        let rows = f32x4::transpose(vectors.map(|vector| vector.0));
        for (lane, row) in rows.into_iter().enumerate() {
            line[lane * segment + at..][..4].copy_from_slice(&row.to_array());
        }
    }

    #[inline(always)]
    fn tally(self, sums: [Self; 2]) -> [Self; 2] {
        let units = (self.0 * f32x4::splat(UNITS)).fast_trunc_int();
        let sum: i32x4 = bytemuck::cast(sums[0].0);
        [Self(bytemuck::cast(sum + units)), sums[1] + self]
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        Self(f32x4::new([from[0], from[1], from[2], from[3]]))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..4].copy_from_slice(&self.0.to_array());
    }

    #[inline(always)]
    fn vectors(memory: &mut [Block]) -> &mut [Self] {
        Self::of_memory(memory)
    }
}
