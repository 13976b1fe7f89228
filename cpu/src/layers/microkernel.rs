//! Sums of products in registers: the innermost loops of the convolutions, for each instruction set.
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
//! GFLOP/s with AVX-512 and 113 with AVX2, where the `gemm` crate reached 92 to 107. The portable
//! form is over arrays, which the compiler turns into vectors; for wider vectors that is as fast in
//! most sizes and forty times slower in some, so those have intrinsics.
//!
//! Each sum is made in the order of `offsets`, whatever the number of lanes: all instruction sets
//! with fused multiply-add give the same bits.

#![expect(
    unsafe_code,
    reason = "functions for an instruction set are called where it was detected, and load vectors"
)]

/// Vectors of lanes in an interleaved tile.
pub(super) const VECTORS: usize = 2;

/// The largest number of channels in a planar tile.
pub(super) const FEW: usize = 4;

/// An instruction set that this machine has; only [`Isa::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Lanes of the vectors that every target of Rust's has or imitates.
const PORTABLE_LANES: usize = 4;

/// Whether the build's own target fuses a multiplication with an addition; where it does not,
/// `mul_add` would be a slow function.
const PORTABLE_FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Calls with the number of rows and vectors as constants.
macro_rules! for_size {
    ($size:expr, [$($rows:literal)*], $m:ident, $v:ident => $call:block) => {
        match $size {
            $(($rows, 1) => { const $m: usize = $rows; const $v: usize = 1; $call }
              ($rows, 2) => { const $m: usize = $rows; const $v: usize = 2; $call })*
            (rows, vectors) => panic!("a tile of {rows} rows of {vectors} vectors"),
        }
    };
}

/// Likewise with the number of channels and vectors of a planar tile.
macro_rules! for_few {
    ($size:expr, $m:ident, $v:ident => $call:block) => {
        for_few!($size, [(1 1)(1 2)(1 3)(1 4)(2 1)(2 2)(2 3)(2 4)(3 1)(3 2)(3 3)(3 4)(4 1)(4 2)(4 3)(4 4)],
            $m, $v => $call)
    };
    ($size:expr, [$(($channels:literal $vectors:literal))*], $m:ident, $v:ident => $call:block) => {
        match $size {
            $(($channels, $vectors) => {
                const $m: usize = $channels;
                const $v: usize = $vectors;
                $call
            })*
            (channels, vectors) => panic!("a tile of {channels} channels of {vectors} vectors"),
        }
    };
}

