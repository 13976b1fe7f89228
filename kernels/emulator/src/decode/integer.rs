//! Integer instructions: arithmetic, shifts and bit fields.

use super::arithmetic::{Run, each_integer};
use crate::lanes::{Lane, lanes};
use crate::types::Type;

/// The function and the number of operands of an integer instruction.
pub(super) fn integer(name: &str, before: &[&str], ty: Type) -> Option<(Run, usize)> {
    Some(match (name, before) {
        ("add", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T { a.wrapping_add(b) })),
            2,
        ),
        ("sub", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T { a.wrapping_sub(b) })),
            2,
        ),
        ("add", ["sat"]) if ty == Type::S(4) => {
            (lanes!(|a: i32, b: i32| -> i32 { a.saturating_add(b) }), 2)
        }
        ("sub", ["sat"]) if ty == Type::S(4) => {
            (lanes!(|a: i32, b: i32| -> i32 { a.saturating_sub(b) }), 2)
        }
        ("mul", ["lo"]) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T { a.wrapping_mul(b) })),
            2,
        ),
        ("mad", ["lo"]) => (
            each_integer!(ty, T => lanes!(|a: T, b: T, c: T| -> T {
                a.wrapping_mul(b).wrapping_add(c)
            })),
            3,
        ),
        ("mul" | "mad", ["wide"]) => wide(name, ty)?,
        ("mul" | "mad", ["hi"]) => high(name, ty)?,
        // Division by zero has no defined result: all ones, as devices give.
        ("div", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T {
                if b == 0 { !0 } else { a.wrapping_div(b) }
            })),
            2,
        ),
        ("rem", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T {
                if b == 0 { a } else { a.wrapping_rem(b) }
            })),
            2,
        ),
        ("min", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T { a.min(b) })),
            2,
        ),
        ("max", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T| -> T { a.max(b) })),
            2,
        ),
        ("neg", []) => (
            each_integer!(ty, T => lanes!(|a: T| -> T { (0 as T).wrapping_sub(a) })),
            1,
        ),
        ("abs", []) => (
            match ty {
                Type::S(2) => lanes!(|a: i16| -> i16 { a.wrapping_abs() }),
                Type::S(4) => lanes!(|a: i32| -> i32 { a.wrapping_abs() }),
                Type::S(8) => lanes!(|a: i64| -> i64 { a.wrapping_abs() }),
                _ => return None,
            },
            1,
        ),
        // Shifts by the width or more give 0, or the sign.
        ("shl", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: u32| -> T { a.checked_shl(b).unwrap_or(0) })),
            2,
        ),
        ("shr", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: u32| -> T {
                if b < T::BITS { a >> b } else { (a >> (T::BITS - 1)) >> 1 }
            })),
            2,
        ),
        ("popc", []) => (
            each_integer!(ty, T => lanes!(|a: T| -> u32 { a.count_ones() })),
            1,
        ),
        ("clz", []) => (
            each_integer!(ty, T => lanes!(|a: T| -> u32 { a.leading_zeros() })),
            1,
        ),
        ("brev", []) => (
            each_integer!(ty, T => lanes!(|a: T| -> T { a.reverse_bits() })),
            1,
        ),
        ("bfind", []) => (find(ty)?, 1),
        ("bfe", []) => (extract(ty)?, 3),
        ("bfi", []) => (insert(ty)?, 4),
        ("prmt", []) => (
            lanes!(|a: u32, b: u32, selector: u32| -> u32 { permute(a, b, selector) }),
            3,
        ),
        ("shf", [direction, mode]) => (funnel(direction, mode)?, 3),
        ("sad", []) => (
            each_integer!(ty, T => lanes!(|a: T, b: T, c: T| -> T {
                if a > b { a.wrapping_sub(b).wrapping_add(c) } else { b.wrapping_sub(a).wrapping_add(c) }
            })),
            3,
        ),
        _ => return None,
    })
}

/// Products of twice the width.
fn wide(name: &str, ty: Type) -> Option<(Run, usize)> {
    macro_rules! widen {
        ($narrow:ty, $wide:ty) => {
            match name {
                "mul" => (
                    lanes!(|a: $narrow, b: $narrow| -> $wide {
                        <$wide>::from(a).wrapping_mul(<$wide>::from(b))
                    }),
                    2,
                ),
                _ => (
                    lanes!(|a: $narrow, b: $narrow, c: $wide| -> $wide {
                        <$wide>::from(a)
                            .wrapping_mul(<$wide>::from(b))
                            .wrapping_add(c)
                    }),
                    3,
                ),
            }
        };
    }
    Some(match ty {
        Type::U(2) => widen!(u16, u32),
        Type::S(2) => widen!(i16, i32),
        Type::U(4) => widen!(u32, u64),
        Type::S(4) => widen!(i32, i64),
        _ => return None,
    })
}

