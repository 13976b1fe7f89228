//! The score from the sums of all windows' terms, and its derivatives by them.

use super::{Factors, MsSsim};
use crate::combine::{combine, product_of_powers};
use crate::params::{MAX_SCALES, Terms};
use crate::score::{Apart, ScaleMeans, Score};
use crate::statistics::{Kind, TermSums};

impl MsSsim {
    /// The score from the sums of its scales' terms over `planes` planes, one or all channels, and for each scale the
    /// factor that turns the gradient of its sum, in samples scaled to [0, 1], into that of the score's share in the
    /// mean over all channels.
    ///
    /// For terms that are together ([`Terms::ContrastStructure`]).
    pub fn finish(&self, sums: &[TermSums], planes: usize) -> (Score, [f64; MAX_SCALES]) {
        let (score, factors) = self.conclude(sums, planes, false);
        (score, factors.map(|[first, ..]| first))
    }

    /// The score from the sums over `planes` planes, and its derivatives by them, in units of the
    /// samples and as a share of the mean over all channels.
    pub(crate) fn conclude(
        &self,
        sums: &[TermSums],
        planes: usize,
        masked: bool,
    ) -> (Score, Factors) {
        let mut scales = [ScaleMeans::default(); MAX_SCALES];
        let mut weights = [0.0; MAX_SCALES];
        let mut means = [0.0; MAX_SCALES];
        let mut apart = [[1.0; 3]; MAX_SCALES];
        let len = sums.len().min(self.params.scales);
        let planned = self.constants.iter().zip(self.scale_sizes());
        let results = scales
            .iter_mut()
            .zip(&mut means)
            .zip(apart.iter_mut().zip(&mut weights));
        for ((sums, (constants, size)), ((scale, mean), (apart, of_scale))) in
            sums.iter().zip(planned).zip(results)
        {
            let windows = (constants.map_size(*size).area() * planes) as f64;
            // Where no window reaches into the region, the images count as equal.
            let nothing = TermSums {
                cs: 1.0,
                ssim: 1.0,
                apart: [1.0; 3],
                weight: 1.0,
            };
            let sums = match masked {
                true if sums.weight == 0.0 => &nothing,
                _ => sums,
            };
            let weight = if masked { sums.weight } else { windows };
            let coarsest = constants.kind == Kind::Ssim;
            scale.cs = sums.cs / weight;
            scale.ssim = coarsest.then(|| sums.ssim / weight);
            *mean = scale.ssim.unwrap_or(scale.cs);
            if let Terms::Apart { .. } = self.params.terms {
                *apart = sums.apart.map(|sum| sum / weight);
                let [luminance, contrast, structure] = *apart;
                scale.apart = Some(Apart {
                    luminance,
                    contrast,
                    structure,
                });
            }
            *of_scale = weight;
        }
        let mut factors = [[0.0; 3]; MAX_SCALES];
        let value = if let Terms::Apart { alpha, gamma } = &self.params.terms {
            let exponents = alpha.iter().zip(&self.params.weights).zip(gamma);
            let mut all = [[(1.0, 1.0); 3]; MAX_SCALES];
            for ((all, means), ((a, b), c)) in all.iter_mut().zip(apart).zip(exponents) {
                let [l, contrast, s] = means;
                *all = [(l, *a), (contrast, *b), (s, *c)];
            }
            let powers = all.as_flattened().iter().copied().take(3 * len);
            let flat = factors.as_flattened_mut();
            product_of_powers(powers, self.params.negative, flat)
        } else {
            let means = means.get(..len).unwrap_or_default();
            let (value, slopes) = combine(means, &self.params.weights, self.params.negative);
            for (factors, slope) in factors.iter_mut().zip(slopes) {
                factors[0] = slope;
            }
            value
        };
        for (factors, weight) in factors.iter_mut().zip(weights).take(len) {
            for factor in factors {
                *factor /= weight * self.params.data_range * self.channels as f64;
            }
        }
        (Score::of(value, scales, len), factors)
    }
}
