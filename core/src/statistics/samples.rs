//! Samples as sums and differences.

use crate::plane::Plane;
use crate::real::Real;
use crate::sample::Sample;

/// How far beyond black and white a sample may lie, in data ranges, before it saturates.
///
/// Large enough for any sensible data, small enough that squares of squares stay finite in `f32`.
pub const SATURATION: f32 = 1_048_576.0;

/// How samples are scaled from a data range to 1.
///
/// Samples beyond [`SATURATION`] data ranges, infinite ones included, count as that far; NaN stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling<T> {
    limit: T,
    factor: T,
}

impl Scaling<f32> {
    /// From `data_range` to 1.
    pub fn new(data_range: f64) -> Self {
        Self {
            limit: (data_range * f64::from(SATURATION)) as f32,
            factor: (1.0 / data_range) as f32,
        }
    }

    /// The same over any numbers.
    #[inline(always)]
    pub fn splat<T: Real>(self) -> Scaling<T> {
        Scaling {
            limit: T::splat(self.limit),
            factor: T::splat(self.factor),
        }
    }
}

impl<T: Real> Scaling<T> {
    /// `s = x + y - 1` and `d = x - y`.
    #[inline(always)]
    pub fn sum_and_difference(self, x: T, y: T) -> [T; 2] {
        let (x, y) = (x.within(self.limit), y.within(self.limit));
        [(x + y) * self.factor - T::splat(1.0), (x - y) * self.factor]
    }

    /// The sample less 1/2.
    #[inline(always)]
    fn centred(self, x: T) -> T {
        x.within(self.limit) * self.factor - T::splat(0.5)
    }
}

/// One row of `s = x + y - 1` and `d = x - y`, with samples scaled from `data_range` to 1 ([`Scaling`]).
#[inline(always)]
pub fn sum_and_difference_row<X: Sample, Y: Sample>(
    reference: impl Iterator<Item = X>,
    distorted: impl Iterator<Item = Y>,
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    let scaling = Scaling::new(data_range);
    let pairs = reference.zip(distorted);
    for ((s, d), (x, y)) in sum.iter_mut().zip(difference).zip(pairs) {
        [*s, *d] = scaling.sum_and_difference(x.to_f32(), y.to_f32());
    }
}

/// One row of samples scaled from `data_range` to 1, less 1/2; saturating as in
/// [`sum_and_difference_row`].
pub(crate) fn centred_row<T: Sample>(
    samples: impl Iterator<Item = T>,
    data_range: f64,
    out: &mut [f32],
) {
    let scaling = Scaling::new(data_range);
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = scaling.centred(sample.to_f32());
    }
}

/// [`sum_and_difference_row`] for row `row` of two planes of one size, however they lie in memory.
#[inline(always)]
pub fn sum_and_difference<X: Sample, Y: Sample>(
    reference: &Plane<'_, X>,
    distorted: &Plane<'_, Y>,
    row: usize,
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    match (reference.packed_row(row), distorted.packed_row(row)) {
        (Some(x), Some(y)) => {
            let (x, y) = (x.iter().copied(), y.iter().copied());
            sum_and_difference_row(x, y, data_range, sum, difference);
        }
        _ => {
            let (x, y) = (reference.row(row), distorted.row(row));
            sum_and_difference_row(x, y, data_range, sum, difference);
        }
    }
}
