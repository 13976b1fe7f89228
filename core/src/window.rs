//! The window: a Gaussian, 11 taps by default, used along rows and then along columns.

use crate::params::MAX_RADIUS;

/// The distinct taps of the symmetric window: the centre first, the outermost last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// `taps[k]` weighs the two samples at distance `k`; all weights sum to 1, and those beyond the
    /// radius are 0.
    pub taps: [f32; MAX_RADIUS + 1],
    /// The taps over the centre's: what the vertical pass uses, whose centre then costs no product.
    pub ratios: [f32; MAX_RADIUS + 1],
    /// The taps times the centre's, for the horizontal pass, which puts that right.
    pub products: [f32; MAX_RADIUS + 1],
    /// Taps on either side of the centre; 5 in Wang et al. (2004), an 11 x 11 window.
    pub radius: usize,
}

impl Window {
    /// Samples of `exp(-k^2 / (2 sigma^2))`, normalised to sum 1 before rounding to `f32`.
    ///
    /// `sigma` is in pixels and positive; the published value is 1.5. The product of two such
    /// windows of radius 5 is MATLAB's `fspecial('gaussian', 11, sigma)`.
    ///
    /// A radius above [`MAX_RADIUS`] counts as that.
    pub fn gaussian(sigma: f64, radius: usize) -> Self {
        let radius = radius.min(MAX_RADIUS);
        let mut weights = [0.0f64; MAX_RADIUS + 1];
        let mut sum = 0.0;
        for (k, weight) in weights.iter_mut().enumerate().take(radius + 1) {
            let distance = k as f64 / sigma;
            *weight = libm::exp(-0.5 * distance * distance);
            sum += if k == 0 { *weight } else { 2.0 * *weight };
        }
        let centre = weights[0];
        let ratios = weights.map(|weight| (weight / centre) as f32);
        let mut products = weights.map(|weight| (weight * centre / (sum * sum)) as f32);
        // Were the weights of a window to sum to 1 + e, a flat region would have a variance of -e E[s]^2 in every
        // window, which does not average out. So each tap, down to the smallest that matters, takes up what
        // rounding has cost so far.
        for k in 0..=radius {
            let missing = 1.0 / line(&ratios) - line(&products);
            if products[k] > 1e-4 {
                let share = if k == 0 { missing } else { missing / 2.0 };
                products[k] = (f64::from(products[k]) + share) as f32;
            }
        }
        Self {
            taps: weights.map(|weight| (weight / sum) as f32),
            ratios,
            products,
            radius,
        }
    }

    /// Taps along each axis.
    pub const fn len(&self) -> usize {
        2 * self.radius + 1
    }

    /// Never: a window has its centre.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// What the vertical pass weighs samples off the centre with, and their distances from it.
    pub(crate) fn ratio_arms(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        let taps = self.ratios.iter().copied().enumerate();
        taps.take(self.radius + 1).skip(1)
    }

    /// The same of the horizontal pass.
    pub(crate) fn product_arms(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        let taps = self.products.iter().copied().enumerate();
        taps.take(self.radius + 1).skip(1)
    }

    /// The weight of tap `k` counted from one end, `0 <= k < len`.
    pub fn tap(&self, k: usize) -> f32 {
        let tap = self.taps.get(k.abs_diff(self.radius));
        tap.copied().unwrap_or(0.0)
    }
}

/// The sum of all taps of a window of which `taps` are the distinct ones.
fn line(taps: &[f32]) -> f64 {
    let arms: f64 = taps[1..].iter().copied().map(f64::from).sum();
    f64::from(taps[0]) + 2.0 * arms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_to_one() {
        for sigma in [0.5, 1.0, 1.5, 8.0] {
            let window = Window::gaussian(sigma, 5);
            let sum: f64 = (0..window.len()).map(|k| f64::from(window.tap(k))).sum();
            assert!((sum - 1.0).abs() < 1e-7, "sigma {sigma}: {sum}");
            let both = line(&window.ratios) * line(&window.products);
            assert!((both - 1.0).abs() < 4e-9, "sigma {sigma}: {both}");
        }
    }

    #[test]
    fn matches_an_independent_evaluation() {
        // Python: g = [exp(-k * k / 4.5) for k in range(-5, 6)]; [v / sum(g) for v in g[5:]]
        let expected = [
            0.266011724862,
            0.213005537711,
            0.10936068951,
            0.036000772128,
            0.007598758135,
            0.001028380084,
        ];
        for (tap, expected) in Window::gaussian(1.5, 5).taps.into_iter().zip(expected) {
            assert!(
                (f64::from(tap) - expected).abs() < 1e-8,
                "{tap} against {expected}"
            );
        }
    }
}
