//! The metric against numbers that other programs computed.

use msssim_core::conformance::images::{checksum, texture_pair, waves, with_noise};
use msssim_core::reference;
use msssim_core::{Border, Halving, MsSsim, Params, Plane, PlaneMut, Score, Size};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    seed: u64,
    h: usize,
    w: usize,
    amp: i64,
    crc_ref: u64,
    crc_dist: u64,
    symmetric: Expected,
    zero: Expected,
    floor: Expected,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Numbers {
        score: f64,
        scale_means: Vec<f64>,
        gradient: Gradient,
    },
    Refused {
        error: String,
    },
}

#[derive(Deserialize)]
struct Gradient {
    sum: f64,
    l2: f64,
    max_abs: f64,
    samples: Vec<(usize, f64)>,
}

/// What an implementation made of a pair, widened to f64.
struct Actual {
    score: f64,
    means: Vec<f64>,
    gradient: Vec<f64>,
}

fn in_f32(x: &[u8], y: &[u8], size: Size, params: &Params) -> Actual {
    let metric = MsSsim::new(size, 1, params).unwrap();
    let mut scratch = vec![f32::NAN; metric.gradient_scratch_len()];
    let mut gradient = vec![f32::NAN; size.area()];
    let (x, y) = (
        [Plane::new(x, size).unwrap()],
        [Plane::new(y, size).unwrap()],
    );
    let mut out = [PlaneMut::new(&mut gradient, size).unwrap()];
    let score = metric
        .score_and_gradient(&x, &y, &mut out, &mut scratch)
        .unwrap();
    let alone = metric.score(&x, &y, &mut scratch).unwrap();
    assert_eq!(score, alone, "score with and without gradient");
    Actual {
        score: score.value,
        means: score
            .scales()
            .iter()
            .map(|means| means.ssim.unwrap_or(means.cs))
            .collect(),
        gradient: gradient.into_iter().map(f64::from).collect(),
    }
}

fn in_f64(x: &[u8], y: &[u8], size: Size, params: &Params) -> Actual {
    let [x, y] = [x, y].map(|samples| samples.iter().copied().map(f64::from).collect::<Vec<_>>());
    let result = reference::ms_ssim(&x, &y, size, params);
    Actual {
        score: result.value,
        means: result.means,
        gradient: result.gradient,
    }
}

fn compare(name: &str, actual: &Actual, expected: &Expected, score: f64, gradient: f64) {
    let Expected::Numbers {
        score: value,
        scale_means,
        gradient: golden,
    } = expected
    else {
        panic!("{name}: computed where the golden program refused")
    };
    let near = |what: &str, actual: f64, expected: f64, bound: f64| {
        assert!(
            (actual - expected).abs() <= bound,
            "{name}, {what}: {actual}, not {expected}"
        );
    };
    near("score", actual.score, *value, score);
    for (actual, expected) in actual.means.iter().zip(scale_means) {
        near("scale mean", *actual, *expected, score);
    }
    // Relative to the largest of the case; absolute where that is nothing but rounding.
    let bound = if golden.max_abs < 1e-12 {
        1e-9
    } else {
        gradient * golden.max_abs
    };
    for &(index, expected) in &golden.samples {
        near("gradient", actual.gradient[index], expected, bound);
    }
    let area = actual.gradient.len() as f64;
    let sum: f64 = actual.gradient.iter().sum();
    let l2 = actual.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let max_abs = actual
        .gradient
        .iter()
        .fold(0.0f64, |max, g| max.max(g.abs()));
    near("gradient's sum", sum, golden.sum, bound * area.sqrt());
    near("gradient's norm", l2, golden.l2, bound * area.sqrt());
    near("gradient's largest", max_abs, golden.max_abs, bound);
}

