//! The metric over threads: planes, images of a batch and strips of rows side by side.
//!
//! Every number is made by the same calls as in `msssim_core`, in the same order, so the results
//! are equal to its results bit for bit, for any number of threads: rows are computed anywhere,
//! and their sums are added from the top down.

use msssim_core::gradient::{gradient_rows, gradient_scratch_len};
use msssim_core::pyramid::halve_row;
use msssim_core::statistics::{Level, TermSums, row_scratch_len, row_sums, sum_and_difference};
use msssim_core::{
    ChannelPooling, Error, MAX_SCALES, Mask, Params, Plane, PlaneMut, Pooling, Sample, Score, Size,
    Terms, Weighting, combine_gradient_row,
};
use rayon::prelude::*;

/// Rows of a scale that one task takes: enough to pay for the ten rows of overlap that a strip of
/// the gradient filters twice, few enough to keep several threads busy on small images.
const STRIP: usize = 64;

/// MS-SSIM for images of one size, on the threads of the current rayon pool.
///
/// Products pixel by pixel ([`Pooling::PixelProduct`]) and terms apart ([`Terms::Apart`]) take one thread a
/// channel; channels pooled together ([`ChannelPooling::Means`]) and masks take one thread.
///
/// ```
/// use msssim_cpu::{MsSsim, Params, Plane, Size};
///
/// let size = Size { width: 200, height: 180 };
/// let metric = MsSsim::new(size, 1, &Params::WANG_2003)?;
/// let mut workspace = metric.workspace();
/// let reference = vec![100u8; size.area()];
/// let plane = [Plane::new(&reference, size)?];
/// assert_eq!(metric.score(&mut workspace, &plane, &plane)?.value, 1.0);
/// # Ok::<(), msssim_cpu::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsSsim {
    plan: msssim_core::MsSsim,
}

/// Memory that scoring one pair of images at a time needs; made by [`MsSsim::workspace`].
///
/// What it holds between calls does not matter.
#[derive(Clone, Debug)]
pub struct Workspace {
    channels: Vec<Scales>,
    /// Scratch of the portable form, a channel after the other, where that is what runs.
    portable: Vec<f32>,
}

impl Workspace {
    /// Scratch of the portable form for a whole image, which is allocated when it is first asked for.
    fn whole(&mut self, len: usize) -> &mut [f32] {
        if self.portable.len() < len {
            self.portable.resize(len, 0.0);
        }
        &mut self.portable
    }
}

/// What runs side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// Strips of rows of channels.
    Strips,
    /// Channels.
    Channels,
    /// Nothing.
    Whole,
}

/// The scales of one channel, the finest first.
type Scales = Vec<Scale>;

/// One scale of one channel.
#[derive(Clone, Debug)]
struct Scale {
    size: Size,
    /// `s = x + y - 1`
    sum: Vec<f32>,
    /// `d = x - y`
    difference: Vec<f32>,
    gradient: Vec<f32>,
    /// The sums of each map row's terms.
    rows: Vec<TermSums>,
    /// One strip's lines after another's.
    scratch: Vec<f32>,
}

impl MsSsim {
    /// Plans the metric for images of `size` with `channels` planes, each compared by itself.
    ///
    /// # Errors
    /// Those of [`msssim_core::MsSsim::new`]; the smallest legal side is named.
    pub fn new(size: Size, channels: usize, params: &Params) -> Result<Self, Error> {
        Ok(Self {
            plan: msssim_core::MsSsim::new(size, channels, params)?,
        })
    }

    /// The plan that is shared with the portable form.
    pub fn plan(&self) -> &msssim_core::MsSsim {
        &self.plan
    }

    /// Memory for scoring one pair of images at a time.
    pub fn workspace(&self) -> Workspace {
        let radius = self.plan.params().radius;
        let strip_scratch =
            |width| gradient_scratch_len(width, radius).max(row_scratch_len(width, radius));
        let scale = |&size: &Size| Scale {
            size,
            sum: vec![0.0; size.area()],
            difference: vec![0.0; size.area()],
            gradient: vec![0.0; size.area()],
            rows: vec![TermSums::default(); size.height],
            scratch: vec![0.0; size.height.div_ceil(STRIP) * strip_scratch(size.width)],
        };
        let channel = || self.plan.scale_sizes().iter().map(scale).collect();
        let portable = match self.route() {
            Route::Strips => 0,
            Route::Channels => self.plan.channels() * self.plan.gradient_scratch_len(),
            Route::Whole => self.plan.gradient_scratch_len(),
        };
        Workspace {
            channels: (0..self.plan.channels()).map(|_| channel()).collect(),
            portable: vec![0.0; portable],
        }
    }

    /// What runs side by side.
    fn route(&self) -> Route {
        let Params {
            pooling,
            terms,
            channels,
            ..
        } = self.plan.params();
        match (channels, pooling, terms) {
            (ChannelPooling::Means, ..) => Route::Whole,
            (_, Pooling::Means, Terms::ContrastStructure) => Route::Strips,
            _ => Route::Channels,
        }
    }

