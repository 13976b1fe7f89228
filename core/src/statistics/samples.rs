//! Samples as sums and differences.

use crate::plane::Plane;
use crate::sample::Sample;

/// How far beyond black and white a sample may lie, in data ranges, before it saturates.
///
/// Large enough for any sensible data, small enough that squares of squares stay finite in `f32`.
pub const SATURATION: f32 = 1_048_576.0;

/// The value, or the limit that it is beyond; NaN stays. (`clamp` panics by a limit of NaN.)
#[inline(always)]
fn within(value: f32, limit: f32) -> f32 {
    let mut value = value;
    if value < -limit {
        value = -limit;
    }
    if value > limit {
        value = limit;
    }
    value
}

/// One row of `s = x + y - 1` and `d = x - y`, with samples scaled from `data_range` to 1.
///
/// Samples beyond [`SATURATION`] data ranges, infinite ones included, count as that far; NaN stays.
#[inline(always)]
pub fn sum_and_difference_row<X: Sample, Y: Sample>(
    reference: impl Iterator<Item = X>,
    distorted: impl Iterator<Item = Y>,
    data_range: f64,
    sum: &mut [f32],
    difference: &mut [f32],
) {
    let limit = (data_range * f64::from(SATURATION)) as f32;
    let scale = (1.0 / data_range) as f32;
    let pairs = reference.zip(distorted);
    for ((s, d), (x, y)) in sum.iter_mut().zip(difference).zip(pairs) {
        let (x, y) = (within(x.to_f32(), limit), within(y.to_f32(), limit));
        *s = (x + y) * scale - 1.0;
        *d = (x - y) * scale;
    }
}

/// One row of samples scaled from `data_range` to 1, less 1/2; saturating as in
/// [`sum_and_difference_row`].
pub(crate) fn centred_row<T: Sample>(
    samples: impl Iterator<Item = T>,
    data_range: f64,
    out: &mut [f32],
) {
    let limit = (data_range * f64::from(SATURATION)) as f32;
    let scale = (1.0 / data_range) as f32;
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = within(sample.to_f32(), limit) * scale - 0.5;
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
