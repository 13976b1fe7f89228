//! The metric over a batch of small images: what a training step needs.
//!
//! Several images share a vector, each in a lane of its own, so that images of a few pixels use all lanes too.

use msssim_core::{MAX_SCALES, Plane, PlaneMut};
use rayon::prelude::*;

use crate::metric::MsSsim;
use crate::pyramid::{Pyramid, Sums};
use crate::side_by_side::SideBySide;

/// Memory for batches of up to a planned number of images; made by [`MsSsim::batch_workspace`].
///
/// What it holds between calls does not matter.
#[derive(Clone, Debug)]
pub struct BatchWorkspace {
    images: usize,
    /// Planes side by side.
    together: usize,
    /// One for each group of planes side by side.
    groups: Vec<Group>,
    /// Of each plane.
    sums: Vec<Sums>,
    factors: Vec<[f64; MAX_SCALES]>,
    /// Scratch of the portable form, one image's after another's, where that is what runs.
    portable: Vec<f32>,
}

/// Memory for some planes.
#[derive(Clone, Debug)]
enum Group {
    SideBySide(Box<SideBySide>),
    Alone(Pyramid),
}

impl MsSsim {
    /// Memory for [`MsSsim::score_and_gradient_batch`] of up to `images` images.
    pub fn batch_workspace(&self, images: usize) -> BatchWorkspace {
        let plan = self.plan();
        if !self.has_kernels() {
            return BatchWorkspace {
                images,
                together: 1,
                groups: Vec::new(),
                sums: Vec::new(),
                factors: Vec::new(),
                portable: vec![0.0; images * plan.gradient_scratch_len()],
            };
        }
        let planes = images * plan.channels();
        let threads = rayon::current_num_threads();
        let of_thread = planes.div_ceil(threads);
        let (together, group) = match SideBySide::token(plan, self.token(), of_thread) {
            Some(token) => {
                let images = SideBySide::new(plan, token);
                (token.lanes(), Group::SideBySide(Box::new(images)))
            }
            None => (1, Group::Alone(Pyramid::new(plan, self.token(), 1))),
        };
        BatchWorkspace {
            images,
            together,
            groups: vec![group; planes.div_ceil(together)],
            sums: vec![Sums::default(); planes],
            factors: vec![[0.0; MAX_SCALES]; planes],
            portable: Vec::new(),
        }
    }

    /// Scores `scores.len()` images, each against its own reference, and writes the gradient of
    /// each image's score by its own distorted image.
    ///
    /// The images are contiguous: `images x channels x height x width`. The results are those of each image by itself.
    ///
    /// # Panics
    /// If a slice does not hold that many images, or the workspace fewer.
    pub fn score_and_gradient_batch(
        &self,
        workspace: &mut BatchWorkspace,
        reference: &[f32],
        distorted: &[f32],
        gradient: &mut [f32],
        scores: &mut [f64],
    ) {
        let plan = self.plan();
        let (area, channels) = (plan.size().area(), plan.channels());
        let image = channels * area;
        let expected = scores.len() * image;
        let lengths = [reference.len(), distorted.len(), gradient.len()];
        assert!(
            lengths == [expected; 3],
            "reference, distorted and gradient hold {lengths:?} samples where {expected} are expected"
        );
        assert!(
            workspace.images >= scores.len(),
            "workspace for {} images, {} given",
            workspace.images,
            scores.len()
        );
        if workspace.groups.is_empty() {
            self.batch_by_portable_form(workspace, [reference, distorted], gradient, scores);
            return;
        }
        let BatchWorkspace {
            together,
            groups,
            sums,
            factors,
            ..
        } = workspace;
        let group = *together * area;
        let planes = scores.len() * channels;
        let (sums, factors) = (&mut sums[..planes], &mut factors[..planes]);
        let inputs = reference.par_chunks(group).zip(distorted.par_chunks(group));
        let outputs = gradient
            .par_chunks_mut(group)
            .zip(sums.par_chunks_mut(*together));
        let tasks = groups.par_iter_mut().zip(inputs).zip(outputs);
        tasks.for_each(|((group, (x, y)), (gradient, sums))| match group {
            Group::SideBySide(images) => images.differentiate(plan, [x, y], sums),
            Group::Alone(pyramid) => {
                let planes = [x, y].map(|plane| Plane::new(plane, plan.size()));
                if let [Ok(x), Ok(y)] = planes {
                    sums[0] = self.sums(pyramid, &x, &y, self.planes(gradient).next());
                }
            }
        });
        let images = sums.chunks_exact(channels).zip(scores);
        for ((sums, score), factors) in images.zip(factors.chunks_exact_mut(channels)) {
            let (of_image, of_channels) = self.finish(sums);
            *score = of_image.value;
            factors.copy_from_slice(&of_channels);
        }
        let outputs = gradient.par_chunks_mut(group);
        let tasks = groups
            .par_iter_mut()
            .zip(outputs.zip(factors.par_chunks(*together)));
        tasks.for_each(|(group, (gradient, factors))| match group {
            Group::SideBySide(images) => images.combine(plan, factors, self.share(), gradient),
            Group::Alone(pyramid) => {
                if let Some(plane) = self.planes(gradient).next() {
                    pyramid.combine(plan, &factors[0], self.share(), plane);
                }
            }
        });
    }

    /// The planes that follow each other in `samples`.
    fn planes<'p>(&self, samples: &'p mut [f32]) -> impl Iterator<Item = PlaneMut<'p>> {
        let size = self.plan().size();
        let planes = samples.chunks_exact_mut(size.area());
        planes.filter_map(move |plane| PlaneMut::new(plane, size).ok())
    }

    /// The batch by the portable form, one image a task.
    fn batch_by_portable_form(
        &self,
        workspace: &mut BatchWorkspace,
        [reference, distorted]: [&[f32]; 2],
        gradient: &mut [f32],
        scores: &mut [f64],
    ) {
        let (plan, size) = (self.plan(), self.plan().size());
        let image = plan.channels() * size.area();
        let inputs = reference
            .par_chunks_exact(image)
            .zip(distorted.par_chunks_exact(image));
        let outputs = gradient.par_chunks_exact_mut(image).zip(scores);
        let scratch = workspace
            .portable
            .par_chunks_exact_mut(plan.gradient_scratch_len());
        let tasks = inputs.zip(outputs).zip(scratch);
        tasks.for_each(|(((x, y), (gradient, score)), scratch)| {
            let [x, y] = [x, y].map(|image| {
                let planes = image.chunks_exact(size.area());
                let planes = planes.filter_map(|plane| Plane::new(plane, size).ok());
                planes.collect::<Vec<Plane<'_>>>()
            });
            let mut gradient: Vec<PlaneMut<'_>> = self.planes(gradient).collect();
            let of_image = plan.score_and_gradient(&x, &y, &mut gradient, scratch);
            *score = of_image.map_or(f64::NAN, |score| score.value);
        });
    }
}
