//! Instructions that work on each lane alone: from opcode and types to a function.

use crate::lanes::{Bf16, F16, Lane, LaneOp, Pair, Register, lanes};
use crate::rounding::{Rounding, fma, fma_directed};
use crate::types::Type;

/// The function of a lane-wise instruction.
pub(super) type Run = fn(&mut [Register], &LaneOp, u32);

/// Picks `$e` for the Rust type `$t` of an integer type.
macro_rules! each_integer {
    ($ty:expr, $t:ident => $e:expr) => {{
        use crate::types::Type;
        match $ty {
            Type::U(1) | Type::B(1) => {
                type $t = u8;
                $e
            }
            Type::U(2) | Type::B(2) => {
                type $t = u16;
                $e
            }
            Type::U(4) | Type::B(4) => {
                type $t = u32;
                $e
            }
            Type::U(8) | Type::B(8) => {
                type $t = u64;
                $e
            }
            Type::S(1) => {
                type $t = i8;
                $e
            }
            Type::S(2) => {
                type $t = i16;
                $e
            }
            Type::S(4) => {
                type $t = i32;
                $e
            }
            Type::S(8) => {
                type $t = i64;
                $e
            }
            _ => return None,
        }
    }};
}

/// Picks `$e` for `f32` or `f64`.
macro_rules! each_float {
    ($ty:expr, $t:ident => $e:expr) => {{
        use crate::types::Type;
        match $ty {
            Type::F32 => {
                type $t = f32;
                $e
            }
            Type::F64 => {
                type $t = f64;
                $e
            }
            _ => return None,
        }
    }};
}

/// Picks `$e` for the 16-bit floats, with `$w($a, ..)` lifting an `f64` function over them.
macro_rules! each_half {
    ($ty:expr, |$($a:ident),*| $e:expr) => {{
        match $ty {
            Type::F16 => lanes!(|$($a: F16),*| -> F16 { $(let $a = f64::from($a.0);)* F16(half_sum($e)) }),
            Type::Bf16 => lanes!(|$($a: Bf16),*| -> Bf16 { $(let $a = f64::from($a.0);)* Bf16(half_sum($e)) }),
            Type::F16x2 => lanes!(|$($a: Pair<F16>),*| -> Pair<F16> {
                let low = { $(let $a = f64::from($a.0.0);)* half_sum($e) };
                let high = { $(let $a = f64::from($a.1.0);)* half_sum($e) };
                Pair(F16(low), F16(high))
            }),
            Type::Bf16x2 => lanes!(|$($a: Pair<Bf16>),*| -> Pair<Bf16> {
                let low = { $(let $a = f64::from($a.0.0);)* half_sum($e) };
                let high = { $(let $a = f64::from($a.1.0);)* half_sum($e) };
                Pair(Bf16(low), Bf16(high))
            }),
            _ => return None,
        }
    }};
}

pub(super) use {each_float, each_integer};

/// A sum or product of halves on its way to a half: to `f32`, made odd where that is inexact, so
/// that the second rounding is the only one that counts.
#[inline(always)]
fn half_sum(value: f64) -> f32 {
    let nearest = value as f32;
    let error = value - f64::from(nearest);
    if error == 0.0 || !nearest.is_finite() || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    let away = (error > 0.0) == (value > 0.0);
    f32::from_bits(if away {
        nearest.to_bits() + 1
    } else {
        nearest.to_bits() - 1
    })
}

/// The function and the number of operands of `name.modifiers`, if it is of this kind.
pub(super) fn lane_function(name: &str, modifiers: &[&str]) -> Option<(Run, usize)> {
    let (last, before) = modifiers.split_last()?;
    let ty = Type::parse(last)?;
    let float = matches!(ty, Type::F32 | Type::F64);
    let half = matches!(ty, Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2);
    Some(match (name, before) {
        ("add" | "sub" | "mul" | "fma" | "mad", _) if half => half_arithmetic(name, before, ty)?,
        ("add" | "sub" | "mul" | "fma" | "mad" | "div", _) if float => {
            float_arithmetic(name, before, ty)?
        }
        ("rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh", _) => {
            (function(name, before, ty)?, 1)
        }
        ("min" | "max", _) if float => (float_extreme(name, before, ty)?, 2),
        ("abs" | "neg", []) if float || half => (sign(name, ty)?, 1),
        ("copysign", []) => (
            match ty {
                Type::F32 => lanes!(|sign: u32, value: u32| -> u32 {
                    value & 0x7fff_ffff | sign & 0x8000_0000
                }),
                Type::F64 => {
                    lanes!(|sign: u64, value: u64| -> u64 { value & !(1 << 63) | sign & 1 << 63 })
                }
                _ => return None,
            },
            2,
        ),
        ("testp", [class]) => (float_class(class, ty)?, 1),
        ("and" | "or" | "xor" | "not", []) => bitwise(name, ty)?,
        ("selp", []) => (
            match ty.size() {
                2 => lanes!(|a: u16, b: u16, p: bool| -> u16 { if p { a } else { b } }),
                4 => lanes!(|a: u32, b: u32, p: bool| -> u32 { if p { a } else { b } }),
                8 => lanes!(|a: u64, b: u64, p: bool| -> u64 { if p { a } else { b } }),
                _ => return None,
            },
            3,
        ),
        ("mov", []) => (
            match ty {
                Type::Pred => lanes!(|a: bool| -> bool { a }),
                _ => match ty.size() {
                    2 => lanes!(|a: u16| -> u16 { a }),
                    4 => lanes!(|a: u32| -> u32 { a }),
                    8 => lanes!(|a: u64| -> u64 { a }),
                    _ => return None,
                },
            },
            1,
        ),
        _ => super::integer::integer(name, before, ty)?,
    })
}

