//! Losses of images and their gradients.

use msssim_cuda::network::Comparison;
use msssim_cuda::{Params, Size};

use super::{buffer, network, noise, values};
use crate::support::{compute, textures};

#[test]
fn errors_of_images_and_their_gradients() {
    let network = network();
    let size = Size {
        width: 19,
        height: 17,
    };
    let (images, channels) = (3, 2);
    let samples = images * channels * size.area();
    let (x, mut y) = (noise(4, samples), noise(5, samples));
    // A difference of exactly 0 has a derivative of 0.
    y[5] = x[5];
    let (reference, distorted) = (buffer(&network, &x), buffer(&network, &y));
    for (comparison, value, derivative) in [
        (
            Comparison::SquaredError,
            (|d: f64| d * d) as fn(f64) -> f64,
            (|d: f64| 2.0 * d) as fn(f64) -> f64,
        ),
        (Comparison::AbsoluteError, f64::abs, |d| {
            if d == 0.0 { 0.0 } else { d.signum() }
        }),
    ] {
        let measure = network
            .plan_measure(comparison, images, channels, size)
            .expect("a plan");
        let mut gradient = network.zeros(samples).expect("room");
        network
            .measure_and_gradient(&measure, &reference, &distorted, -0.5, &mut gradient)
            .expect("a launch");
        let means = network.measured(&measure).expect("means");
        let differences: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(y - x)).collect();
        for (mean, of_image) in means.iter().zip(differences.chunks_exact(samples / images)) {
            let expected = of_image.iter().map(|d| value(*d)).sum::<f64>() / of_image.len() as f64;
            assert!(
                (mean - expected).abs() < 1e-7 * expected,
                "{mean} {expected}"
            );
        }
        let gradient = values(&network, &gradient);
        for (actual, d) in gradient.iter().zip(differences) {
            let expected = -0.5 * derivative(d) / samples as f64;
            assert!(
                (f64::from(*actual) - expected).abs() < 1e-9,
                "{actual} {expected}"
            );
        }
    }
}

#[test]
fn ms_ssim_is_the_metrics() {
    let network = network();
    let size = Size {
        width: 33,
        height: 33,
    };
    let params = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let (x, y) = textures(2, size, 1.0);
    let expected = compute(&params, size, 1, &x, &y);
    let measure = network
        .plan_measure(Comparison::MsSsim(params), 2, 1, size)
        .expect("a plan");
    let (reference, distorted) = (buffer(&network, &x), buffer(&network, &y));
    let mut gradient = network.zeros(x.len()).expect("room");
    // Powers of two scale without rounding: half of it is the mean over two images.
    for factor in [-1.0, 2.0] {
        network
            .measure_and_gradient(&measure, &reference, &distorted, factor, &mut gradient)
            .expect("launches");
        let scaled: Vec<f32> = expected.gradient.iter().map(|g| factor / 2.0 * g).collect();
        assert_eq!(values(&network, &gradient), scaled);
    }
    let means = network.measured(&measure).expect("means");
    assert!(
        means
            .iter()
            .zip(&expected.scores)
            .all(|(a, b)| *a == b.value)
    );
}

#[test]
fn a_blend_is_its_parts() {
    let network = network();
    let size = Size {
        width: 33,
        height: 20,
    };
    let params = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let (x, y) = textures(4, size, 1.0);
    let (reference, distorted) = (buffer(&network, &x), buffer(&network, &y));
    let run = |comparison| {
        let measure = network
            .plan_measure(comparison, 2, 2, size)
            .expect("a plan");
        let mut gradient = network.zeros(x.len()).expect("room");
        network
            .measure_and_gradient(&measure, &reference, &distorted, 2.0, &mut gradient)
            .expect("launches");
        let means = network.measured(&measure).expect("means");
        (means, values(&network, &gradient))
    };
    let (scores, by_score) = run(Comparison::MsSsim(params));
    let (errors, by_error) = run(Comparison::AbsoluteError);
    let (score, error) = (-0.75, 0.25);
    let (blends, by_blend) = run(Comparison::Blend {
        params,
        score,
        error,
    });
    for ((blend, s), e) in blends.iter().zip(scores).zip(errors) {
        assert!((blend - (0.25 * e - 0.75 * s)).abs() < 1e-12);
    }
    for ((blend, s), e) in by_blend.iter().zip(by_score).zip(by_error) {
        assert!(
            (blend - (0.25 * e - 0.75 * s)).abs() < 1e-8,
            "{blend} {s} {e}"
        );
    }
}
