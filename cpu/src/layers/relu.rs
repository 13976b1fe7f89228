//! The rectifier, `max(x, 0)`.

use rayon::prelude::*;

/// Samples that one task takes.
const CHUNK: usize = 1 << 14;

/// `x = max(x, 0)` in place; NaN stays.
pub fn relu_forward(x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(|x| {
        for x in x {
            *x = if *x < 0.0 { 0.0 } else { *x };
        }
    });
}

/// From the gradient by the output to that by the input, in place: 0 where the output is 0.
///
/// # Panics
/// If the lengths differ.
pub fn relu_backward(output: &[f32], gradient: &mut [f32]) {
    assert!(
        output.len() == gradient.len(),
        "output and gradient of different lengths"
    );
    gradient
        .par_chunks_mut(CHUNK)
        .zip(output.par_chunks(CHUNK))
        .for_each(|(gradient, output)| {
            for (gradient, output) in gradient.iter_mut().zip(output) {
                if *output == 0.0 {
                    *gradient = 0.0;
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_what_is_positive() {
        let mut x = [-1.0, 0.0, 2.0, f32::NAN];
        relu_forward(&mut x);
        assert_eq!(x[..3], [0.0, 0.0, 2.0]);
        assert!(x[3].is_nan(), "NaN stays");
        let mut gradient = [5.0; 4];
        relu_backward(&x, &mut gradient);
        assert_eq!(gradient, [0.0, 0.0, 5.0, 5.0]);
    }
}
