//! The score and its gradient where scales are multiplied pixel by pixel.

use super::MsSsim;
use crate::gradient::weighted_gradient;
use crate::params::{Halving, MAX_SCALES};
use crate::product::{Factor, descend, rise, total};
use crate::score::Score;
use crate::statistics::{TermSums, row_terms};

impl MsSsim {
    /// The score of a filled pyramid, scales multiplied pixel by pixel. `maps` receives the terms of
    /// all scales, and then `S` of [`crate::product`].
    pub(super) fn score_by_products(
        &self,
        levels: &[f32],
        maps: &mut [f32],
        lines: &mut [f32],
    ) -> Score {
        let (terms, s) = maps.split_at_mut(self.pyramid_len());
        let mut sums = [TermSums::default(); MAX_SCALES];
        let mut value = 0.0;
        for (scale, sums) in sums[..self.params.scales].iter_mut().enumerate() {
            let (level, coarsest) = (self.level(levels, None, scale), self.is_coarsest(scale));
            let map = self.map_size(scale);
            let terms = &mut terms[self.offset(scale)..][..map.area()];
            for (row, terms) in terms.chunks_exact_mut(map.width).enumerate() {
                *sums += row_terms(&self.constants[scale], &level, row, lines, terms);
            }
            let (own, coarser) = s[self.offset(scale)..].split_at_mut(level.size.area());
            let own = (scale > 0).then_some(&*own);
            if coarsest {
                let pixels = self.map_size(0).area() as f64;
                value = total(&self.factor(scale), terms, own) / pixels;
            } else {
                let next = self.map_size(scale + 1);
                let out = &mut coarser[..next.area()];
                rise(&self.factor(scale), terms, own, next, out);
            }
        }
        let (mut score, _) = self.conclude(&sums[..self.params.scales], 1, false);
        score.value = value;
        score
    }

    /// The score of a filled pyramid, scales multiplied pixel by pixel, and its gradient.
    pub(super) fn differentiate_products(
        &self,
        levels: &[f32],
        gradients: &mut [f32],
        maps: &mut [f32],
        lines: &mut [f32],
    ) -> Score {
        let score = self.score_by_products(levels, maps, lines);
        let (terms, s) = maps.split_at_mut(self.pyramid_len());
        for scale in (0..self.params.scales).rev() {
            let (level, coarsest) = (self.level(levels, None, scale), self.is_coarsest(scale));
            let terms = &mut terms[self.offset(scale)..][..self.map_size(scale).area()];
            let (own, coarser) = s[self.offset(scale)..].split_at_mut(level.size.area());
            let coarser = (!coarsest).then(|| (self.map_size(scale + 1), &*coarser));
            let own = (scale > 0).then_some(own);
            descend(&self.factor(scale), terms, own, coarser);
            let gradient = &mut gradients[self.offset(scale)..][..level.size.area()];
            weighted_gradient(&self.constants[scale], &level, terms, gradient, lines);
        }
        let pixels = self.map_size(0).area() as f64;
        let factor = 1.0 / (pixels * self.params.data_range * self.channels as f64);
        self.combine_gradients(&[factor; MAX_SCALES], None, gradients, lines);
        score
    }

    fn factor(&self, scale: usize) -> Factor {
        Factor {
            size: self.map_size(scale),
            weight: self.params.weights[scale],
            negative: self.params.negative,
            halves: self.params.halving != Halving::Keep,
        }
    }
}