    /// The score of `distorted` against `reference`; symmetric in the two.
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`] when an image does not fit the plan.
    ///
    /// # Panics
    /// If `workspace` was made by a plan for another size.
    pub fn score<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
    ) -> Result<Score, Error> {
        self.plan.check(reference.iter().map(Plane::size))?;
        self.plan.check(distorted.iter().map(Plane::size))?;
        self.check_workspace(workspace);
        if self.route() == Route::Whole {
            return self
                .plan
                .score(reference, distorted, &mut workspace.portable);
        }
        if self.route() == Route::Channels {
            let scratch = workspace
                .portable
                .par_chunks_exact_mut(self.plan.gradient_scratch_len());
            let scores: Vec<Score> = scratch
                .zip(reference.par_iter().zip(distorted))
                .map(|(scratch, (x, y))| self.plan.score_channel(x, y, scratch))
                .collect();
            return Ok(Score::mean(scores));
        }
        let scores: Vec<Score> = workspace
            .channels
            .par_iter_mut()
            .zip(reference.par_iter().zip(distorted))
            .map(|(scales, (x, y))| {
                self.fill_pyramid(x, y, scales);
                let sums = self.sums(scales);
                self.plan.finish(&sums[..scales.len()]).0
            })
            .collect();
        Ok(Score::mean(scores))
    }

    /// The score, and its gradient by `distorted`, see [`msssim_core::MsSsim::score_and_gradient`].
    ///
    /// # Errors
    /// [`Error::ChannelMismatch`] or [`Error::SizeMismatch`] when an image does not fit the plan.
    ///
    /// # Panics
    /// If `workspace` was made by a plan for another size.
    pub fn score_and_gradient<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        gradient: &mut [PlaneMut<'_>],
    ) -> Result<Score, Error> {
        self.plan.check(reference.iter().map(Plane::size))?;
        self.plan.check(distorted.iter().map(Plane::size))?;
        self.plan.check(gradient.iter().map(PlaneMut::size))?;
        self.check_workspace(workspace);
        if self.route() == Route::Whole {
            let scratch = &mut workspace.portable;
            return self
                .plan
                .score_and_gradient(reference, distorted, gradient, scratch);
        }
        if self.route() == Route::Channels {
            let scratch = workspace
                .portable
                .par_chunks_exact_mut(self.plan.gradient_scratch_len());
            let scores: Vec<Score> = scratch
                .zip(reference.par_iter().zip(distorted).zip(gradient))
                .map(|(scratch, ((x, y), gradient))| {
                    let (score, of_channel) = self.plan.differentiate_channel(x, y, scratch);
                    write_rows(of_channel, gradient);
                    score
                })
                .collect();
            return Ok(Score::mean(scores));
        }
        let scores: Vec<Score> = workspace
            .channels
            .par_iter_mut()
            .zip(reference.par_iter().zip(distorted).zip(gradient))
            .map(|(scales, ((x, y), gradient))| {
                self.fill_pyramid(x, y, scales);
                let sums = self.sums_and_gradients(scales);
                let (score, factors) = self.plan.finish(&sums[..scales.len()]);
                self.combine_gradients(&factors, scales);
                write_rows(&scales[0].gradient, gradient);
                score
            })
            .collect();
        Ok(Score::mean(scores))
    }

    /// The score of a region; see [`msssim_core::MsSsim::score_region`]. `mask` was made by
    /// [`MsSsim::plan`].
    ///
    /// # Errors
    /// As [`MsSsim::score`].
    ///
    /// # Panics
    /// If the workspace or the mask was made by another plan.
    pub fn score_region<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        mask: &Mask<'_>,
    ) -> Result<Score, Error> {
        self.check_workspace(workspace);
        let scratch = workspace.whole(self.plan.scratch_len());
        let mask = Some(mask);
        self.plan.score_region(reference, distorted, mask, scratch)
    }

    /// The score and a weighted gradient; see [`msssim_core::MsSsim::differentiate`].
    ///
    /// # Errors
    /// As [`msssim_core::MsSsim::differentiate`].
    ///
    /// # Panics
    /// If the workspace or the mask was made by another plan.
    pub fn differentiate<X: Sample, Y: Sample>(
        &self,
        workspace: &mut Workspace,
        reference: &[Plane<'_, X>],
        distorted: &[Plane<'_, Y>],
        weighting: &Weighting<'_>,
        gradient: &mut [PlaneMut<'_>],
    ) -> Result<Score, Error> {
        self.check_workspace(workspace);
        let scratch = workspace.whole(self.plan.gradient_scratch_len());
        self.plan
            .differentiate(reference, distorted, weighting, gradient, scratch)
    }

    fn check_workspace(&self, workspace: &Workspace) {
        let planned = self.plan.scale_sizes().iter();
        let fits = workspace.channels.len() == self.plan.channels()
            && workspace.channels[0]
                .iter()
                .map(|scale| &scale.size)
                .eq(planned);
        assert!(
            fits,
            "the workspace was made for another plan than {} planes of {}",
            self.plan.channels(),
            self.plan.size()
        );
    }

    /// Writes the sums and differences of all scales.
    fn fill_pyramid<X: Sample, Y: Sample>(
        &self,
        x: &Plane<'_, X>,
        y: &Plane<'_, Y>,
        scales: &mut [Scale],
    ) {
        let Params {
            data_range,
            halving,
            ..
        } = *self.plan.params();
        let Scale {
            size,
            sum,
            difference,
            ..
        } = &mut scales[0];
        strips(size.width, sum)
            .zip(strips(size.width, difference))
            .for_each(|((first, sum), (_, difference))| {
                let rows = sum
                    .chunks_exact_mut(size.width)
                    .zip(difference.chunks_exact_mut(size.width));
                for (i, (s, d)) in rows.enumerate() {
                    sum_and_difference(x, y, first + i, data_range, s, d);
                }
            });
        for coarse in 1..scales.len() {
            let (finer, coarser) = scales.split_at_mut(coarse);
            let (
                fine,
                Scale {
                    size,
                    sum,
                    difference,
                    ..
                },
            ) = (&finer[coarse - 1], &mut coarser[0]);
            // Two zeros make a sum of -1.
            for (plane, outside, out) in
                [(&fine.sum, -1.0, sum), (&fine.difference, 0.0, difference)]
            {
                strips(size.width, out).for_each(|(first, out)| {
                    for (i, row) in out.chunks_exact_mut(size.width).enumerate() {
                        halve_row(halving, fine.size, plane, outside, first + i, row);
                    }
                });
            }
        }
    }

    /// The sums of every scale's terms.
    fn sums(&self, scales: &mut [Scale]) -> [TermSums; MAX_SCALES] {
        let mut sums = [TermSums::default(); MAX_SCALES];
        for (
            i,
            Scale {
                size,
                sum,
                difference,
                rows,
                scratch,
                ..
            },
        ) in scales.iter_mut().enumerate()
        {
            let constants = self.plan.constants(i);
            let level = Level {
                size: *size,
                sum,
                difference,
                mask: None,
            };
            let rows = &mut rows[..self.plan.map_size(i).height];
            let lines = scratch.len() / size.height.div_ceil(STRIP);
            rows.par_chunks_mut(STRIP)
                .zip(scratch.par_chunks_mut(lines))
                .enumerate()
                .for_each(|(strip, (rows, lines))| {
                    for (row, sums) in rows.iter_mut().enumerate() {
                        *sums = row_sums(constants, &level, strip * STRIP + row, lines);
                    }
                });
            sums[i] = total(rows);
        }
        sums
    }

    /// The sums of every scale's terms, and each scale's gradient of its own sum.
    fn sums_and_gradients(&self, scales: &mut [Scale]) -> [TermSums; MAX_SCALES] {
        let mut sums = [TermSums::default(); MAX_SCALES];
        for (
            i,
            Scale {
                size,
                sum,
                difference,
                gradient,
                rows,
                scratch,
            },
        ) in scales.iter_mut().enumerate()
        {
            let constants = self.plan.constants(i);
            let level = Level {
                size: *size,
                sum,
                difference,
                mask: None,
            };
            let lines = scratch.len() / size.height.div_ceil(STRIP);
            strips(size.width, gradient)
                .zip(rows.par_chunks_mut(STRIP))
                .zip(scratch.par_chunks_mut(lines))
                .for_each(|(((first, gradient), rows), lines)| {
                    let on_row = |row: usize, sums| rows[row - first] = sums;
                    gradient_rows(constants, &level, first, gradient, lines, on_row);
                });
            sums[i] = total(&rows[..self.plan.map_size(i).height]);
        }
        sums
    }

    /// From the coarsest scale to the finest: scaled gradients, and what is owed to coarser ones.
    fn combine_gradients(&self, factors: &[f64; MAX_SCALES], scales: &mut [Scale]) {
        let halving = self.plan.params().halving;
        for i in (0..scales.len()).rev() {
            let (fine, coarser) = scales.split_at_mut(i + 1);
            let coarser = coarser.first().map(|scale| &scale.gradient[..]);
            let (size, fine) = (fine[i].size, &mut fine[i]);
            strips(size.width, &mut fine.gradient).for_each(|(first, rows)| {
                for (row, fine) in rows.chunks_exact_mut(size.width).enumerate() {
                    combine_gradient_row(halving, size, factors[i], coarser, first + row, fine);
                }
            });
        }
    }
}

/// Copies a plane without gaps to where the caller wants it.
fn write_rows(from: &[f32], to: &mut PlaneMut<'_>) {
    for (i, row) in from.chunks_exact(to.size().width).enumerate() {
        to.row_mut(i).copy_from_slice(row);
    }
}

/// The rows of a plane in strips, each with the number of its first row.
fn strips(
    width: usize,
    plane: &mut [f32],
) -> impl IndexedParallelIterator<Item = (usize, &mut [f32])> {
    plane
        .par_chunks_mut(STRIP * width)
        .enumerate()
        .map(|(i, rows)| (i * STRIP, rows))
}

/// From the top down, whoever computed the rows.
fn total(rows: &[TermSums]) -> TermSums {
    let mut total = TermSums::default();
    for &row in rows {
        total += row;
    }
    total
}
