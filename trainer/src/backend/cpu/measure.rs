//! What a batch is measured by, and the gradient of that by its second image.

use msssim_cpu::{BatchWorkspace, MsSsim, Params, Size};
use rayon::prelude::*;

use super::CHUNK;
use crate::backend::{Error, ImageBatch, Measure};

/// A planned measure and what it last found.
#[derive(Clone, Debug)]
pub struct CpuMeasure {
    kind: Kind,
    batch: ImageBatch,
    of_images: Vec<f64>,
}

#[derive(Clone, Debug)]
enum Kind {
    SquaredError,
    AbsoluteError,
    /// The weights of the score and of the absolute error; without the latter, the score alone.
    MsSsim {
        metric: Box<MsSsim>,
        workspace: BatchWorkspace,
        blend: Option<[f32; 2]>,
    },
}

impl CpuMeasure {
    pub(super) fn new(measure: Measure, batch: ImageBatch) -> Result<Self, Error> {
        batch.checked_len()?;
        let kind = match measure {
            Measure::SquaredError => Kind::SquaredError,
            Measure::AbsoluteError => Kind::AbsoluteError,
            Measure::MsSsim | Measure::Blend { .. } => {
                let blend = match measure {
                    Measure::Blend { score, error } => Some([score, error]),
                    _ => None,
                };
                let size = Size {
                    width: batch.width,
                    height: batch.height,
                };
                let params = Params {
                    data_range: 1.0,
                    ..Params::SNELL_2017
                };
                let metric = Box::new(MsSsim::new(size, batch.channels, &params)?);
                let workspace = metric.batch_workspace(batch.images);
                Kind::MsSsim {
                    metric,
                    workspace,
                    blend,
                }
            }
        };
        Ok(Self {
            kind,
            batch,
            of_images: vec![0.0; batch.images],
        })
    }

    /// Measures every image, and makes the gradient of `factor` times their mean by `distorted`.
    pub(super) fn differentiate(
        &mut self,
        reference: &[f32],
        distorted: &[f32],
        factor: f32,
        gradient: &mut [f32],
    ) {
        let Self {
            kind,
            batch,
            of_images,
        } = self;
        let samples = reference.len() as f32;
        match kind {
            Kind::SquaredError => {
                let factor = factor * 2.0 / samples;
                pointwise(batch, reference, distorted, gradient, of_images, |d| {
                    (d * d, factor * d)
                });
            }
            Kind::AbsoluteError => {
                let factor = factor / samples;
                pointwise(batch, reference, distorted, gradient, of_images, |d| {
                    (d.abs(), factor * sign(d))
                });
            }
            Kind::MsSsim {
                metric,
                workspace,
                blend,
            } => {
                metric
                    .score_and_gradient_batch(workspace, reference, distorted, gradient, of_images);
                let [score, error] = blend.unwrap_or([1.0, 0.0]);
                let by_score = factor * score / batch.images as f32;
                gradient
                    .par_chunks_mut(CHUNK)
                    .for_each(|gradient| gradient.iter_mut().for_each(|g| *g *= by_score));
                if blend.is_some() {
                    let by_error = factor * error / samples;
                    let image = reference.len() / batch.images;
                    reference
                        .par_chunks_exact(image)
                        .zip(distorted.par_chunks_exact(image))
                        .zip(gradient.par_chunks_exact_mut(image))
                        .zip(of_images)
                        .for_each(|(((reference, distorted), gradient), measured)| {
                            let mut sum = 0.0;
                            for ((r, d), g) in reference.iter().zip(distorted).zip(gradient) {
                                let d = d - r;
                                sum += f64::from(d.abs());
                                *g += by_error * sign(d);
                            }
                            let mean = sum / image as f64;
                            *measured = f64::from(score) * *measured + f64::from(error) * mean;
                        });
                }
            }
        }
    }

    /// The mean over the images.
    pub(super) fn mean(&self) -> f64 {
        self.of_images.iter().sum::<f64>() / self.batch.images as f64
    }
}

/// Per image the mean of a function's value, and per sample its derivative, both of
/// `distorted - reference`.
fn pointwise(
    batch: &ImageBatch,
    reference: &[f32],
    distorted: &[f32],
    gradient: &mut [f32],
    of_images: &mut [f64],
    value_and_derivative: impl Fn(f32) -> (f32, f32) + Sync,
) {
    let image = batch.channels * batch.height * batch.width;
    let expected = batch.images * image;
    let lengths = [reference.len(), distorted.len(), gradient.len()];
    assert!(
        lengths == [expected; 3],
        "reference, distorted and gradient hold {lengths:?} samples where {expected} are expected"
    );
    reference
        .par_chunks_exact(image)
        .zip(distorted.par_chunks_exact(image))
        .zip(gradient.par_chunks_exact_mut(image))
        .zip(of_images)
        .for_each(|(((reference, distorted), gradient), mean)| {
            let mut sum = 0.0;
            for ((r, d), g) in reference.iter().zip(distorted).zip(gradient) {
                let (value, derivative) = value_and_derivative(d - r);
                sum += f64::from(value);
                *g = derivative;
            }
            *mean = sum / image as f64;
        });
}

/// -1, 0 or 1.
fn sign(d: f32) -> f32 {
    f32::from(d > 0.0) - f32::from(d < 0.0)
}
