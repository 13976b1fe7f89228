//! The types that samples may have.

/// A type that samples may have.
pub trait Sample: Copy + Send + Sync {
    /// The sample as `f32`, in the same units: exact for all but `f64`, which is rounded.
    fn to_f32(self) -> f32;

    /// The samples as what they are, if that is one of the types in [`Native`].
    fn native(samples: &[Self]) -> Option<Native<'_>> {
        let _ = samples;
        None
    }
}

/// Samples of the types that a backend may read without asking each what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Native<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Bytes.
    U8(&'a [u8]),
}

/// A half-precision sample (IEEE 754 binary16), by its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The upper half of a single-precision sample (bfloat16), by its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Sample for u8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn native(samples: &[Self]) -> Option<Native<'_>> {
        Some(Native::U8(samples))
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Sample for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn native(samples: &[Self]) -> Option<Native<'_>> {
        Some(Native::F32(samples))
    }
}

impl Sample for f64 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
}

impl Sample for F16 {
    #[inline]
    fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 >> 15) << 31;
        let exponent = u32::from(self.0 >> 10) & 0x1F;
        let fraction = u32::from(self.0) & 0x3FF;
        match exponent {
            // Subnormal: fraction units of 2^-24.
            0 => {
                let size = fraction as f32 * (1.0 / 16_777_216.0);
                f32::from_bits(size.to_bits() | sign)
            }
            31 => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
            _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
        }
    }
}

impl Sample for Bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_by_hand() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 1.0 / 16_777_216.0),
            (0x0400, 1.0 / 16_384.0),
            (0x3555, 0.333_251_95),
            (0x7C00, f32::INFINITY),
            (0x8000, -0.0),
        ] {
            assert_eq!(
                F16(bits).to_f32().to_bits(),
                f32::to_bits(value),
                "{bits:#x}"
            );
        }
        assert!(F16(0x7E00).to_f32().is_nan());
        assert_eq!(Bf16(0x3F80).to_f32(), 1.0);
    }

    #[test]
    fn every_half_is_ordered_as_its_bits() {
        let mut last = -1.0;
        for bits in 0..0x7C00 {
            let value = F16(bits).to_f32();
            assert!(value > last, "{bits:#x}");
            last = value;
        }
    }
}
