//! The product over scales pixel by pixel ([`crate::Pooling::PixelProduct`]), and its derivatives.
//!
//! With `f_j(q) = t_j(q)^w_j` for the term of pixel `q` of scale `j`, the score is the mean over the
//! finest pixels of the product of `f_j` along their way through the pyramid, where the parent of a
//! pixel is the one at half its place, rounded down, or the last one where there is none. It is built
//! from the finest scale to the coarsest, `M`,
//!
//! ```text
//! S_0(q) = 1,   S_j+1(q) = sum over the children c of q of f_j(c) S_j(c)
//! score = sum_q f_M(q) S_M(q) / (pixels of the finest scale)
//! ```
//!
//! and what each term owes to it comes back from the coarsest to the finest:
//!
//! ```text
//! P_M+1 = 1,    P_j(q) = f_j(q) P_j+1(parent of q)
//! d score / d t_j(q) = f_j'(q) S_j(q) P_j+1(parent of q) / (pixels of the finest scale)
//! ```
//!
//! One pass over a scale each. Neither divides, so factors of 0 are no special case.

use core::ops::Range;

use crate::combine::power;
use crate::params::Negative;
use crate::plane::Size;

/// What becomes of one scale's terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// The scale's size.
    pub size: Size,
    /// The exponent.
    pub weight: f64,
    /// What becomes of a negative term.
    pub negative: Negative,
    /// Whether the next scale has half the size; otherwise it has the same.
    pub halves: bool,
}

impl Factor {
    /// The power of a term and its derivative.
    fn power(&self, term: f32) -> (f64, f64) {
        power(term.into(), self.weight, self.negative)
    }
}

/// Writes `S` of the next scale, which is of size `next`, from a scale's terms and its own `S`;
/// `None` of the finest scale, where it is 1.
pub fn rise(factor: &Factor, terms: &[f32], sums: Option<&[f32]>, next: Size, out: &mut [f32]) {
    let Size { width, height } = factor.size;
    for (i, out) in out.chunks_exact_mut(next.width).enumerate() {
        for (j, out) in out.iter_mut().enumerate() {
            let mut sum = 0.0;
            for row in children(factor.halves, i, height, next.height) {
                for column in children(factor.halves, j, width, next.width) {
                    let at = row * width + column;
                    sum += factor.power(terms[at]).0 * sums.map_or(1.0, |sums| sums[at].into());
                }
            }
            *out = sum as f32;
        }
    }
}

/// The sum of all pixels' products, from the coarsest scale's terms and `S`; `None` for a single
/// scale. Not yet divided by their number.
pub fn total(factor: &Factor, terms: &[f32], sums: Option<&[f32]>) -> f64 {
    let product = |(at, &term): (usize, &f32)| {
        factor.power(term).0 * sums.map_or(1.0, |sums| f64::from(sums[at]))
    };
    terms.iter().enumerate().map(product).sum()
}

/// Turns a scale's terms into the derivatives of [`total`] by them, and its `S` (`None` of the finest
/// scale) into `P`. `coarser` is `P` of the next scale and its size; `None` for the coarsest.
pub fn descend(
    factor: &Factor,
    terms: &mut [f32],
    mut sums: Option<&mut [f32]>,
    coarser: Option<(Size, &[f32])>,
) {
    let width = factor.size.width;
    for (at, term) in terms.iter_mut().enumerate() {
        let product = coarser.map_or(1.0, |(size, products)| {
            let apart = if factor.halves { 2 } else { 1 };
            let row = (at / width / apart).min(size.height - 1);
            let column = (at % width / apart).min(size.width - 1);
            f64::from(products[row * size.width + column])
        });
        let (value, slope) = factor.power(*term);
        let mut below = 1.0;
        if let Some(sums) = sums.as_deref_mut() {
            below = f64::from(sums[at]);
            sums[at] = (value * product) as f32;
        }
        *term = (slope * below * product) as f32;
    }
}

/// The places on a side of `side` whose parent is `at` of `next`: two, and what is left for the last;
/// the same place where scales are not halved.
fn children(halves: bool, at: usize, side: usize, next: usize) -> Range<usize> {
    if !halves {
        return at..at + 1;
    }
    let end = if at + 1 == next { side } else { 2 * at + 2 };
    2 * at..end
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn factor(width: usize, height: usize, weight: f64) -> Factor {
        Factor {
            size: Size { width, height },
            weight,
            negative: Negative::Signed,
            halves: true,
        }
    }

    #[test]
    fn every_place_has_one_parent() {
        for (side, next) in [(1, 1), (2, 1), (3, 1), (3, 2), (6, 3), (7, 3), (7, 4)] {
            let all: Vec<usize> = (0..next)
                .flat_map(|at| children(true, at, side, next))
                .collect();
            assert_eq!(all, (0..side).collect::<Vec<_>>(), "{side} to {next}");
        }
    }

    #[test]
    fn by_hand() {
        // Four terms in a row below two below one: products 1*5*7, 2*5*7, 3*6*7, 4*6*7.
        let (fine, middle, coarse) = (factor(4, 1, 1.0), factor(2, 1, 1.0), factor(1, 1, 1.0));
        let (mut a, mut b, mut c) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0], [7.0]);
        let (mut of_b, mut of_c) = ([0.0; 2], [0.0; 1]);
        rise(&fine, &a, None, middle.size, &mut of_b);
        rise(&middle, &b, Some(&of_b), coarse.size, &mut of_c);
        assert_eq!((of_b, of_c), ([3.0, 7.0], [57.0]));
        assert_eq!(total(&coarse, &c, Some(&of_c)), 399.0);

        descend(&coarse, &mut c, Some(&mut of_c), None);
        descend(&middle, &mut b, Some(&mut of_b), Some((coarse.size, &of_c)));
        descend(&fine, &mut a, None, Some((middle.size, &of_b)));
        assert_eq!((a, b, c), ([35.0, 35.0, 42.0, 42.0], [21.0, 49.0], [57.0]));
    }

    #[test]
    fn powers_and_their_slopes() {
        let squared = factor(2, 1, 2.0);
        let mut terms = [3.0, -5.0];
        assert_eq!(total(&squared, &terms, None), 9.0 - 25.0);
        descend(&squared, &mut terms, None, None);
        assert_eq!(terms, [6.0, 10.0]);
    }
}