impl Isa {
    /// The best that this machine has.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self(Set::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self(Set::Avx2);
            }
        }
        Self(Set::Portable)
    }

    /// Every one that this machine has.
    #[cfg(test)]
    fn all() -> Vec<Self> {
        let mut sets = vec![Self(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self(Set::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                sets.push(Self(Set::Avx512));
            }
        }
        sets
    }

    /// Lanes of a vector.
    pub(super) fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => 8,
            Set::Portable => PORTABLE_LANES,
        }
    }

    /// The largest number of rows of an interleaved tile: as many as registers hold.
    pub(super) fn rows(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => 12,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => 6,
            Set::Portable => 6,
        }
    }

    /// `out[m][l] += a[offsets[k] + m] b[k][l]`, where `out` has `rows` rows and rows of `out` and
    /// `b` are one or [`VECTORS`] vectors long.
    ///
    /// # Panics
    /// If there are more rows than [`Isa::rows`], or a slice is too short.
    pub(super) fn interleaved(
        self,
        rows: usize,
        offsets: &[u32],
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
    ) {
        let vectors = out.len() / (rows * self.lanes());
        let size = (rows, vectors);
        match self.0 {
            // SAFETY: the set was detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { x86::avx512::interleaved(size, offsets, a, b, out) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { x86::avx2::interleaved(size, offsets, a, b, out) },
            Set::Portable => {
                for_size!(size, [1 2 3 4 5 6], M, V => {
                    interleaved::<PORTABLE_LANES, PORTABLE_FUSED, M, V>(offsets, a, b, out)
                });
            }
        }
    }

    /// `out[m][x] += b[k][m] a[offsets[k] + x]`, where `out` has `channels` rows of up to four
    /// vectors, `pitch` apart, and rows of `b` are `channels` long.
    ///
    /// # Panics
    /// If there are more than [`FEW`] channels or four vectors, or a slice is too short.
    pub(super) fn planar(
        self,
        [channels, vectors, pitch]: [usize; 3],
        offsets: &[u32],
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
    ) {
        let size = (channels, vectors);
        match self.0 {
            // SAFETY: the set was detected.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { x86::avx512::planar(size, pitch, offsets, a, b, out) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { x86::avx2::planar(size, pitch, offsets, a, b, out) },
            Set::Portable => for_few!(size, M, V => {
                planar::<PORTABLE_LANES, PORTABLE_FUSED, M, V>(pitch, offsets, a, b, out)
            }),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// The kernels with the vectors and intrinsics of an instruction set.
    macro_rules! kernels {
        (
            $features:literal, $vector:ident of $lanes:literal, rows $rows:tt,
            $load:ident, $store:ident, $splat:ident, $fused:ident
        ) => {
            use super::*;

            #[inline]
            #[target_feature(enable = $features)]
            fn load(from: &[f32]) -> $vector {
                let from = &from[..$lanes];
                // SAFETY: the slice has as many elements as the vector, and any alignment will do.
                unsafe { $load(from.as_ptr()) }
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn store(vector: $vector, to: &mut [f32]) {
                let to = &mut to[..$lanes];
                // SAFETY: likewise.
                unsafe { $store(to.as_mut_ptr(), vector) }
            }

            #[target_feature(enable = $features)]
            pub(in super::super) fn interleaved(
                size: (usize, usize),
                offsets: &[u32],
                a: &[f32],
                b: &[f32],
                out: &mut [f32],
            ) {
                for_size!(size, $rows, M, V => { interleaved_of::<M, V>(offsets, a, b, out) });
            }

            #[target_feature(enable = $features)]
            fn interleaved_of<const M: usize, const V: usize>(
                offsets: &[u32],
                a: &[f32],
                b: &[f32],
                out: &mut [f32],
            ) {
                require_interleaved(offsets, b, out, M, V * $lanes);
                let mut sums = [[$splat(0.0); V]; M];
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = load(&out[(m * V + v) * $lanes..]);
                    }
                }
                for (offset, b) in offsets.iter().zip(b.chunks_exact(V * $lanes)) {
                    let a = &a[*offset as usize..][..M];
                    let mut lanes = [$splat(0.0); V];
                    for v in 0..V {
                        lanes[v] = load(&b[v * $lanes..]);
                    }
                    for m in 0..M {
                        let factor = $splat(a[m]);
                        for v in 0..V {
                            sums[m][v] = $fused(factor, lanes[v], sums[m][v]);
                        }
                    }
                }
                for m in 0..M {
                    for v in 0..V {
                        store(sums[m][v], &mut out[(m * V + v) * $lanes..]);
                    }
                }
            }

            #[target_feature(enable = $features)]
            pub(in super::super) fn planar(
                size: (usize, usize),
                pitch: usize,
                offsets: &[u32],
                a: &[f32],
                b: &[f32],
                out: &mut [f32],
            ) {
                for_few!(size, M, V => { planar_of::<M, V>(pitch, offsets, a, b, out) });
            }

            #[target_feature(enable = $features)]
            fn planar_of<const M: usize, const V: usize>(
                pitch: usize,
                offsets: &[u32],
                a: &[f32],
                b: &[f32],
                out: &mut [f32],
            ) {
                assert!(b.len() == offsets.len() * M, "rows of another length");
                let mut sums = [[$splat(0.0); V]; M];
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = load(&out[m * pitch + v * $lanes..]);
                    }
                }
                for (offset, b) in offsets.iter().zip(b.chunks_exact(M)) {
                    let a = &a[*offset as usize..][..V * $lanes];
                    for v in 0..V {
                        let lanes = load(&a[v * $lanes..]);
                        for m in 0..M {
                            sums[m][v] = $fused($splat(b[m]), lanes, sums[m][v]);
                        }
                    }
                }
                for m in 0..M {
                    for v in 0..V {
                        store(sums[m][v], &mut out[m * pitch + v * $lanes..]);
                    }
                }
            }
        };
    }

    pub(super) mod avx512 {
        kernels!(
            "avx512f", __m512 of 16, rows [1 2 3 4 5 6 7 8 9 10 11 12],
            _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps
        );
    }

    pub(super) mod avx2 {
        kernels!(
            "avx2,fma", __m256 of 8, rows [1 2 3 4 5 6],
            _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps
        );
    }

    use super::require_interleaved;
}

fn require_interleaved(offsets: &[u32], b: &[f32], out: &[f32], rows: usize, lanes: usize) {
    assert!(
        b.len() == offsets.len() * lanes && out.len() == rows * lanes,
        "rows of another length"
    );
}

/// A vector of the portable form.
type Lanes<const N: usize> = [f32; N];

