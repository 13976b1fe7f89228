//! The pyramid: each scale is made of samples of the finer one, and the adjoint of that.

use crate::params::{Halving, MAX_SCALES, Params};
use crate::part::entry;
use crate::plane::Size;
use crate::real::Real;

/// The low-pass filter of the 9/7 wavelets from its centre outwards, scaled to sum 1: four digits of it, as
/// MeTriX MuX has them.
const LOW_PASS_97: [f32; 5] = [
    (0.8527 / 1.4143) as f32,
    (0.3774 / 1.4143) as f32,
    (-0.1106 / 1.4143) as f32,
    (-0.0238 / 1.4143) as f32,
    (0.0378 / 1.4143) as f32,
];

/// The two samples, along one axis, that sample `i` of the coarser scale is the mean of.
///
/// `None` is a zero before the first sample. `side` is the finer scale's; `shifted` says whether a sample
/// was repeated before the first.
#[inline]
fn sources(halving: Halving, side: usize, shifted: bool, i: usize) -> [Option<usize>; 2] {
    match halving {
        Halving::Symmetric => [Some(2 * i), Some((2 * i + 1).min(side - 1))],
        Halving::Zero if side % 2 == 1 => [(2 * i).checked_sub(1), Some(2 * i)],
        Halving::ReplicateFirst if shifted => [Some((2 * i).saturating_sub(1)), Some(2 * i)],
        _ => [Some(2 * i), Some(2 * i + 1)],
    }
}

/// The coarser sample, along one axis, that finer sample `i` takes part in, and how often.
#[inline]
fn target(halving: Halving, side: usize, shifted: bool, i: usize) -> Option<(usize, f32)> {
    let odd = side % 2 == 1;
    match halving {
        Halving::Symmetric if i + 1 == side && odd => Some((i / 2, 2.0)),
        Halving::Zero => Some(((i + side % 2) / 2, 1.0)),
        Halving::ReplicateFirst if shifted => match i {
            0 => Some((0, 2.0)),
            // The padded side was odd.
            _ if i + 1 == side && !odd => None,
            _ => Some((i.div_ceil(2), 1.0)),
        },
        Halving::Floor | Halving::ReplicateFirst if i + 1 == side && odd => None,
        _ => Some((i / 2, 1.0)),
    }
}

/// Whether the first row and column of a plane are repeated before it is halved.
fn is_shifted(halving: Halving, size: Size) -> bool {
    halving == Halving::ReplicateFirst && (size.width % 2 == 1 || size.height % 2 == 1)
}

/// The sample of a side at `at - 4`, mirrored about the edge of the outermost sample.
#[inline]
fn mirrored(side: usize, at: usize) -> usize {
    let unfolded = if at < 4 { 3 - at } else { at - 4 };
    // No side is empty, which the optimiser does not know.
    let at = unfolded % (2 * side).max(1);
    at.min(2 * side - 1 - at)
}

/// What finer sample `i` weighs in coarser sample `coarse`, along one axis, by the 9/7 filter.
fn weight_97(side: usize, coarse: usize, i: usize) -> f32 {
    let taps = (0..9).filter(|k| mirrored(side, 2 * coarse + k) == i);
    taps.map(|k| LOW_PASS_97[k.abs_diff(4)]).sum()
}

/// The size of the next scale.
pub const fn halved(halving: Halving, size: Size) -> Size {
    let Size { width, height } = size;
    match halving {
        Halving::Symmetric | Halving::Zero | Halving::LowPass97 => Size {
            width: width.div_ceil(2),
            height: height.div_ceil(2),
        },
        // A side of even length grows to an odd one with the other, and loses its last sample.
        Halving::ReplicateFirst => Size {
            width: width.div_ceil(2),
            height: height.div_ceil(2),
        },
        Halving::Floor => Size {
            width: width / 2,
            height: height / 2,
        },
        Halving::Keep => size,
    }
}

/// The sizes of all scales of an image of `size`, the finest first; those beyond
/// `params.scales` are empty.
pub const fn scale_sizes(size: Size, params: &Params) -> [Size; MAX_SCALES] {
    let mut sizes = [Size {
        width: 0,
        height: 0,
    }; MAX_SCALES];
    let mut next = size;
    let mut scale = 0;
    while scale < params.scales && scale < MAX_SCALES {
        sizes[scale] = next;
        next = halved(params.halving, next);
        scale += 1;
    }
    sizes
}

/// The two rows of the finer scale that row `row` of the coarser one is made of, the upper one first, by the rules
/// that take means of 2 x 2 samples; `None` is a row of zeros before the first.
pub fn source_rows(halving: Halving, size: Size, row: usize) -> [Option<usize>; 2] {
    sources(halving, size.height, is_shifted(halving, size), row)
}

