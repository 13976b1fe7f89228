//! Codes drawn from Gaussians.

use super::{buffer, network, noise, values};

/// More numbers than a block has threads; by the formulae in float64.
#[test]
fn draws_and_their_gradients_are_those_of_the_formulae() {
    let network = network();
    let (images, length, factor) = (2, 300, 0.75);
    // Deviations from e^-2 to e^2, and variances that count no more.
    let mut moments: Vec<f32> = noise(1, 2 * images * length)
        .iter()
        .map(|v| 4.0 * v)
        .collect();
    moments[length] = 1e9;
    moments[length + 1] = -200.0;
    let (noise, weights) = (noise(2, images * length), noise(3, images * length));
    let planned = network.plan_gaussian(images, length).expect("a plan");
    let [there, still, dcode] = [&moments, &noise, &weights].map(|v| buffer(&network, v));
    let mut code = buffer(&network, &vec![f32::NAN; images * length]);
    let mut dmoments = buffer(&network, &vec![f32::NAN; 2 * images * length]);
    network
        .gaussian_forward(&planned, &there, &still, &mut code)
        .expect("a launch");
    network
        .gaussian_backward(&planned, &there, &still, factor, &dcode, &mut dmoments)
        .expect("a launch");
    let divergences = network.divergences(&planned).expect("numbers");
    let (code, dmoments) = (values(&network, &code), values(&network, &dmoments));
    for (image, measured) in divergences.iter().enumerate() {
        let mut divergence = 0.0;
        for i in 0..length {
            let at = image * length + i;
            let mean = 2 * image * length + i;
            let (m, v) = (
                f64::from(moments[mean]),
                f64::from(moments[mean + length]).min(80.0),
            );
            let (e, dz) = (f64::from(noise[at]), f64::from(weights[at]));
            divergence += (m * m + v.exp() - 1.0 - v) / 2.0;
            // The sum of two numbers that may cancel is as good as they are.
            let drawn = (v / 2.0).exp() * e;
            let error = (f64::from(code[at]) - (m + drawn)).abs();
            assert!(error <= 1e-6 * (m.abs() + drawn.abs()), "{m} {v} {e}");
            let of_image = f64::from(factor) / images as f64;
            let dmean = dz + of_image * m;
            let error = (f64::from(dmoments[mean]) - dmean).abs();
            assert!(error <= 1e-6 * (dz.abs() + m.abs()), "{dz} {m}");
            let (drawn, diverged) = (drawn / 2.0 * dz, of_image * v.exp_m1() / 2.0);
            let error = (f64::from(dmoments[mean + length]) - drawn - diverged).abs();
            assert!(
                error <= 1e-6 * (drawn.abs() + diverged.abs()),
                "{v} {e} {dz}"
            );
        }
        assert!(
            (measured - divergence).abs() <= 1e-12 * divergence,
            "{measured} {divergence}"
        );
    }
}

#[test]
fn the_standard_gaussian_diverges_by_nothing_and_nan_stays() {
    let network = network();
    let planned = network.plan_gaussian(2, 1).expect("a plan");
    let moments = buffer(&network, &[0.0, 0.0, 0.0, f32::NAN]);
    let still = network.zeros(2).expect("room");
    let mut code = network.zeros(2).expect("room");
    network
        .gaussian_forward(&planned, &moments, &still, &mut code)
        .expect("a launch");
    let divergences = network.divergences(&planned).expect("numbers");
    assert_eq!(divergences[0], 0.0);
    assert!(divergences[1].is_nan() && values(&network, &code)[1].is_nan());
    let error = network.plan_gaussian(1 << 16, 1).unwrap_err().to_string();
    assert!(error.contains("2^16 images"), "{error}");
}
