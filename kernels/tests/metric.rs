//! The shipped kernels against the oracle, over sizes, borders, odd sides, types and layouts.

mod common;
mod oracle;

use common::{Case, Output, metric, run};
use msssim_kernels::{Halving, Metric, Negative, Pass};

/// The samples of one plane of a batch, row by row.
fn plane_of(case: &Case, samples: &[f32], image: usize, channel: usize) -> Vec<f64> {
    let area = case.height * case.width;
    let of_image = &samples[image * case.channels * area..][..case.channels * area];
    let (first, step) = if case.interleaved {
        (channel, case.channels)
    } else {
        (channel * area, 1)
    };
    let samples = of_image.iter().skip(first).step_by(step).take(area);
    samples.map(|&v| f64::from(v)).collect()
}

/// The error that rounding leaves in the score of few windows. A window's variance is a difference of
/// numbers up to 1 in f32, over twice C2 at the least: 2e-5, which averages out over many windows.
fn of_windows(case: &Case) -> f64 {
    let (mut h, mut w, mut sum) = (case.height, case.width, 0.0);
    for _ in 0..case.metric.scales {
        sum += 2e-5 / (h * w) as f64;
        (h, w) = (case.metric.halving.halved(h), case.metric.halving.halved(w));
    }
    sum
}

/// Runs a case both ways and compares with the oracle: scores to 1e-6, gradients to 1e-5 of their
/// largest sample, and what few windows add. Gives the gradient's run back.
fn check(case: &Case) -> Output {
    let (x, y) = case.pair();
    let score = run(case, Pass::Score, &x, &y);
    let output = run(case, Pass::Gradient, &x, &y);
    let few = of_windows(case);
    for image in 0..case.images {
        let upstream = case.upstream.as_ref().map_or(1.0, |w| f64::from(w[image]));
        let planes: Vec<oracle::Expected> = (0..case.channels)
            .map(|channel| {
                let (x, y) = (
                    plane_of(case, &x, image, channel),
                    plane_of(case, &y, image, channel),
                );
                oracle::ms_ssim(&x, &y, case.height, case.width, &case.metric)
            })
            .collect();
        let expected = planes.iter().map(|p| p.score).sum::<f64>() / case.channels as f64;
        for actual in [score.scores[image], output.scores[image]] {
            assert!(
                (actual - expected).abs() < 1e-6 + few,
                "{actual} {expected}, {case:?}"
            );
        }
        for (channel, plane) in planes.iter().enumerate() {
            let first = (image * case.channels + channel) * case.metric.scales;
            for (j, expected) in plane.means.iter().enumerate() {
                for means in [&score.means, &output.means] {
                    for (actual, expected) in means[first + j].iter().zip(expected) {
                        assert!(
                            (actual - expected).abs() < 2e-6 + few,
                            "scale {j}: {actual} {expected}, {case:?}"
                        );
                    }
                }
            }
            let scaled = |g: &f64| g * upstream / case.channels as f64;
            let largest = plane
                .gradient
                .iter()
                .map(|g| scaled(g).abs())
                .fold(0.0, f64::max);
            let actual = plane_of(case, &output.gradient, image, channel);
            for (p, (actual, expected)) in actual.iter().zip(&plane.gradient).enumerate() {
                let expected = scaled(expected);
                assert!(
                    (actual - expected).abs() <= (1e-5 + few) * largest,
                    "pixel {p}: {actual} {expected}, largest {largest}, {case:?}"
                );
            }
        }
    }
    output
}

#[test]
fn replicate_borders_of_every_parity() {
    for (height, width) in [
        (33, 33),
        (32, 34),
        (37, 46),
        (7, 3),
        (1, 1),
        (1, 13),
        (50, 20),
    ] {
        check(&Case::new(
            metric(4, false, Halving::Symmetric),
            height,
            width,
        ));
    }
}

#[test]
fn valid_windows_of_every_parity() {
    for (height, width) in [(43, 44), (51, 46)] {
        for halving in [Halving::Symmetric, Halving::Zero, Halving::Floor] {
            check(&Case::new(metric(2, true, halving), height, width));
        }
    }
}