/// The last row of the finer scale that row `row` of the coarser one is made of.
pub fn last_source(halving: Halving, size: Size, row: usize) -> usize {
    match halving {
        Halving::Keep => row,
        Halving::LowPass97 => (2 * row + 4).min(size.height - 1),
        _ => {
            let [first, second] = source_rows(halving, size, row);
            first.max(second).unwrap_or(0)
        }
    }
}

/// One row of the coarser scale from a plane of the finer one.
///
/// `plane` holds `size.area()` samples, `coarse` the coarser scale's width. `outside` is what a
/// zero beyond the image is in this plane's units: the sum `s = x + y - 1` of two zeros is -1.
pub fn halve_row(
    halving: Halving,
    size: Size,
    plane: &[f32],
    outside: f32,
    row: usize,
    coarse: &mut [f32],
) {
    let rows = |row: usize| &plane[row * size.width..][..size.width];
    halve_row_of(halving, size, rows, outside, row, coarse);
}

/// [`halve_row`] where `rows` gives the rows of the finer scale.
pub(crate) fn halve_row_of<'r>(
    halving: Halving,
    size: Size,
    rows: impl Fn(usize) -> &'r [f32],
    outside: f32,
    row: usize,
    coarse: &mut [f32],
) {
    match halving {
        Halving::Keep => {
            for (coarse, fine) in coarse.iter_mut().zip(rows(row)) {
                *coarse = *fine;
            }
            return;
        }
        Halving::LowPass97 => {
            coarse.fill(0.0);
            for k in 0..9 {
                let tap = entry(&LOW_PASS_97, 4usize.abs_diff(k));
                let line = rows(mirrored(size.height, 2 * row + k));
                for (j, coarse) in coarse.iter_mut().enumerate() {
                    let at = |k: usize| entry(line, mirrored(size.width, 2 * j + k));
                    let mut sum = LOW_PASS_97[0] * at(4);
                    for (distance, tap) in LOW_PASS_97.iter().enumerate().skip(1) {
                        sum += tap * (at(4 - distance) + at(4 + distance));
                    }
                    *coarse += tap * sum;
                }
            }
            return;
        }
        _ => {}
    }
    let rows = source_rows(halving, size, row).map(|source| source.map(&rows));
    halve_rows(halving, size, rows, outside, coarse);
}

/// Whether every coarser sample is the mean of 2 x 2 from an even row and column on, in a plane of `size`.
pub fn is_even(halving: Halving, size: Size) -> bool {
    match halving {
        Halving::Floor => true,
        Halving::Symmetric | Halving::Zero | Halving::ReplicateFirst => {
            size.width.is_multiple_of(2) && size.height.is_multiple_of(2)
        }
        Halving::LowPass97 | Halving::Keep => false,
    }
}

/// The mean of 2 x 2 samples.
#[inline(always)]
pub fn mean_of_four<T: Real>(upper: [T; 2], lower: [T; 2]) -> T {
    // Columns first: a vector of them at a time takes half the shuffles.
    T::splat(0.25) * ((upper[0] + lower[0]) + (upper[1] + lower[1]))
}

/// One row of the coarser scale from the two rows ([`source_rows`]) that it is made of, by the rules that take means
/// of 2 x 2 samples.
#[inline(always)]
pub fn halve_rows<T: Real>(
    halving: Halving,
    size: Size,
    rows: [Option<&[T]>; 2],
    outside: T,
    coarse: &mut [T],
) {
    let shifted = is_shifted(halving, size);
    // Away from the ends all rules take neighbours, which begin with the first or the second column.
    let [upper, lower] = rows;
    let (mut done, width) = (0, coarse.len());
    if let (Some(upper), Some(lower), [edge, inner @ .., _]) = (upper, lower, &mut *coarse) {
        let first = sources(halving, size.width, shifted, 1)[0].unwrap_or(2);
        *edge = mean_at(rows, sources(halving, size.width, shifted, 0), outside);
        let [upper, lower] = [upper, lower].map(|row| row.get(first..).unwrap_or_default());
        let pairs = upper.as_chunks::<2>().0.iter();
        let pairs = pairs.zip(lower.as_chunks::<2>().0);
        for (coarse, (upper, lower)) in inner.iter_mut().zip(pairs) {
            *coarse = mean_of_four(*upper, *lower);
        }
        done = width - 1;
    }
    for (j, coarse) in coarse.iter_mut().enumerate().skip(done) {
        *coarse = mean_at(rows, sources(halving, size.width, shifted, j), outside);
    }
}

