//! Luma: one plane of three.

use crate::error::Error;
use crate::plane::{Plane, PlaneMut};
use crate::sample::Sample;

/// How luma is made of red, green and blue, gamma-encoded as files hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luma {
    /// `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601).
    Bt601,
    /// `0.2126 R + 0.7152 G + 0.0722 B` (ITU-R BT.709).
    Bt709,
    /// MATLAB's `rgb2ycbcr`: `16 + (65.481 R + 128.553 G + 24.966 B) / 255` of 255, from 16 to 235.
    /// Super-resolution papers use it, rounded.
    Matlab,
}

impl Luma {
    /// Factors of red, green and blue, and what is added, in data ranges.
    const fn coefficients(self) -> ([f32; 3], f32) {
        match self {
            Self::Bt601 => ([0.299, 0.587, 0.114], 0.0),
            Self::Bt709 => ([0.2126, 0.7152, 0.0722], 0.0),
            Self::Matlab => (
                [
                    (65.481 / 255.0) as f32,
                    (128.553 / 255.0) as f32,
                    (24.966 / 255.0) as f32,
                ],
                (16.0 / 255.0) as f32,
            ),
        }
    }

    /// Writes the luma of an image's planes, in their units, `data_range` from black to white.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] where planes differ in size.
    pub fn write<T: Sample>(
        self,
        [red, green, blue]: [&Plane<'_, T>; 3],
        data_range: f64,
        luma: &mut PlaneMut<'_>,
    ) -> Result<(), Error> {
        let expected = red.size();
        for actual in [green.size(), blue.size(), luma.size()] {
            if actual != expected {
                return Err(Error::SizeMismatch { expected, actual });
            }
        }
        let ([by_red, by_green, by_blue], offset) = self.coefficients();
        let offset = offset * data_range as f32;
        for i in 0..expected.height {
            let colours = red.row(i).zip(green.row(i)).zip(blue.row(i));
            for (luma, ((r, g), b)) in luma.row_mut(i).iter_mut().zip(colours) {
                let (r, g, b) = (r.to_f32(), g.to_f32(), b.to_f32());
                *luma = offset + by_red * r + by_green * g + by_blue * b;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::Size;

    #[test]
    fn white_black_and_green() {
        let size = Size {
            width: 3,
            height: 1,
        };
        let pixels = [255u8, 255, 255, 0, 0, 0, 0, 255, 0];
        let [r, g, b] = [0, 1, 2].map(|c| Plane::interleaved(&pixels, size, 3, c).unwrap());
        for (luma, expected) in [
            (Luma::Bt601, [255.0, 0.0, 149.685]),
            (Luma::Bt709, [255.0, 0.0, 182.376]),
            (Luma::Matlab, [235.0, 16.0, 144.553]),
        ] {
            let mut out = [f32::NAN; 3];
            let mut plane = PlaneMut::new(&mut out, size).unwrap();
            luma.write([&r, &g, &b], 255.0, &mut plane).unwrap();
            for (out, expected) in out.into_iter().zip(expected) {
                assert!((out - expected).abs() < 1e-3, "{luma:?}: {out} {expected}");
            }
        }
    }
}
