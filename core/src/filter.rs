//! The window as a linear operator: along a line, across rows, and the adjoint of both.
//!
//! Filtering works row by row. A row of the result first needs its eleven source rows summed with
//! the window's weights (the vertical pass), then each sample of that line summed with its
//! neighbours (the horizontal pass). The adjoint takes the same steps backwards: spread along the
//! line, then over eleven rows.

use crate::params::Border;
use crate::part::{entry, part, part_mut, split};
use crate::plane::Size;
use crate::real::Real;
use crate::window::Window;

/// The size of a filtered map: smaller by twice the window's radius on each axis where only whole windows
/// count.
pub const fn map_size(border: Border, radius: usize, size: Size) -> Size {
    match border {
        Border::Valid => Size {
            width: size.width - 2 * radius,
            height: size.height - 2 * radius,
        },
        Border::Replicate | Border::Reflect => size,
    }
}

/// The sample of a side that stands for the one at `at - before`, which may lie beyond it.
#[inline]
fn inside(border: Border, side: usize, at: usize, before: usize) -> usize {
    match border {
        Border::Valid | Border::Replicate => at.saturating_sub(before).min(side - 1),
        Border::Reflect => {
            let period = 2 * (side - 1);
            if period == 0 {
                return 0;
            }
            // As far from the first sample, on whichever side of it.
            let from_first = at.abs_diff(before) % period;
            from_first.min(period - from_first)
        }
    }
}

/// The row of the plane under tap `k` of the windows of map row `row`.
#[inline]
pub fn source_row(border: Border, radius: usize, height: usize, row: usize, k: usize) -> usize {
    match border {
        Border::Valid => row + k,
        _ => inside(border, height, row + k, radius),
    }
}

/// The row of the plane that row `row` of the extended plane is a copy of.
///
/// The extended plane has `radius` rows more at either end where windows run over the border. Filtering is
/// extending a plane on both axes and then summing whole windows; its adjoint takes the same two steps backwards.
pub fn extended_row(border: Border, radius: usize, height: usize, row: usize) -> usize {
    inside(border, height, row, line_padding(border, radius) / 2)
}

/// Samples that a line is extended by, both ends together, before the horizontal pass.
pub const fn line_padding(border: Border, radius: usize) -> usize {
    match border {
        Border::Valid => 0,
        Border::Replicate | Border::Reflect => 2 * radius,
    }
}

/// Extends a line whose samples lie in the middle by what the border says is beyond its ends.
#[inline(always)]
pub fn extend_line<T: Real>(border: Border, radius: usize, line: &mut [T]) {
    let beyond = line_padding(border, radius) / 2;
    let (side, end) = (line.len() - 2 * beyond, line.len() - beyond);
    if border == Border::Replicate {
        let (before, rest) = split(line, beyond);
        let (middle, after) = split(rest, side);
        if let (Some(&first), Some(&last)) = (middle.first(), middle.last()) {
            before.fill(first);
            after.fill(last);
        }
        return;
    }
    for k in 0..beyond {
        for to in [k, end + k] {
            let from = entry(line, beyond + inside(border, side, to, beyond));
            part_mut(line, to, 1).fill(from);
        }
    }
}

/// The adjoint of [`extend_line`]: the ends are added to the samples that they were copied from.
#[inline(always)]
pub fn fold_line<T: Real>(border: Border, radius: usize, line: &mut [T]) {
    let beyond = line_padding(border, radius) / 2;
    let (side, end) = (line.len() - 2 * beyond, line.len() - beyond);
    // One sum an end where all of it is one sample, so that rounding does not depend on the line's length.
    if border == Border::Replicate {
        for (to, from) in [(beyond, 0..beyond), (end - 1, end..line.len())] {
            let mut sum = T::splat(0.0);
            for k in from {
                sum = sum + line[k];
            }
            line[to] = line[to] + sum;
        }
        return;
    }
    for k in 0..beyond {
        for from in [k, end + k] {
            let to = beyond + inside(border, side, from, beyond);
            line[to] = line[to] + line[from];
        }
    }
}

