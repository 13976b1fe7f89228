//! Images compared with each other, and the gradient of what they measure.

use std::cell::RefCell;
use std::rc::Rc;

use cudarc::driver::CudaSlice;
use msssim_core::{Params, Size};

use super::{Buffer, Network};
use crate::driver::{upload, with_view};
use crate::error::Error;
use crate::images::{Images, ImagesMut};
use crate::metric::{MsSsim, Pass, Workspace};
use crate::weighting::{Upstream, Weighting};

/// How images are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// The mean of `(distorted - reference)^2` over an image's samples.
    SquaredError,
    /// The mean of `|distorted - reference|`; its derivative at 0 is 0.
    AbsoluteError,
    /// MS-SSIM by these parameters.
    MsSsim(Params),
    /// `score` times that plus `error` times the absolute error.
    Blend {
        /// The parameters of MS-SSIM.
        params: Params,
        /// Its weight.
        score: f32,
        /// The absolute error's.
        error: f32,
    },
}

/// A planned [`Comparison`] with the memory that it works in.
#[derive(Debug)]
pub struct Measure {
    kind: Rc<Kind>,
    images: usize,
    samples: usize,
}

impl Measure {
    pub(super) fn images(&self) -> usize {
        self.images
    }
}

#[derive(Debug)]
enum Kind {
    /// The means of the images, doubles as pairs of floats.
    Error {
        squared: bool,
        means: Buffer,
    },
    MsSsim(Box<RefCell<Scoring>>),
}

/// What MS-SSIM works with.
#[derive(Debug)]
struct Scoring {
    metric: MsSsim,
    workspace: Workspace,
    /// The weight of each image's score, and the factor that they were made of.
    upstream: CudaSlice<f32>,
    factor: f32,
    blend: Option<Blend>,
}

/// Weights of score and error, and the images' measures, doubles as pairs of floats.
#[derive(Debug)]
struct Blend {
    weights: [f32; 2],
    means: Buffer,
}

impl Network {
    /// Plans a comparison of `images` images of `channels` planes.
    ///
    /// # Errors
    /// Those of [`MsSsim::new`] and [`MsSsim::workspace`].
    pub fn plan_measure(
        &self,
        comparison: Comparison,
        images: usize,
        channels: usize,
        size: Size,
    ) -> Result<Measure, Error> {
        let too_large = Error::TooLarge {
            images,
            channels,
            size,
        };
        let samples = [channels, size.height, size.width]
            .iter()
            .try_fold(images, |product, n| product.checked_mul(*n))
            .filter(|&n| n > 0 && n < 1 << 31)
            .ok_or(too_large)?;
        let error = |squared| -> Result<Kind, Error> {
            let means = self.zeros(2 * images)?;
            Ok(Kind::Error { squared, means })
        };
        let kind = match comparison {
            Comparison::SquaredError => error(true)?,
            Comparison::AbsoluteError => error(false)?,
            Comparison::MsSsim(params) | Comparison::Blend { params, .. } => {
                let blend = match comparison {
                    Comparison::Blend { score, error, .. } => Some(Blend {
                        weights: [score, error],
                        means: self.zeros(2 * images)?,
                    }),
                    _ => None,
                };
                let metric = MsSsim::new(size, channels, &params)?;
                let stream = &self.stream;
                let workspace = metric.workspace(&self.device, stream, images, Pass::Gradient)?;
                Kind::MsSsim(Box::new(RefCell::new(Scoring {
                    metric,
                    workspace,
                    upstream: upload(stream, &vec![0.0f32; images])?,
                    factor: 0.0,
                    blend,
                })))
            }
        };
        Ok(Measure {
            kind: Rc::new(kind),
            images,
            samples,
        })
    }

    /// Compares each image; `gradient` receives `factor` times the gradient of the mean over the images by
    /// `distorted`. The factor of MS-SSIM is uploaded where it is new, so not within a recording.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer is not of the planned length.
    pub fn measure_and_gradient(
        &self,
        measure: &Measure,
        reference: &Buffer,
        distorted: &Buffer,
        factor: f32,
        gradient: &mut Buffer,
    ) -> Result<(), Error> {
        let lens = [reference, distorted, gradient].map(Buffer::len);
        assert!(
            lens == [measure.samples; 3],
            "reference, distorted and gradient hold {lens:?} samples where {} are planned",
            measure.samples
        );
        let [x, y, out] = [reference, distorted, gradient].map(|buffer| self.whole(buffer));
        match &*measure.kind {
            Kind::Error { squared, means } => {
                // The derivative of a square has a 2.
                let factor = if *squared { 2.0 * factor } else { factor };
                let factor = factor / measure.samples as f32;
                let means = self.whole(means);
                let stream = &self.stream;
                self.kernels
                    .error(stream, *squared, factor, [x, y], means, out)?;
            }
            Kind::MsSsim(scoring) => {
                self.keep(&measure.kind);
                let Scoring {
                    metric,
                    workspace,
                    upstream,
                    factor: known,
                    blend,
                } = &mut *scoring.borrow_mut();
                let by_score = factor * blend.as_ref().map_or(1.0, |blend| blend.weights[0]);
                if *known != by_score {
                    if self.recording.borrow().is_some() {
                        return Err(Error::Unsupported {
                            what: "a new factor within a recording",
                        });
                    }
                    let weights = vec![by_score / measure.images as f32; measure.images];
                    self.stream.memcpy_htod(&weights, upstream)?;
                    *known = by_score;
                }
                let images =
                    [reference, distorted].map(|buffer| Images::planar(buffer.memory.as_view()));
                with_view(&self.stream, out, |view| {
                    let weights = upstream.as_view();
                    let weighting = Weighting {
                        upstream: Some(Upstream::Images(&weights)),
                        mask: None,
                    };
                    let mut out = ImagesMut::planar(view);
                    metric.enqueue_differentiate(
                        workspace, &images[0], &images[1], &weighting, &mut out,
                    )
                })?;
                if let Some(Blend { weights, means }) = blend {
                    let by_error = factor * weights[1] / measure.samples as f32;
                    let factors = [by_error, weights[0], weights[1]];
                    let scores = workspace.scores_address();
                    let means = self.whole(means);
                    let stream = &self.stream;
                    self.kernels
                        .blend_error(stream, factors, [x, y], scores, means, out)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for the device: each image's mean of the last [`Network::measure_and_gradient`].
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn measured(&self, measure: &Measure) -> Result<Vec<f64>, Error> {
        match &*measure.kind {
            Kind::Error { means, .. } => self.doubles(means, measure.images),
            Kind::MsSsim(scoring) => {
                let scoring = &mut *scoring.borrow_mut();
                if let Some(blend) = &scoring.blend {
                    return self.doubles(&blend.means, measure.images);
                }
                let scores = scoring.workspace.scores()?;
                Ok(scores.iter().map(|score| score.value).collect())
            }
        }
    }

    /// Where the images' last measures are, doubles; 0 where nothing was measured yet.
    pub(super) fn measures_address(&self, measure: &Measure) -> u64 {
        self.keep(&measure.kind);
        match &*measure.kind {
            Kind::Error { means, .. } => self.whole(means).address,
            Kind::MsSsim(scoring) => {
                let scoring = scoring.borrow();
                match &scoring.blend {
                    Some(blend) => self.whole(&blend.means).address,
                    None => scoring.workspace.scores_address(),
                }
            }
        }
    }
}
