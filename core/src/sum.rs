//! Sums of terms, in any order.
//!
//! A term lies in [-1, 1]. Counted in units of 2^-30, cut off towards zero, it is an integer of 31 bits, and
//! integers sum to the same whatever the order: a sum depends neither on threads nor on the number of lanes
//! of a vector. A term of at least 2^-7 loses nothing, since `f32` has no finer digits there.

use core::ops::AddAssign;

/// The units of a term of 1.
pub const UNITS: f32 = 1_073_741_824.0;

/// A sum of terms in units; exact up to 2^33 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    sum: i64,
    is_nan: bool,
}

impl Units {
    /// A sum of `sum` units, of terms some of which were NaN or none.
    pub fn new(sum: i64, is_nan: bool) -> Self {
        Self { sum, is_nan }
    }

    /// Adds a term in [-1, 1]. A NaN makes the sum NaN.
    pub fn add(&mut self, term: f32) {
        self.is_nan |= term.is_nan();
        self.sum += i64::from((term * UNITS) as i32);
    }

    /// The sum of the terms.
    pub fn value(self) -> f64 {
        match self.is_nan {
            true => f64::NAN,
            false => self.sum as f64 / f64::from(UNITS),
        }
    }
}

impl AddAssign for Units {
    fn add_assign(&mut self, rhs: Self) {
        self.sum += rhs.sum;
        self.is_nan |= rhs.is_nan;
    }
}

/// The sum of terms in [-1, 1].
pub(crate) fn sum_terms(terms: impl Iterator<Item = f32>) -> f64 {
    let mut sum = Units::default();
    terms.for_each(|term| sum.add(term));
    sum.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_in_any_order() {
        let terms = [1.0, -0.75, 0.3f32, -1.0, 1.0 / 128.0, 0.999_999_9];
        let exact: f64 = terms.iter().copied().map(f64::from).sum();
        assert_eq!(sum_terms(terms.into_iter()), exact);
        assert_eq!(sum_terms(terms.into_iter().rev()), exact);
    }

    #[test]
    fn nan_stays() {
        assert!(sum_terms([1.0, f32::NAN].into_iter()).is_nan());
    }
}
