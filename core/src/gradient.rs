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
//! so three maps go back where four came. The maps exist one row at a time: a row is made, spread
//! along its line, and added to the eleven rows of accumulators that its windows touched; a row of
//! accumulators that no further window touches becomes a row of the gradient.

use crate::apart::{TermApart, contrast, structure};
use crate::filter::{filter_line_adjoint, line_padding, source_row, touching_rows};
use crate::ssim::{Moments, contrast_structure, luminance};
use crate::statistics::{Constants, Kind, Level, MomentLines, TermSums, Windowed, term_sums};

/// Samples of scratch that [`gradient_rows`] needs for a plane of `width`, by a window of `radius`,
/// whatever the terms.
pub const fn gradient_scratch_len(width: usize, radius: usize) -> usize {
    let window = 2 * radius + 1;
    MomentLines::scratch_len(width, radius, true, true)
        + 4 * (width + 4 * radius)
        + (width + 2 * radius)
        + 4 * window * width
}

/// The gradient of the sum of one scale's terms (`cs`, or `l cs` on the coarsest scale) by the
/// distorted image of that scale, rows `first..first + gradient.len() / width`.
///
/// In units of samples scaled to [0, 1]; not yet scaled by the score's derivative by the mean.
/// Calls `on_row` with the number and the sums of each map row in that same range, so that the
/// forward pass comes for free.
///
/// # Panics
/// If `gradient` is not whole rows of the scale, `scratch` is shorter than
/// [`gradient_scratch_len`], or terms are apart, which [`apart_gradient`] is for.
pub fn gradient_rows(
    constants: &Constants,
    level: &Level<'_>,
    first: usize,
    gradient: &mut [f32],
    scratch: &mut [f32],
    mut on_row: impl FnMut(usize, TermSums),
) {
    assert!(
        constants.kind != Kind::Apart,
        "terms apart have factors of their own"
    );
    let rows = first..first + gradient.len() / level.size.width;
    let term_maps = |row: usize, lines: &MomentLines<'_>, maps: &mut [f32], margin: usize| {
        if rows.contains(&row) {
            on_row(row, term_sums(constants, lines));
        }
        write_maps(constants, lines, maps, margin);
    };
    back(constants, level, first, gradient, scratch, term_maps);
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
    back(constants, level, 0, gradient, scratch, term_maps);
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
    back(constants, level, 0, gradient, scratch, term_maps);
}

/// Takes the maps that `term_maps` makes of each row of windows back to the samples, for rows
/// `first..first + gradient.len() / width`.
fn back(
    constants: &Constants,
    level: &Level<'_>,
    first: usize,
    gradient: &mut [f32],
    scratch: &mut [f32],
    mut term_maps: impl FnMut(usize, &MomentLines<'_>, &mut [f32], usize),
) {
    let (border, window, width) = (constants.border, &constants.window, level.size.width);
    let (radius, height) = (window.radius, level.size.height);
    let end = first + gradient.len() / width;
    let (map_first, map_end) = touching_rows(border, radius, height, first, end);
    let map_count = match constants.kind {
        Kind::Apart => 4,
        _ => 3,
    };
    // Zeros on either side of a map row before it is spread along its line.
    let margin = 2 * radius;

    let (mut lines, rest) = MomentLines::new(constants, level.size, level.mask.is_some(), scratch);
    let map_width = constants.map_size(level.size).width;
    let (maps, rest) = rest.split_at_mut(map_count * (map_width + 2 * margin));
    let (line, rest) = rest.split_at_mut(width + line_padding(border, radius));
    let accumulators = &mut rest[..map_count * window.len() * width];
    maps.fill(0.0);
    accumulators.fill(0.0);

    let mut next = first;
    for row in map_first..map_end {
        lines.filter(constants, level, row);
        term_maps(row, &lines, maps, margin);
        for (map, accumulators) in maps
            .chunks_exact(map_width + 2 * margin)
            .zip(accumulators.chunks_exact_mut(window.len() * width))
        {
            filter_line_adjoint(border, window, map, line);
            let line = &line[line_padding(border, radius) / 2..][..width];
            for k in 0..window.len() {
                let target = source_row(border, radius, height, row, k);
                if (first..end).contains(&target) {
                    let tap = window.tap(k);
                    let sums = ring_row(accumulators, width, target);
                    for (sum, v) in sums.iter_mut().zip(line) {
                        *sum += tap * v;
                    }
                }
            }
        }
        while next < end && touching_rows(border, radius, height, next, next + 1).1 <= row + 1 {
            let gradient = &mut gradient[(next - first) * width..][..width];
            write_row(level, next, accumulators, map_count, gradient);
            next += 1;
        }
    }
}

/// Row `row` of a ring of as many rows as the window has: it never touches rows further apart.
fn ring_row(ring: &mut [f32], width: usize, row: usize) -> &mut [f32] {
    let rows = ring.len() / width;
    &mut ring[row % rows * width..][..width]
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

/// Turns one row of the rings into a row of the gradient, and clears it for its successor.
fn write_row(
    level: &Level<'_>,
    row: usize,
    rings: &mut [f32],
    map_count: usize,
    gradient: &mut [f32],
) {
    let width = level.size.width;
    let len = rings.len() / map_count;
    let mut rings = rings.chunks_exact_mut(len);
    let [Some(a), Some(b), Some(c)] = [rings.next(), rings.next(), rings.next()] else {
        return;
    };
    let [a, b, c] = [a, b, c].map(|ring| ring_row(ring, width, row));
    let samples = level.sum[row * width..]
        .iter()
        .zip(&level.difference[row * width..]);
    let maps = a.iter_mut().zip(b).zip(c);
    for ((gradient, ((a, b), c)), (s, d)) in gradient.iter_mut().zip(maps).zip(samples.clone()) {
        *gradient = *a + 2.0 * (s * *b - d * *c);
        (*a, *b, *c) = (0.0, 0.0, 0.0);
    }
    if let Some(ring) = rings.next() {
        let ring = ring_row(ring, width, row);
        for ((gradient, by_sd), (s, d)) in gradient.iter_mut().zip(ring).zip(samples) {
            // d(s d)/dy = d - s
            *gradient += *by_sd * (d - s);
            *by_sd = 0.0;
        }
    }
    if let Some(mask) = level.mask {
        for (gradient, mask) in gradient.iter_mut().zip(&mask[row * width..]) {
            *gradient *= mask;
        }
    }
}
