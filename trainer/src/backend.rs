//! What a network needs of a device; the CPU and a CUDA device as ones.
//!
//! A training step is a fixed sequence of calls on fixed buffers: the host decides nothing from
//! one call to the next, and what changes between steps (the batch, the coefficients of the update)
//! is uploaded before them. A device may therefore queue the calls, or record them once and replay
//! them; only [`Backend::download`] and [`Backend::measured`] wait for it.
//!
//! Every call overwrites its results. Activations are contiguous
//! `images x channels x height x width`, weights lie as PyTorch has them: those of a convolution
//! `out x in x height x width`, of a transposed one `in x out x height x width`, of a dense layer
//! `out x in`.

pub mod cpu;
pub mod cuda;

use std::convert::Infallible;
use std::ops::Range;

use msssim_cpu::layers::{Conv2dShape, DenseShape};

/// Why a device could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer could not be planned.
    #[error(transparent)]
    Layer(#[from] msssim_cpu::layers::ShapeError),
    /// MS-SSIM could not be planned.
    #[error(transparent)]
    Metric(#[from] msssim_cpu::Error),
    /// The CUDA device failed.
    #[error(transparent)]
    Cuda(#[from] msssim_cuda::Error),
    /// A batch has more samples than a device addresses.
    #[error(
        "a batch of {images} images of {width}x{height} needs {channels} channels for each, \
         which is too much: make the batch or the images smaller"
    )]
    TooLarge {
        /// Images in the batch.
        images: usize,
        /// The channels of the widest layer.
        channels: usize,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
}

/// The shape of a batch of images, contiguous in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageBatch {
    /// How many images.
    pub images: usize,
    /// Planes of each.
    pub channels: usize,
    /// Rows of each plane.
    pub height: usize,
    /// Columns of each plane.
    pub width: usize,
}

impl ImageBatch {
    /// The largest number of samples in one buffer: devices index with 32 bits.
    pub const MAX_LEN: usize = i32::MAX as usize;

    /// The number of samples.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`ImageBatch::MAX_LEN`].
    pub fn checked_len(&self) -> Result<usize, Error> {
        [self.channels, self.height, self.width]
            .iter()
            .try_fold(self.images, |len, &side| len.checked_mul(side))
            .filter(|&len| len <= Self::MAX_LEN)
            .ok_or(Error::TooLarge {
                images: self.images,
                channels: self.channels,
                width: self.width,
                height: self.height,
            })
    }
}

/// What a layer does to each sum before it hands it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`, whose derivative at 0 is taken as 0.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

/// The linear part of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A convolution.
    Conv2d(Conv2dShape),
    /// The adjoint of this convolution without its bias: it goes from the convolution's output to
    /// its input.
    ConvTranspose2d(Conv2dShape),
    /// Every output sees every input.
    Dense(DenseShape),
}

impl Operation {
    /// Numbers of a batch that come out.
    pub fn output_len(&self) -> usize {
        match self {
            Self::Conv2d(shape) => shape.output_len(),
            Self::ConvTranspose2d(shape) => shape.input_len(),
            Self::Dense(shape) => shape.output_len(),
        }
    }
}

/// A layer with its bias and activation, and where its numbers lie among the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// As its parameters are called: `encoder.conv1`.
    pub name: String,
    /// Kind and sizes.
    pub operation: Operation,
    /// Applied to the output.
    pub activation: Activation,
    /// Of the weights in the flat parameter buffer.
    pub weight: Range<usize>,
    /// Of the biases in the flat parameter buffer.
    pub bias: Range<usize>,
}

/// Memory of the host for a block of images, from which a device fetches them while it computes: for a thread
/// that prepares them.
pub trait Staging: Send + 'static {
    /// Waits for what was sent last: room for inputs and targets, or for both at once where they are alike.
    fn planes(&mut self) -> Result<Vec<&mut [f32]>, Error>;

    /// Has the first `samples` of each fetched, and does not wait for it.
    fn send(&mut self, samples: usize) -> Result<(), Error>;
}

/// Of a device that is the host.
impl Staging for Infallible {
    fn planes(&mut self) -> Result<Vec<&mut [f32]>, Error> {
        match *self {}
    }

    fn send(&mut self, _: usize) -> Result<(), Error> {
        match *self {}
    }
}

/// How a distorted image is compared with its reference; samples are in 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// The mean of `(distorted - reference)^2` over the samples.
    SquaredError,
    /// The mean of `|distorted - reference|` over the samples; its derivative at 0 is 0.
    AbsoluteError,
    /// MS-SSIM by [`msssim_cpu::Params::SNELL_2017`], the mean over the channels.
    MsSsim,
    /// `score` times that plus `error` times the absolute error.
    Blend {
        /// Weight of MS-SSIM.
        score: f32,
        /// Weight of the absolute error.
        error: f32,
    },
}

