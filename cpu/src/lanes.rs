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

use msssim_core::Real;
use wide::f32x16;

/// Memory for vectors of any kind: as large as the largest, and aligned so.
pub(crate) type Block = f32x16;

/// Memory as numbers.
pub(crate) fn numbers(memory: &mut [Block]) -> &mut [f32] {
    let len = memory.len() * 16;
    // SAFETY: a block is 16 numbers without padding. The borrow is passed on.
    unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), len) }
}

/// A vector of `COUNT` numbers.
pub(crate) trait Lanes: Real {
    /// How many.
    const COUNT: usize;

    /// `self * by + plus`, rounded once in the fused class and twice in the other.
    fn mul_add(self, by: Self, plus: Self) -> Self;

    /// The lanes whose bits are all ones in `mask`; 0 in the others, whose bits are all zeros.
    fn mask(self, mask: Self) -> Self;

    /// `floor` where that is more. NaN stays, and so does a zero's sign beside a floor of zero.
    fn at_least(self, floor: Self) -> Self;

    /// 0 where `of` is below `floor`. NaN is not.
    fn zero_where_below(self, of: Self, floor: Self) -> Self;

    /// Every lane's number in the lane before it, the first's in the last.
    fn rotate_down(self) -> Self;

    /// The opposite of [`Lanes::rotate_down`].
    fn rotate_up(self) -> Self;

    /// Four vectors: lane `j` of vector `i` is `line[j * segment + at + i]`.
    ///
    /// # Panics
    /// If the line is shorter than all lanes' segments, or a segment than `at + 4`.
    fn gather(line: &[f32], segment: usize, at: usize) -> [Self; 4];

    /// [`Lanes::gather`] from bytes.
    ///
    /// # Panics
    /// As [`Lanes::gather`].
    fn gather_bytes(line: &[u8], segment: usize, at: usize) -> [Self; 4];

    /// The opposite of [`Lanes::gather`].
    ///
    /// # Panics
    /// As [`Lanes::gather`].
    fn scatter(vectors: [Self; 4], line: &mut [f32], segment: usize, at: usize);

    /// Adds terms in [-1, 1] to sums: `sums[0]`, of integers in the units of [`msssim_core::sum`], modulo 2^32, and `sums[1]`,
    /// of numbers. Up to [`MOST_TALLIED`] terms the two make the exact sum, see [`tallied`].
    fn tally(self, sums: [Self; 2]) -> [Self; 2];

    /// The first numbers of a slice.
    ///
    /// # Panics
    /// If there are fewer than lanes.
    fn load(from: &[f32]) -> Self;

    /// Writes the numbers to the first places of a slice.
    ///
    /// # Panics
    /// If there are fewer than lanes.
    fn store(self, to: &mut [f32]);

    /// The numbers, and zeros in place of further lanes.
    #[inline(always)]
    fn numbers(self) -> [f32; 16] {
        let mut numbers = [0.0; 16];
        self.store(&mut numbers);
        numbers
    }

    /// Memory as vectors.
    fn vectors(memory: &mut [Block]) -> &mut [Self];
}

/// Numbers that vectors can be filled with.
pub(crate) trait Number: bytemuck::Pod {
    /// [`Lanes::gather`]
    fn gather<L: Lanes>(line: &[Self], segment: usize, at: usize) -> [L; 4];
}

impl Number for f32 {
    #[inline(always)]
    fn gather<L: Lanes>(line: &[Self], segment: usize, at: usize) -> [L; 4] {
        L::gather(line, segment, at)
    }
}

impl Number for u8 {
    #[inline(always)]
    fn gather<L: Lanes>(line: &[Self], segment: usize, at: usize) -> [L; 4] {
        L::gather_bytes(line, segment, at)
    }
}

/// Terms that may be tallied. A sum of `n` numbers of up to 1 has roundings of up to `k / 2^24`, `k` being 1 to `n`, and is
/// up to `n^2 / 2^25` off, here 1.91. That must be less than 2, half of the modulus.
pub(crate) const MOST_TALLIED: usize = 8000;

