//! Sums of products in registers: the innermost loops of the convolutions, over any vector.
//!
//! Both kernels add to a small tile of sums that stays in registers while they run along `offsets`,
//! one entry for each product that a sum is made of:
//!
//! ```text
//! interleaved:  out[m][l] += a[offsets[k] + m] b[k][l]      lanes are channels
//! planar:       out[m][x] += b[k][m] a[offsets[k] + x]      lanes are columns of the image
//! ```
//!
//! On a Zen 4 core every tile of at least four vectors of sums was measured at the peak of the core, 117
//! GFLOP/s with AVX-512 and 113 with AVX2, where the `gemm` crate reached 92 to 107.
//!
//! Each sum is made in the order of `offsets`, whatever the number of lanes: all instruction sets
//! with fused multiply-add give the same bits.

#![allow(
    clippy::needless_range_loop,
    reason = "plain loops, see `crate::lanes`"
)]

use crate::dispatch::{Task, Token};
use crate::lanes::Lanes;

/// Vectors of lanes in an interleaved tile.
pub(super) const VECTORS: usize = 2;

/// The largest number of channels in a planar tile.
pub(super) const FEW: usize = 4;

/// The most vectors of a planar tile of so many channels: their sums, the samples and a weight are in 16 registers.
pub(super) const fn most_vectors(channels: usize) -> usize {
    match channels {
        1 => 8,
        2 => 5,
        _ => 3,
    }
}

/// Calls with the rows and vectors of a tile as constants.
macro_rules! for_size {
    ($size:expr, [$(($rows:literal $vectors:literal))*], $m:ident, $v:ident => $call:expr) => {
        match $size {
            $(($rows, $vectors) => {
                const $m: usize = $rows;
                const $v: usize = $vectors;
                $call
            })*
            (rows, vectors) => panic!("a tile of {rows} rows of {vectors} vectors"),
        }
    };
}

impl Token {
    /// The largest number of rows of an interleaved tile: as many as registers hold.
    pub(super) fn rows(self) -> usize {
        match self.lanes() {
            16 => 12,
            _ => 6,
        }
    }

    /// `out[m][l] += a[offsets[k] + m] b[k][l]`, where `out` has `rows` rows and rows of `out` and
    /// `b` are one or [`VECTORS`] vectors long.
    ///
    /// # Panics
    /// If there are more than 12 rows, or a slice is too short.
    pub(super) fn interleaved(
        self,
        rows: usize,
        offsets: &[u32],
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
    ) {
        let size = (rows, out.len() / (rows * self.lanes()));
        for_size!(
            size,
            [(1 1)(1 2)(2 1)(2 2)(3 1)(3 2)(4 1)(4 2)(5 1)(5 2)(6 1)(6 2)(7 1)(7 2)(8 1)(8 2)(9 1)(9 2)(10 1)(10 2)(11 1)(11 2)(12 1)(12 2)],
            M, V => self.run(Interleaved::<M, V> { offsets, a, b, out })
        );
    }

    /// `out[m][x] += b[k][m] a[offsets[k] + x]`, where `out` has `channels` rows of up to [`most_vectors`],
    /// `pitch` apart, and rows of `b` are `channels` long.
    ///
    /// # Panics
    /// If there are more than [`FEW`] channels or [`most_vectors`], or a slice is too short.
    pub(super) fn planar(
        self,
        [channels, vectors, pitch]: [usize; 3],
        offsets: &[u32],
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
    ) {
        for_size!(
            (channels, vectors),
            [(1 1)(1 2)(1 3)(1 4)(1 5)(1 6)(1 7)(1 8)(2 1)(2 2)(2 3)(2 4)(2 5)(3 1)(3 2)(3 3)(4 1)(4 2)(4 3)],
            M, V => self.run(Planar::<M, V> { pitch, offsets, a, b, out })
        );
    }
}

