//! Rows of samples in their natural order: where kernels get them from, and what becomes of them on the way.

use msssim_core::pyramid::halve_rows;
use msssim_core::statistics::sum_and_difference;
use msssim_core::{Halving, Plane, Sample, Size, combine_gradient_row};

use crate::dispatch::{Task, Token};
use crate::lanes::{Ahead, Lanes};

/// Rows of `s = x + y - 1` and `d = x - y` of one scale of some images.
pub(crate) trait Source: Sync {
    /// Writes a row of an image.
    fn write(
        &self,
        token: Token,
        image: usize,
        row: usize,
        sum: &mut [f32],
        difference: &mut [f32],
    );

    /// Adds where the numbers of a row of an image lie to `ahead`.
    fn place(&self, image: usize, row: usize, ahead: &mut Ahead);
}

/// The finest scale of one pair of images.
pub(crate) struct Pair<'a, X, Y> {
    pub(crate) reference: &'a Plane<'a, X>,
    pub(crate) distorted: &'a Plane<'a, Y>,
    pub(crate) data_range: f64,
}

impl<X: Sample, Y: Sample> Source for Pair<'_, X, Y> {
    fn write(&self, token: Token, _: usize, row: usize, sum: &mut [f32], difference: &mut [f32]) {
        token.run(WritePair {
            pair: self,
            row,
            sum,
            difference,
        });
    }

    fn place(&self, _: usize, row: usize, ahead: &mut Ahead) {
        if let (Some(x), Some(y)) = (
            self.reference.packed_row(row),
            self.distorted.packed_row(row),
        ) {
            ahead.add(x);
            ahead.add(y);
        }
    }
}

struct WritePair<'a, X, Y> {
    pair: &'a Pair<'a, X, Y>,
    row: usize,
    sum: &'a mut [f32],
    difference: &'a mut [f32],
}

impl<X: Sample, Y: Sample> Task for WritePair<'_, X, Y> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Pair {
            reference,
            distorted,
            data_range,
        } = self.pair;
        let (sum, difference) = (self.sum, self.difference);
        sum_and_difference(reference, distorted, self.row, *data_range, sum, difference);
    }
}

/// A scale that is kept: planes of `s` and of `d`, one image after the other.
pub(crate) struct Kept<'a> {
    pub(crate) size: Size,
    pub(crate) sum: &'a [f32],
    pub(crate) difference: &'a [f32],
}

impl Source for Kept<'_> {
    fn write(&self, _: Token, image: usize, row: usize, sum: &mut [f32], difference: &mut [f32]) {
        let at = image * self.size.area() + row * self.size.width;
        sum.copy_from_slice(&self.sum[at..][..self.size.width]);
        difference.copy_from_slice(&self.difference[at..][..self.size.width]);
    }

    fn place(&self, image: usize, row: usize, ahead: &mut Ahead) {
        let at = image * self.size.area() + row * self.size.width;
        ahead.add(&self.sum[at..][..self.size.width]);
        ahead.add(&self.difference[at..][..self.size.width]);
    }
}

/// Makes a row of the next scale.
pub(crate) struct Halve<'a> {
    pub(crate) halving: Halving,
    pub(crate) size: Size,
    pub(crate) rows: [Option<&'a [f32]>; 2],
    pub(crate) outside: f32,
    pub(crate) coarse: &'a mut [f32],
}

impl Task for Halve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        halve_rows(
            self.halving,
            self.size,
            self.rows,
            self.outside,
            self.coarse,
        );
    }
}

/// Adds a row to the gradient, or is the first to write it: to zero all the same, so that no zero is negative.
pub(crate) struct Add<'a> {
    pub(crate) row: &'a [f32],
    pub(crate) is_first: bool,
    pub(crate) gradient: &'a mut [f32],
}

impl Task for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let pairs = self.gradient.iter_mut().zip(self.row);
        if self.is_first {
            for (gradient, v) in pairs {
                *gradient = 0.0 + v;
            }
        } else {
            for (gradient, v) in pairs {
                *gradient += v;
            }
        }
    }
}

/// Scales a row of a scale's gradient, and adds what is owed to the next scale.
pub(crate) struct Combine<'a> {
    pub(crate) halving: Halving,
    pub(crate) size: Size,
    pub(crate) factor: f64,
    pub(crate) coarser: Option<&'a [f32]>,
    pub(crate) row: usize,
    pub(crate) fine: &'a mut [f32],
}

impl Task for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { halving, size, .. } = self;
        combine_gradient_row(
            halving,
            size,
            self.factor,
            self.coarser,
            self.row,
            self.fine,
        );
    }
}
