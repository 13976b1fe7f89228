//! The vectors of AVX2 and AVX-512.
//!
//! Their methods are only called where [`crate::dispatch`] has found the instructions.

use core::arch::x86_64::*;

use msssim_core::Real;
use msssim_core::sum::UNITS;

use super::{Block, Lanes, check_segments};

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

    #[inline(always)]
    fn within(self, limit: Self) -> Self {
        // Both give their second operand where one is NaN.
        // SAFETY: the instructions exist, see above.
        Self(unsafe {
            let least = _mm256_sub_ps(_mm256_setzero_ps(), limit.0);
            _mm256_min_ps(limit.0, _mm256_max_ps(least, self.0))
        })
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
    fn at_least(self, floor: Self) -> Self {
        // Gives its second operand where one is NaN, or both are zeros.
        // SAFETY: the instructions exist, see above.
        Self(unsafe { _mm256_max_ps(floor.0, self.0) })
    }

    #[inline(always)]
    fn zero_where_below(self, of: Self, floor: Self) -> Self {
        // SAFETY: the instructions exist, see above.
        Self(unsafe { _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(of.0, floor.0), self.0) })
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
    fn gather_bytes(line: &[u8], segment: usize, at: usize) -> [Self; 4] {
        check_segments(line.len(), Self::COUNT, segment, at);
        // SAFETY: as in `gather`, but for bytes.
        unsafe {
            let first = line.as_ptr().add(at);
            macro_rules! word {
                ($lane:literal) => {
                    first.add($lane * segment).cast::<i32>().read_unaligned()
                };
            }
            let words = _mm256_set_epi32(
                word!(7),
                word!(6),
                word!(5),
                word!(4),
                word!(3),
                word!(2),
                word!(1),
                word!(0),
            );
            let byte = _mm256_set1_epi32(0xFF);
            [
                Self(_mm256_cvtepi32_ps(_mm256_and_si256(words, byte))),
                Self(_mm256_cvtepi32_ps(_mm256_and_si256(
                    _mm256_srli_epi32::<8>(words),
                    byte,
                ))),
                Self(_mm256_cvtepi32_ps(_mm256_and_si256(
                    _mm256_srli_epi32::<16>(words),
                    byte,
                ))),
                Self(_mm256_cvtepi32_ps(_mm256_srli_epi32::<24>(words))),
            ]
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
    fn tally(self, sums: [Self; 2]) -> [Self; 2] {
        // SAFETY: the instructions exist, see above.
        unsafe {
            let units = _mm256_cvttps_epi32(_mm256_mul_ps(self.0, _mm256_set1_ps(UNITS)));
            let units = _mm256_add_epi32(_mm256_castps_si256(sums[0].0), units);
            [Self(_mm256_castsi256_ps(units)), sums[1] + self]
        }
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..8];
        // SAFETY: the instructions exist, see above; the slice has 8 numbers, and any alignment will do.
        Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..8];
        // SAFETY: the same.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) };
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

    #[inline(always)]
    fn within(self, limit: Self) -> Self {
        // Both give their second operand where one is NaN.
        // SAFETY: the instructions exist, see above.
        Self(unsafe {
            let least = _mm512_sub_ps(_mm512_setzero_ps(), limit.0);
            _mm512_min_ps(limit.0, _mm512_max_ps(least, self.0))
        })
    }
}

/// A number that the compiler knows nothing of. It would otherwise keep the beginnings of sixteen segments, which
/// are more than there are registers, and load each anew from the stack; from a stride that is new every time it works
/// out four and adds.
#[inline(always)]
fn opaque(mut number: usize) -> usize {
    // SAFETY: no instructions.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) number, options(nomem, nostack, preserves_flags));
    }
    number
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
    fn at_least(self, floor: Self) -> Self {
        // Gives its second operand where one is NaN, or both are zeros.
        // SAFETY: the instructions exist, see above.
        Self(unsafe { _mm512_max_ps(floor.0, self.0) })
    }

    #[inline(always)]
    fn zero_where_below(self, of: Self, floor: Self) -> Self {
        // SAFETY: the instructions exist, see above.
        Self(unsafe {
            let stays = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(of.0, floor.0);
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
            let segment = opaque(segment);
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
    fn gather_bytes(line: &[u8], segment: usize, at: usize) -> [Self; 4] {
        check_segments(line.len(), Self::COUNT, segment, at);
        // SAFETY: as in `gather`, but for bytes.
        unsafe {
            let first = line.as_ptr().add(at);
            let segment = opaque(segment);
            macro_rules! word {
                ($lane:literal) => {
                    first.add($lane * segment).cast::<i32>().read_unaligned()
                };
            }
            let words = _mm512_set_epi32(
                word!(15),
                word!(14),
                word!(13),
                word!(12),
                word!(11),
                word!(10),
                word!(9),
                word!(8),
                word!(7),
                word!(6),
                word!(5),
                word!(4),
                word!(3),
                word!(2),
                word!(1),
                word!(0),
            );
            let byte = _mm512_set1_epi32(0xFF);
            [
                Self(_mm512_cvtepi32_ps(_mm512_and_si512(words, byte))),
                Self(_mm512_cvtepi32_ps(_mm512_and_si512(
                    _mm512_srli_epi32::<8>(words),
                    byte,
                ))),
                Self(_mm512_cvtepi32_ps(_mm512_and_si512(
                    _mm512_srli_epi32::<16>(words),
                    byte,
                ))),
                Self(_mm512_cvtepi32_ps(_mm512_srli_epi32::<24>(words))),
            ]
        }
    }

    #[inline(always)]
    fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize) {
        check_segments(line.len(), Self::COUNT, segment, at);
        let [a, b, c, d] = vectors;
        // SAFETY: as in `gather`.
        unsafe {
            let rows = transpose_512([a.0, b.0, c.0, d.0]);
            let segment = opaque(segment);
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
    fn tally(self, sums: [Self; 2]) -> [Self; 2] {
        // SAFETY: the instructions exist, see above.
        unsafe {
            let units = _mm512_cvttps_epi32(_mm512_mul_ps(self.0, _mm512_set1_ps(UNITS)));
            let units = _mm512_add_epi32(_mm512_castps_si512(sums[0].0), units);
            [Self(_mm512_castsi512_ps(units)), sums[1] + self]
        }
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..16];
        // SAFETY: the instructions exist, see above; the slice has 16 numbers, and any alignment will do.
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..16];
        // SAFETY: the same.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn vectors(memory: &mut [Block]) -> &mut [Self] {
        Self::of_memory(memory)
    }
}
