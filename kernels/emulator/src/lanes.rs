//! Registers of a warp, and instructions that work on each lane alone.
//!
//! A register holds 64 bits for each of 32 lanes, whatever its declared type: a narrower value lies
//! in the low bits with zeros above. Literals and special registers (`%tid.x`, ...) are registers
//! too, filled before a block starts, so an operand is always an index.

use crate::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// The lanes of a warp.
pub(crate) const LANES: usize = 32;

/// One register.
pub(crate) type Register = [u64; LANES];

/// The index of a register.
pub(crate) type Index = u16;

/// An instruction on each lane alone: where its operands and its result lie.
#[derive(Clone, Copy)]
pub(crate) struct LaneOp {
    /// Computes all lanes and keeps those in the mask.
    pub(crate) run: fn(&mut [Register], &LaneOp, u32),
    pub(crate) to: Index,
    pub(crate) from: [Index; 4],
}

/// A type that registers hold.
pub(crate) trait Lane: Copy {
    fn read(bits: u64) -> Self;
    fn write(self) -> u64;
}

macro_rules! integer_lanes {
    ($($signed:ty, $unsigned:ty);*) => {$(
        impl Lane for $signed {
            #[inline(always)]
            fn read(bits: u64) -> Self {
                bits as $signed
            }
            #[inline(always)]
            fn write(self) -> u64 {
                u64::from(self as $unsigned)
            }
        }
        impl Lane for $unsigned {
            #[inline(always)]
            fn read(bits: u64) -> Self {
                bits as $unsigned
            }
            #[inline(always)]
            fn write(self) -> u64 {
                u64::from(self)
            }
        }
    )*};
}

integer_lanes!(i8, u8; i16, u16; i32, u32; i64, u64);

impl Lane for bool {
    #[inline(always)]
    fn read(bits: u64) -> Self {
        bits & 1 == 1
    }
    #[inline(always)]
    fn write(self) -> u64 {
        u64::from(self)
    }
}

/// Arithmetic returns the canonical NaN, as a device does.
impl Lane for f32 {
    #[inline(always)]
    fn read(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
    #[inline(always)]
    fn write(self) -> u64 {
        u64::from(if self.is_nan() {
            0x7fff_ffff
        } else {
            self.to_bits()
        })
    }
}

impl Lane for f64 {
    #[inline(always)]
    fn read(bits: u64) -> Self {
        Self::from_bits(bits)
    }
    #[inline(always)]
    fn write(self) -> u64 {
        self.to_bits()
    }
}

/// A binary16 on which arithmetic is done in `f32` or `f64` and rounded once.
#[derive(Clone, Copy)]
pub(crate) struct F16(pub(crate) f32);

impl Lane for F16 {
    #[inline(always)]
    fn read(bits: u64) -> Self {
        Self(f16_to_f32(bits as u16))
    }
    #[inline(always)]
    fn write(self) -> u64 {
        u64::from(f32_to_f16(self.0))
    }
}

/// A bfloat16 on which arithmetic is done in `f32` or `f64` and rounded once.
#[derive(Clone, Copy)]
pub(crate) struct Bf16(pub(crate) f32);

impl Lane for Bf16 {
    #[inline(always)]
    fn read(bits: u64) -> Self {
        Self(bf16_to_f32(bits as u16))
    }
    #[inline(always)]
    fn write(self) -> u64 {
        u64::from(f32_to_bf16(self.0))
    }
}

/// Two 16-bit numbers in 32 bits, the first in the lower half.
#[derive(Clone, Copy)]
pub(crate) struct Pair<T>(pub(crate) T, pub(crate) T);

impl<T: Lane> Lane for Pair<T> {
    #[inline(always)]
    fn read(bits: u64) -> Self {
        Self(T::read(bits & 0xffff), T::read(bits >> 16 & 0xffff))
    }
    #[inline(always)]
    fn write(self) -> u64 {
        self.0.write() | self.1.write() << 16
    }
}

/// Writes the lanes in `mask` of `result` to register `to`.
#[inline(always)]
pub(crate) fn keep(registers: &mut [Register], to: Index, mask: u32, result: &Register) {
    let to = &mut registers[usize::from(to)];
    if mask == u32::MAX {
        *to = *result;
    } else {
        for (lane, (to, value)) in to.iter_mut().zip(result).enumerate() {
            *to = if mask >> lane & 1 == 1 { *value } else { *to };
        }
    }
}

/// Applies `f` to the 64-bit patterns of the lanes of up to four operands.
#[inline(always)]
pub(crate) fn apply(
    registers: &mut [Register],
    op: &LaneOp,
    mask: u32,
    f: impl Fn(u64, u64, u64, u64) -> u64,
) {
    let [a, b, c, d] = op.from.map(|index| &registers[usize::from(index)]);
    let mut result = [0; LANES];
    for lane in 0..LANES {
        result[lane] = f(a[lane], b[lane], c[lane], d[lane]);
    }
    keep(registers, op.to, mask, &result);
}

/// `lanes!(|a: T, b: U| -> R expression)`: the function that applies the expression to each lane.
macro_rules! lanes {
    (|$a:ident: $ta:ty| -> $r:ty $e:block) => {
        $crate::lanes::lanes!(@ a _b _c _d { let $a = <$ta as Lane>::read(a); let r: $r = $e; Lane::write(r) })
    };
    (|$a:ident: $ta:ty, $b:ident: $tb:ty| -> $r:ty $e:block) => {
        $crate::lanes::lanes!(@ a b _c _d {
            let ($a, $b) = (<$ta as Lane>::read(a), <$tb as Lane>::read(b)); let r: $r = $e; Lane::write(r)
        })
    };
    (|$a:ident: $ta:ty, $b:ident: $tb:ty, $c:ident: $tc:ty| -> $r:ty $e:block) => {
        $crate::lanes::lanes!(@ a b c _d {
            let ($a, $b) = (<$ta as Lane>::read(a), <$tb as Lane>::read(b));
            let $c = <$tc as Lane>::read(c); let r: $r = $e; Lane::write(r)
        })
    };
    (|$a:ident: $ta:ty, $b:ident: $tb:ty, $c:ident: $tc:ty, $d:ident: $td:ty| -> $r:ty $e:block) => {
        $crate::lanes::lanes!(@ a b c d {
            let ($a, $b) = (<$ta as Lane>::read(a), <$tb as Lane>::read(b));
            let ($c, $d) = (<$tc as Lane>::read(c), <$td as Lane>::read(d));
            let r: $r = $e; Lane::write(r)
        })
    };
    (@ $a:ident $b:ident $c:ident $d:ident $e:block) => {{
        fn run(
            registers: &mut [$crate::lanes::Register],
            op: &$crate::lanes::LaneOp,
            mask: u32,
        ) {
            $crate::lanes::apply(registers, op, mask, #[inline(always)] |$a, $b, $c, $d| $e)
        }
        run as fn(&mut [$crate::lanes::Register], &$crate::lanes::LaneOp, u32)
    }};
}

pub(crate) use lanes;

/// The lanes of predicate register `index` that are true, as a mask.
#[inline(always)]
pub(crate) fn mask_of(register: &Register) -> u32 {
    let mut mask = 0;
    for (lane, value) in register.iter().enumerate() {
        mask |= ((value & 1) as u32) << lane;
    }
    mask
}