struct Interleaved<'a, const M: usize, const V: usize> {
    offsets: &'a [u32],
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl<const M: usize, const V: usize> Task for Interleaved<'_, M, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { offsets, a, b, out } = self;
        assert!(
            b.len() == offsets.len() * V * L::COUNT && out.len() == M * V * L::COUNT,
            "rows of another length"
        );
        let mut sums = [[L::splat(0.0); V]; M];
        for m in 0..M {
            for v in 0..V {
                sums[m][v] = L::load(&out[(m * V + v) * L::COUNT..]);
            }
        }
        for (offset, b) in offsets.iter().zip(b.chunks_exact(V * L::COUNT)) {
            let a = &a[*offset as usize..][..M];
            let mut lanes = [L::splat(0.0); V];
            for v in 0..V {
                lanes[v] = L::load(&b[v * L::COUNT..]);
            }
            for m in 0..M {
                let factor = L::splat(a[m]);
                for v in 0..V {
                    sums[m][v] = factor.mul_add(lanes[v], sums[m][v]);
                }
            }
        }
        for m in 0..M {
            for v in 0..V {
                sums[m][v].store(&mut out[(m * V + v) * L::COUNT..]);
            }
        }
    }
}

struct Planar<'a, const M: usize, const V: usize> {
    pitch: usize,
    offsets: &'a [u32],
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl<const M: usize, const V: usize> Task for Planar<'_, M, V> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self {
            pitch,
            offsets,
            a,
            b,
            out,
        } = self;
        assert!(b.len() == offsets.len() * M, "rows of another length");
        let mut sums = [[L::splat(0.0); V]; M];
        for m in 0..M {
            for v in 0..V {
                sums[m][v] = L::load(&out[m * pitch + v * L::COUNT..]);
            }
        }
        for (offset, b) in offsets.iter().zip(b.chunks_exact(M)) {
            let a = &a[*offset as usize..][..V * L::COUNT];
            let mut lanes = [L::splat(0.0); V];
            for v in 0..V {
                lanes[v] = L::load(&a[v * L::COUNT..]);
            }
            for m in 0..M {
                let factor = L::splat(b[m]);
                for v in 0..V {
                    sums[m][v] = factor.mul_add(lanes[v], sums[m][v]);
                }
            }
        }
        for m in 0..M {
            for v in 0..V {
                sums[m][v].store(&mut out[m * pitch + v * L::COUNT..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Isa;

    fn tokens() -> impl Iterator<Item = Token> {
        Isa::ALL.into_iter().filter_map(|isa| isa.check().ok())
    }

    const OFFSETS: [u32; 5] = [3, 0, 7, 7, 1];

    fn ramp(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i * 37 % 29) as f32 - 14.0).collect()
    }

    /// Small whole numbers: every order of summation is exact.
    #[test]
    fn interleaved_tiles_are_their_definition() {
        for token in tokens() {
            for (rows, vectors) in (1..=token.rows()).flat_map(|rows| [(rows, 1), (rows, 2)]) {
                let width = vectors * token.lanes();
                let (a, b) = (ramp(7 + rows), ramp(OFFSETS.len() * width));
                let mut out = ramp(rows * width);
                let mut expected = out.clone();
                for (k, offset) in OFFSETS.iter().enumerate() {
                    for (at, out) in expected.iter_mut().enumerate() {
                        *out += a[*offset as usize + at / width] * b[k * width + at % width];
                    }
                }
                token.interleaved(rows, &OFFSETS, &a, &b, &mut out);
                assert_eq!(out, expected, "{token:?}, {rows} rows of {vectors}");
            }
        }
    }

    #[test]
    fn planar_tiles_are_their_definition() {
        for token in tokens() {
            let sizes = (1..=FEW).flat_map(|m| (1..=most_vectors(m)).map(move |v| (m, v)));
            for (channels, vectors) in sizes {
                let width = vectors * token.lanes();
                let pitch = width + 3;
                let (a, b) = (ramp(7 + width), ramp(OFFSETS.len() * channels));
                let mut out = ramp(channels * pitch);
                let mut expected = out.clone();
                for (k, offset) in OFFSETS.iter().enumerate() {
                    for (m, x) in (0..channels).flat_map(|m| (0..width).map(move |x| (m, x))) {
                        expected[m * pitch + x] += b[k * channels + m] * a[*offset as usize + x];
                    }
                }
                token.planar([channels, vectors, pitch], &OFFSETS, &a, &b, &mut out);
                assert_eq!(out, expected, "{token:?}, {channels} of {vectors}");
            }
        }
    }
}
