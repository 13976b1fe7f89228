//! The backward pass over one scale: the gradient of the sum of its terms by the distorted image.
//!
//! A term depends on the distorted image `y` through four filtered maps of `s = x + y - 1` and
//! `d = x - y`, where `ds/dy = 1` and `dd/dy = -1`. With `G'` the adjoint of the window,
//!
//! ```text
//! gradient = G'[a] + 2 (s . G'[b] - d . G'[c])
//! a = dt/dE[s] - dt/dE[d],   b = dt/dE[s^2],   c = dt/dE[d^2]
//! ```
//!
//! so three maps go back where four came. The maps exist one row at a time: a row is made, spread along its
//! line and kept in a ring of eleven; their weighted sum is a row of the gradient of the extended plane
//! ([`crate::filter`]), which is added to the row that it was a copy of.

use crate::apart::{TermApart, contrast, structure};
use crate::filter::{extended_row, filter_line_adjoint, fold_line, line_padding, vertical_adjoint};
use crate::ssim::{Moments, contrast_structure, luminance};
use crate::statistics::{Constants, Kind, Level, MomentLines, TermSums, Windowed, term_sums};

/// Samples of scratch that [`gradient_rows`] needs for a plane of `width`, by a window of `radius`,
/// whatever the terms.
pub const fn gradient_scratch_len(width: usize, radius: usize) -> usize {
    let window = 2 * radius + 1;
    MomentLines::scratch_len(width, radius, true, true)
        + 4 * (width + 4 * radius)
        + 4 * (window + 1) * (width + 2 * radius)
}

/// The gradient of the sum of one scale's terms (`cs`, or `l cs` on the coarsest scale) by the
/// distorted image of that scale.
///
/// In units of samples scaled to [0, 1]; not yet scaled by the score's derivative by the mean.
/// Calls `on_row` with the sums of each map row from the top down, so that the forward pass comes for free.
///
/// # Panics
/// If `gradient` is shorter than the scale, `scratch` is shorter than
/// [`gradient_scratch_len`], or terms are apart, which [`apart_gradient`] is for.
pub fn gradient_rows(
    constants: &Constants,
    level: &Level<'_>,
    gradient: &mut [f32],
    scratch: &mut [f32],
    mut on_row: impl FnMut(TermSums),
) {
    assert!(
        constants.kind != Kind::Apart,
        "terms apart have factors of their own"
    );
    let term_maps = |_: usize, lines: &MomentLines<'_>, maps: &mut [f32], margin: usize| {
        on_row(term_sums(constants, lines));
        write_maps(constants, lines, maps, margin);
    };
    back(constants, level, gradient, scratch, term_maps);
}

/// The gradient of the sum of one scale's terms, each times its weight: [`gradient_rows`] over the
/// whole scale. `weights` has one for each window, row-major.
///
/// # Panics
/// As [`gradient_rows`]; if `weights` are fewer than the windows.
pub fn weighted_gradient(
    constants: &Constants,
    level: &Level<'_>,
    weights: &[f32],
    gradient: &mut [f32],
    scratch: &mut [f32],
) {
    let map_width = constants.map_size(level.size).width;
    let term_maps = |row: usize, lines: &MomentLines<'_>, maps: &mut [f32], margin: usize| {
        write_maps(constants, lines, maps, margin);
        let weights = &weights[row * map_width..][..map_width];
        for map in maps.chunks_exact_mut(map_width + 2 * margin) {
            for (v, weight) in map[margin..].iter_mut().zip(weights) {
                *v *= weight;
            }
        }
    };
    back(constants, level, gradient, scratch, term_maps);
}

/// The gradient of the sums of luminance, contrast and structure of one scale, each times its factor.
///
/// # Panics
/// As [`gradient_rows`]; if terms are not apart.
pub fn apart_gradient(
    constants: &Constants,
    level: &Level<'_>,
    factors: [f32; 3],
    gradient: &mut [f32],
    scratch: &mut [f32],
) {
    assert!(constants.kind == Kind::Apart, "terms are together");
    let term_maps = |_: usize, lines: &MomentLines<'_>, maps: &mut [f32], margin: usize| {
        write_maps_apart(constants, lines, factors, maps, margin);
    };
    back(constants, level, gradient, scratch, term_maps);
}

