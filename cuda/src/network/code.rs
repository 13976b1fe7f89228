//! A code drawn from a Gaussian, forward and backward.

use super::{Buffer, Network};
use crate::error::Error;

/// Planned draws of codes; what the last ones diverged by.
#[derive(Debug)]
pub struct GaussianCode {
    images: usize,
    code: usize,
    /// Of each image, doubles as pairs of floats.
    divergences: Buffer,
}

impl GaussianCode {
    /// How many images have a code.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    pub(super) fn divergences(&self) -> &Buffer {
        &self.divergences
    }
}

impl Network {
    /// Plans draws of `images` codes of `code` numbers each.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there are none, or 2^30 numbers or 2^16 images; [`Error::OutOfMemory`],
    /// [`Error::Driver`].
    pub fn plan_gaussian(&self, images: usize, code: usize) -> Result<GaussianCode, Error> {
        let numbers = images.checked_mul(code).filter(|&n| n > 0 && n < 1 << 30);
        if numbers.is_none() || images >= 1 << 16 {
            return Err(Error::Unsupported {
                what: "codes of such a size (none, 2^16 images, or 2^30 numbers)",
            });
        }
        Ok(GaussianCode {
            images,
            code,
            divergences: self.zeros(2 * images)?,
        })
    }

    /// `code = m + exp(v / 2) noise`; `moments` holds each image's means `m`, then its logarithms of variances
    /// `v`, of which more than 80 counts as 80.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer is not of the planned length.
    pub fn gaussian_forward(
        &self,
        gaussian: &GaussianCode,
        moments: &Buffer,
        noise: &Buffer,
        code: &mut Buffer,
    ) -> Result<(), Error> {
        let shape = [gaussian.images, gaussian.code];
        let [moments, noise, code] = [moments, noise, code].map(|buffer| self.whole(buffer));
        let divergences = self.whole(&gaussian.divergences);
        let stream = &self.stream;
        Ok(self
            .kernels
            .gaussian_forward(stream, shape, moments, noise, code, divergences)?)
    }

    /// The gradient by the moments of what has the gradient `dcode` by the code, plus `factor` times that of
    /// the divergence's mean over the images.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer is not of the planned length.
    pub fn gaussian_backward(
        &self,
        gaussian: &GaussianCode,
        moments: &Buffer,
        noise: &Buffer,
        factor: f32,
        dcode: &Buffer,
        dmoments: &mut Buffer,
    ) -> Result<(), Error> {
        let shape = [gaussian.images, gaussian.code];
        let factor = factor / gaussian.images as f32;
        let moments = [moments, dmoments].map(|buffer| self.whole(buffer));
        let [noise, dcode] = [noise, dcode].map(|buffer| self.whole(buffer));
        let stream = &self.stream;
        Ok(self
            .kernels
            .gaussian_backward(stream, shape, factor, moments, noise, dcode)?)
    }

    /// Waits for the device: by how much, in nats, the Gaussian of each image diverged from the standard one in
    /// the last [`Network::gaussian_forward`].
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn divergences(&self, gaussian: &GaussianCode) -> Result<Vec<f64>, Error> {
        self.doubles(&gaussian.divergences, gaussian.images)
    }
}
