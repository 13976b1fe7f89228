//! The forward pass over one scale: window statistics, terms, and their sums row by row.

mod lines;
mod samples;

use core::ops::AddAssign;

use crate::apart::{contrast, structure};
use crate::filter::map_size;
use crate::params::{Border, Negative, Params, Terms};
use crate::plane::Size;
use crate::real::Real;
use crate::ssim::{contrast_structure, luminance};
use crate::sum::sum_terms;
use crate::window::Window;

pub(crate) use lines::{MomentLines, Windowed};
pub(crate) use samples::centred_row;
pub use samples::{SATURATION, Scaling, sum_and_difference, sum_and_difference_row};

/// Which terms a scale has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Contrast times structure.
    ContrastStructure,
    /// That times luminance: the coarsest scale's.
    Ssim,
    /// Luminance, contrast and structure apart.
    Apart,
}

/// The numbers that the passes over one scale need, prepared once from [`Params`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// The window.
    pub window: Window,
    /// What a window sees beyond the image.
    pub border: Border,
    /// C1 for samples scaled to [0, 1].
    pub c1: f32,
    /// C2 for samples scaled to [0, 1].
    pub c2: f32,
    /// Which terms there are.
    pub kind: Kind,
    /// Whether a negative term counts as 0 before the mean is taken.
    pub clamped: bool,
}

impl Constants {
    /// The constants of a scale.
    pub fn new(params: &Params, scale: usize) -> Self {
        let growth = libm::pow(params.sigma_growth, scale as f64);
        Self {
            window: Window::gaussian(params.sigma * growth, params.radius),
            border: params.border_of(scale),
            c1: (params.k1 * params.k1) as f32,
            c2: (params.k2 * params.k2) as f32,
            kind: match params.terms {
                Terms::Apart { .. } => Kind::Apart,
                Terms::ContrastStructure if scale + 1 == params.scales => Kind::Ssim,
                Terms::ContrastStructure => Kind::ContrastStructure,
            },
            clamped: params.negative == Negative::ZeroMap,
        }
    }

    /// The size of the map of this scale's windows.
    pub fn map_size(&self, size: Size) -> Size {
        map_size(self.border, self.window.radius, size)
    }

    /// A term as it enters its mean.
    pub(crate) fn clamp(&self, term: f32) -> f32 {
        if self.clamped && term < 0.0 {
            0.0
        } else {
            term
        }
    }
}

/// One scale of an image pair: `size.area()` samples of `s = x + y - 1` and of `d = x - y`.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    /// Width and height of the scale.
    pub size: Size,
    /// `s = x + y - 1`, samples scaled to [0, 1].
    pub sum: &'a [f32],
    /// `d = x - y`.
    pub difference: &'a [f32],
    /// The weight of each sample, at least 0; without it all have weight 1. See [`crate::mask`].
    pub mask: Option<&'a [f32]>,
}

/// The rows of a scale, wherever they are kept.
pub(crate) trait Rows {
    /// Width and height of the scale.
    fn size(&self) -> Size;
    /// A row of `s`.
    fn sum(&self, row: usize) -> &[f32];
    /// A row of `d`.
    fn difference(&self, row: usize) -> &[f32];
    /// A row of the mask, where there is one.
    fn mask(&self, row: usize) -> Option<&[f32]>;
}

impl Rows for Level<'_> {
    fn size(&self) -> Size {
        self.size
    }

    fn sum(&self, row: usize) -> &[f32] {
        &self.sum[row * self.size.width..][..self.size.width]
    }

    fn difference(&self, row: usize) -> &[f32] {
        &self.difference[row * self.size.width..][..self.size.width]
    }

    fn mask(&self, row: usize) -> Option<&[f32]> {
        self.mask
            .map(|mask| &mask[row * self.size.width..][..self.size.width])
    }
}

/// Sums of the terms over one map row, or over a whole map, each times its window's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TermSums {
    /// Sum of contrast times structure.
    pub cs: f64,
    /// Sum of luminance times contrast times structure; 0 where it was not asked for.
    pub ssim: f64,
    /// Sums of luminance, contrast and structure; 0 where they were not asked for.
    pub apart: [f64; 3],
    /// Sum of the windows' weights; 0 where there is no mask.
    pub weight: f64,
}

