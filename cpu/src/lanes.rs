//! Vectors of `f32` lanes: what the kernels are written over.
//!
//! A vector is a [`Real`], so the formula of `msssim_core` runs on it unchanged; [`Lanes`] adds what moving data
//! needs. [`Portable`] is [`wide`]'s vector of four; [`Avx2`] and [`Avx512`] hold eight and sixteen, and their
//! instructions exist only where [`crate::dispatch`] has looked for them.
//!
//! Every method is `#[inline(always)]`, and the kernels use plain loops: a closure or an iterator adaptor may be
//! compiled as a function of its own, without the instructions that its caller has. On AVX-512 that made a
//! kernel 17 times slower.

#![allow(
    unsafe_code,
    reason = "one of this crate's two addresses of unsafe code: intrinsics, and memory as vectors"
)]

use core::ops::{Add, Div, Mul, Sub};

use msssim_core::Real;
use msssim_core::sum::UNITS;
use wide::{f32x4, f32x16, i32x4};

/// Memory for vectors of any kind: as large as the largest, and aligned so.
pub(crate) type Block = f32x16;

/// A vector of `COUNT` numbers.
pub(crate) trait Lanes: Real {
    /// How many.
    const COUNT: usize;

    /// `self * by + plus`, rounded once in the fused class and twice in the other.
    fn mul_add(self, by: Self, plus: Self) -> Self;

    /// The lanes whose bits are all ones in `mask`; 0 in the others, whose bits are all zeros.
    fn mask(self, mask: Self) -> Self;

    /// 0 where `of` is negative. NaN is not.
    fn zero_where_negative(self, of: Self) -> Self;

    /// Every lane's number in the lane before it, the first's in the last.
    fn rotate_down(self) -> Self;

    /// The opposite of [`Lanes::rotate_down`].
    fn rotate_up(self) -> Self;

    /// Four vectors: lane `j` of vector `i` is `line[j * segment + at + i]`.
    ///
    /// # Panics
    /// If the line is shorter than all lanes' segments, or a segment than `at + 4`.
    fn gather(line: &[f32], segment: usize, at: usize) -> [Self; 4];

    /// The opposite of [`Lanes::gather`].
    ///
    /// # Panics
    /// As [`Lanes::gather`].
    fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize);

    /// Adds terms in [-1, 1] to sums of integers in the units of [`msssim_core::sum`], all but the lower 16 bits of
    /// an integer to `sums[0]` and those to `sums[1]`, so that 2^15 of them fit; `sums[2]` is NaN if any term was.
    fn tally(self, sums: [Self; 3]) -> [Self; 3];

    /// The numbers, and zeros in place of further lanes.
    fn numbers(self) -> [f32; 16];

    /// Memory as vectors.
    fn vectors(memory: &mut [Block]) -> &mut [Self];
}

/// The checks of [`Lanes::gather`] and [`Lanes::scatter`].
#[inline(always)]
fn check_segments(len: usize, count: usize, segment: usize, at: usize) {
    assert!(
        len >= count * segment && at + 4 <= segment,
        "four columns from {at} of segments of {segment} in a line of {len}"
    );
}