/// The mean of two columns of two rows, some of which may be outside.
#[inline(always)]
fn mean_at<T: Real>(rows: [Option<&[T]>; 2], columns: [Option<usize>; 2], outside: T) -> T {
    let mut samples = [[outside; 2]; 2];
    for (samples, row) in samples.iter_mut().zip(rows) {
        for (sample, column) in samples.iter_mut().zip(columns) {
            if let (Some(row), Some(column)) = (row, column) {
                *sample = entry(row, column);
            }
        }
    }
    mean_of_four(samples[0], samples[1])
}

/// Sample (i, j) of the coarser scale, where `value(row, column)` gives those of the finer one.
pub(crate) fn halve_sample(
    halving: Halving,
    size: Size,
    value: &impl Fn(usize, usize) -> f32,
    outside: f32,
    i: usize,
    j: usize,
) -> f32 {
    match halving {
        Halving::Keep => return value(i, j),
        Halving::LowPass97 => {
            let mut sum = 0.0;
            for k in 0..9 {
                for l in 0..9 {
                    let tap = LOW_PASS_97[4usize.abs_diff(k)] * LOW_PASS_97[4usize.abs_diff(l)];
                    let row = mirrored(size.height, 2 * i + k);
                    sum += tap * value(row, mirrored(size.width, 2 * j + l));
                }
            }
            return sum;
        }
        _ => {}
    }
    let shifted = is_shifted(halving, size);
    let mut sum = 0.0;
    for row in sources(halving, size.height, shifted, i) {
        for column in sources(halving, size.width, shifted, j) {
            sum += match (row, column) {
                (Some(row), Some(column)) => value(row, column),
                _ => outside,
            };
        }
    }
    0.25 * sum
}