#[test]
fn odd_sides_halve_by_their_rule() {
    for halving in [Halving::Zero, Halving::Floor] {
        for (height, width) in [(35, 30), (30, 35), (23, 57)] {
            check(&Case::new(metric(4, false, halving), height, width));
        }
    }
}

#[test]
fn strips_meet_without_a_seam() {
    // Several strips across and down, of widths that do not divide.
    check(&Case::new(metric(2, false, Halving::Symmetric), 131, 139));
    check(&Case::new(metric(2, false, Halving::Zero), 133, 45));
}

#[test]
fn every_sample_type_and_layout() {
    for samples in ["u8", "f16", "bf16", "f32"] {
        for interleaved in [false, true] {
            let range = if samples == "u8" { 255.0 } else { 1.0 };
            check(&Case {
                metric: Metric {
                    data_range: range,
                    ..metric(3, false, Halving::Symmetric)
                },
                images: 2,
                channels: 3,
                samples,
                interleaved,
                upstream: Some(vec![0.5, -3.0]),
                ..Case::new(metric(1, false, Halving::Symmetric), 21, 18)
            });
        }
    }
}

#[test]
fn exponents_are_read_at_run_time() {
    let mut weights = [0.0; 8];
    weights[..3].copy_from_slice(&[0.0448, 0.2856, 1.3]);
    for signed in [false, true] {
        check(&Case::new(
            Metric {
                weights,
                negative: if signed {
                    Negative::Signed
                } else {
                    Negative::Zero
                },
                ..metric(3, false, Halving::Symmetric)
            },
            24,
            24,
        ));
    }
}

#[test]
fn identical_images_score_exactly_one_without_gradient() {
    let case = Case::new(metric(5, false, Halving::Symmetric), 40, 33);
    let (x, _) = case.pair();
    let output = run(&case, Pass::Gradient, &x, &x);
    assert_eq!(output.scores, [1.0]);
    assert!(output.gradient.iter().all(|&g| g == 0.0));
}

#[test]
fn a_negative_mean_counts_as_its_rule_says() {
    let (h, w) = (20, 20);
    for signed in [false, true] {
        let case = Case::new(
            Metric {
                negative: if signed {
                    Negative::Signed
                } else {
                    Negative::Zero
                },
                ..metric(2, false, Halving::Symmetric)
            },
            h,
            w,
        );
        let (x, _) = case.pair();
        let y: Vec<f32> = x.iter().map(|v| 1.0 - v).collect();
        let output = run(&case, Pass::Gradient, &x, &y);
        let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let expected = oracle::ms_ssim(&wide(&x), &wide(&y), h, w, &case.metric);
        assert!(expected.means[0][0] < 0.0);
        assert!((output.scores[0] - expected.score).abs() < 1e-6);
        assert_eq!(output.gradient.iter().all(|&g| g == 0.0), !signed);
    }
}

#[test]
fn extreme_samples_stay_finite_and_nan_stays_nan() {
    let case = Case::new(metric(2, false, Halving::Symmetric), 12, 12);
    let (mut x, mut y) = case.pair();
    (x[3], y[70], y[71]) = (f32::INFINITY, f32::MAX, f32::NEG_INFINITY);
    let output = run(&case, Pass::Gradient, &x, &y);
    assert!(output.scores[0].is_finite() && output.gradient.iter().all(|g| g.is_finite()));
    y[5] = f32::NAN;
    let output = run(&case, Pass::Gradient, &x, &y);
    assert!(output.scores[0].is_nan() && output.gradient.iter().all(|g| g.is_nan()));
}

#[test]
fn a_batch_has_the_bits_of_its_images() {
    // Enough planes that the strips of the batch are longer than those of one image.
    let one = Case::new(metric(3, false, Halving::Symmetric), 35, 70);
    let many = Case {
        images: 45,
        ..one.clone()
    };
    let (x, y) = many.pair();
    let together = run(&many, Pass::Gradient, &x, &y);
    let area = one.height * one.width;
    for image in [0, 20, 44] {
        let part = image * area..(image + 1) * area;
        let alone = run(&one, Pass::Gradient, &x[part.clone()], &y[part.clone()]);
        assert_eq!(alone.scores[0].to_bits(), together.scores[image].to_bits());
        assert_eq!(alone.gradient, together.gradient[part]);
    }
}
