//! Parts of slices whose bounds a plan has made right.
//!
//! Once a plan exists, rows as they arrive have no way to panic: `proof/run.sh` looks for one in linked
//! programs. An index that the optimiser cannot prove would be one, so a part that is not there is empty
//! instead. That never happens, and debug builds, tests among them, assert it.

use crate::real::Real;

/// `len` entries from `start` on.
pub(crate) fn part<T>(all: &[T], start: usize, len: usize) -> &[T] {
    let part = all.get(start..).and_then(|rest| rest.get(..len));
    debug_assert!(part.is_some(), "{len} from {start} of {}", all.len());
    part.unwrap_or_default()
}

/// `len` entries from `start` on, to be written.
pub(crate) fn part_mut<T>(all: &mut [T], start: usize, len: usize) -> &mut [T] {
    debug_assert!(
        start <= all.len() && len <= all.len() - start,
        "{len} from {start} of {}",
        all.len()
    );
    let rest = all.get_mut(start..);
    rest.and_then(|rest| rest.get_mut(..len))
        .unwrap_or_default()
}

/// The first `at` entries, and the others.
pub(crate) fn split<T>(all: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
    debug_assert!(at <= all.len(), "{at} of {}", all.len());
    all.split_at_mut_checked(at).unwrap_or_default()
}

/// The entry at a place.
#[inline(always)]
pub(crate) fn entry<T: Real>(all: &[T], at: usize) -> T {
    debug_assert!(at < all.len(), "{at} of {}", all.len());
    all.get(at).copied().unwrap_or(T::splat(0.0))
}
