//! All scales of an image, one after the other: sums, gradients, and the combination of gradients.

use std::ops::Range;

use msssim_core::statistics::TermSums;
use msssim_core::{MAX_SCALES, PlaneMut, Size};
use rayon::prelude::*;

use crate::band::{
    BAND_STEP, Band, Coarse, Job, Layout, SHORTEST_BAND, Scratch, coarse_rows, target_rows,
};
use crate::dispatch::Token;
use crate::kernel;
use crate::rows::{Combine, Kept, Source};

/// Pixels of a scale that are worth a thread. Measured on two threads of a Zen 4: with half of it, squares of 256 to
/// 320 pixels took up to a sixth longer than on one; with about this none did, and 384 took a quarter less. Two threads
/// share the first three scales of 1920 x 1080.
const WORTH_A_THREAD: usize = 60_000;

/// Rows of a band that make those few that it makes again, up to 12 of the one above, no matter.
const LONG_BAND: usize = 512;

/// Memory for all scales of an image; what it holds does not matter.
#[derive(Clone, Debug)]
pub(crate) struct Pyramid {
    token: Token,
    threads: usize,
    scales: Vec<Scale>,
    /// One for each band that may run at a time.
    scratch: Vec<Scratch>,
}

/// One scale.
#[derive(Clone, Debug)]
struct Scale {
    size: Size,
    layout: Layout,
    /// `s = x + y - 1`; of the finest scale nothing is kept.
    sum: Vec<f32>,
    /// `d = x - y`
    difference: Vec<f32>,
    /// Of the finest scale it is the caller's.
    gradient: Vec<f32>,
    /// Sums of each row of windows.
    rows: Vec<[f64; 2]>,
}

/// Sums of every scale's terms.
pub(crate) type Sums = [TermSums; MAX_SCALES];

impl Pyramid {
    /// Memory for an image, by up to `threads` threads at a time.
    pub(crate) fn new(plan: &msssim_core::MsSsim, token: Token, threads: usize) -> Self {
        let scales = plan.scale_sizes().iter().enumerate();
        let scales: Vec<Scale> = scales
            .map(|(scale, &size)| {
                let kept = if scale == 0 { 0 } else { size.area() };
                let map = plan.map_size(scale);
                Scale {
                    size,
                    layout: Layout::new(token, map.width),
                    sum: vec![0.0; kept],
                    difference: vec![0.0; kept],
                    gradient: vec![0.0; kept],
                    rows: vec![[0.0; 2]; map.height],
                }
            })
            .collect();
        let mut scratch = Scratch::default();
        for scale in &scales {
            scratch.reserve(&scale.layout);
        }
        let count = |scale: usize| {
            let (size, map) = (plan.scale_sizes()[scale], plan.map_size(scale));
            bands(size, threads).len().max(bands(map, threads).len())
        };
        let most = (0..scales.len()).map(count).max().unwrap_or(1);
        Self {
            token,
            threads,
            scales,
            scratch: vec![scratch; most],
        }
    }

    /// Whether the kernels can count what images of these sizes have.
    pub(crate) fn fits(plan: &msssim_core::MsSsim, token: Token) -> bool {
        Layout::new(token, plan.map_size(0).width).fits()
    }

    /// The sums of every scale's terms, and in `gradient` the gradient of the finest scale's sum; [`Pyramid::combine`] has the
    /// use of the others'.
    pub(crate) fn sums(
        &mut self,
        plan: &msssim_core::MsSsim,
        source: &dyn Source,
        gradient: Option<PlaneMut<'_>>,
    ) -> Sums {
        let backward = gradient.is_some();
        let mut finest = gradient;
        for scale in 0..self.scales.len() {
            let (own, coarser) = self.scales.split_at_mut(scale + 1);
            let Scale {
                size,
                layout,
                sum,
                difference,
                gradient,
                rows,
            } = &mut own[scale];
            let kept = Kept {
                size: *size,
                sum,
                difference,
            };
            let job = Job {
                layout: *layout,
                scale: kernel::Scale::new(plan.constants(scale)),
                constants: plan.constants(scale),
                size: *size,
                halving: plan.params().halving,
                source: if scale == 0 { source } else { &kept },
            };
            let gradient = match scale {
                0 => finest.take(),
                _ if backward => PlaneMut::new(gradient, *size).ok(),
                _ => None,
            };
            let bands = split(
                plan.map_size(scale),
                &job,
                self.threads,
                rows,
                coarser.first_mut(),
                gradient,
            );
            run_all(bands, &mut self.scratch, |band, scratch| {
                job.run(band, scratch)
            });
        }
        let mut sums = Sums::default();
        for (sums, Scale { rows, .. }) in sums.iter_mut().zip(&self.scales) {
            // From the top down, whoever made them.
            for [cs, ssim] in rows {
                sums.cs += cs;
                sums.ssim += ssim;
            }
        }
        sums
    }