#[test]
fn every_row_of_the_float64_table() {
    let golden: Golden = serde_json::from_str(include_str!("golden/reference_f64.json")).unwrap();
    assert_eq!(golden.cases.len(), 18, "rows of the table");
    for case in &golden.cases {
        let size = Size {
            width: case.w,
            height: case.h,
        };
        let x = waves(case.seed, size);
        let y = with_noise(case.seed, &x, size, case.amp);
        assert_eq!(
            (checksum(&x), checksum(&y)),
            (case.crc_ref, case.crc_dist),
            "the images"
        );
        for (halving, expected) in [
            (Halving::Symmetric, &case.symmetric),
            (Halving::Zero, &case.zero),
            (Halving::Floor, &case.floor),
        ] {
            let name = format!("{size}, noise {}, {halving:?}", case.amp);
            let params = Params {
                halving,
                ..Params::WANG_2003
            };
            if let Expected::Refused { error } = expected {
                assert_eq!(error, "too small");
                assert!(MsSsim::new(size, 1, &params).is_err(), "{name}");
                continue;
            }
            compare(&name, &in_f32(&x, &y, size, &params), expected, 1e-6, 1e-5);
            compare(&name, &in_f64(&x, &y, size, &params), expected, 1e-12, 1e-9);
        }
    }
}

fn score(x: &[u8], y: &[u8], size: Size, params: &Params) -> Score {
    let metric = MsSsim::new(size, 1, params).unwrap();
    let mut scratch = vec![f32::NAN; metric.scratch_len()];
    let planes = [x, y].map(|samples| Plane::new(samples, size).unwrap());
    metric
        .score(&planes[..1], &planes[1..], &mut scratch)
        .unwrap()
}

/// One texture pair's numbers, by an independent float64 program in NumPy.
struct Texture {
    size: (usize, usize),
    ssim_valid: f64,
    ssim_replicate: f64,
    msssim_m: Option<f64>,
    /// The 9/7 low-pass filter, luminance, contrast and structure apart.
    metrix: Option<f64>,
    /// All exponents 1, windows inside the image, this many scales.
    all_ones: (usize, f64),
    /// All exponents 1 and Wang's, five scales, windows over the border.
    replicate: Option<(f64, f64)>,
}

#[rustfmt::skip]
const TEXTURES: [Texture; 6] = [
    Texture { size: (192, 192), ssim_valid: 0.4848054208, ssim_replicate: 0.4835939655,
              msssim_m: Some(0.9463636685), metrix: Some(0.9454309339), all_ones: (5, 0.4479702167), replicate: None },
    Texture { size: (181, 177), ssim_valid: 0.4791600394, ssim_replicate: 0.4769142821,
              msssim_m: Some(0.9526694457), metrix: Some(0.9538527955), all_ones: (5, 0.4538756524), replicate: None },
    Texture { size: (96, 96), ssim_valid: 0.4772632078, ssim_replicate: 0.4738184820,
              msssim_m: None, metrix: None, all_ones: (4, 0.4528361053), replicate: Some((0.4478335731, 0.9515965302)) },
    Texture { size: (48, 48), ssim_valid: 0.4719248573, ssim_replicate: 0.4752621563,
              msssim_m: None, metrix: None, all_ones: (3, 0.4420501764), replicate: Some((0.4441737085, 0.9486652427)) },
    Texture { size: (33, 33), ssim_valid: 0.4765597035, ssim_replicate: 0.4745379064,
              msssim_m: None, metrix: None, all_ones: (2, 0.4310974785), replicate: Some((0.3662248382, 0.9019435813)) },
    Texture { size: (32, 32), ssim_valid: 0.4698997755, ssim_replicate: 0.4679418983,
              msssim_m: None, metrix: None, all_ones: (2, 0.4411065379), replicate: Some((0.4288435677, 0.9426827599)) },
];

