//! From one scale to the next, and its adjoint.

use alloc::vec;
use alloc::vec::Vec;

use super::{Scale, mirror};
use crate::params::Halving;
use crate::plane::Size;

impl Scale {
    /// The finer samples, `None` for a zero, that coarser sample (i, j) is made of, with their weights.
    fn sources(&self, halving: Halving, i: usize, j: usize) -> Vec<(Option<usize>, f64)> {
        let Size { width, height } = self.size;
        // The filter of the 9/7 wavelets as MeTriX MuX has it, to four digits.
        let low_pass = [
            0.0378, -0.0238, -0.1106, 0.3774, 0.8527, 0.3774, -0.1106, -0.0238, 0.0378,
        ];
        let odd = width % 2 == 1 || height % 2 == 1;
        let axis = |side: usize, i: usize| -> Vec<(Option<usize>, f64)> {
            let pair = |first, second| vec![(first, 0.5), (second, 0.5)];
            match halving {
                Halving::Keep => vec![(Some(i), 1.0)],
                Halving::LowPass97 => (0..9)
                    .map(|k| {
                        let at = mirror(2 * i as isize + k - 4, side, true);
                        (
                            Some(at),
                            low_pass[k as usize] / low_pass.iter().sum::<f64>(),
                        )
                    })
                    .collect(),
                Halving::Zero if side % 2 == 1 => pair((2 * i).checked_sub(1), Some(2 * i)),
                Halving::ReplicateFirst if odd => {
                    pair(Some((2 * i).saturating_sub(1)), Some(2 * i))
                }
                _ => pair(Some(2 * i), Some((2 * i + 1).min(side - 1))),
            }
        };
        let (rows, columns) = (axis(height, i), axis(width, j));
        let both = rows.iter().flat_map(|(row, by_row)| {
            columns.iter().map(move |(column, by_column)| {
                let at = row.zip(*column).map(|(row, column)| row * width + column);
                (at, by_row * by_column)
            })
        });
        both.collect()
    }

    pub(super) fn half_size(&self, halving: Halving) -> Size {
        let Size { width, height } = self.size;
        let half = |side: usize| match halving {
            Halving::Keep => side,
            Halving::Floor => side / 2,
            _ => side.div_ceil(2),
        };
        Size {
            width: half(width),
            height: half(height),
        }
    }

    /// The next scale: its size, the two images, the mask.
    pub(super) fn halve(&self, halving: Halving) -> (Size, Vec<f64>, Vec<f64>, Vec<f64>) {
        let half = self.half_size(halving);
        let (mut x, mut y, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..half.height {
            for j in 0..half.width {
                let (mut sum_x, mut sum_y, mut sum) = (0.0, 0.0, 0.0);
                for (p, w) in self.sources(halving, i, j) {
                    // A zero that a convention puts beyond the image counts as a sample.
                    let w = w * p.map_or(1.0, |p| self.mask[p]);
                    sum += w;
                    sum_x += w * p.map_or(0.0, |p| self.x[p]);
                    sum_y += w * p.map_or(0.0, |p| self.y[p]);
                }
                let inside = sum >= 1e-6;
                mask.push(if inside { sum } else { 0.0 });
                x.push(if inside { sum_x / sum } else { 0.0 });
                y.push(if inside { sum_y / sum } else { 0.0 });
            }
        }
        (half, x, y, mask)
    }

    /// What each sample owes to the gradient of the next scale.
    pub(super) fn halve_adjoint(
        &self,
        gradient: &[f64],
        coarser: &Scale,
        halving: Halving,
    ) -> Vec<f64> {
        let half = coarser.size;
        let mut out = vec![0.0; self.size.area()];
        for i in 0..half.height {
            for j in 0..half.width {
                let at = i * half.width + j;
                for (p, w) in self.sources(halving, i, j) {
                    if let Some(p) = p
                        && coarser.mask[at] > 0.0
                    {
                        out[p] += w * self.mask[p] / coarser.mask[at] * gradient[at];
                    }
                }
            }
        }
        out
    }
}
