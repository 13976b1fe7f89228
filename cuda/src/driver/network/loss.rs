//! The launches of losses of images.

use cudarc::driver::{CudaStream, DriverError, PushKernelArg};

use super::{NetworkKernels, Part};
use crate::driver::threads;

/// How many images, and samples of each.
fn shape(reference: Part, distorted: Part, means: Part, gradient: Part) -> [i32; 2] {
    let images = means.len / 2;
    distorted.require("distorted", reference.len);
    gradient.require("gradient", reference.len);
    assert!(
        reference.len.is_multiple_of(images),
        "{} samples are not {images} images",
        reference.len
    );
    [images as i32, (reference.len / images) as i32]
}

impl NetworkKernels {
    /// `squared_error` or `absolute_error` of images; `means` has a double for each, counted as two.
    pub(crate) fn error(
        &self,
        stream: &CudaStream,
        squared: bool,
        factor: f32,
        [reference, distorted]: [Part; 2],
        means: Part,
        gradient: Part,
    ) -> Result<(), DriverError> {
        let [images, samples] = shape(reference, distorted, means, gradient);
        let kernel = if squared {
            &self.squared_error
        } else {
            &self.absolute_error
        };
        let mut arguments = stream.launch_builder(kernel);
        arguments.arg(&samples).arg(&factor);
        arguments.arg(&reference.address).arg(&distorted.address);
        arguments.arg(&means.address).arg(&gradient.address);
        // SAFETY: the kernel's arguments; see the head of this file.
        unsafe { arguments.launch(threads([images as u32, 1, 1])) }.map(drop)
    }

    /// `scores` is the address of a double for each image, `means` has room for one each, counted as two.
    /// The factors are those of the error's derivative, of the score and of the error.
    pub(crate) fn blend_error(
        &self,
        stream: &CudaStream,
        [factor, score_weight, error_weight]: [f32; 3],
        [reference, distorted]: [Part; 2],
        scores: u64,
        means: Part,
        gradient: Part,
    ) -> Result<(), DriverError> {
        let [images, samples] = shape(reference, distorted, means, gradient);
        let mut arguments = stream.launch_builder(&self.blend_error);
        arguments.arg(&samples).arg(&factor);
        arguments.arg(&score_weight).arg(&error_weight);
        arguments.arg(&reference.address).arg(&distorted.address);
        arguments
            .arg(&scores)
            .arg(&means.address)
            .arg(&gradient.address);
        // SAFETY: `blend_error`'s arguments; see the head of this file.
        unsafe { arguments.launch(threads([images as u32, 1, 1])) }.map(drop)
    }
}