/// The horizontal pass: `out[i]` is the weighted sum of `line[i..i + window.len()]`.
///
/// `line` is longer than `out` by twice the radius. Taps at equal distance from the centre share a product;
/// they are [`Window::products`], since the vertical pass works with [`Window::ratios`].
pub(crate) fn filter_line(window: &Window, line: &[f32], out: &mut [f32]) {
    let n = out.len();
    let at = |k: usize| part(line, k, n);
    for (out, centre) in out.iter_mut().zip(at(window.radius)) {
        *out = window.products[0] * centre;
    }
    for (distance, tap) in window.product_arms() {
        let (left, right) = (at(window.radius - distance), at(window.radius + distance));
        for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
            *out += tap * (left + right);
        }
    }
}

/// The adjoint of [`filter_line`]: `line` receives the gradient by the extended line.
///
/// `map` holds the gradient by the filtered line in its middle, with twice the radius of zeros at either end.
pub(crate) fn filter_line_adjoint(window: &Window, map: &[f32], line: &mut [f32]) {
    // The window is symmetric: its transpose is the window again, over zeros beyond the map.
    filter_line(window, map, line);
}

/// The adjoint of the vertical pass: `line` is the weighted sum of the rows `row(k)`, where `row(k)` is the row of
/// maps, filtered along the line, of which a window's tap `k` meets this row; zeros where there is none.
pub(crate) fn vertical_adjoint<'r>(
    window: &Window,
    row: impl Fn(usize) -> &'r [f32],
    line: &mut [f32],
) {
    line.copy_from_slice(row(window.radius));
    for (distance, tap) in window.ratio_arms() {
        let (above, below) = (row(window.radius - distance), row(window.radius + distance));
        for ((line, above), below) in line.iter_mut().zip(above).zip(below) {
            *line += tap * (above + below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{dot, noise};
    use std::vec;
    use std::vec::Vec;

    const BORDERS: [Border; 3] = [Border::Valid, Border::Replicate, Border::Reflect];

    fn filter(border: Border, window: &Window, samples: &[f32]) -> Vec<f32> {
        let half = line_padding(border, window.radius) / 2;
        let mut line = vec![f32::NAN; samples.len() + 2 * half];
        line[half..][..samples.len()].copy_from_slice(samples);
        extend_line(border, window.radius, &mut line);
        let mut out = vec![f32::NAN; line.len() + 1 - window.len()];
        filter_line(window, &line, &mut out);
        out
    }

    #[test]
    fn an_impulse_shows_the_window() {
        let window = Window::gaussian(1.5, 5);
        let mut samples = [0.0; 21];
        samples[10] = 1.0;
        let out = filter(Border::Valid, &window, &samples);
        let tap = |k: usize| window.products[k.abs_diff(window.radius)];
        let taps: Vec<f32> = (0..window.len()).map(tap).collect();
        assert_eq!(out, taps);
    }

    #[test]
    fn a_constant_stays_itself_up_to_the_border() {
        let window = Window::gaussian(1.5, 5);
        let out = filter(Border::Replicate, &window, &[0.75; 4]);
        let expected = 0.75 * window.taps[0];
        assert!(out.iter().all(|v| (v - expected).abs() < 1e-6), "{out:?}");
    }

    #[test]
    fn a_mirrored_line_repeats_no_end() {
        let mut line = [
            0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ];
        extend_line(Border::Reflect, 5, &mut line);
        let expected = [
            2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0,
        ];
        assert_eq!(line, expected);
    }

    #[test]
    fn adjoint_passes_the_dot_test() {
        let window = Window::gaussian(1.5, 5);
        for border in BORDERS {
            for n in [11, 12, 30]
                .into_iter()
                .chain((border != Border::Valid).then_some(1))
            {
                let u = noise(3, n);
                let filtered = filter(border, &window, &u);
                let v = noise(4, filtered.len());
                let mut map = vec![0.0; v.len() + 20];
                map[10..][..v.len()].copy_from_slice(&v);
                let half = line_padding(border, 5) / 2;
                let mut line = vec![f32::NAN; n + 2 * half];
                filter_line_adjoint(&window, &map, &mut line);
                fold_line(border, 5, &mut line);
                let (left, right) = (dot(&filtered, &v), dot(&u, &line[half..][..n]));
                assert!(
                    (left - right).abs() < 1e-5,
                    "{border:?} {n}: {left} {right}"
                );
            }
        }
    }
}