/// The sum in units of one lane's terms that were tallied; anything if one was NaN.
#[inline(always)]
pub(crate) fn tallied(units: f32, sum: f32) -> i64 {
    /// Adding it leaves no digits after the point.
    const WHOLE: f32 = 12_582_912.0;
    let units = units.to_bits().cast_signed();
    // The multiple of the modulus that brings the one sum next to the other.
    let beyond = 0.25 * sum - units as f32 * (1.0 / 4_294_967_296.0);
    let beyond = (beyond + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits());
    i64::from(units) + (i64::from(beyond.cast_signed()) << 32)
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
        impl core::ops::$trait for $vector {
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

/// Memory that will be needed soon: rows of planes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead {
    strips: Vec<Strip>,
    /// The strip whose turn it is.
    turn: usize,
    /// Columns of cache lines, of all strips, that have not been asked for.
    left: usize,
}

/// Rows of a plane.
#[derive(Clone, Debug)]
struct Strip {
    /// Where the first row goes on.
    next: *const u8,
    /// Bytes from row to row.
    stride: usize,
    rows: usize,
    /// Cache lines of a row that have not been asked for.
    left: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl Ahead {
    pub(crate) fn clear(&mut self) {
        self.strips.clear();
        self.left = 0;
    }

    /// Adds `rows` rows of `width` numbers, `stride` numbers from each other, the first of them at the beginning of `plane`.
    pub(crate) fn add<T>(&mut self, plane: &[T], rows: usize, stride: usize, width: usize) {
        let left = (width * size_of::<T>()).div_ceil(LINE);
        self.left += left;
        self.strips.push(Strip {
            next: plane.as_ptr().cast(),
            stride: stride * size_of::<T>(),
            rows,
            left,
        });
    }

    /// What to ask for at a time, for all to be asked for in `times`.
    #[inline(always)]
    pub(crate) fn share(&self, times: usize) -> usize {
        self.left.div_ceil(times)
    }

    /// Asks for the next `share` to be brought into the second-level cache; the first-level one has no room for what is
    /// not needed yet. All rows go on together: their memory can then work side by side. Few are asked for at a time,
    /// since whoever asks for more than can be under way waits.
    #[inline(always)]
    pub(crate) fn prefetch(&mut self, share: usize) {
        for _ in 0..share {
            self.turn += 1;
            if self.turn >= self.strips.len() {
                self.turn = 0;
            }
            let Some(strip) = self.strips.get_mut(self.turn) else {
                return;
            };
            if strip.left > 0 {
                strip.left -= 1;
                for row in 0..strip.rows {
                    ask_for(strip.next.wrapping_add(row * strip.stride));
                }
                strip.next = strip.next.wrapping_add(LINE);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask_for(line: *const u8) {
    use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a hint, which reads nothing and may have any address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) };
}

/// Elsewhere the machine finds out by itself.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn ask_for(_line: *const u8) {}

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(test)]
mod tests {
    use super::*;
    use msssim_core::sum::Units;

    #[test]
    fn tallies_are_exact_sums() {
        let noise = |i: usize| (i * 7919 % 4001) as f32 / 2000.0 - 1.0;
        for of in [
            |_| 1.0,
            |_| -1.0,
            |i| 0.999_999_9 - (i % 3) as f32 * 1e-7,
            noise,
        ] {
            for count in [1, 2, 3, 100, MOST_TALLIED] {
                let mut expected = Units::default();
                let mut sums = [Portable::splat(0.0); 2];
                for term in (0..count).map(of) {
                    expected.add(term);
                    sums = Portable::splat(term).tally(sums);
                }
                let [units, numbers] = sums.map(|sum| sum.numbers()[0]);
                let sum = Units::new(tallied(units, numbers), numbers.is_nan());
                assert_eq!(sum, expected, "{count} terms");
            }
        }
        let [_, numbers] = Portable::splat(f32::NAN).tally([Portable::splat(1.0); 2]);
        assert!(numbers.numbers()[0].is_nan());
    }
}