/// The adjoint of [`halve_row`] over a whole plane: adds to row `row` of the finer scale's
/// gradient what it owes to the coarser scale's.
///
/// `coarse` is the coarser gradient, `halved(halving, size).area()` samples; `fine` is one row.
/// A sample that took part twice (the mirrored last row or column) is owed twice.
#[inline(always)]
pub fn halve_row_adjoint<T: Real>(
    halving: Halving,
    size: Size,
    coarse: &[T],
    row: usize,
    fine: &mut [T],
) {
    let Size { width, height } = halved(halving, size);
    match halving {
        Halving::Keep => {
            for (fine, coarse) in fine.iter_mut().zip(&coarse[row * width..]) {
                *fine = *fine + *coarse;
            }
            return;
        }
        Halving::LowPass97 => {
            // No mirror image of a sample is nearer to a filter's centre than the sample.
            let near = |i: usize, side: usize| i.saturating_sub(3) / 2..(i / 2 + 3).min(side);
            for i in near(row, height) {
                let by_row = weight_97(size.height, i, row);
                for (j, fine) in fine.iter_mut().enumerate() {
                    for column in near(j, width) {
                        let by_column = weight_97(size.width, column, j);
                        let weight = T::splat(by_row * by_column);
                        *fine = *fine + weight * coarse[i * width + column];
                    }
                }
            }
            return;
        }
        _ => {}
    }
    let shifted = is_shifted(halving, size);
    let Some((i, times)) = target(halving, size.height, shifted, row) else {
        return;
    };
    let coarse = &coarse[i * width..][..width];
    let share = 0.25 * times;
    let owe = |j: usize, fine: &mut T| {
        if let Some((j, again)) = target(halving, size.width, shifted, j) {
            *fine = *fine + T::splat(share * again) * coarse[j];
        }
    };
    // Away from the ends pairs share a target, and count once, by all rules; they begin at the second or the third.
    let of = |j: usize| target(halving, size.width, shifted, j).map(|(j, _)| j);
    let first = match size.width {
        0..8 => size.width,
        _ if of(2) == of(3) => 2,
        _ => 3,
    };
    for (j, fine) in fine[..first].iter_mut().enumerate() {
        owe(j, fine);
    }
    let mut done = first;
    if let Some(targets) = of(first).filter(|_| first < size.width) {
        let pairs = (size.width - first - 2) / 2;
        let (chunks, _) = fine[first..].as_chunks_mut::<2>();
        for (fine, coarse) in chunks[..pairs].iter_mut().zip(&coarse[targets..]) {
            let owed = T::splat(share) * *coarse;
            fine[0] = fine[0] + owed;
            fine[1] = fine[1] + owed;
        }
        done += 2 * pairs;
    }
    for (j, fine) in fine.iter_mut().enumerate().skip(done) {
        owe(j, fine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{dot, noise};
    use std::vec;
    use std::vec::Vec;

    const RULES: [Halving; 6] = [
        Halving::Symmetric,
        Halving::Zero,
        Halving::Floor,
        Halving::ReplicateFirst,
        Halving::LowPass97,
        Halving::Keep,
    ];

    fn halve(halving: Halving, size: Size, plane: &[f32], outside: f32) -> Vec<f32> {
        let coarse = halved(halving, size);
        let mut out = vec![f32::NAN; coarse.area()];
        for (row, out) in out.chunks_exact_mut(coarse.width).enumerate() {
            halve_row(halving, size, plane, outside, row, out);
        }
        out
    }

    #[test]
    fn three_by_three_by_hand() {
        let plane = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let size = Size {
            width: 3,
            height: 3,
        };
        assert_eq!(halve(Halving::Floor, size, &plane, 0.0), [3.0]);
        assert_eq!(
            halve(Halving::Symmetric, size, &plane, 0.0),
            [3.0, 4.5, 7.5, 9.0]
        );
        assert_eq!(
            halve(Halving::Zero, size, &plane, 0.0),
            [0.25, 1.25, 2.75, 7.0]
        );
        assert_eq!(
            halve(Halving::Zero, size, &plane, -1.0),
            [-0.5, 0.75, 2.25, 7.0]
        );
    }

    #[test]
    fn repeating_the_first_shifts_both_axes_if_either_is_odd() {
        let plane = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let size = Size {
            width: 3,
            height: 2,
        };
        // Padded: 1 1 2 3 / 1 1 2 3 / 4 4 5 6.
        assert_eq!(
            halve(Halving::ReplicateFirst, size, &plane, 0.0),
            [1.0, 2.5]
        );
        let even = Size {
            width: 2,
            height: 2,
        };
        assert_eq!(
            halve(Halving::ReplicateFirst, even, &plane[..4], 0.0),
            [2.5]
        );
    }

    #[test]
    fn the_low_pass_filter_keeps_a_constant_and_a_mirrored_edge() {
        let size = Size {
            width: 9,
            height: 7,
        };
        let flat = halve(Halving::LowPass97, size, &[0.5; 63], 0.0);
        assert!(flat.iter().all(|v| (v - 0.5).abs() < 1e-6), "{flat:?}");
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6].map(|at| mirrored(2, at)),
            [0, 1, 1, 0, 0, 1, 1]
        );
    }

    #[test]
    fn the_last_source_is_the_last_row_read() {
        for halving in RULES {
            for (width, height) in [(8, 6), (7, 6), (8, 5), (9, 7), (2, 3)] {
                let size = Size { width, height };
                let mut coarse = vec![0.0; halved(halving, size).width];
                for row in 0..halved(halving, size).height {
                    let last = std::cell::Cell::new(0);
                    let plane = vec![0.0; width];
                    let rows = |row: usize| {
                        last.set(last.get().max(row));
                        &plane[..]
                    };
                    halve_row_of(halving, size, rows, 0.0, row, &mut coarse);
                    assert_eq!(
                        last.get(),
                        last_source(halving, size, row),
                        "{halving:?} {size} {row}"
                    );
                }
            }
        }
    }

    #[test]
    fn adjoint_passes_the_dot_test() {
        for halving in RULES {
            // Rounding a single row or column down leaves nothing.
            let sizes = [(8, 6), (7, 6), (8, 5), (9, 7), (2, 3), (21, 17), (1, 1)];
            let sizes = sizes
                .into_iter()
                .filter(|(w, _)| *w > 1 || halving != Halving::Floor);
            for (width, height) in sizes {
                let size = Size { width, height };
                let u = noise(1, size.area());
                let v = noise(2, halved(halving, size).area());
                let mut adjoint = vec![0.0; size.area()];
                for (row, fine) in adjoint.chunks_exact_mut(width).enumerate() {
                    halve_row_adjoint(halving, size, &v, row, fine);
                }
                let (left, right) = (dot(&halve(halving, size, &u, 0.0), &v), dot(&u, &adjoint));
                assert!(
                    (left - right).abs() < 1e-5,
                    "{halving:?} {size}: {left} {right}"
                );
            }
        }
    }

    #[test]
    fn sizes_follow_the_rule() {
        let size = Size {
            width: 33,
            height: 48,
        };
        let widths = |params: Params| scale_sizes(size, &params).map(|size| size.width);
        assert_eq!(widths(Params::SNELL_2017), [33, 17, 9, 5, 3, 0, 0, 0]);
        let floor = Params {
            halving: Halving::Floor,
            ..Params::SNELL_2017
        };
        assert_eq!(widths(floor), [33, 16, 8, 4, 2, 0, 0, 0]);
    }
}