#[inline(always)]
fn load<const N: usize>(from: &[f32]) -> Lanes<N> {
    let mut lanes = [0.0; N];
    lanes.copy_from_slice(&from[..N]);
    lanes
}

#[inline(always)]
fn add_product<const N: usize, const FUSED: bool>(
    sum: &mut Lanes<N>,
    factor: f32,
    lanes: &Lanes<N>,
) {
    let mut i = 0;
    while i < N {
        sum[i] = if FUSED {
            factor.mul_add(lanes[i], sum[i])
        } else {
            sum[i] + factor * lanes[i]
        };
        i += 1;
    }
}

#[inline(always)]
fn interleaved<const N: usize, const FUSED: bool, const M: usize, const V: usize>(
    offsets: &[u32],
    a: &[f32],
    b: &[f32],
    out: &mut [f32],
) {
    require_interleaved(offsets, b, out, M, V * N);
    let mut sums = [[[0.0; N]; V]; M];
    for m in 0..M {
        for v in 0..V {
            sums[m][v] = load(&out[(m * V + v) * N..]);
        }
    }
    for (offset, b) in offsets.iter().zip(b.chunks_exact(V * N)) {
        let a = &a[*offset as usize..][..M];
        let mut lanes = [[0.0; N]; V];
        for v in 0..V {
            lanes[v] = load(&b[v * N..]);
        }
        for m in 0..M {
            for v in 0..V {
                add_product::<N, FUSED>(&mut sums[m][v], a[m], &lanes[v]);
            }
        }
    }
    for m in 0..M {
        for v in 0..V {
            out[(m * V + v) * N..][..N].copy_from_slice(&sums[m][v]);
        }
    }
}

#[inline(always)]
fn planar<const N: usize, const FUSED: bool, const M: usize, const V: usize>(
    pitch: usize,
    offsets: &[u32],
    a: &[f32],
    b: &[f32],
    out: &mut [f32],
) {
    assert!(b.len() == offsets.len() * M, "rows of another length");
    let mut sums = [[[0.0; N]; V]; M];
    for m in 0..M {
        for v in 0..V {
            sums[m][v] = load(&out[m * pitch + v * N..]);
        }
    }
    for (offset, b) in offsets.iter().zip(b.chunks_exact(M)) {
        let a = &a[*offset as usize..][..V * N];
        for v in 0..V {
            let lanes = load::<N>(&a[v * N..]);
            for m in 0..M {
                add_product::<N, FUSED>(&mut sums[m][v], b[m], &lanes);
            }
        }
    }
    for m in 0..M {
        for v in 0..V {
            out[m * pitch + v * N..][..N].copy_from_slice(&sums[m][v]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: [u32; 5] = [3, 0, 7, 7, 1];

    fn ramp(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i * 37 % 29) as f32 - 14.0).collect()
    }

    /// Small whole numbers: every order of summation is exact.
    #[test]
    fn interleaved_tiles_are_their_definition() {
        for isa in Isa::all() {
            for (rows, vectors) in (1..=isa.rows()).flat_map(|rows| [(rows, 1), (rows, 2)]) {
                let width = vectors * isa.lanes();
                let (a, b) = (ramp(7 + rows), ramp(OFFSETS.len() * width));
                let mut out = ramp(rows * width);
                let mut expected = out.clone();
                for (k, offset) in OFFSETS.iter().enumerate() {
                    for (at, out) in expected.iter_mut().enumerate() {
                        *out += a[*offset as usize + at / width] * b[k * width + at % width];
                    }
                }
                isa.interleaved(rows, &OFFSETS, &a, &b, &mut out);
                assert_eq!(out, expected, "{isa:?}, {rows} rows of {vectors}");
            }
        }
    }

    #[test]
    fn planar_tiles_are_their_definition() {
        for isa in Isa::all() {
            for (channels, vectors) in (1..=FEW).flat_map(|m| (1..=4).map(move |v| (m, v))) {
                let width = vectors * isa.lanes();
                let pitch = width + 3;
                let (a, b) = (ramp(7 + width), ramp(OFFSETS.len() * channels));
                let mut out = ramp(channels * pitch);
                let mut expected = out.clone();
                for (k, offset) in OFFSETS.iter().enumerate() {
                    for (m, x) in (0..channels).flat_map(|m| (0..width).map(move |x| (m, x))) {
                        expected[m * pitch + x] += b[k * channels + m] * a[*offset as usize + x];
                    }
                }
                isa.planar([channels, vectors, pitch], &OFFSETS, &a, &b, &mut out);
                assert_eq!(out, expected, "{isa:?}, {channels} of {vectors}");
            }
        }
    }
}