    /// From the coarsest scale to the finest: gradients times their scale's factor, and what is owed to coarser ones.
    /// `finest` is the gradient of the finest scale, which becomes that of the score, times `share`.
    pub(crate) fn combine(
        &mut self,
        plan: &msssim_core::MsSsim,
        factors: &[f64; MAX_SCALES],
        share: f32,
        finest: PlaneMut<'_>,
    ) {
        let halving = plan.params().halving;
        let token = self.token;
        let threads = self.threads;
        let mut finest = Some(finest);
        for scale in (0..self.scales.len()).rev() {
            let (own, coarser) = self.scales.split_at_mut(scale + 1);
            let Scale { size, gradient, .. } = &mut own[scale];
            let size = *size;
            let coarser = coarser.first().map(|coarser| &coarser.gradient[..]);
            let own = match scale {
                0 => finest.take(),
                _ => PlaneMut::new(gradient, size).ok(),
            };
            let Some(mut rest) = own else {
                continue;
            };
            let mut parts = Vec::new();
            for rows in bands(size, threads) {
                let (part, lower) = rest.split_rows(rows.len());
                parts.push((rows, part));
                rest = lower;
            }
            run_all(parts, &mut self.scratch, |(rows, mut part), _| {
                for (i, row) in rows.enumerate() {
                    let fine = part.row_mut(i);
                    token.run(Combine {
                        halving,
                        size,
                        factor: factors[scale],
                        coarser,
                        row,
                        fine,
                    });
                    if scale == 0 && share != 1.0 {
                        fine.iter_mut().for_each(|g| *g *= share);
                    }
                }
            });
        }
    }
}

/// Runs tasks side by side, each with a scratch; a single one without ado.
fn run_all<T: Send>(tasks: Vec<T>, scratch: &mut [Scratch], run: impl Fn(T, &mut Scratch) + Sync) {
    if tasks.len() == 1 {
        for task in tasks {
            run(task, &mut scratch[0]);
        }
        return;
    }
    assert!(tasks.len() <= scratch.len(), "a scratch for each task");
    let pairs = tasks.into_par_iter().zip(scratch);
    pairs.for_each(|(task, scratch)| run(task, scratch));
}

/// The rows of a plane in bands for up to `threads` threads.
fn bands(size: Size, threads: usize) -> Vec<Range<usize>> {
    let worth = (size.area() / WORTH_A_THREAD).clamp(1, threads.max(1));
    // Twice as many as threads, so that none waits long for the others, unless that costs more than it gains: on two
    // threads of a Zen 3, 1920 x 1080 took a tenth less in two bands than in four, 3840 x 2160 the same.
    let count = match worth {
        1 => 1,
        _ if size.height / (2 * worth) >= LONG_BAND => 2 * worth,
        _ => worth,
    };
    let rows = (size.height / count / BAND_STEP * BAND_STEP).max(SHORTEST_BAND);
    let count = (size.height / rows).clamp(1, count);
    let start = |band: usize| band * rows;
    let end = |band: usize| {
        if band + 1 == count {
            size.height
        } else {
            start(band + 1)
        }
    };
    (0..count).map(|band| start(band)..end(band)).collect()
}

/// The bands of a scale with what each writes.
fn split<'a, 'p>(
    map: Size,
    job: &Job<'_>,
    threads: usize,
    mut sums: &'a mut [[f64; 2]],
    coarser: Option<&'a mut Scale>,
    mut gradient: Option<PlaneMut<'p>>,
) -> Vec<Band<'a, 'p>> {
    let ranges = bands(map, threads);
    let mut coarse =
        coarser.map(|scale| (scale.size, &mut scale.sum[..], &mut scale.difference[..]));
    let mut bands = Vec::with_capacity(ranges.len());
    for rows in ranges {
        let (own, rest) = std::mem::take(&mut sums).split_at_mut(rows.len());
        sums = rest;
        let coarse = coarse.as_mut().map(|(size, sum, difference)| {
            let rows = coarse_rows(&rows, map.height, size.height);
            let len = rows.len() * size.width;
            let take = |plane: &mut &'a mut [f32]| {
                let (own, rest) = std::mem::take(plane).split_at_mut(len);
                *plane = rest;
                own
            };
            Coarse {
                size: *size,
                sum: take(sum),
                difference: take(difference),
                rows,
            }
        });
        let targets = target_rows(job.constants.border, &rows, map.height, job.size.height);
        let own_gradient = gradient.take().map(|plane| {
            let (own, rest) = plane.split_rows(targets.len());
            gradient = Some(rest);
            own
        });
        bands.push(Band {
            rows,
            sums: own,
            coarse,
            gradient: own_gradient,
        });
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_all_rows_in_order() {
        let sizes = [
            (16, 1),
            (362, 362),
            (480, 270),
            (1920, 1080),
            (3840, 2160),
            (40_000, 33),
            (33, 40_000),
        ];
        for (width, height) in sizes {
            for threads in 1..9 {
                let mut next = 0;
                for rows in bands(Size { width, height }, threads) {
                    assert_eq!(rows.start, next, "{width} x {height}, {threads} threads");
                    assert!(rows.end > rows.start && rows.start.is_multiple_of(BAND_STEP));
                    next = rows.end;
                }
                assert_eq!(next, height, "{width} x {height}, {threads} threads");
            }
        }
    }

    #[test]
    fn large_scales_are_shared_and_small_ones_are_not() {
        let count = |width, height, threads| bands(Size { width, height }, threads).len();
        assert_eq!(count(1920, 1080, 1), 1);
        assert_eq!(count(1920, 1080, 2), 2);
        assert_eq!(count(480, 270, 2), 2);
        assert_eq!(count(240, 135, 2), 1);
        assert_eq!(count(320, 320, 8), 1);
        assert_eq!(count(3840, 2160, 2), 4);
    }
}
