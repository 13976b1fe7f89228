//! Rows of samples in their natural order: where kernels get them from, and what becomes of them on the way.

use std::ops::Range;

use msssim_core::pyramid::halve_rows;
use msssim_core::statistics::{Scaling, sum_and_difference};
use msssim_core::{Halving, Native, Plane, Sample, Size, combine_gradient_row};

use crate::dispatch::{Task, Token};
use crate::lanes::{Ahead, Lanes};

/// Rows of `s = x + y - 1` and `d = x - y` of one scale.
pub(crate) trait Source: Sync {
    /// Writes a row.
    fn write(&self, token: Token, row: usize, sum: &mut [f32], difference: &mut [f32]);

    /// The rows as they lie in memory, if samples of a row follow each other.
    fn in_place(&self) -> Option<InPlace<'_>>;

    /// Adds where rows lie to `ahead`, unless they are in a cache.
    fn place(&self, rows: Range<usize>, ahead: &mut Ahead);
}

/// What rows are made of, as it lies in memory.
#[derive(Clone, Copy)]
pub(crate) enum InPlace<'a> {
    Floats(Planes<'a, f32>),
    Bytes(Planes<'a, u8>),
}

/// Planes of `x` and `y`, or of `s` and `d`.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a, N> {
    planes: [&'a [N]; 2],
    /// Numbers from row to row.
    strides: [usize; 2],
    /// How `s` and `d` are made of `x` and `y`.
    pub(crate) scaling: Option<Scaling<f32>>,
}

impl<'a, N> Planes<'a, N> {
    /// The numbers from row `row` on to the end of each plane.
    pub(crate) fn rows_from(&self, row: usize) -> [&'a [N]; 2] {
        let [x, y] = self.planes;
        [&x[row * self.strides[0]..], &y[row * self.strides[1]..]]
    }
}

/// The finest scale of one pair of images.
pub(crate) struct Pair<'a, X, Y> {
    pub(crate) reference: &'a Plane<'a, X>,
    pub(crate) distorted: &'a Plane<'a, Y>,
    pub(crate) data_range: f64,
}

impl<X: Sample, Y: Sample> Source for Pair<'_, X, Y> {
    fn write(&self, token: Token, row: usize, sum: &mut [f32], difference: &mut [f32]) {
        token.run(WritePair {
            pair: self,
            row,
            sum,
            difference,
        });
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        let x = self.reference.packed_from(0).and_then(X::native)?;
        let y = self.distorted.packed_from(0).and_then(Y::native)?;
        let strides = [self.reference.stride(), self.distorted.stride()];
        let scaling = Some(Scaling::new(self.data_range));
        match (x, y) {
            (Native::F32(x), Native::F32(y)) => Some(InPlace::Floats(Planes {
                planes: [x, y],
                strides,
                scaling,
            })),
            (Native::U8(x), Native::U8(y)) => Some(InPlace::Bytes(Planes {
                planes: [x, y],
                strides,
                scaling,
            })),
            _ => None,
        }
    }

    fn place(&self, rows: Range<usize>, ahead: &mut Ahead) {
        place(self.reference, &rows, ahead);
        place(self.distorted, &rows, ahead);
    }
}

fn place<T: Sample>(plane: &Plane<'_, T>, rows: &Range<usize>, ahead: &mut Ahead) {
    if let Some(samples) = plane.packed_from(rows.start) {
        ahead.add(samples, rows.len(), plane.stride(), plane.size().width);
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

/// A scale that is kept: planes of `s` and of `d`.
pub(crate) struct Kept<'a> {
    pub(crate) size: Size,
    pub(crate) sum: &'a [f32],
    pub(crate) difference: &'a [f32],
}

impl Source for Kept<'_> {
    fn write(&self, _: Token, row: usize, sum: &mut [f32], difference: &mut [f32]) {
        let at = row * self.size.width;
        sum.copy_from_slice(&self.sum[at..][..self.size.width]);
        difference.copy_from_slice(&self.difference[at..][..self.size.width]);
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Floats(Planes {
            planes: [self.sum, self.difference],
            strides: [self.size.width; 2],
            scaling: None,
        }))
    }

    fn place(&self, rows: Range<usize>, ahead: &mut Ahead) {
        if !is_in_cache(self.size) {
            let Size { width, .. } = self.size;
            for numbers in [self.sum, self.difference] {
                ahead.add(&numbers[rows.start * width..], rows.len(), width, width);
            }
        }
    }
}

/// Whether `s` and `d` of a scale stay in the second-level cache from when they are made.
pub(crate) fn is_in_cache(size: Size) -> bool {
    2 * size.area() * size_of::<f32>() <= 1 << 19
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

/// Adds a row to the gradient, or is the first to write it.
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
                *gradient = *v;
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
            self.factor as f32,
            self.coarser,
            self.row,
            self.fine,
        );
    }
}
