//! MATLAB-compatible bicubic resampling: `imresize(image, [height width], 'bicubic')`.
//!
//! Keys' cubic kernel with a = -1/2. When shrinking it is stretched by the factor, which is the
//! antialiasing; weights are normalised to sum 1; samples beyond the image are those of its mirror
//! image; output sample i is centred at `(i + 1/2) / scale - 1/2`.

use rayon::prelude::*;

/// The samples that one output sample is the weighted sum of.
struct Taps {
    /// Index of each source sample, its weight.
    sources: Vec<(usize, f64)>,
}

/// Keys (1981), equation 15, with a = -1/2.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x <= 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// The taps of every output sample along one axis.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = to as f64 / from as f64;
    let shrink = scale.min(1.0);
    let reach = 2.0 / shrink;
    let mirrored = |at: i64| {
        let at = at.rem_euclid(2 * from as i64) as usize;
        if at < from { at } else { 2 * from - 1 - at }
    };
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) / scale - 0.5;
            let (first, last) = (
                (centre - reach).ceil() as i64,
                (centre + reach).floor() as i64,
            );
            let weight = |at: i64| cubic((centre - at as f64) * shrink);
            let sum: f64 = (first..=last).map(weight).sum();
            let sources = (first..=last).map(|at| (mirrored(at), weight(at) / sum));
            Taps {
                sources: sources.filter(|(_, weight)| *weight != 0.0).collect(),
            }
        })
        .collect()
}

/// `plane`, `height` rows of `width` samples, resampled to `new_height` rows of `new_width`.
///
/// Nothing is rounded or clamped: bicubic overshoots at edges.
///
/// # Panics
/// If `plane` does not hold `width * height` samples, or a side is 0.
pub fn resize(
    plane: &[f32],
    width: usize,
    height: usize,
    new_width: usize,
    new_height: usize,
) -> Vec<f32> {
    assert!(
        plane.len() == width * height,
        "plane of another size than {width} x {height}"
    );
    assert!(
        [width, height, new_width, new_height]
            .iter()
            .all(|side| *side > 0),
        "a side of 0"
    );
    let (columns, rows) = (taps(width, new_width), taps(height, new_height));
    let mut out = vec![0.0; new_width * new_height];
    out.par_chunks_exact_mut(new_width).zip(rows).for_each_init(
        || vec![0.0f64; width],
        |line, (out, row)| {
            line.fill(0.0);
            for (source, weight) in row.sources {
                for (sum, sample) in line.iter_mut().zip(&plane[source * width..][..width]) {
                    *sum += weight * f64::from(*sample);
                }
            }
            for (out, column) in out.iter_mut().zip(&columns) {
                let sum: f64 = column
                    .sources
                    .iter()
                    .map(|(at, weight)| weight * line[*at])
                    .sum();
                *out = sum as f32;
            }
        },
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_by_two_by_hand() {
        // Weights at a quarter pixel: cubic(1.25), (0.25), (0.75), (1.75), mirrored at the ends.
        let [a, b, c, d] = [1.25, 0.25, 0.75, 1.75].map(cubic);
        let out = resize(&[1.0, 0.0, 0.0, 0.0], 4, 1, 8, 1);
        let expected = [b + c, b + a, c + d, a, d, 0.0, 0.0, 0.0];
        for (out, expected) in out.iter().zip(expected) {
            assert!(
                (f64::from(*out) - expected).abs() < 1e-6,
                "{out} is not {expected}"
            );
        }
    }

    #[test]
    fn constants_stay_and_size_one_is_legal() {
        for (from, to) in [(1, 7), (7, 1), (12, 3), (3, 12), (5, 5)] {
            let out = resize(&vec![0.75; from * from], from, from, to, to);
            assert!(
                out.iter().all(|v| (v - 0.75).abs() < 1e-6),
                "{from} to {to}: {out:?}"
            );
        }
    }

    #[test]
    fn shrinking_a_ramp_keeps_it_a_ramp_inside() {
        let ramp: Vec<f32> = (0..64).map(|v| v as f32).collect();
        let out = resize(&ramp, 64, 1, 16, 1);
        for (i, out) in out.iter().enumerate().skip(3).take(10) {
            let expected = (i as f32 + 0.5) * 4.0 - 0.5;
            assert!((out - expected).abs() < 1e-4, "{out} is not {expected}");
        }
    }
}
