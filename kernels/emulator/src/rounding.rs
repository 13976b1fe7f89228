//! Arithmetic whose rounding Rust's operators do not offer: fused and directed, in `f32`.

/// A rounding mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// To the nearest, ties to even (`.rn`).
    Nearest,
    /// Towards zero (`.rz`).
    Zero,
    /// Down (`.rm`).
    Down,
    /// Up (`.rp`).
    Up,
}

/// The sum of two `f64` and the exact error of it, but for infinities (Knuth's TwoSum).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// `a b + c` with one rounding, to nearest.
///
/// The product of two `f32` is exact in `f64`. Rounding the sum to `f64` and again to `f32` would
/// be wrong where the first rounding hits a tie of the second; an inexact sum is therefore made odd
/// in its last place, which keeps it off ties (Boldo and Melquiond, 2008).
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    let (sum, error) = two_sum(f64::from(a) * f64::from(b), f64::from(c));
    let bits = sum.to_bits();
    // Towards the error: up in magnitude where both have one sign, else down.
    let away = (error > 0.0) == (sum > 0.0);
    let odd = if away { bits + 1 } else { bits.wrapping_sub(1) };
    let adjust = error != 0.0 && bits & 1 == 0 && sum.is_finite();
    f64::from_bits(if adjust { odd } else { bits }) as f32
}

/// `a b + c` rounded once, as `rounding` says.
pub(crate) fn fma_directed(a: f32, b: f32, c: f32, rounding: Rounding) -> f32 {
    let (sum, error) = two_sum(f64::from(a) * f64::from(b), f64::from(c));
    let nearest = fma(a, b, c);
    if sum.is_nan() || sum.is_infinite() {
        return nearest;
    }
    let wide = f64::from(nearest);
    let above = wide > sum || (wide == sum && error < 0.0);
    let below = wide < sum || (wide == sum && error > 0.0);
    match rounding {
        Rounding::Down if above => nearest.next_down(),
        Rounding::Up if below => nearest.next_up(),
        Rounding::Zero if above && sum > 0.0 => nearest.next_down(),
        Rounding::Zero if below && sum < 0.0 => nearest.next_up(),
        _ => nearest,
    }
}

/// `value` rounded to an integer, ties to even or as `rounding` says.
#[inline(always)]
pub(crate) fn integral(value: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => value.round_ties_even(),
        Rounding::Zero => value.trunc(),
        Rounding::Down => value.floor(),
        Rounding::Up => value.ceil(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the standard library's, which is the processor's or glibc's.
        #[test]
        fn fma_is_fused(a in any::<u32>(), b in any::<u32>(), c in any::<u32>()) {
            let [a, b, c] = [a, b, c].map(f32::from_bits);
            let expected = a.mul_add(b, c);
            let actual = fma(a, b, c);
            prop_assert!(
                actual.to_bits() == expected.to_bits() || (actual.is_nan() && expected.is_nan()),
                "{} {} {}: {} {}", a, b, c, actual, expected
            );
        }

        /// Operands of like magnitude, where cancellation and ties are.
        #[test]
        fn fma_is_fused_among_neighbours(a in 0u32..4096, b in 0u32..4096, e in -60i32..60) {
            let [a, b] = [a, b].map(|v| f32::from_bits(0x3f80_0000 + v));
            let c = 2f32.powi(e);
            for c in [c, -c, -(a * b)] {
                prop_assert_eq!(fma(a, b, c).to_bits(), a.mul_add(b, c).to_bits());
            }
        }

        #[test]
        fn directed_results_enclose_the_exact_one(a in -1e3f32..1e3, b in -1e3f32..1e3, c in -1e6f32..1e6) {
            let down = fma_directed(a, b, c, Rounding::Down);
            let up = fma_directed(a, b, c, Rounding::Up);
            let nearest = fma(a, b, c);
            let exact = f64::from(a) * f64::from(b) + f64::from(c);
            prop_assert!(f64::from(down) <= exact && exact <= f64::from(up));
            prop_assert!(nearest == down || nearest == up);
            let zero = fma_directed(a, b, c, Rounding::Zero);
            prop_assert_eq!(zero, [up, down][usize::from(exact > 0.0)]);
        }
    }

    #[test]
    fn a_tie_of_the_second_rounding_is_seen() {
        // 1 + 2^-24 is a tie in f32; 2^-80 more is lost in f64 and must still round up.
        let a = 2f32.powi(-40);
        assert_eq!(fma(a, a, 1.0 + 2f32.powi(-23)), 1.0 + 2f32.powi(-23));
        let c = f32::from_bits(0x3380_0000);
        assert_eq!(fma(1.0, 1.0, c).to_bits(), 1f32.to_bits());
        assert_eq!(fma(1.0 + 2f32.powi(-23), c, 1.0), 1.0 + 2f32.powi(-23));
    }
}
