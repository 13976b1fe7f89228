//! The numbers that the formula is written over: a real, or a vector of them.

use core::ops::{Add, Div, Mul, Sub};

/// A real number, or one SIMD vector of them.
///
/// The formula ([`crate::ssim`]) is generic over this trait, so that `f32` (production), `f64`
/// (gradient checks) and a backend's vectors run the same lines and cannot disagree.
pub trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The number `value`, in every lane.
    fn splat(value: f32) -> Self;

    /// The larger of `self` and zero; NaN stays NaN, so that bad input is never hidden.
    fn at_least_zero(self) -> Self;

    /// The number, or the nearer one of `-limit` and `limit` that it is beyond; NaN stays NaN.
    fn within(self, limit: Self) -> Self;
}

macro_rules! scalar {
    ($($float:ty),*) => {$(
        impl Real for $float {
            #[inline(always)]
            fn splat(value: f32) -> Self {
                Self::from(value)
            }

            #[inline(always)]
            fn at_least_zero(self) -> Self {
                if self < 0.0 { 0.0 } else { self }
            }

            // (`clamp` panics by a limit of NaN.)
            #[inline(always)]
            fn within(self, limit: Self) -> Self {
                let mut value = self;
                if value < -limit {
                    value = -limit;
                }
                if value > limit {
                    value = limit;
                }
                value
            }
        }
    )*};
}

scalar!(f32, f64);

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn at_least_zero_keeps_nan() {
        assert_eq!(Real::at_least_zero(-1.5f32), 0.0);
        assert_eq!(Real::at_least_zero(1.5f64), 1.5);
        assert!(Real::at_least_zero(f32::NAN).is_nan());
    }
}