impl AddAssign for TermSums {
    fn add_assign(&mut self, rhs: Self) {
        self.cs += rhs.cs;
        self.ssim += rhs.ssim;
        for (sum, term) in self.apart.iter_mut().zip(rhs.apart) {
            *sum += term;
        }
        self.weight += rhs.weight;
    }
}
/// Sums `f64` terms of a row in eight interleaved partial sums, added pairwise: a fixed order that
/// does not wait for one addition to finish before the next begins.
fn sum_weighted(terms: impl Iterator<Item = f32>) -> f64 {
    let mut lanes = [0.0f64; 8];
    for (i, term) in terms.enumerate() {
        lanes[i % 8] += f64::from(term);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// Samples of scratch that [`row_sums`] needs for a plane of `width`, by a window of `radius`, whatever
/// the terms.
pub const fn row_scratch_len(width: usize, radius: usize) -> usize {
    MomentLines::scratch_len(width, radius, true, true)
}

/// The sums of the terms along map row `row`.
///
/// # Panics
/// If `scratch` is shorter than [`row_scratch_len`].
pub fn row_sums(
    constants: &Constants,
    level: &Level<'_>,
    row: usize,
    scratch: &mut [f32],
) -> TermSums {
    row_sums_of(constants, level, level.mask.is_some(), row, scratch)
}

/// [`row_sums`] of rows wherever they are kept.
pub(crate) fn row_sums_of(
    constants: &Constants,
    rows: &impl Rows,
    masked: bool,
    row: usize,
    scratch: &mut [f32],
) -> TermSums {
    let (mut lines, _) = MomentLines::new(constants, rows.size(), masked, scratch);
    lines.filter(constants, rows, row);
    term_sums(constants, &lines)
}

/// Like [`row_sums`], and writes the terms, one a window: `cs`, or on the coarsest scale `l cs`.
///
/// # Panics
/// If `scratch` is shorter than [`row_scratch_len`].
pub fn row_terms(
    constants: &Constants,
    level: &Level<'_>,
    row: usize,
    scratch: &mut [f32],
    terms: &mut [f32],
) -> TermSums {
    let (mut lines, _) = MomentLines::new(constants, level.size, false, scratch);
    lines.filter(constants, level, row);
    for (term, m) in terms.iter_mut().zip(lines.iter()) {
        let cs = contrast_structure(m, constants.c2).value;
        *term = constants.clamp(match constants.kind {
            Kind::Ssim => luminance(m, constants.c1).value * cs,
            _ => cs,
        });
    }
    term_sums(constants, &lines)
}

/// The sums of the terms of filtered lines.
pub(crate) fn term_sums(constants: &Constants, lines: &MomentLines<'_>) -> TermSums {
    let Constants { c1, c2, kind, .. } = *constants;
    if kind == Kind::Apart {
        return sums_apart(constants, lines);
    }
    let cs = |m| constants.clamp(contrast_structure(m, c2).value);
    let ssim = |m| constants.clamp(luminance(m, c1).value * contrast_structure(m, c2).value);
    let mut sums = TermSums::default();
    if lines.masked() {
        let weighted = |w: Windowed<f32>, term: f32| w.weight * term;
        sums.cs = sum_weighted(lines.windows().map(|w| weighted(w, cs(w.moments))));
        if kind == Kind::Ssim {
            sums.ssim = sum_weighted(lines.windows().map(|w| weighted(w, ssim(w.moments))));
        }
        sums.weight = sum_weighted(lines.windows().map(|w| w.weight));
    } else {
        sums.cs = sum_terms(lines.iter().map(cs));
        if kind == Kind::Ssim {
            sums.ssim = sum_terms(lines.iter().map(ssim));
        }
    }
    sums
}

fn sums_apart(constants: &Constants, lines: &MomentLines<'_>) -> TermSums {
    let [c1, c2] = [constants.c1, constants.c2].map(f64::from);
    let clamp = |term: f64| match constants.clamped {
        true => term.at_least_zero(),
        false => term,
    };
    let mut sums = TermSums::default();
    for Windowed {
        moments,
        sd,
        weight,
    } in lines.wide_windows()
    {
        sums.cs += weight * clamp(contrast_structure(moments, c2).value);
        let terms = [
            luminance(moments, c1).value,
            contrast(moments, sd, c2).term.value,
            structure(moments, sd, c2).term.value,
        ];
        for (sum, term) in sums.apart.iter_mut().zip(terms) {
            *sum += weight * clamp(term);
        }
        if lines.masked() {
            sums.weight += weight;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_and_difference_of_extremes_are_finite() {
        let x = [f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 255.0, 0.0];
        let y = [f32::MAX, f32::MAX, f32::INFINITY, 0.0, 0.0];
        let (mut s, mut d) = ([f32::NAN; 5], [f32::NAN; 5]);
        sum_and_difference_row(x.into_iter(), y.into_iter(), 255.0, &mut s, &mut d);
        assert_eq!(d, [0.0, 0.0, -2.0 * SATURATION, 1.0, 0.0]);
        assert_eq!((s[3], s[4]), (0.0, -1.0));
        assert!(s.iter().all(|s| s.is_finite()), "{s:?}");
        let nan = [f32::NAN].into_iter();
        sum_and_difference_row(nan, [1.0f32].into_iter(), 255.0, &mut s[..1], &mut d[..1]);
        assert!(s[0].is_nan() && d[0].is_nan(), "NaN stays");
    }

    #[test]
    fn a_weighted_row_sums_to_its_sum() {
        assert_eq!(sum_weighted((1..=21).map(|v| v as f32)), 231.0);
    }
}