/// The operators of a vector and its memory.
macro_rules! vector {
    ($vector:ident, $count:literal, $add:expr, $sub:expr, $mul:expr, $div:expr) => {
        vector!(@ $vector, Add, add, $add);
        vector!(@ $vector, Sub, sub, $sub);
        vector!(@ $vector, Mul, mul, $mul);
        vector!(@ $vector, Div, div, $div);

        impl $vector {
            #[inline(always)]
            fn of_memory(memory: &mut [Block]) -> &mut [Self] {
                let len = memory.len() * (16 / $count);
                // SAFETY: a block is 16 numbers without padding, aligned to 64 bytes; a vector is $count of them, a
                // divisor of 16, aligned to no more than its size; any bits are numbers. The borrow is passed on.
                unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), len) }
            }
        }
    };
    (@ $vector:ident, $trait:ident, $method:ident, $operation:expr) => {
        impl $trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, rhs: Self) -> Self {
                // SAFETY: where this vector's instructions exist, as for all its methods.
                #[allow(unused_unsafe, reason = "the portable vector's are safe")]
                Self(unsafe { $operation(self.0, rhs.0) })
            }
        }
    };
}

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
            let columns = &line[lane * segment + at..][..4];
            f32x4::new([columns[0], columns[1], columns[2], columns[3]])
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
        if cfg!(target_feature = "sse2") {
            // `maxps`, which gives its second operand where one is NaN.
            Self(f32x4::ZERO.fast_max(self.0))
        } else {
            self.zero_where_negative(self)
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
    fn zero_where_negative(self, of: Self) -> Self {
        Self(of.0.simd_lt(f32x4::ZERO).bitselect(f32x4::ZERO, self.0))
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
    fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize) {
        check_segments(line.len(), Self::COUNT, segment, at);
        let rows = f32x4::transpose(vectors.map(|vector| vector.0));
        for (lane, row) in rows.into_iter().enumerate() {
            line[lane * segment + at..][..4].copy_from_slice(&row.to_array());
        }
    }

    #[inline(always)]
    fn tally(self, sums: [Self; 3]) -> [Self; 3] {
        let units = (self.0 * f32x4::splat(UNITS)).fast_trunc_int();
        let add = |sum: Self, units: i32x4| -> Self {
            let sum: i32x4 = bytemuck::cast(sum.0);
            Self(bytemuck::cast(sum + units))
        };
        [
            add(sums[0], units >> 16),
            add(sums[1], units & i32x4::splat(0xFFFF)),
            sums[2] + self,
        ]
    }

    #[inline(always)]
    fn numbers(self) -> [f32; 16] {
        let mut numbers = [0.0; 16];
        numbers[..4].copy_from_slice(&self.0.to_array());
        numbers
    }

    #[inline(always)]
    fn vectors(memory: &mut [Block]) -> &mut [Self] {
        Self::of_memory(memory)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::*;

    /// Eight lanes with AVX2 and FMA.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub(crate) struct Avx2(__m256);

    /// Sixteen lanes with AVX-512 F, VL, DQ and BW.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub(crate) struct Avx512(__m512);

    vector!(
        Avx2,
        8,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps
    );
    vector!(
        Avx512,
        16,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps
    );

    // In what follows the intrinsics without pointers are unsafe only because the instructions may be missing; this
    // module's vectors are used by `crate::dispatch` alone, where they are not.

    impl Real for Avx2 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        #[inline(always)]
        fn at_least_zero(self) -> Self {
            // Gives its second operand where one is NaN.
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm256_max_ps(_mm256_setzero_ps(), self.0) })
        }
    }

    /// Transposes the 4 x 4 numbers in each 128 bits of four vectors.
    macro_rules! transpose {
        ($v:expr, $lo:ident, $hi:ident, $lo_pairs:ident, $hi_pairs:ident, $pairs:ident, $numbers:ident) => {{
            let [a, b, c, d] = $v;
            let (ab, cd) = ($pairs($lo(a, b)), $pairs($lo(c, d)));
            let (ab_high, cd_high) = ($pairs($hi(a, b)), $pairs($hi(c, d)));
            [
                $numbers($lo_pairs(ab, cd)),
                $numbers($hi_pairs(ab, cd)),
                $numbers($lo_pairs(ab_high, cd_high)),
                $numbers($hi_pairs(ab_high, cd_high)),
            ]
        }};
    }

    #[inline(always)]
    unsafe fn transpose_256(v: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: the instructions exist, see above.
        unsafe {
            transpose!(
                v,
                _mm256_unpacklo_ps,
                _mm256_unpackhi_ps,
                _mm256_unpacklo_pd,
                _mm256_unpackhi_pd,
                _mm256_castps_pd,
                _mm256_castpd_ps
            )
        }
    }

    #[inline(always)]
    unsafe fn transpose_512(v: [__m512; 4]) -> [__m512; 4] {
        // SAFETY: the instructions exist, see above.
        unsafe {
            transpose!(
                v,
                _mm512_unpacklo_ps,
                _mm512_unpackhi_ps,
                _mm512_unpacklo_pd,
                _mm512_unpackhi_pd,
                _mm512_castps_pd,
                _mm512_castpd_ps
            )
        }
    }

    impl Lanes for Avx2 {
        const COUNT: usize = 8;

        #[inline(always)]
        fn mul_add(self, by: Self, plus: Self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm256_fmadd_ps(self.0, by.0, plus.0) })
        }

        #[inline(always)]
        fn mask(self, mask: Self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm256_and_ps(self.0, mask.0) })
        }

        #[inline(always)]
        fn zero_where_negative(self, of: Self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe {
                let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(of.0, _mm256_setzero_ps());
                _mm256_andnot_ps(negative, self.0)
            })
        }

        #[inline(always)]
        fn rotate_down(self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe {
                let from = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
                _mm256_permutevar8x32_ps(self.0, from)
            })
        }

        #[inline(always)]
        fn rotate_up(self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe {
                let from = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
                _mm256_permutevar8x32_ps(self.0, from)
            })
        }

        #[inline(always)]
        fn gather(line: &[f32], segment: usize, at: usize) -> [Self; 4] {
            check_segments(line.len(), Self::COUNT, segment, at);
            // SAFETY: the instructions exist, see above; lane `j < 8` reads four numbers from `j * segment + at`, and
            // `at + 4 <= segment`, `8 * segment <= line.len()`.
            unsafe {
                let first = line.as_ptr().add(at);
                macro_rules! rows {
                    ($lane:literal) => {{
                        let low = _mm_loadu_ps(first.add($lane * segment));
                        let high = _mm_loadu_ps(first.add(($lane + 4) * segment));
                        _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
                    }};
                }
                let [a, b, c, d] = transpose_256([rows!(0), rows!(1), rows!(2), rows!(3)]);
                [Self(a), Self(b), Self(c), Self(d)]
            }
        }

        #[inline(always)]
        fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize) {
            check_segments(line.len(), Self::COUNT, segment, at);
            let [a, b, c, d] = vectors;
            // SAFETY: as in `gather`.
            unsafe {
                let rows = transpose_256([a.0, b.0, c.0, d.0]);
                let first = line.as_mut_ptr().add(at);
                macro_rules! store {
                    ($lane:literal) => {
                        let row = rows[$lane];
                        _mm_storeu_ps(first.add($lane * segment), _mm256_castps256_ps128(row));
                        let high = _mm256_extractf128_ps::<1>(row);
                        _mm_storeu_ps(first.add(($lane + 4) * segment), high);
                    };
                }
                store!(0);
                store!(1);
                store!(2);
                store!(3);
            }
        }

        #[inline(always)]
        fn tally(self, sums: [Self; 3]) -> [Self; 3] {
            // SAFETY: the instructions exist, see above.
            unsafe {
                let units = _mm256_cvttps_epi32(_mm256_mul_ps(self.0, _mm256_set1_ps(UNITS)));
                let high = _mm256_srai_epi32::<16>(units);
                let low = _mm256_and_si256(units, _mm256_set1_epi32(0xFFFF));
                let high = _mm256_add_epi32(_mm256_castps_si256(sums[0].0), high);
                let low = _mm256_add_epi32(_mm256_castps_si256(sums[1].0), low);
                [
                    Self(_mm256_castsi256_ps(high)),
                    Self(_mm256_castsi256_ps(low)),
                    sums[2] + self,
                ]
            }
        }

        #[inline(always)]
        fn numbers(self) -> [f32; 16] {
            let mut numbers = [0.0; 16];
            // SAFETY: the instructions exist, see above; there is room for eight numbers.
            unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), self.0) };
            numbers
        }

        #[inline(always)]
        fn vectors(memory: &mut [Block]) -> &mut [Self] {
            Self::of_memory(memory)
        }
    }

    impl Real for Avx512 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        fn at_least_zero(self) -> Self {
            // Gives its second operand where one is NaN.
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
        }
    }

    impl Lanes for Avx512 {
        const COUNT: usize = 16;

        #[inline(always)]
        fn mul_add(self, by: Self, plus: Self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm512_fmadd_ps(self.0, by.0, plus.0) })
        }

        #[inline(always)]
        fn mask(self, mask: Self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe { _mm512_and_ps(self.0, mask.0) })
        }

        #[inline(always)]
        fn zero_where_negative(self, of: Self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe {
                let stays = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(of.0, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(stays, self.0)
            })
        }

        #[inline(always)]
        fn rotate_down(self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe {
                let v = _mm512_castps_si512(self.0);
                _mm512_castsi512_ps(_mm512_alignr_epi32::<1>(v, v))
            })
        }

        #[inline(always)]
        fn rotate_up(self) -> Self {
            // SAFETY: the instructions exist, see above.
            Self(unsafe {
                let v = _mm512_castps_si512(self.0);
                _mm512_castsi512_ps(_mm512_alignr_epi32::<15>(v, v))
            })
        }

        #[inline(always)]
        fn gather(line: &[f32], segment: usize, at: usize) -> [Self; 4] {
            check_segments(line.len(), Self::COUNT, segment, at);
            // SAFETY: the instructions exist, see above; lane `j < 16` reads four numbers from `j * segment + at`, and
            // `at + 4 <= segment`, `16 * segment <= line.len()`.
            unsafe {
                let first = line.as_ptr().add(at);
                macro_rules! rows {
                    ($lane:literal) => {{
                        let v = _mm512_castps128_ps512(_mm_loadu_ps(first.add($lane * segment)));
                        let b = _mm_loadu_ps(first.add(($lane + 4) * segment));
                        let v = _mm512_mask_broadcast_f32x4(v, 0x00F0, b);
                        let c = _mm_loadu_ps(first.add(($lane + 8) * segment));
                        let v = _mm512_mask_broadcast_f32x4(v, 0x0F00, c);
                        let d = _mm_loadu_ps(first.add(($lane + 12) * segment));
                        _mm512_mask_broadcast_f32x4(v, 0xF000, d)
                    }};
                }
                let [a, b, c, d] = transpose_512([rows!(0), rows!(1), rows!(2), rows!(3)]);
                [Self(a), Self(b), Self(c), Self(d)]
            }
        }

        #[inline(always)]
        fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize) {
            check_segments(line.len(), Self::COUNT, segment, at);
            let [a, b, c, d] = vectors;
            // SAFETY: as in `gather`.
            unsafe {
                let rows = transpose_512([a.0, b.0, c.0, d.0]);
                let first = line.as_mut_ptr().add(at);
                macro_rules! store {
                    ($lane:literal) => {
                        let row = rows[$lane];
                        _mm_storeu_ps(first.add($lane * segment), _mm512_castps512_ps128(row));
                        let b = _mm512_extractf32x4_ps::<1>(row);
                        _mm_storeu_ps(first.add(($lane + 4) * segment), b);
                        let c = _mm512_extractf32x4_ps::<2>(row);
                        _mm_storeu_ps(first.add(($lane + 8) * segment), c);
                        let d = _mm512_extractf32x4_ps::<3>(row);
                        _mm_storeu_ps(first.add(($lane + 12) * segment), d);
                    };
                }
                store!(0);
                store!(1);
                store!(2);
                store!(3);
            }
        }

        #[inline(always)]
        fn tally(self, sums: [Self; 3]) -> [Self; 3] {
            // SAFETY: the instructions exist, see above.
            unsafe {
                let units = _mm512_cvttps_epi32(_mm512_mul_ps(self.0, _mm512_set1_ps(UNITS)));
                let high = _mm512_srai_epi32::<16>(units);
                let low = _mm512_and_si512(units, _mm512_set1_epi32(0xFFFF));
                let high = _mm512_add_epi32(_mm512_castps_si512(sums[0].0), high);
                let low = _mm512_add_epi32(_mm512_castps_si512(sums[1].0), low);
                [
                    Self(_mm512_castsi512_ps(high)),
                    Self(_mm512_castsi512_ps(low)),
                    sums[2] + self,
                ]
            }
        }

        #[inline(always)]
        fn numbers(self) -> [f32; 16] {
            let mut numbers = [0.0; 16];
            // SAFETY: the instructions exist, see above; there is room for sixteen numbers.
            unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), self.0) };
            numbers
        }

        #[inline(always)]
        fn vectors(memory: &mut [Block]) -> &mut [Self] {
            Self::of_memory(memory)
        }
    }
}