#[test]
fn textures_under_every_convention() {
    let wang = Params::WANG_2003;
    let snell = Params::SNELL_2017;
    for texture in &TEXTURES {
        let (height, width) = texture.size;
        let size = Size { width, height };
        let (x, y) = texture_pair(false, size);
        let (scales, all_ones) = texture.all_ones;
        let mut expected = vec![
            (
                Params {
                    scales: 1,
                    border: Border::Valid,
                    ..snell
                },
                texture.ssim_valid,
            ),
            (Params::MATLAB_SSIM, texture.ssim_replicate),
            (
                Params {
                    scales,
                    border: Border::Valid,
                    ..snell
                },
                all_ones,
            ),
        ];
        expected.extend(texture.msssim_m.map(|value| (wang, value)));
        expected.extend(texture.metrix.map(|value| (Params::METRIX, value)));
        if let Some((ones, weighted)) = texture.replicate {
            expected.push((snell, ones));
            expected.push((
                Params {
                    border: Border::Replicate,
                    ..wang
                },
                weighted,
            ));
        }
        for (params, value) in expected {
            let actual = score(&x, &y, size, &params).value;
            assert!(
                (actual - value).abs() < 1e-6,
                "{size} {params:?}: {actual}, not {value}"
            );
            let exact = in_f64(&x, &y, size, &params).score;
            assert!(
                (exact - value).abs() < 1e-9,
                "{size} {params:?}: {exact}, not {value}"
            );
        }
    }
}

#[test]
fn high_contrast_textures() {
    for ((height, width), [valid, replicate, msssim_m, metrix]) in [
        (
            (192, 192),
            [0.9785461829, 0.9787028847, 0.9979430579, 0.9980286806],
        ),
        (
            (181, 177),
            [0.9787558132, 0.9787666964, 0.9982624930, 0.9981232604],
        ),
    ] {
        let size = Size { width, height };
        let (x, y) = texture_pair(true, size);
        let ssim = Params {
            border: Border::Valid,
            ..Params::MATLAB_SSIM
        };
        for (params, value) in [
            (ssim, valid),
            (Params::MATLAB_SSIM, replicate),
            (Params::WANG_2003, msssim_m),
            (Params::METRIX, metrix),
        ] {
            let actual = score(&x, &y, size, &params).value;
            assert!(
                (actual - value).abs() < 1e-6,
                "{size} {params:?}: {actual}, not {value}"
            );
        }
    }
}

/// Derivatives by the distorted texture at one pixel, and their sum of magnitudes; an independent
/// float64 program, confirmed there by finite differences.
#[test]
fn texture_gradients() {
    let ones = Params {
        border: Border::Valid,
        ..Params::SNELL_2017
    };
    let wang = Params::WANG_2003;
    for ((height, width), scales, params, (row, column), at, magnitude) in [
        (
            (192, 192),
            5,
            wang,
            (96, 64),
            -2.1923050366e-07,
            Some(9.2661318948e-03),
        ),
        (
            (181, 177),
            5,
            wang,
            (90, 59),
            5.14943e-08,
            Some(7.7389769627e-03),
        ),
        (
            (192, 192),
            5,
            ones,
            (96, 64),
            -1.6362343740e-06,
            Some(3.8431758667e-02),
        ),
        (
            (96, 96),
            4,
            ones,
            (48, 32),
            -9.6157205991e-06,
            Some(3.7662971653e-02),
        ),
        ((48, 48), 3, ones, (24, 16), 4.3374214980e-06, None),
        ((32, 32), 2, ones, (16, 10), -1.5698151428e-04, None),
    ] {
        let size = Size { width, height };
        let (x, y) = texture_pair(false, size);
        let params = Params { scales, ..params };
        let Actual { gradient, .. } = in_f32(&x, &y, size, &params);
        let largest = gradient.iter().fold(0.0f64, |max, g| max.max(g.abs()));
        let actual = gradient[row * width + column];
        assert!(
            (actual - at).abs() < 1e-5 * largest,
            "{size}: {actual}, not {at}"
        );
        if let Some(magnitude) = magnitude {
            let sum: f64 = gradient.iter().map(|g| g.abs()).sum();
            assert!(
                (sum / magnitude - 1.0).abs() < 1e-5,
                "{size}: {sum}, not {magnitude}"
            );
        }
    }
}
