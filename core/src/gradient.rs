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

use crate::filter::{filter_line_adjoint, line_padding, map_size, source_row, touching_rows};
use crate::ssim::{Term, contrast_structure, luminance};
use crate::statistics::{Constants, Level, MomentLines, TermSums, term_sums};
use crate::window::{WINDOW_LEN, WINDOW_RADIUS};

/// Zeros on either side of a map row before it is spread along its line.
const MAP_MARGIN: usize = WINDOW_LEN - 1;

/// Samples of scratch that [`gradient_rows`] needs for a plane of `width`.
pub const fn gradient_scratch_len(width: usize) -> usize {
    MomentLines::scratch_len(width)
        + 3 * (width + 2 * MAP_MARGIN)
        + (width + 2 * WINDOW_RADIUS)
        + 3 * WINDOW_LEN * width
}

/// The gradient of the sum of one scale's terms (`cs`, or `l cs` on the coarsest scale) by the
/// distorted image of that scale, rows `first..first + gradient.len() / width`.
///
/// In units of samples scaled to [0, 1]; not yet scaled by the score's derivative by the mean.
/// Calls `on_row` with the number and the sums of each map row in that same range, so that the
/// forward pass comes for free.
///
/// # Panics
/// If `gradient` is not whole rows of the scale or `scratch` is shorter than
/// [`gradient_scratch_len`].
pub fn gradient_rows(
    constants: &Constants,
    level: &Level<'_>,
    coarsest: bool,
    first: usize,
    gradient: &mut [f32],
    scratch: &mut [f32],
    mut on_row: impl FnMut(usize, TermSums),
) {
    let rows = first..first + gradient.len() / level.size.width;
    let term_maps = |row: usize, lines: &MomentLines<'_>, maps: &mut [f32]| {
        if rows.contains(&row) {
            on_row(row, term_sums(constants, lines, coarsest));
        }
        write_maps(constants, lines, coarsest, maps);
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
    coarsest: bool,
    weights: &[f32],
    gradient: &mut [f32],
    scratch: &mut [f32],
) {
    let map_width = map_size(constants.border, level.size).width;
    let term_maps = |row: usize, lines: &MomentLines<'_>, maps: &mut [f32]| {
        write_maps(constants, lines, coarsest, maps);
        let weights = &weights[row * map_width..][..map_width];
        for map in maps.chunks_exact_mut(map_width + 2 * MAP_MARGIN) {
            for (v, weight) in map[MAP_MARGIN..].iter_mut().zip(weights) {
                *v *= weight;
            }
        }
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
    mut term_maps: impl FnMut(usize, &MomentLines<'_>, &mut [f32]),
) {
    let (border, width) = (constants.border, level.size.width);
    let end = first + gradient.len() / width;
    let (map_first, map_end) = touching_rows(border, level.size.height, first, end);

    let (mut lines, rest) = MomentLines::new(border, level.size, scratch);
    let map_width = map_size(border, level.size).width;
    let (maps, rest) = rest.split_at_mut(3 * (map_width + 2 * MAP_MARGIN));
    let (line, rest) = rest.split_at_mut(width + line_padding(border));
    let accumulators = &mut rest[..3 * WINDOW_LEN * width];
    maps.fill(0.0);
    accumulators.fill(0.0);

    let mut next = first;
    for row in map_first..map_end {
        lines.filter(constants, level, row);
        term_maps(row, &lines, maps);
        for (map, accumulators) in maps
            .chunks_exact(map_width + 2 * MAP_MARGIN)
            .zip(accumulators.chunks_exact_mut(WINDOW_LEN * width))
        {
            filter_line_adjoint(border, &constants.window, map, line);
            let line = &line[line_padding(border) / 2..][..width];
            for k in 0..WINDOW_LEN {
                let target = source_row(border, level.size.height, row, k);
                if (first..end).contains(&target) {
                    let tap = constants.window.tap(k);
                    for (sum, v) in ring_row(accumulators, width, target).iter_mut().zip(line) {
                        *sum += tap * v;
                    }
                }
            }
        }
        while next < end && touching_rows(border, level.size.height, next, next + 1).1 <= row + 1 {
            let gradient = &mut gradient[(next - first) * width..][..width];
            write_row(level, next, accumulators, gradient);
            next += 1;
        }
    }
}

/// Row `row` of a ring of eleven rows: windows never touch rows further apart.
fn ring_row(ring: &mut [f32], width: usize, row: usize) -> &mut [f32] {
    &mut ring[row % WINDOW_LEN * width..][..width]
}

/// Writes one row of the maps `a`, `b`, `c` into the middle of `maps`.
fn write_maps(constants: &Constants, lines: &MomentLines<'_>, coarsest: bool, maps: &mut [f32]) {
    let (a, rest) = maps.split_at_mut(maps.len() / 3);
    let (b, c) = rest.split_at_mut(a.len());
    let middle = MAP_MARGIN..a.len() - MAP_MARGIN;
    let maps = a[middle.clone()]
        .iter_mut()
        .zip(&mut b[middle.clone()])
        .zip(&mut c[middle]);
    for (((a, b), c), m) in maps.zip(lines.iter()) {
        let cs = contrast_structure(m, constants.c2);
        let Term { by, .. } = if coarsest {
            luminance(m, constants.c1) * cs
        } else {
            cs
        };
        (*a, *b, *c) = (by.s - by.d, by.ss, by.dd);
    }
}

/// Turns one row of the three rings into a row of the gradient, and clears it for its successor.
fn write_row(level: &Level<'_>, row: usize, rings: &mut [f32], gradient: &mut [f32]) {
    let width = level.size.width;
    let mut rings = rings.chunks_exact_mut(WINDOW_LEN * width);
    let [Some(a), Some(b), Some(c)] = [rings.next(), rings.next(), rings.next()] else {
        return;
    };
    let [a, b, c] = [a, b, c].map(|ring| ring_row(ring, width, row));
    let samples = level.sum[row * width..]
        .iter()
        .zip(&level.difference[row * width..]);
    let maps = a.iter_mut().zip(b).zip(c);
    for ((gradient, ((a, b), c)), (s, d)) in gradient.iter_mut().zip(maps).zip(samples) {
        *gradient = *a + 2.0 * (s * *b - d * *c);
        (*a, *b, *c) = (0.0, 0.0, 0.0);
    }
}
