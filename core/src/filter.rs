//! The window as a linear operator: along a line, across rows, and the adjoint of both.
//!
//! Filtering works row by row. A row of the result first needs its eleven source rows summed with
//! the window's weights (the vertical pass), then each sample of that line summed with its
//! neighbours (the horizontal pass). The adjoint takes the same steps backwards: spread along the
//! line, then over eleven rows.

use crate::params::Border;
use crate::plane::Size;
use crate::window::{WINDOW_LEN, WINDOW_RADIUS, Window};

/// The size of a filtered map: smaller by 10 on each axis where only whole windows count.
pub fn map_size(border: Border, size: Size) -> Size {
    match border {
        Border::Valid => Size {
            width: size.width + 1 - WINDOW_LEN,
            height: size.height + 1 - WINDOW_LEN,
        },
        Border::Replicate => size,
    }
}

/// The row of the plane under tap `k` of the windows of map row `row`.
#[inline]
pub fn source_row(border: Border, height: usize, row: usize, k: usize) -> usize {
    match border {
        Border::Valid => row + k,
        Border::Replicate => (row + k).saturating_sub(WINDOW_RADIUS).min(height - 1),
    }
}

/// The map rows whose windows touch any of the plane's rows `first..end`, as `first..end`.
pub fn touching_rows(border: Border, height: usize, first: usize, end: usize) -> (usize, usize) {
    match border {
        Border::Valid => {
            let map_height = height + 1 - WINDOW_LEN;
            (first.saturating_sub(WINDOW_LEN - 1), end.min(map_height))
        }
        Border::Replicate => (
            first.saturating_sub(WINDOW_RADIUS),
            (end + WINDOW_RADIUS).min(height),
        ),
    }
}

/// Samples that a line is extended by, both ends together, before the horizontal pass.
pub(crate) const fn line_padding(border: Border) -> usize {
    match border {
        Border::Valid => 0,
        Border::Replicate => 2 * WINDOW_RADIUS,
    }
}

/// Extends a line whose samples lie in the middle by what the border says is beyond its ends.
pub(crate) fn extend_line(border: Border, line: &mut [f32]) {
    match border {
        Border::Valid => {}
        Border::Replicate => {
            let end = line.len() - WINDOW_RADIUS;
            let (first, last) = (line[WINDOW_RADIUS], line[end - 1]);
            line[..WINDOW_RADIUS].fill(first);
            line[end..].fill(last);
        }
    }
}

/// The adjoint of [`extend_line`]: the ends are added to the samples that they were copied from.
fn fold_line(border: Border, line: &mut [f32]) {
    match border {
        Border::Valid => {}
        Border::Replicate => {
            let end = line.len() - WINDOW_RADIUS;
            line[WINDOW_RADIUS] += line[..WINDOW_RADIUS].iter().sum::<f32>();
            line[end - 1] += line[end..].iter().sum::<f32>();
        }
    }
}

/// The horizontal pass: `out[i]` is the weighted sum of `line[i..i + 11]`.
///
/// `line` is longer than `out` by 10. Taps at equal distance from the centre share a product.
pub(crate) fn filter_line(window: &Window, line: &[f32], out: &mut [f32]) {
    let n = out.len();
    let at = |k: usize| &line[k..][..n];
    for (out, centre) in out.iter_mut().zip(at(WINDOW_RADIUS)) {
        *out = window.taps[0] * centre;
    }
    for (distance, tap) in window.taps.iter().enumerate().skip(1) {
        let (left, right) = (at(WINDOW_RADIUS - distance), at(WINDOW_RADIUS + distance));
        for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
            *out += tap * (left + right);
        }
    }
}

/// The adjoint of extending a line and [`filter_line`].
///
/// `map` holds the gradient by the filtered line in its middle, with ten zeros at either end.
/// `line` receives the gradient by the extended line, ends folded in: its middle is the result.
pub(crate) fn filter_line_adjoint(border: Border, window: &Window, map: &[f32], line: &mut [f32]) {
    // The window is symmetric: its transpose is the window again, over zeros beyond the map.
    filter_line(window, map, line);
    fold_line(border, line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{dot, noise};
    use std::vec;
    use std::vec::Vec;

    const BORDERS: [Border; 2] = [Border::Valid, Border::Replicate];

    fn filter(border: Border, window: &Window, samples: &[f32]) -> Vec<f32> {
        let half = line_padding(border) / 2;
        let mut line = vec![f32::NAN; samples.len() + 2 * half];
        line[half..][..samples.len()].copy_from_slice(samples);
        extend_line(border, &mut line);
        let mut out = vec![f32::NAN; line.len() + 1 - WINDOW_LEN];
        filter_line(window, &line, &mut out);
        out
    }

    #[test]
    fn an_impulse_shows_the_window() {
        let window = Window::gaussian(1.5);
        let mut samples = [0.0; 21];
        samples[10] = 1.0;
        let out = filter(Border::Valid, &window, &samples);
        let taps: Vec<f32> = (0..WINDOW_LEN).map(|k| window.tap(k)).collect();
        assert_eq!(out, taps);
    }

    #[test]
    fn a_constant_stays_itself_up_to_the_border() {
        let out = filter(Border::Replicate, &Window::gaussian(1.5), &[0.75; 4]);
        assert!(out.iter().all(|v| (v - 0.75).abs() < 1e-6), "{out:?}");
    }

    #[test]
    fn adjoint_passes_the_dot_test() {
        let window = Window::gaussian(1.5);
        for border in BORDERS {
            for n in [11, 12, 30]
                .into_iter()
                .chain((border == Border::Replicate).then_some(1))
            {
                let u = noise(3, n);
                let filtered = filter(border, &window, &u);
                let v = noise(4, filtered.len());
                let mut map = vec![0.0; v.len() + 20];
                map[10..][..v.len()].copy_from_slice(&v);
                let half = line_padding(border) / 2;
                let mut line = vec![f32::NAN; n + 2 * half];
                filter_line_adjoint(border, &window, &map, &mut line);
                let (left, right) = (dot(&filtered, &v), dot(&u, &line[half..][..n]));
                assert!(
                    (left - right).abs() < 1e-5,
                    "{border:?} {n}: {left} {right}"
                );
            }
        }
    }

    #[test]
    fn touching_rows_are_those_whose_windows_touch() {
        for border in BORDERS {
            for height in [11usize, 14, 40] {
                let map = match border {
                    Border::Valid => height - 10,
                    Border::Replicate => height,
                };
                for (first, end) in [(0, 1), (0, height), (5, 9), (height - 1, height)] {
                    let touches = |row: &usize| {
                        (0..WINDOW_LEN)
                            .any(|k| (first..end).contains(&source_row(border, height, *row, k)))
                    };
                    let expected: Vec<usize> = (0..map).filter(touches).collect();
                    let (from, to) = touching_rows(border, height, first, end);
                    let actual: Vec<usize> = (from..to).collect();
                    assert_eq!(actual, expected, "{border:?} {height} {first}..{end}");
                }
            }
        }
    }
}
