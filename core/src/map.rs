//! Maps: what each window of a scale saw, and the means of all terms.

use crate::apart::{contrast, structure};
use crate::error::Error;
use crate::metric::{MsSsim, require};
use crate::params::MAX_SCALES;
use crate::plane::{Plane, PlaneMut};
use crate::sample::Sample;
use crate::score::{Apart, ScaleMeans, Score};
use crate::ssim::{contrast_structure, luminance};
use crate::statistics::{Constants, Kind, MomentLines, TermSums, row_sums};

/// A term of SSIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// Luminance, `l`.
    Luminance,
    /// Contrast, `c`.
    Contrast,
    /// Structure, `s`.
    Structure,
    /// Contrast times structure, `cs`.
    ContrastStructure,
    /// `l cs`: SSIM itself.
    Ssim,
}

impl MsSsim {
    /// Writes a term of every window of scale `scale` of one channel: a plane of
    /// [`MsSsim::map_size`]. Negative terms stay.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`]; [`Error::Parameter`] where there is no such scale.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::scratch_len`].
    pub fn map<X: Sample, Y: Sample>(
        &self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        scale: usize,
        map: Map,
        out: &mut PlaneMut<'_>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        if scale >= self.params().scales {
            return Err(Error::Parameter {
                name: "scale",
                must: "below the number of scales",
            });
        }
        for (expected, actual) in [
            (self.size(), reference.size()),
            (self.size(), distorted.size()),
            (self.map_size(scale), out.size()),
        ] {
            if actual != expected {
                return Err(Error::SizeMismatch { expected, actual });
            }
        }
        require("scratch", scratch.len(), self.scratch_len());
        let (levels, lines) = scratch.split_at_mut(2 * self.pyramid_len());
        self.fill_pyramid(reference, distorted, None, levels);
        let level = self.level(levels, None, scale);
        let constants = self.all_apart(scale);
        let [c1, c2] = [constants.c1, constants.c2].map(f64::from);
        for row in 0..out.size().height {
            let (mut lines, _) = MomentLines::new(&constants, level.size, false, lines);
            lines.filter(&constants, &level, row);
            for (out, window) in out.row_mut(row).iter_mut().zip(lines.wide_windows()) {
                let m = window.moments;
                let term = match map {
                    Map::Luminance => luminance(m, c1).value,
                    Map::Contrast => contrast(m, window.sd, c2).term.value,
                    Map::Structure => structure(m, window.sd, c2).term.value,
                    Map::ContrastStructure => contrast_structure(m, c2).value,
                    Map::Ssim => luminance(m, c1).value * contrast_structure(m, c2).value,
                };
                *out = term as f32;
            }
        }
        Ok(())
    }

    /// All means of all scales, whichever the score is made of: the score with
    /// [`ScaleMeans::ssim`] and [`ScaleMeans::apart`] on every scale.
    ///
    /// # Errors
    /// As [`MsSsim::score`].
    ///
    /// # Panics
    /// If `scratch` is shorter than [`MsSsim::scratch_len`].
    pub fn means<X: Sample, Y: Sample>(
        &self,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        scratch: &mut [f32],
    ) -> Result<Score, Error> {
        let score = self.score(reference, distorted, scratch)?;
        let mut all = [ScaleMeans::default(); MAX_SCALES];
        let (levels, lines) = scratch.split_at_mut(2 * self.pyramid_len());
        for (x, y) in reference.iter().zip(distorted) {
            self.fill_pyramid(x, y, None, levels);
            for (scale, means) in all[..self.params().scales].iter_mut().enumerate() {
                let level = self.level(levels, None, scale);
                let of_kind = |kind, lines: &mut [f32]| {
                    let constants = Constants {
                        kind,
                        ..self.all_apart(scale)
                    };
                    let mut sums = TermSums::default();
                    for row in 0..self.map_size(scale).height {
                        sums += row_sums(&constants, &level, row, lines);
                    }
                    sums
                };
                let apart = of_kind(Kind::Apart, lines).apart;
                let ssim = of_kind(Kind::Ssim, lines);
                let windows = (self.map_size(scale).area() * self.channels()) as f64;
                let sum = means.apart.unwrap_or_default();
                means.cs += ssim.cs / windows;
                means.ssim = Some(means.ssim.unwrap_or(0.0) + ssim.ssim / windows);
                means.apart = Some(Apart {
                    luminance: sum.luminance + apart[0] / windows,
                    contrast: sum.contrast + apart[1] / windows,
                    structure: sum.structure + apart[2] / windows,
                });
            }
        }
        Ok(Score::new(score.value, &all[..self.params().scales]))
    }

    /// The constants of a scale with all terms apart, negative ones as they are.
    fn all_apart(&self, scale: usize) -> Constants {
        Constants {
            kind: Kind::Apart,
            clamped: false,
            ..*self.constants(scale)
        }
    }
}
