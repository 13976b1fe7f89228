//! The metric over a batch of small images, one image a task: what a training step needs.

use msssim_core::{ChannelPooling, Plane, PlaneMut};
use rayon::prelude::*;

use crate::metric::MsSsim;

/// Memory for batches of up to a planned number of images; made by [`MsSsim::batch_workspace`].
///
/// What it holds between calls does not matter.
#[derive(Clone, Debug)]
pub struct BatchWorkspace {
    /// One image's scratch after another's.
    scratch: Vec<f32>,
}

impl MsSsim {
    /// Memory for [`MsSsim::score_and_gradient_batch`] of up to `images` images.
    pub fn batch_workspace(&self, images: usize) -> BatchWorkspace {
        BatchWorkspace {
            scratch: vec![0.0; images * self.plan().gradient_scratch_len()],
        }
    }

    /// Scores `scores.len()` images, each against its own reference, and writes the gradient of
    /// each image's score by its own distorted image.
    ///
    /// The images are contiguous: `images x channels x height x width`. Each is computed on one
    /// thread, so the results do not depend on how many there are.
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
        let (size, channels) = (plan.size(), plan.channels());
        let image = channels * size.area();
        let expected = scores.len() * image;
        let lengths = [reference.len(), distorted.len(), gradient.len()];
        assert!(
            lengths == [expected; 3],
            "reference, distorted and gradient hold {lengths:?} samples where {expected} are expected"
        );
        let scratch_len = plan.gradient_scratch_len();
        let images = workspace.scratch.len() / scratch_len;
        assert!(
            images >= scores.len(),
            "workspace for {images} images, {} given",
            scores.len()
        );

        let pairs = reference
            .par_chunks_exact(image)
            .zip(distorted.par_chunks_exact(image));
        let results = gradient.par_chunks_exact_mut(image).zip(scores);
        let tasks = pairs
            .zip(results)
            .zip(workspace.scratch.par_chunks_exact_mut(scratch_len));
        tasks.for_each(|(((x, y), (gradient, score)), scratch)| {
            if plan.params().channels == ChannelPooling::Means {
                *score = self.score_together([x, y], gradient, scratch);
                return;
            }
            let planes = x.chunks_exact(size.area()).zip(y.chunks_exact(size.area()));
            *score = 0.0;
            for ((x, y), gradient) in planes.zip(gradient.chunks_exact_mut(size.area())) {
                let planes = [x, y].map(|samples| Plane::new(samples, size));
                let [Ok(x), Ok(y)] = planes else {
                    unreachable!("chunks are whole planes")
                };
                let (of_channel, by_sample) = plan.differentiate_channel(&x, &y, scratch);
                gradient.copy_from_slice(by_sample);
                *score += of_channel.value / channels as f64;
            }
        });
    }

    /// One image whose channels have one score together.
    fn score_together(
        &self,
        [x, y]: [&[f32]; 2],
        gradient: &mut [f32],
        scratch: &mut [f32],
    ) -> f64 {
        let (plan, size) = (self.plan(), self.plan().size());
        let planes = [x, y].map(|image| {
            let planes = image.chunks_exact(size.area());
            let planes = planes.flat_map(|plane| Plane::new(plane, size));
            planes.collect::<Vec<Plane<'_>>>()
        });
        let mut gradient: Vec<PlaneMut<'_>> = gradient
            .chunks_exact_mut(size.area())
            .flat_map(|plane| PlaneMut::new(plane, size))
            .collect();
        let score = plan.score_and_gradient(&planes[0], &planes[1], &mut gradient, scratch);
        score.map_or(f64::NAN, |score| score.value)
    }
}
