//! `cvt`: from one type to another.

use super::arithmetic::{Run, each_float, each_integer, saturate};
use crate::half::round_to_tf32;
use crate::lanes::{Bf16, F16, Lane, Pair, lanes};
use crate::rounding::{Rounding, integral};
use crate::types::Type;

/// The function and the number of operands of `cvt.modifiers`.
pub(super) fn conversion(modifiers: &[&str]) -> Option<(Run, usize)> {
    let [before @ .., to, from] = modifiers else {
        return None;
    };
    let (to, from) = (Type::parse(to)?, Type::parse(from)?);
    let integer = |ty| matches!(ty, Type::U(_) | Type::S(_));
    let run = match (to, from, before) {
        (Type::F16x2, Type::F32, ["rn"]) => {
            // The first operand goes to the upper half.
            return Some((
                lanes!(|a: f32, b: f32| -> Pair<F16> { Pair(F16(b), F16(a)) }),
                2,
            ));
        }
        (Type::Bf16x2, Type::F32, ["rn"]) => {
            return Some((
                lanes!(|a: f32, b: f32| -> Pair<Bf16> { Pair(Bf16(b), Bf16(a)) }),
                2,
            ));
        }
        (Type::Tf32, Type::F32, ["rna"]) => lanes!(|a: f32| -> f32 { round_to_tf32(a) }),
        _ if integer(to) && integer(from) => match before {
            [] => each_integer!(from, F => each_integer!(to, T => lanes!(|a: F| -> T { a as T }))),
            ["sat"] => each_integer!(from, F => each_integer!(to, T => lanes!(|a: F| -> T {
                (a as i128).clamp(T::MIN as i128, T::MAX as i128) as T
            }))),
            _ => return None,
        },
        (Type::F32 | Type::F64, _, ["rn"]) if integer(from) => {
            each_integer!(from, F => each_float!(to, T => lanes!(|a: F| -> T { a as T })))
        }
        // 16-bit integers are exact in f32; wider ones would be rounded twice.
        (Type::F16, _, ["rn"]) if integer(from) && from.size() <= 2 => {
            each_integer!(from, F => lanes!(|a: F| -> F16 { F16(a as f32) }))
        }
        (_, Type::F32 | Type::F64, [rounding]) if integer(to) => {
            macro_rules! mode {
                ($r:expr) => {
                    each_float!(from, F => each_integer!(to, T => lanes!(|a: F| -> T {
                        integral(a as f64, $r) as T
                    })))
                };
            }
            match *rounding {
                "rni" => mode!(Rounding::Nearest),
                "rzi" => mode!(Rounding::Zero),
                "rmi" => mode!(Rounding::Down),
                "rpi" => mode!(Rounding::Up),
                _ => return None,
            }
        }
        (Type::F32, Type::F32, ["sat"]) => lanes!(|a: f32| -> f32 { saturate(a) }),
        (Type::F32 | Type::F64, _, [rounding]) if to == from => {
            macro_rules! mode {
                ($r:expr) => {
                    each_float!(to, T => lanes!(|a: T| -> T { integral(a as f64, $r) as T }))
                };
            }
            match *rounding {
                "rni" => mode!(Rounding::Nearest),
                "rzi" => mode!(Rounding::Zero),
                "rmi" => mode!(Rounding::Down),
                "rpi" => mode!(Rounding::Up),
                _ => return None,
            }
        }
        (Type::F64, Type::F32, []) => lanes!(|a: f32| -> f64 { f64::from(a) }),
        (Type::F32, Type::F64, ["rn"]) => lanes!(|a: f64| -> f32 { a as f32 }),
        (Type::F32, Type::F16, []) => lanes!(|a: F16| -> f32 { a.0 }),
        (Type::F64, Type::F16, []) => lanes!(|a: F16| -> f64 { f64::from(a.0) }),
        (Type::F32, Type::Bf16, []) => lanes!(|a: Bf16| -> f32 { a.0 }),
        (Type::F16, Type::F32, ["rn"]) => lanes!(|a: f32| -> F16 { F16(a) }),
        (Type::Bf16, Type::F32, ["rn"]) => lanes!(|a: f32| -> Bf16 { Bf16(a) }),
        _ => return None,
    };
    Some((run, 1))
}