fn half_arithmetic(name: &str, before: &[&str], ty: Type) -> Option<(Run, usize)> {
    if !matches!(before, [] | ["rn"]) {
        return None;
    }
    // Products of two halves and their sums with a third are exact in f64 for f16, and for bf16
    // but where the sum is rounded far below the result's last place.
    Some(match name {
        "add" => (each_half!(ty, |a, b| a + b), 2),
        "sub" => (each_half!(ty, |a, b| a - b), 2),
        "mul" => (each_half!(ty, |a, b| a * b), 2),
        "fma" => (each_half!(ty, |a, b, c| a * b + c), 3),
        _ => return None,
    })
}

fn float_arithmetic(name: &str, before: &[&str], ty: Type) -> Option<(Run, usize)> {
    let arity = if matches!(name, "fma" | "mad") { 3 } else { 2 };
    let run = match (name, before) {
        ("add", [] | ["rn"]) => each_float!(ty, T => lanes!(|a: T, b: T| -> T { a + b })),
        ("sub", [] | ["rn"]) => each_float!(ty, T => lanes!(|a: T, b: T| -> T { a - b })),
        ("mul", [] | ["rn"]) => each_float!(ty, T => lanes!(|a: T, b: T| -> T { a * b })),
        ("div", ["rn"]) => each_float!(ty, T => lanes!(|a: T, b: T| -> T { a / b })),
        ("div", ["approx" | "full"]) if ty == Type::F32 => {
            lanes!(|a: f32, b: f32| -> f32 { a / b })
        }
        ("fma" | "mad", ["rn"]) if ty == Type::F32 => {
            lanes!(|a: f32, b: f32, c: f32| -> f32 { fma(a, b, c) })
        }
        ("fma" | "mad", ["rn"]) => lanes!(|a: f64, b: f64, c: f64| -> f64 { a.mul_add(b, c) }),
        ("add" | "mul", ["sat"] | ["rn", "sat"]) if ty == Type::F32 => match name {
            "add" => lanes!(|a: f32, b: f32| -> f32 { saturate(a + b) }),
            _ => lanes!(|a: f32, b: f32| -> f32 { saturate(a * b) }),
        },
        ("fma", ["rn", "sat"]) if ty == Type::F32 => {
            lanes!(|a: f32, b: f32, c: f32| -> f32 { saturate(fma(a, b, c)) })
        }
        (_, [rounding]) if ty == Type::F32 => directed(name, rounding)?,
        _ => return None,
    };
    Some((run, arity))
}

/// `.sat`: to [0, 1], NaN to 0.
#[inline(always)]
pub(super) fn saturate(value: f32) -> f32 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

fn directed(name: &str, rounding: &str) -> Option<Run> {
    macro_rules! mode {
        ($r:expr) => {
            match name {
                "add" => lanes!(|a: f32, b: f32| -> f32 { fma_directed(a, 1.0, b, $r) }),
                "sub" => lanes!(|a: f32, b: f32| -> f32 { fma_directed(a, 1.0, -b, $r) }),
                "mul" => lanes!(|a: f32, b: f32| -> f32 { fma_directed(a, b, 0.0, $r) }),
                "fma" => lanes!(|a: f32, b: f32, c: f32| -> f32 { fma_directed(a, b, c, $r) }),
                _ => return None,
            }
        };
    }
    Some(match rounding {
        "rz" => mode!(Rounding::Zero),
        "rm" => mode!(Rounding::Down),
        "rp" => mode!(Rounding::Up),
        _ => return None,
    })
}

