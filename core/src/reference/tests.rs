//! The reference against differences of itself.

use core::slice;

use super::*;
use crate::tests::noise;

/// Two planes in [0, 255] that resemble each other.
fn pair(size: Size) -> (Vec<f64>, Vec<f64>) {
    let x: Vec<f64> = noise(7, size.area())
        .iter()
        .map(|v| 127.5 * (1.0 + f64::from(*v)))
        .collect();
    let y = noise(8, size.area());
    let y = x
        .iter()
        .zip(y)
        .map(|(x, v)| 0.8 * x + 40.0 * f64::from(v) + 30.0)
        .collect();
    (x, y)
}

#[test]
fn gradient_matches_directional_differences() {
    let conventions = [
        (
            Params {
                scales: 2,
                ..Params::WANG_2003
            },
            Size {
                width: 24,
                height: 23,
            },
        ),
        (
            Params {
                scales: 2,
                halving: Halving::Zero,
                ..Params::WANG_2003
            },
            Size {
                width: 23,
                height: 24,
            },
        ),
        (
            Params {
                scales: 2,
                halving: Halving::Floor,
                ..Params::WANG_2003
            },
            Size {
                width: 25,
                height: 23,
            },
        ),
        (
            Params {
                scales: 3,
                ..Params::SNELL_2017
            },
            Size {
                width: 9,
                height: 13,
            },
        ),
        (
            Params {
                scales: 3,
                pooling: Pooling::PixelProduct,
                halving: Halving::Floor,
                ..Params::SNELL_2017
            },
            Size {
                width: 9,
                height: 13,
            },
        ),
        (
            Params {
                scales: 3,
                pooling: Pooling::PixelProduct,
                weights: [1.5, 2.0, 1.2, 0.0, 0.0, 0.0, 0.0, 0.0],
                ..Params::SNELL_2017
            },
            Size {
                width: 10,
                height: 7,
            },
        ),
    ];
    for (params, size) in conventions {
        check_slope(&params, size, 1, false);
    }
}

#[test]
fn gradients_of_every_rule_match_directional_differences() {
    let small = |params: Params| Params {
        scales: 2,
        ..params
    };
    let apart = Params {
        terms: Terms::Apart {
            alpha: [0.7; 8],
            gamma: [1.3; 8],
        },
        negative: Negative::Shifted,
        ..small(Params::SNELL_2017)
    };
    for (params, width, height) in [
        (small(Params::PIQ), 24, 23),
        (small(Params::TORCHMETRICS), 25, 23),
        (small(Params::METRIX), 23, 24),
        (Params::SNELL_2017.with_border(Border::Reflect), 9, 13),
        (apart, 9, 7),
        (
            Params {
                radius: 3,
                scales: 3,
                ..Params::ZHAO_2017
            },
            9,
            8,
        ),
        (
            Params {
                negative: Negative::ZeroMap,
                ..small(Params::SNELL_2017)
            },
            8,
            9,
        ),
        (
            Params {
                negative: Negative::LowerBound(0.05),
                ..small(Params::SNELL_2017)
            },
            8,
            9,
        ),
    ] {
        let size = Size { width, height };
        check_slope(&params, size, 2, false);
        if params.pooling == Pooling::Means {
            check_slope(&params, size, 2, true);
        }
    }
}

/// Compares the gradient of the sum of the channels' scores, or of their joint one, along a direction.
fn check_slope(params: &Params, size: Size, channels: usize, masked: bool) {
    let (x, y) = pair(size);
    let x: Vec<Vec<f64>> = (0..channels)
        .map(|c| x.iter().map(|v| v - c as f64).collect())
        .collect();
    let y: Vec<Vec<f64>> = (0..channels)
        .map(|c| y.iter().map(|v| v + c as f64).collect())
        .collect();
    let mask: Vec<f64> = (0..size.area())
        .map(|p| {
            if p % size.width < 4 {
                0.0
            } else {
                1.0 - 0.02 * (p % 7) as f64
            }
        })
        .collect();
    let mask = masked.then_some(&mask[..]);
    let direction: Vec<Vec<f64>> = (0..channels)
        .map(|c| {
            noise(9 + c as u32, size.area())
                .into_iter()
                .map(f64::from)
                .collect()
        })
        .collect();
    let joint = params.channels == ChannelPooling::Means;
    let at = |step: f64| {
        let moved: Vec<Vec<f64>> = y
            .iter()
            .zip(&direction)
            .map(|(y, v)| y.iter().zip(v).map(|(y, v)| y + step * v).collect())
            .collect();
        let all = ms_ssim_of_channels(&x, &moved, mask, size, params);
        let values = all.iter().map(|channel| channel.value);
        values.take(if joint { 1 } else { channels }).sum::<f64>()
    };
    let numeric = (at(1e-3) - at(-1e-3)) / 2e-3;
    let all = ms_ssim_of_channels(&x, &y, mask, size, params);
    let analytic: f64 = all
        .iter()
        .zip(&direction)
        .flat_map(|(channel, v)| channel.gradient.iter().zip(v))
        .map(|(g, v)| g * v)
        .sum();
    assert!(
        (numeric - analytic).abs() < 1e-6 * analytic.abs(),
        "{numeric} {analytic} {params:?}"
    );
}

#[test]
fn a_mask_of_ones_changes_nothing() {
    let size = Size {
        width: 23,
        height: 24,
    };
    let (x, y) = pair(size);
    for params in [Params::PYTORCH_MSSSIM, Params::METRIX, Params::SNELL_2017] {
        let params = Params {
            scales: 2,
            ..params
        };
        let without = ms_ssim(&x, &y, size, &params);
        let ones = vec![1.0; size.area()];
        let with = ms_ssim_of_channels(
            slice::from_ref(&x),
            slice::from_ref(&y),
            Some(&ones),
            size,
            &params,
        );
        assert!((with[0].value - without.value).abs() < 1e-13);
    }
}

#[test]
fn identical_planes_score_one() {
    let size = Size {
        width: 11,
        height: 11,
    };
    let (x, _) = pair(size);
    let result = ms_ssim(
        &x,
        &x,
        size,
        &Params {
            scales: 1,
            ..Params::WANG_2003
        },
    );
    assert!((result.value - 1.0).abs() < 1e-15 && result.gradient.iter().all(|g| g.abs() < 1e-17));
}
