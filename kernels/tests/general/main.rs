//! The general kernels under the emulator: every convention stays within its memory, and single lines that
//! are changed are found out. That their numbers are right is shown where they are launched, in `msssim-cuda`,
//! against the float64 reference.

mod case;
mod launch;
#[path = "../common/mutate.rs"]
mod mutate;
mod mutations;

use msssim_kernels::general::{Border, Convention, MAX_TAPS};
use msssim_kernels::{Halving, MAX_SCALES, Negative};

use case::{Case, convention};
use launch::{Texts, run};

const HALVINGS: [Halving; 6] = [
    Halving::Symmetric,
    Halving::Zero,
    Halving::Floor,
    Halving::ReplicateFirst,
    Halving::LowPass97,
    Halving::Keep,
];

/// Runs a case, and once more with identical images, whose score is 1 and whose gradient is 0.
fn check(case: &Case) {
    let [x, y] = case.pair();
    let computed = |pair: [Vec<f32>; 2]| {
        run(&Texts::default(), case, &pair).unwrap_or_else(|e| panic!("{case:?}: {e}"))
    };
    let output = computed([x.clone(), y]);
    assert!(
        output.scores.iter().all(|s| *s > 0.0 && *s < 1.0),
        "{output:?}"
    );
    let gradient = &output.gradient;
    assert!(gradient.iter().all(|g| g.is_finite()), "{case:?}");
    let each = gradient.chunks_exact(gradient.len() / case.batch[0]);
    for of_image in each {
        assert!(of_image.iter().any(|g| *g != 0.0), "{case:?}");
    }
    let same = computed([x.clone(), x]);
    assert!(
        same.scores.iter().all(|s| (s - 1.0).abs() < 1e-12),
        "{same:?}"
    );
    assert!(same.gradient.iter().all(|g| *g == 0.0), "{case:?}");
}

#[test]
fn every_border_and_halving_stays_within_its_memory() {
    let borders = [Border::Valid, Border::Replicate, Border::Reflect];
    for (i, halving) in HALVINGS.into_iter().enumerate() {
        for (k, border) in borders.into_iter().enumerate() {
            let convention = Convention {
                halving,
                borders: [border; MAX_SCALES],
                joint: (i + k) % 2 == 0,
                negative: match i % 2 {
                    0 => Negative::Signed,
                    _ => Negative::ZeroMap,
                },
                ..convention()
            };
            check(&Case::new(convention, (i + k) % 3));
        }
    }
}

#[test]
fn terms_apart_stay_within_their_memory() {
    let mut apart = Convention {
        apart: Some([[0.5; MAX_SCALES]; 2]),
        ..convention()
    };
    apart.borders[1] = Border::Valid;
    for masks in 0..3 {
        check(&Case::new(apart, masks));
    }
}

#[test]
fn products_pixel_by_pixel_stay_within_their_memory() {
    for (halving, border) in [
        (Halving::Symmetric, Border::Replicate),
        (Halving::Floor, Border::Reflect),
        (Halving::Keep, Border::Valid),
    ] {
        let convention = Convention {
            scales: 3,
            weights: [1.0; MAX_SCALES],
            halving,
            borders: [border; MAX_SCALES],
            per_pixel: true,
            ..convention()
        };
        check(&Case::new(convention, 0));
    }
}

#[test]
fn extreme_sizes_stay_within_their_memory() {
    // A single window, a single column, rows of more than one block, windows far wider than the image.
    for (border, radius, [height, width]) in [
        (Border::Valid, 3, [14, 14]),
        (Border::Reflect, 3, [40, 1]),
        (Border::Replicate, 3, [2, 300]),
        (Border::Reflect, 16, [3, 5]),
    ] {
        let mut of_size = Convention {
            radius,
            borders: [border; MAX_SCALES],
            ..convention()
        };
        if radius == 16 {
            of_size.taps = [[1.0 / 33.0; MAX_TAPS]; MAX_SCALES];
        }
        let mut case = Case::new(of_size, 0);
        case.batch = [1, 1, height, width];
        check(&case);
    }
}