/// Subnormal numbers to zero of the same sign (`.ftz`).
#[inline(always)]
fn flush(value: f32) -> f32 {
    if value.is_subnormal() {
        0f32.copysign(value)
    } else {
        value
    }
}

/// `rcp.approx.ftz.f64`: of the upper half of a number the upper half of its reciprocal. Compilers refine it.
fn gross_reciprocal(a: f64) -> f64 {
    let upper = |v: f64| f64::from_bits(v.to_bits() & !0xffff_ffff);
    let flush = |v: f64| if v.is_subnormal() { 0.0 * v } else { v };
    flush(upper(1.0 / flush(upper(a))))
}

/// Functions of one number. The `approx` ones are computed in `f64` and rounded: closer than a
/// device's, which are good to about two units in the last place.
fn function(name: &str, before: &[&str], ty: Type) -> Option<Run> {
    if ty == Type::F64 {
        return Some(match (name, before) {
            ("rcp", ["rn"]) => lanes!(|a: f64| -> f64 { 1.0 / a }),
            ("sqrt", ["rn"]) => lanes!(|a: f64| -> f64 { a.sqrt() }),
            ("rcp", ["approx", "ftz"]) => lanes!(|a: f64| -> f64 { gross_reciprocal(a) }),
            ("rsqrt", ["approx"] | ["approx", "ftz"]) => {
                lanes!(|a: f64| -> f64 { 1.0 / a.sqrt() })
            }
            _ => return None,
        });
    }
    if ty != Type::F32 {
        return None;
    }
    Some(match (name, before) {
        ("rcp", ["rn" | "approx"]) => lanes!(|a: f32| -> f32 { 1.0 / a }),
        ("rcp", ["approx", "ftz"]) => lanes!(|a: f32| -> f32 { flush(1.0 / flush(a)) }),
        ("sqrt", ["rn" | "approx"]) => lanes!(|a: f32| -> f32 { a.sqrt() }),
        ("sqrt", ["approx", "ftz"]) => lanes!(|a: f32| -> f32 { flush(a).sqrt() }),
        ("rsqrt", ["approx"]) => lanes!(|a: f32| -> f32 { (1.0 / f64::from(a).sqrt()) as f32 }),
        ("rsqrt", ["approx", "ftz"]) => {
            lanes!(|a: f32| -> f32 { (1.0 / f64::from(flush(a)).sqrt()) as f32 })
        }
        ("ex2", ["approx"]) => lanes!(|a: f32| -> f32 { f64::from(a).exp2() as f32 }),
        ("ex2", ["approx", "ftz"]) => {
            lanes!(|a: f32| -> f32 { flush(f64::from(flush(a)).exp2() as f32) })
        }
        ("lg2", ["approx"]) => lanes!(|a: f32| -> f32 { f64::from(a).log2() as f32 }),
        ("lg2", ["approx", "ftz"]) => lanes!(|a: f32| -> f32 { f64::from(flush(a)).log2() as f32 }),
        ("sin", ["approx"] | ["approx", "ftz"]) => {
            lanes!(|a: f32| -> f32 { f64::from(a).sin() as f32 })
        }
        ("cos", ["approx"] | ["approx", "ftz"]) => {
            lanes!(|a: f32| -> f32 { f64::from(a).cos() as f32 })
        }
        ("tanh", ["approx"]) => lanes!(|a: f32| -> f32 { f64::from(a).tanh() as f32 }),
        _ => return None,
    })
}

/// `min` and `max`: a number wins over NaN unless `.NaN` is given, and -0 is below +0.
fn float_extreme(name: &str, before: &[&str], ty: Type) -> Option<Run> {
    macro_rules! extreme {
        ($bits:ident, $ordering:tt, $equal:tt, $nan:expr) => {
            each_float!(ty, T => lanes!(|a: T, b: T| -> T {
                if a == b {
                    T::from_bits(a.to_bits() $equal b.to_bits())
                } else if a.is_nan() || b.is_nan() {
                    if $nan { T::NAN } else if a.is_nan() { b } else { a }
                } else if a $ordering b {
                    a
                } else {
                    b
                }
            }))
        };
    }
    Some(match (name, before) {
        ("min", []) => extreme!(bits, <, |, false),
        ("min", ["NaN"]) => extreme!(bits, <, |, true),
        ("max", []) => extreme!(bits, >, &, false),
        ("max", ["NaN"]) => extreme!(bits, >, &, true),
        _ => return None,
    })
}