/// Takes the maps that `term_maps` makes of each row of windows back to the samples.
fn back(
    constants: &Constants,
    level: &Level<'_>,
    gradient: &mut [f32],
    scratch: &mut [f32],
    mut term_maps: impl FnMut(usize, &MomentLines<'_>, &mut [f32], usize),
) {
    let (border, window, size) = (constants.border, &constants.window, level.size);
    let radius = window.radius;
    let map_count = match constants.kind {
        Kind::Apart => 4,
        _ => 3,
    };
    // Zeros on either side of a map row before it is spread along its line.
    let margin = 2 * radius;
    let gradient = &mut gradient[..size.area()];

    let (mut lines, rest) = MomentLines::new(constants, size, level.mask.is_some(), scratch);
    let map = constants.map_size(size);
    let width = map.width + margin;
    let (maps, rest) = rest.split_at_mut(map_count * (map.width + 2 * margin));
    let (sums, rest) = rest.split_at_mut(map_count * width);
    let rings = &mut rest[..map_count * window.len() * width];
    maps.fill(0.0);
    rings.fill(0.0);
    gradient.fill(0.0);

    // Row `row` of the extended plane lies under the windows of map rows `row - margin` to `row`.
    for row in 0..map.height + margin {
        let is_map = row < map.height;
        if is_map {
            lines.filter(constants, level, row);
            term_maps(row, &lines, maps, margin);
        }
        let maps = maps.chunks_exact(map.width + 2 * margin);
        let rings = rings.chunks_exact_mut(window.len() * width);
        for ((map, ring), sum) in maps.zip(rings).zip(sums.chunks_exact_mut(width)) {
            let newest = &mut ring[row % window.len() * width..][..width];
            if is_map {
                filter_line_adjoint(window, map, newest);
            } else {
                newest.fill(0.0);
            }
            let of_tap = |k: usize| &ring[(row + 1 + k) % window.len() * width..][..width];
            vertical_adjoint(window, of_tap, sum);
        }
        let target = extended_row(border, radius, size.height, row);
        let line = gradient_line(constants, level, target, sums, map_count);
        let gradient = &mut gradient[target * size.width..][..size.width];
        for (gradient, v) in gradient.iter_mut().zip(line) {
            *gradient += v;
        }
    }
}

/// Writes one row of the maps `a`, `b`, `c` into the middle of `maps`.
fn write_maps(constants: &Constants, lines: &MomentLines<'_>, maps: &mut [f32], margin: usize) {
    let (a, rest) = maps.split_at_mut(maps.len() / 3);
    let (b, c) = rest.split_at_mut(a.len());
    let middle = margin..a.len() - margin;
    let maps = a[middle.clone()]
        .iter_mut()
        .zip(&mut b[middle.clone()])
        .zip(&mut c[middle]);
    let by = |m: Moments<f32>| {
        let cs = contrast_structure(m, constants.c2);
        let term = if constants.kind == Kind::Ssim {
            luminance(m, constants.c1) * cs
        } else {
            cs
        };
        let counts = !(constants.clamped && term.value < 0.0);
        if counts { term.by } else { Moments::zero() }
    };
    if lines.masked() {
        for (((a, b), c), w) in maps.zip(lines.windows()) {
            // Its weight in the mean, and one over it in its moments, cancel.
            let by = if w.weight > 0.0 {
                by(w.moments)
            } else {
                Moments::zero()
            };
            (*a, *b, *c) = (by.s - by.d, by.ss, by.dd);
        }
    } else {
        for (((a, b), c), m) in maps.zip(lines.iter()) {
            let by = by(m);
            (*a, *b, *c) = (by.s - by.d, by.ss, by.dd);
        }
    }
}

/// Writes one row of the maps `a`, `b`, `c` and that of the derivatives by `E[s d]`.
fn write_maps_apart(
    constants: &Constants,
    lines: &MomentLines<'_>,
    factors: [f32; 3],
    maps: &mut [f32],
    margin: usize,
) {
    let len = maps.len() / 4;
    let [c1, c2] = [constants.c1, constants.c2].map(f64::from);
    for (j, window) in lines.wide_windows().enumerate() {
        let Windowed {
            moments,
            sd,
            weight,
        } = window;
        let mut by = [0.0f64; 4];
        if weight > 0.0 {
            let luminance = TermApart {
                term: luminance(moments, c1),
                by_sd: 0.0,
            };
            let terms = [
                luminance,
                contrast(moments, sd, c2),
                structure(moments, sd, c2),
            ];
            for (factor, TermApart { term, by_sd }) in factors.into_iter().zip(terms) {
                if constants.clamped && term.value < 0.0 {
                    continue;
                }
                let factor = f64::from(factor);
                by[0] += factor * (term.by.s - term.by.d);
                by[1] += factor * term.by.ss;
                by[2] += factor * term.by.dd;
                by[3] += factor * by_sd;
            }
        }
        for (map, by) in by.into_iter().enumerate() {
            maps[map * len + margin + j] = by as f32;
        }
    }
}

/// One row of the gradient from the maps taken back to it, `sums`, which it is written over: that by row `row` of
/// the plane or a copy of it.
fn gradient_line<'s>(
    constants: &Constants,
    level: &Level<'_>,
    row: usize,
    sums: &'s mut [f32],
    map_count: usize,
) -> &'s [f32] {
    let (border, radius, width) = (constants.border, constants.window.radius, level.size.width);
    let (a, rest) = sums.split_at_mut(sums.len() / map_count);
    let (b, rest) = rest.split_at_mut(a.len());
    let (c, by_sd) = rest.split_at_mut(a.len());
    let at = row * width;
    for (j, ((a, b), c)) in a.iter_mut().zip(b).zip(c).enumerate() {
        let at = at + extended_row(border, radius, width, j);
        let (s, d) = (level.sum[at], level.difference[at]);
        *a += 2.0 * (s * *b - d * *c);
        if let Some(by_sd) = by_sd.get(j) {
            // d(s d)/dy = d - s
            *a += by_sd * (d - s);
        }
    }
    fold_line(border, radius, a);
    let line = &mut a[line_padding(border, radius) / 2..][..width];
    if let Some(mask) = level.mask {
        for (v, mask) in line.iter_mut().zip(&mask[at..]) {
            *v *= mask;
        }
    }
    line
}
