//! A code drawn from a Gaussian, and how far that Gaussian is from the standard one.
//!
//! The encoder of a variational autoencoder says, for each image, means `m` and logarithms of
//! variances `v` of independent Gaussians (Kingma and Welling 2014). A draw is written as a function
//! of noise `e` that does not depend on them, so that gradients pass through:
//!
//! ```text
//! z  = m + exp(v / 2) e                   dz/dm = 1            dz/dv = exp(v / 2) e / 2
//! KL = sum (m^2 + exp(v) - 1 - v) / 2     dKL/dm = m           dKL/dv = (exp(v) - 1) / 2
//! ```
//! `KL` is the Kullback-Leibler divergence from the standard Gaussian, in nats.

use rayon::prelude::*;

/// Where `v` stops counting: `exp` of it stays finite in `f32`, and beyond it the gradient still
/// pulls it back.
const LARGEST_LOG_VARIANCE: f32 = 80.0;

/// Draws of `images` codes; what the last ones diverged by.
#[derive(Clone, Debug)]
pub struct GaussianCode {
    code: usize,
    of_images: Vec<f64>,
}

impl GaussianCode {
    /// Draws of `images` codes of `code` numbers each.
    ///
    /// # Panics
    /// If one of them is 0.
    pub fn new(images: usize, code: usize) -> Self {
        assert!(images > 0 && code > 0, "{images} codes of {code}");
        Self {
            code,
            of_images: vec![0.0; images],
        }
    }

    /// `code = m + exp(v / 2) noise`, image by image; `moments` holds each image's means, then its
    /// logarithms of variances.
    ///
    /// # Panics
    /// If a slice's length is not that of all images.
    pub fn forward(&mut self, moments: &[f32], noise: &[f32], code: &mut [f32]) {
        self.require(moments, noise, code);
        code.par_chunks_exact_mut(self.code)
            .zip(noise.par_chunks_exact(self.code))
            .zip(moments.par_chunks_exact(2 * self.code))
            .zip(&mut self.of_images)
            .for_each(|(((code, noise), moments), divergence)| {
                let (means, log_variances) = moments.split_at(code.len());
                let mut sum = 0.0;
                let numbers = code.iter_mut().zip(noise);
                for ((z, e), (m, v)) in numbers.zip(means.iter().zip(log_variances)) {
                    let v = bounded(*v);
                    *z = m + (0.5 * v).exp() * e;
                    let (m, v) = (f64::from(*m), f64::from(v));
                    sum += m * m + v.exp_m1() - v;
                }
                *divergence = 0.5 * sum;
            });
    }

    /// The gradient by the moments of what has the gradient `dcode` by the code, plus `factor` times
    /// that of the divergence's mean over the images.
    ///
    /// # Panics
    /// If a slice's length is not that of all images.
    pub fn backward(
        &self,
        moments: &[f32],
        noise: &[f32],
        factor: f32,
        dcode: &[f32],
        dmoments: &mut [f32],
    ) {
        self.require(moments, noise, dcode);
        self.require(dmoments, noise, dcode);
        let factor = factor / self.of_images.len() as f32;
        dmoments
            .par_chunks_exact_mut(2 * self.code)
            .zip(moments.par_chunks_exact(2 * self.code))
            .zip(noise.par_chunks_exact(self.code))
            .zip(dcode.par_chunks_exact(self.code))
            .for_each(|(((dmoments, moments), noise), dcode)| {
                let (dmeans, dlog_variances) = dmoments.split_at_mut(dcode.len());
                let (means, log_variances) = moments.split_at(dcode.len());
                for (i, (dz, e)) in dcode.iter().zip(noise).enumerate() {
                    let v = bounded(log_variances[i]);
                    dmeans[i] = dz + factor * means[i];
                    dlog_variances[i] = 0.5 * (0.5 * v).exp() * e * dz + 0.5 * factor * v.exp_m1();
                }
            });
    }

    /// The divergence, the mean over the images of the last [`GaussianCode::forward`].
    pub fn divergence(&self) -> f64 {
        self.of_images.iter().sum::<f64>() / self.of_images.len() as f64
    }

    fn require(&self, moments: &[f32], noise: &[f32], code: &[f32]) {
        let len = self.of_images.len() * self.code;
        let lengths = [moments.len(), noise.len(), code.len()];
        assert!(
            lengths == [2 * len, len, len],
            "moments, noise and code hold {lengths:?} numbers where {} and {len} are expected",
            2 * len
        );
    }
}

/// A logarithm of a variance, no larger than counts; NaN stays.
fn bounded(v: f32) -> f32 {
    if v > LARGEST_LOG_VARIANCE {
        LARGEST_LOG_VARIANCE
    } else {
        v
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of two numbers, by the formulae in float64.
    const MOMENTS: [f32; 8] = [0.5, -1.0, 0.25, -2.0, 0.0, 2.0, 0.0, 1.5];
    const NOISE: [f32; 4] = [1.0, -0.5, 2.0, 0.25];

    /// What the restatement says of `moments`: a weighted sum of the codes plus `factor` times the
    /// mean divergence.
    fn restated(moments: &[f64], weights: &[f32; 4], factor: f64) -> f64 {
        let mut sum = 0.0;
        for image in 0..2 {
            for i in 0..2 {
                let (m, v) = (moments[4 * image + i], moments[4 * image + 2 + i]);
                let e = f64::from(NOISE[2 * image + i]);
                sum += f64::from(weights[2 * image + i]) * (m + (v / 2.0).exp() * e);
                sum += factor / 2.0 * (m * m + v.exp() - 1.0 - v) / 2.0;
            }
        }
        sum
    }

    #[test]
    fn draws_and_their_gradients_are_those_of_the_formulae() {
        let moments = MOMENTS.map(f64::from);
        let mut gaussian = GaussianCode::new(2, 2);
        let mut code = [f32::NAN; 4];
        gaussian.forward(&MOMENTS, &NOISE, &mut code);
        for (i, z) in code.iter().enumerate() {
            let mut one = [0.0; 4];
            one[i] = 1.0;
            let expected = restated(&moments, &one, 0.0);
            assert!((f64::from(*z) - expected).abs() < 1e-6, "code {i} is {z}");
        }
        let expected = restated(&moments, &[0.0; 4], 1.0);
        assert!((gaussian.divergence() - expected).abs() < 1e-12);

        let (weights, factor) = ([0.3, -2.0, 1.0, 0.5], 0.7);
        let mut gradient = [f32::NAN; 8];
        gaussian.backward(&MOMENTS, &NOISE, factor as f32, &weights, &mut gradient);
        for (i, actual) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut moments = moments;
                moments[i] += by;
                restated(&moments, &weights, factor)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!(
                (f64::from(*actual) - expected).abs() < 1e-6,
                "by moment {i}: {actual}, not {expected}"
            );
        }
    }

    #[test]
    fn the_standard_gaussian_diverges_by_nothing_and_none_is_infinite() {
        let mut gaussian = GaussianCode::new(1, 1);
        gaussian.forward(&[0.0, 0.0], &[0.5], &mut [0.0]);
        assert_eq!(gaussian.divergence(), 0.0);
        let (mut code, mut gradient) = ([0.0], [0.0; 2]);
        gaussian.forward(&[0.0, 1e9], &[1.0], &mut code);
        gaussian.backward(&[0.0, 1e9], &[1.0], 1.0, &[1.0], &mut gradient);
        assert!(code[0].is_finite() && gradient[1].is_finite() && gradient[1] > 0.0);
        assert!(gaussian.divergence().is_finite());
    }
}