/// `abs` and `neg` of floats: the sign bit alone, NaN included.
fn sign(name: &str, ty: Type) -> Option<Run> {
    Some(match (name, ty) {
        ("abs", Type::F32) => lanes!(|a: u32| -> u32 { a & 0x7fff_ffff }),
        ("neg", Type::F32) => lanes!(|a: u32| -> u32 { a ^ 0x8000_0000 }),
        ("abs", Type::F64) => lanes!(|a: u64| -> u64 { a & !(1 << 63) }),
        ("neg", Type::F64) => lanes!(|a: u64| -> u64 { a ^ 1 << 63 }),
        ("abs", Type::F16 | Type::Bf16) => lanes!(|a: u16| -> u16 { a & 0x7fff }),
        ("neg", Type::F16 | Type::Bf16) => lanes!(|a: u16| -> u16 { a ^ 0x8000 }),
        ("abs", Type::F16x2 | Type::Bf16x2) => lanes!(|a: u32| -> u32 { a & 0x7fff_7fff }),
        ("neg", Type::F16x2 | Type::Bf16x2) => lanes!(|a: u32| -> u32 { a ^ 0x8000_8000 }),
        _ => return None,
    })
}

fn float_class(class: &str, ty: Type) -> Option<Run> {
    Some(match class {
        "finite" => each_float!(ty, T => lanes!(|a: T| -> bool { a.is_finite() })),
        "infinite" => each_float!(ty, T => lanes!(|a: T| -> bool { a.is_infinite() })),
        "number" => each_float!(ty, T => lanes!(|a: T| -> bool { !a.is_nan() })),
        "notanumber" => each_float!(ty, T => lanes!(|a: T| -> bool { a.is_nan() })),
        "normal" => each_float!(ty, T => lanes!(|a: T| -> bool { a.is_normal() })),
        "subnormal" => each_float!(ty, T => lanes!(|a: T| -> bool { a.is_subnormal() })),
        _ => return None,
    })
}

fn bitwise(name: &str, ty: Type) -> Option<(Run, usize)> {
    macro_rules! widths {
        (|$($a:ident),*| $e:expr) => {
            match ty {
                Type::Pred => lanes!(|$($a: bool),*| -> bool { $e }),
                Type::B(2) => lanes!(|$($a: u16),*| -> u16 { $e }),
                Type::B(4) => lanes!(|$($a: u32),*| -> u32 { $e }),
                Type::B(8) => lanes!(|$($a: u64),*| -> u64 { $e }),
                _ => return None,
            }
        };
    }
    Some(match name {
        "and" => (widths!(|a, b| a & b), 2),
        "or" => (widths!(|a, b| a | b), 2),
        "xor" => (widths!(|a, b| a ^ b), 2),
        _ => (widths!(|a| !a), 1),
    })
}

/// A comparison by its name, for setp and set. Those that end in `u` hold for NaN too.
pub(super) fn comparison(name: &str, ty: Type) -> Option<Run> {
    macro_rules! compare {
        ($each:ident, |$a:ident, $b:ident| $e:expr) => {
            $each!(ty, T => lanes!(|$a: T, $b: T| -> bool { $e }))
        };
    }
    if matches!(ty, Type::F32 | Type::F64) {
        return Some(match name {
            "eq" => compare!(each_float, |a, b| a == b),
            "ne" => compare!(each_float, |a, b| a != b && !a.is_nan() && !b.is_nan()),
            "lt" => compare!(each_float, |a, b| a < b),
            "le" => compare!(each_float, |a, b| a <= b),
            "gt" => compare!(each_float, |a, b| a > b),
            "ge" => compare!(each_float, |a, b| a >= b),
            "equ" => compare!(each_float, |a, b| a == b || a.is_nan() || b.is_nan()),
            "neu" => compare!(each_float, |a, b| a != b),
            "ltu" => compare!(each_float, |a, b| a < b || a.is_nan() || b.is_nan()),
            "leu" => compare!(each_float, |a, b| a <= b || a.is_nan() || b.is_nan()),
            "gtu" => compare!(each_float, |a, b| a > b || a.is_nan() || b.is_nan()),
            "geu" => compare!(each_float, |a, b| a >= b || a.is_nan() || b.is_nan()),
            "num" => compare!(each_float, |a, b| !a.is_nan() && !b.is_nan()),
            "nan" => compare!(each_float, |a, b| a.is_nan() || b.is_nan()),
            _ => return None,
        });
    }
    Some(match name {
        "eq" => compare!(each_integer, |a, b| a == b),
        "ne" => compare!(each_integer, |a, b| a != b),
        "lt" | "lo" => compare!(each_integer, |a, b| a < b),
        "le" | "ls" => compare!(each_integer, |a, b| a <= b),
        "gt" | "hi" => compare!(each_integer, |a, b| a > b),
        "ge" | "hs" => compare!(each_integer, |a, b| a >= b),
        _ => return None,
    })
}
