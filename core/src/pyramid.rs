//! The pyramid: each scale is the mean of 2 x 2 samples of the finer one, and the adjoint of that.

use crate::params::{Halving, MAX_SCALES, Params};
use crate::plane::Size;

/// The two samples, along one axis, that sample `i` of the coarser scale is the mean of.
///
/// `None` is a zero before the first sample. `side` is the finer scale's.
#[inline]
fn sources(halving: Halving, side: usize, i: usize) -> [Option<usize>; 2] {
    match halving {
        Halving::Floor => [Some(2 * i), Some(2 * i + 1)],
        Halving::Symmetric => [Some(2 * i), Some((2 * i + 1).min(side - 1))],
        Halving::Zero if side.is_multiple_of(2) => [Some(2 * i), Some(2 * i + 1)],
        Halving::Zero => [(2 * i).checked_sub(1), Some(2 * i)],
    }
}

/// The coarser sample, along one axis, that finer sample `i` takes part in, and how often.
#[inline]
fn target(halving: Halving, side: usize, i: usize) -> Option<(usize, f32)> {
    match halving {
        Halving::Floor if i + 1 == side && side % 2 == 1 => None,
        Halving::Symmetric if i + 1 == side && side % 2 == 1 => Some((i / 2, 2.0)),
        Halving::Zero => Some(((i + side % 2) / 2, 1.0)),
        Halving::Floor | Halving::Symmetric => Some((i / 2, 1.0)),
    }
}

/// The size of the next scale.
pub fn halved(halving: Halving, size: Size) -> Size {
    let side = |side: usize| match halving {
        Halving::Symmetric | Halving::Zero => side.div_ceil(2),
        Halving::Floor => side / 2,
    };
    Size {
        width: side(size.width),
        height: side(size.height),
    }
}

/// The sizes of all scales of an image of `size`, the finest first; those beyond
/// `params.scales` are empty.
pub fn scale_sizes(size: Size, params: &Params) -> [Size; MAX_SCALES] {
    let mut sizes = [Size::default(); MAX_SCALES];
    let mut next = size;
    for scale in &mut sizes[..params.scales] {
        *scale = next;
        next = halved(params.halving, next);
    }
    sizes
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
    let rows = sources(halving, size.height, row)
        .map(|source| source.map(|row| &plane[row * size.width..][..size.width]));
    let sample = |row: Option<&[f32]>, column: Option<usize>| match (row, column) {
        (Some(row), Some(column)) => row[column],
        _ => outside,
    };
    for (j, coarse) in coarse.iter_mut().enumerate() {
        let [left, right] = sources(halving, size.width, j);
        let upper = sample(rows[0], left) + sample(rows[0], right);
        let lower = sample(rows[1], left) + sample(rows[1], right);
        *coarse = 0.25 * (upper + lower);
    }
}

/// The adjoint of [`halve_row`] over a whole plane: adds to row `row` of the finer scale's
/// gradient what it owes to the coarser scale's.
///
/// `coarse` is the coarser gradient, `halved(halving, size).area()` samples; `fine` is one row.
/// A sample that took part twice (the mirrored last row or column) is owed twice.
pub fn halve_row_adjoint(
    halving: Halving,
    size: Size,
    coarse: &[f32],
    row: usize,
    fine: &mut [f32],
) {
    let width = halved(halving, size).width;
    let Some((i, times)) = target(halving, size.height, row) else {
        return;
    };
    let coarse = &coarse[i * width..][..width];
    for (j, fine) in fine.iter_mut().enumerate() {
        if let Some((j, again)) = target(halving, size.width, j) {
            *fine += 0.25 * times * again * coarse[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{dot, noise};
    use std::vec;
    use std::vec::Vec;

    const RULES: [Halving; 3] = [Halving::Symmetric, Halving::Zero, Halving::Floor];

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
    fn adjoint_passes_the_dot_test() {
        for halving in RULES {
            for (width, height) in [(8, 6), (7, 6), (8, 5), (9, 7), (2, 3)] {
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