/// The constants of Adam (Kingma and Ba 2015, algorithm 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConstants {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// `1 - beta1`, subtracted before rounding: in f32, 1 - 0.999 is wrong in the fifth digit.
    pub complement1: f32,
    /// `1 - beta2`, likewise.
    pub complement2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

/// A square crop of images that lie one plane after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Where its first sample lies.
    pub first: usize,
    /// Samples from row to row.
    pub row: usize,
    /// Samples from plane to plane.
    pub plane: usize,
    /// Which of the eight symmetries: bits flip rows (1), flip columns (2), and transpose (4).
    pub symmetry: u8,
}

/// A device: buffers of f32, and the layers, measures and updates that run on them.
///
/// Buffers hold exactly what was planned; a call panics when one does not, and names the lengths.
pub trait Backend: 'static {
    /// Numbers on the device.
    type Buffer;
    /// A planned [`Layer`] with the memory that it works in.
    type Layer;
    /// A planned draw from Gaussian codes.
    type Gaussian;
    /// A planned [`Measure`] with the memory that it works in.
    type Measure;
    /// Calls that were recorded once, to be replayed.
    type Recording;

    /// Makes `calls`, which are the same calls on the same buffers every time that one `recording` is
    /// passed; a device may note them down and replay them later without calling.
    ///
    /// They may neither upload, download nor plan.
    fn repeat(
        &self,
        recording: &mut Option<Self::Recording>,
        calls: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Images on the device, and the crops, coefficients and noise of coming steps: with them a step is calls
    /// that never change, and the host need not wait for its loss.
    type Agenda;

    /// Plans for up to `capacity` steps at a time, each a batch of `crops` = [crops, channels, side],
    /// `coefficients` numbers, and `noise` ones; `None` where batches come from the host.
    fn plan_agenda(
        &self,
        capacity: usize,
        crops: [usize; 3],
        coefficients: usize,
        noise: usize,
    ) -> Result<Option<Self::Agenda>, Error>;

    /// Memory of the host from which images get into an agenda while steps run on others.
    type Staging: Staging;

    /// Replaces the images, of which inputs and targets are cropped, and forgets all steps. Without `inputs`
    /// they are the targets. What was recorded before is of the old images.
    fn show(
        &self,
        agenda: &mut Self::Agenda,
        inputs: Option<&[f32]>,
        targets: &[f32],
    ) -> Result<(), Error>;

    /// Makes room for two blocks of images in turn, each of up to `samples` inputs and as many targets, which are the
    /// same where they are `alike`; forgets the images before and all steps. What was recorded before is of
    /// the old images.
    fn stream_images(
        &self,
        agenda: &mut Self::Agenda,
        samples: usize,
        alike: bool,
    ) -> Result<Self::Staging, Error>;

    /// Has what is sent next go where no step is cropped from, once the steps before are done.
    fn stage(&self, agenda: &Self::Agenda, staging: &mut Self::Staging) -> Result<(), Error>;

    /// Has later steps be cropped from what was sent last, once it is there; forgets the steps before. What was
    /// recorded before stays good.
    fn turn(&self, agenda: &mut Self::Agenda, staging: &mut Self::Staging) -> Result<(), Error>;

    /// Writes the crops, coefficients and noise of the next steps.
    fn write_agenda(
        &self,
        agenda: &mut Self::Agenda,
        crops: &[Crop],
        coefficients: &[f32],
        noise: &[f32],
    ) -> Result<(), Error>;

    /// Counts a step, once for each whose calls are made or replayed.
    fn take_step(&self, agenda: &mut Self::Agenda);

    /// Cuts the batch of the next step, and copies its coefficients and, where it has any, its noise.
    fn begin_step(
        &self,
        agenda: &Self::Agenda,
        input: &mut Self::Buffer,
        target: &mut Self::Buffer,
        coefficients: &mut Self::Buffer,
        noise: Option<&mut Self::Buffer>,
    ) -> Result<(), Error>;

    /// Records the means over the images of what was measured last and, where there are codes, of how much
    /// they diverged.
    fn end_step(
        &self,
        agenda: &Self::Agenda,
        measure: &Self::Measure,
        gaussian: Option<&Self::Gaussian>,
    ) -> Result<(), Error>;

    /// Waits for the device: the measure and the divergence, else 0, that each of the steps taken has recorded.
    fn recorded(&self, agenda: &Self::Agenda) -> Result<Vec<[f64; 2]>, Error>;

    /// A buffer of `len` zeros.
    fn zeros(&self, len: usize) -> Result<Self::Buffer, Error>;

    /// Copies `values` to the start of `buffer`.
    fn upload(&self, values: &[f32], buffer: &mut Self::Buffer) -> Result<(), Error>;

    /// Waits for the device and copies the start of `buffer` to `values`.
    fn download(&self, buffer: &Self::Buffer, values: &mut [f32]) -> Result<(), Error>;

    /// Plans a layer.
    fn plan_layer(&self, layer: &Layer) -> Result<Self::Layer, Error>;

    /// `output = activation(weight * input + bias)`
    fn layer_forward(
        &self,
        layer: &mut Self::Layer,
        parameters: &Self::Buffer,
        input: &Self::Buffer,
        output: &mut Self::Buffer,
    ) -> Result<(), Error>;

    /// The gradients of a loss by a layer's weights, biases and, where wanted, input, from its
    /// gradient by the layer's output; `input` and `output` are those of the last forward
    /// call with this plan.
    ///
    /// Uses up `doutput`. Of `dparameters` it writes the layer's own ranges.
    #[expect(
        clippy::too_many_arguments,
        reason = "the forward call's buffers and the gradient of each"
    )]
    fn layer_backward(
        &self,
        layer: &mut Self::Layer,
        parameters: &Self::Buffer,
        input: &Self::Buffer,
        output: &Self::Buffer,
        doutput: &mut Self::Buffer,
        dinput: Option<&mut Self::Buffer>,
        dparameters: &mut Self::Buffer,
    ) -> Result<(), Error>;

    /// Plans draws of `images` codes of `code` numbers.
    fn plan_gaussian(&self, images: usize, code: usize) -> Result<Self::Gaussian, Error>;

    /// Draws each image's code from the Gaussian that its `moments`, `code` means followed by as many
    /// logarithms of variances, describe: `code = mean + exp(log_variance / 2) noise`. Measures their
    /// divergence from the standard Gaussian.
    fn gaussian_forward(
        &self,
        gaussian: &mut Self::Gaussian,
        moments: &Self::Buffer,
        noise: &Self::Buffer,
        code: &mut Self::Buffer,
    ) -> Result<(), Error>;

    /// From the gradient by the code to that by the moments, to which `factor` times the gradient of
    /// the divergence, the mean over the images, is added.
    fn gaussian_backward(
        &self,
        gaussian: &mut Self::Gaussian,
        moments: &Self::Buffer,
        noise: &Self::Buffer,
        factor: f32,
        dcode: &Self::Buffer,
        dmoments: &mut Self::Buffer,
    ) -> Result<(), Error>;

    /// Waits for the device: the Kullback-Leibler divergence in nats, the mean over the images of the
    /// last [`Backend::gaussian_forward`].
    fn divergence(&self, gaussian: &Self::Gaussian) -> Result<f64, Error>;

    /// Plans a measure for batches of one shape.
    fn plan_measure(&self, measure: Measure, batch: ImageBatch) -> Result<Self::Measure, Error>;

    /// Measures each image; `gradient` is `factor` times that of the mean over the images by
    /// `distorted`.
    fn measure_and_gradient(
        &self,
        measure: &mut Self::Measure,
        reference: &Self::Buffer,
        distorted: &Self::Buffer,
        factor: f32,
        gradient: &mut Self::Buffer,
    ) -> Result<(), Error>;

    /// Waits for the device: the mean over the images of the last
    /// [`Backend::measure_and_gradient`].
    fn measured(&self, measure: &Self::Measure) -> Result<f64, Error>;

    /// One step of Adam over all parameters:
    ///
    /// ```text
    /// m = beta1 m + (1 - beta1) g        p = p - rate (c1 m) / (sqrt(c2 v) + epsilon)
    /// v = beta2 v + (1 - beta2) g^2
    /// ```
    /// with `coefficients = [rate, c1, c2]` and `c = 1 / (1 - beta^t)`.
    fn adam(
        &self,
        constants: &AdamConstants,
        coefficients: &Self::Buffer,
        gradient: &Self::Buffer,
        first_moment: &mut Self::Buffer,
        second_moment: &mut Self::Buffer,
        parameters: &mut Self::Buffer,
    ) -> Result<(), Error>;

    /// One step of gradient descent with momentum: `v = momentum v + rate g; p = p - v`, where
    /// `rate` is `coefficients[0]` before the parameter `last_layer`, and `coefficients[1]` from it
    /// on.
    fn sgd(
        &self,
        momentum: f32,
        last_layer: usize,
        coefficients: &Self::Buffer,
        gradient: &Self::Buffer,
        velocity: &mut Self::Buffer,
        parameters: &mut Self::Buffer,
    ) -> Result<(), Error>;
}
