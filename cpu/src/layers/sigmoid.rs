//! The logistic function, `1 / (1 + exp(-x))`.

use rayon::prelude::*;

/// Samples that one task takes.
const CHUNK: usize = 1 << 14;

/// `x = 1 / (1 + exp(-x))` in place, in 0 to 1 for any number; NaN stays.
///
/// Where `exp(-x)` overflows, the quotient is the 0 that it tends to.
pub fn sigmoid_forward(x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(|x| {
        for x in x {
            *x = 1.0 / (1.0 + (-*x).exp());
        }
    });
}

/// From the gradient by the output to that by the input, in place: times `y (1 - y)`.
///
/// # Panics
/// If the lengths differ.
pub fn sigmoid_backward(output: &[f32], gradient: &mut [f32]) {
    assert!(
        output.len() == gradient.len(),
        "output and gradient of different lengths"
    );
    gradient
        .par_chunks_mut(CHUNK)
        .zip(output.par_chunks(CHUNK))
        .for_each(|(gradient, output)| {
            for (gradient, y) in gradient.iter_mut().zip(output) {
                *gradient *= y * (1.0 - y);
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three roundings: within 2e-7 of float64, which is a quarter of a unit of the smallest output
    /// that matters; far away it is exactly 0 or 1.
    #[test]
    fn is_the_logistic_function_everywhere() {
        let inputs: Vec<f32> = (-2000..=2000).map(|i| i as f32 / 100.0).collect();
        let mut outputs = inputs.clone();
        sigmoid_forward(&mut outputs);
        for (x, y) in inputs.iter().zip(&outputs) {
            let expected = 1.0 / (1.0 + (-f64::from(*x)).exp());
            assert!((f64::from(*y) - expected).abs() < 2e-7, "{x} gives {y}");
        }
        let mut far = [f32::NEG_INFINITY, -1e30, 1e30, f32::INFINITY, f32::NAN];
        sigmoid_forward(&mut far);
        assert_eq!(far[..4], [0.0, 0.0, 1.0, 1.0]);
        assert!(far[4].is_nan(), "NaN stays");
    }

    /// Central differences of the definition in float64.
    #[test]
    fn the_gradient_is_that_of_the_function() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        for x in [-7.0f32, -1.25, 0.0, 0.5, 3.0] {
            let mut y = [x];
            sigmoid_forward(&mut y);
            let mut gradient = [2.0];
            sigmoid_backward(&y, &mut gradient);
            let at = f64::from(x);
            let expected = 2.0 * (logistic(at + 1e-5) - logistic(at - 1e-5)) / 2e-5;
            assert!(
                (f64::from(gradient[0]) - expected).abs() < 3e-7,
                "at {x}: {gradient:?}"
            );
        }
    }
}
