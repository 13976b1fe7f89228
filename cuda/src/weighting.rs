//! What weighs in a score and its gradient, beside the samples.

use cudarc::driver::{CudaSlice, CudaStream, CudaView};
use msssim_core::Plane;
use std::sync::Arc;

use crate::driver::upload;
use crate::error::Error;
use crate::metric::MsSsim;

/// What weighs in a score and its gradient, beside the samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighting<'w> {
    /// What is differentiated: the scores so weighted, in device memory. Without it each image's score
    /// counts once, the mean over its channels.
    pub upstream: Option<Upstream<&'w CudaView<'w, f32>>>,
    /// The regions that count.
    pub mask: Option<&'w Mask>,
}

/// The derivatives of what is differentiated, in device memory.
#[derive(Clone, Copy, Debug)]
pub enum Upstream<W> {
    /// By each image's score.
    Images(W),
    /// By the score of each channel of each image, image after image. Where channels have one score
    /// together, it counts once for each.
    Channels(W),
}

/// The regions of interest of a batch, at all scales, in device memory; made by [`MsSsim::mask`].
#[derive(Debug)]
pub struct Mask {
    weights: CudaSlice<f32>,
    images: usize,
    /// Weights of an image at all scales.
    len: usize,
    plan: msssim_core::MsSsim,
}

impl Mask {
    /// How many images it has regions for; a single one serves all images of any batch.
    pub fn images(&self) -> usize {
        self.images
    }

    pub(crate) fn weights(&self) -> &CudaSlice<f32> {
        &self.weights
    }

    /// From one image's weights to the next one's.
    pub(crate) fn stride(&self) -> usize {
        if self.images == 1 { 0 } else { self.len }
    }

    /// Checks that it has regions for a batch.
    pub(crate) fn check(&self, images: usize) -> Result<(), Error> {
        if self.images != 1 && self.images < images {
            return Err(Error::ShortImages {
                what: "mask",
                expected: images * self.len,
                actual: self.weights.len(),
            });
        }
        Ok(())
    }

    pub(crate) fn plan(&self) -> &msssim_core::MsSsim {
        &self.plan
    }
}

impl MsSsim {
    /// Prepares regions of interest, see [`msssim_core::MsSsim::mask`]: one for all images of any batch, or
    /// one for each, of the images' size. They are prepared on the host, once, and uploaded.
    ///
    /// # Errors
    /// [`Error::Metric`] as on any backend, and for no region at all; [`Error::Unsupported`] for a plan that
    /// is not [`MsSsim::general`]; [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn mask<T: msssim_core::Sample>(
        &self,
        stream: &Arc<CudaStream>,
        weights: &[Plane<'_, T>],
    ) -> Result<Mask, Error> {
        if self.is_for_training() {
            return Err(Error::Unsupported {
                what: "masks in a plan for training; MsSsim::general has them",
            });
        }
        if weights.is_empty() {
            return Err(Error::Metric(msssim_core::Error::Parameter {
                name: "mask",
                must: "one plane for all images, or one for each",
            }));
        }
        let len = self.plan().mask_len();
        let mut host = vec![0.0f32; weights.len() * len];
        for (plane, memory) in weights.iter().zip(host.chunks_exact_mut(len)) {
            self.plan().mask(plane, memory)?;
        }
        Ok(Mask {
            weights: upload(stream, &host)?,
            images: weights.len(),
            len,
            plan: *self.plan(),
        })
    }
}