/// The upper halves of products.
fn high(name: &str, ty: Type) -> Option<(Run, usize)> {
    macro_rules! upper {
        ($narrow:ty, $wide:ty) => {
            match name {
                "mul" => (
                    lanes!(|a: $narrow, b: $narrow| -> $narrow {
                        ((<$wide>::from(a) * <$wide>::from(b)) >> <$narrow>::BITS) as $narrow
                    }),
                    2,
                ),
                _ => (
                    lanes!(|a: $narrow, b: $narrow, c: $narrow| -> $narrow {
                        (((<$wide>::from(a) * <$wide>::from(b)) >> <$narrow>::BITS) as $narrow)
                            .wrapping_add(c)
                    }),
                    3,
                ),
            }
        };
    }
    Some(match ty {
        Type::U(2) => upper!(u16, u32),
        Type::S(2) => upper!(i16, i32),
        Type::U(4) => upper!(u32, u64),
        Type::S(4) => upper!(i32, i64),
        Type::U(8) => upper!(u64, u128),
        Type::S(8) => upper!(i64, i128),
        _ => return None,
    })
}

/// The highest bit that differs from the sign; all ones if there is none.
fn find(ty: Type) -> Option<Run> {
    Some(match ty {
        Type::U(4) => lanes!(|a: u32| -> u32 { 31u32.wrapping_sub(a.leading_zeros()) }),
        Type::S(4) => {
            lanes!(|a: i32| -> u32 { 31u32.wrapping_sub((a ^ (a >> 31)).leading_zeros()) })
        }
        Type::U(8) => lanes!(|a: u64| -> u32 { 63u32.wrapping_sub(a.leading_zeros()) }),
        Type::S(8) => {
            lanes!(|a: i64| -> u32 { 63u32.wrapping_sub((a ^ (a >> 63)).leading_zeros()) })
        }
        _ => return None,
    })
}

/// `len` ones from bit `position` on; position and length count modulo 256.
#[inline(always)]
fn field(position: u32, len: u32) -> u64 {
    let (position, len) = (position & 255, len & 255);
    let ones = if len >= 64 { !0 } else { (1u64 << len) - 1 };
    ones.checked_shl(position).unwrap_or(0)
}

fn extract(ty: Type) -> Option<Run> {
    macro_rules! of {
        ($t:ty, $unsigned:ty, $signed:literal) => {
            lanes!(|a: $t, position: u32, len: u32| -> u64 {
                let bits = <$t>::BITS;
                let (position, len) = (position & 255, len & 255);
                let value = u64::from(a as $unsigned);
                let mut field = value.checked_shr(position).unwrap_or(0) & self::field(0, len);
                if $signed && len > 0 {
                    // The sign is the field's top bit, or the number's if the field is longer.
                    let top = (position + len - 1).min(bits - 1);
                    if value >> top & 1 == 1 {
                        field |= !self::field(0, (top + 1).saturating_sub(position).min(len));
                    }
                }
                u64::from(field as $unsigned)
            })
        };
    }
    Some(match ty {
        Type::U(4) => of!(u32, u32, false),
        Type::S(4) => of!(i32, u32, true),
        Type::U(8) => of!(u64, u64, false),
        Type::S(8) => of!(i64, u64, true),
        _ => return None,
    })
}

fn insert(ty: Type) -> Option<Run> {
    Some(match ty {
        Type::B(4) => lanes!(|a: u64, b: u32, position: u32, len: u32| -> u32 {
            let mask = field(position, len) as u32;
            b & !mask | (a.checked_shl(position & 255).unwrap_or(0) as u32) & mask
        }),
        Type::B(8) => lanes!(|a: u64, b: u64, position: u32, len: u32| -> u64 {
            let mask = field(position, len);
            b & !mask | a.checked_shl(position & 255).unwrap_or(0) & mask
        }),
        _ => return None,
    })
}

/// Picks four of the eight bytes of `b:a`, each as it is or as its sign.
#[inline(always)]
fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = (u64::from(b) << 32 | u64::from(a)).to_le_bytes();
    let mut result = [0; 4];
    for (i, byte) in result.iter_mut().enumerate() {
        let pick = selector >> (4 * i) & 15;
        *byte = bytes[(pick & 7) as usize];
        if pick & 8 != 0 {
            *byte = if *byte & 0x80 != 0 { 0xff } else { 0 };
        }
    }
    u32::from_le_bytes(result)
}

/// Shifts of the 64 bits `b:a`, of which 32 are kept.
fn funnel(direction: &str, mode: &str) -> Option<Run> {
    macro_rules! shift {
        ($amount:expr) => {
            match direction {
                "l" => lanes!(|a: u32, b: u32, c: u32| -> u32 {
                    ((u64::from(b) << 32 | u64::from(a)) << $amount(c) >> 32) as u32
                }),
                "r" => lanes!(|a: u32, b: u32, c: u32| -> u32 {
                    ((u64::from(b) << 32 | u64::from(a)) >> $amount(c)) as u32
                }),
                _ => return None,
            }
        };
    }
    Some(match mode {
        "wrap" => shift!(|c: u32| c & 31),
        "clamp" => shift!(|c: u32| c.min(32)),
        _ => return None,
    })
}

/// `lop3`: the truth table says for each bit what becomes of the three operands'.
pub(super) fn truth_table() -> Run {
    lanes!(|a: u32, b: u32, c: u32, table: u32| -> u32 {
        let mut result = 0;
        for row in 0..8u32 {
            let pick = |operand: u32, bit: u32| {
                if row >> bit & 1 == 1 {
                    operand
                } else {
                    !operand
                }
            };
            if table >> row & 1 == 1 {
                result |= pick(a, 2) & pick(b, 1) & pick(c, 0);
            }
        }
        result
    })
}
