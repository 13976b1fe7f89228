//! A CUDA device as a backend: the calls of `msssim_cuda::network` under the names of [`Backend`].
//!
//! A step's calls go through once, are recorded the second time, and replayed as one graph from then on.

use msssim_cpu::layers::Padding;
use msssim_cuda::network::{
    Adam, Agenda, Buffer, Comparison, Conv, Convolution, Dense, DenseLayer, GaussianCode, Measure,
    Network, Precision, Staging,
};
use msssim_cuda::{Params, ProbeError, Size, network};

use super::{Activation, AdamConstants, Backend, Crop, Error, ImageBatch, Layer, Operation};

/// The device, with a stream of its own.
pub struct Cuda {
    network: Network,
}

impl Cuda {
    /// The first device, with layers of some precision.
    ///
    /// # Errors
    /// What is missing for one.
    pub fn new(precision: Precision) -> Result<Self, ProbeError> {
        Ok(Self {
            network: Network::open(0, precision)?,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.network.name()
    }
}

/// A planned layer, and where its parameters lie.
#[derive(Debug)]
pub struct CudaLayer {
    linear: Linear,
    layer: Layer,
}

#[derive(Debug)]
enum Linear {
    /// A transposed one too.
    Conv(Box<Convolution>),
    Dense(Box<DenseLayer>),
}

/// What has become of a step's calls.
pub enum Recording {
    /// They went through once, so that what they upload at first is there.
    Warm,
    /// They are a graph.
    Recorded(network::Recording),
}

impl super::Staging for Staging {
    fn planes(&mut self) -> Result<Vec<&mut [f32]>, Error> {
        Ok(Self::planes(self)?)
    }

    fn send(&mut self, samples: usize) -> Result<(), Error> {
        Ok(Self::send(self, samples)?)
    }
}

impl Backend for Cuda {
    type Buffer = Buffer;
    type Layer = CudaLayer;
    type Gaussian = GaussianCode;
    type Measure = Measure;
    type Recording = Recording;

    fn repeat(
        &self,
        recording: &mut Option<Recording>,
        calls: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        match recording {
            None => {
                calls()?;
                *recording = Some(Recording::Warm);
            }
            Some(Recording::Warm) => {
                let recorded = self.network.record(calls)?;
                self.network.replay(&recorded)?;
                *recording = Some(Recording::Recorded(recorded));
            }
            Some(Recording::Recorded(recorded)) => self.network.replay(recorded)?,
        }
        Ok(())
    }

    type Agenda = Agenda;

    fn plan_agenda(
        &self,
        capacity: usize,
        crops: [usize; 3],
        coefficients: usize,
        noise: usize,
    ) -> Result<Option<Agenda>, Error> {
        let agenda = self
            .network
            .plan_agenda(capacity, crops, coefficients, noise)?;
        Ok(Some(agenda))
    }

    type Staging = Staging;

    fn show(
        &self,
        agenda: &mut Agenda,
        inputs: Option<&[f32]>,
        targets: &[f32],
    ) -> Result<(), Error> {
        Ok(self.network.show(agenda, inputs, targets)?)
    }

    fn stream_images(
        &self,
        agenda: &mut Agenda,
        samples: usize,
        alike: bool,
    ) -> Result<Staging, Error> {
        Ok(self.network.stream_images(agenda, samples, alike)?)
    }

    fn stage(&self, agenda: &Agenda, staging: &mut Staging) -> Result<(), Error> {
        Ok(self.network.stage(agenda, staging)?)
    }

    fn turn(&self, agenda: &mut Agenda, staging: &mut Staging) -> Result<(), Error> {
        Ok(self.network.turn(agenda, staging)?)
    }

    fn write_agenda(
        &self,
        agenda: &mut Agenda,
        crops: &[Crop],
        coefficients: &[f32],
        noise: &[f32],
    ) -> Result<(), Error> {
        // What does not fit 32 bits is refused with the crops that leave their images.
        let int = |n: usize| i32::try_from(n).unwrap_or(-1);
        let crops: Vec<network::Crop> = crops
            .iter()
            .map(|crop| network::Crop {
                first: int(crop.first),
                row: int(crop.row),
                plane: int(crop.plane),
                symmetry: crop.symmetry.into(),
            })
            .collect();
        Ok(self
            .network
            .write_agenda(agenda, &crops, coefficients, noise)?)
    }

    fn take_step(&self, agenda: &mut Agenda) {
        self.network.take_step(agenda);
    }

    fn begin_step(
        &self,
        agenda: &Agenda,
        input: &mut Buffer,
        target: &mut Buffer,
        coefficients: &mut Buffer,
        noise: Option<&mut Buffer>,
    ) -> Result<(), Error> {
        Ok(self
            .network
            .begin_step(agenda, [input, target], coefficients, noise)?)
    }

    fn end_step(
        &self,
        agenda: &Agenda,
        measure: &Measure,
        gaussian: Option<&GaussianCode>,
    ) -> Result<(), Error> {
        Ok(self.network.end_step(agenda, measure, gaussian)?)
    }

    fn recorded(&self, agenda: &Agenda) -> Result<Vec<[f64; 2]>, Error> {
        Ok(self.network.recorded(agenda)?)
    }

    fn zeros(&self, len: usize) -> Result<Buffer, Error> {
        Ok(self.network.zeros(len)?)
    }

    fn upload(&self, values: &[f32], buffer: &mut Buffer) -> Result<(), Error> {
        Ok(self.network.upload(values, buffer)?)
    }

    fn download(&self, buffer: &Buffer, values: &mut [f32]) -> Result<(), Error> {
        Ok(self.network.download(buffer, values)?)
    }

    fn plan_layer(&self, layer: &Layer) -> Result<CudaLayer, Error> {
        // Too large for 32 bits is too large for the kernels, and is refused as any other such shape.
        let int = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let activation = match layer.activation {
            Activation::Identity => network::Activation::Identity,
            Activation::Relu => network::Activation::Relu,
            Activation::Sigmoid => network::Activation::Sigmoid,
        };
        let linear = match layer.operation {
            Operation::Conv2d(shape) | Operation::ConvTranspose2d(shape) => {
                Linear::Conv(Box::new(self.network.plan_conv2d(Conv {
                    images: int(shape.batch),
                    in_channels: int(shape.in_channels),
                    out_channels: int(shape.out_channels),
                    height: int(shape.height),
                    width: int(shape.width),
                    kernel: int(shape.kernel),
                    stride: int(shape.stride),
                    replicate: shape.padding == Padding::Replicate,
                    transposed: matches!(layer.operation, Operation::ConvTranspose2d(_)),
                    activation,
                })?))
            }
            Operation::Dense(shape) => Linear::Dense(Box::new(self.network.plan_dense(Dense {
                images: int(shape.batch),
                inputs: int(shape.inputs),
                outputs: int(shape.outputs),
                activation,
            })?)),
        };
        Ok(CudaLayer {
            linear,
            layer: layer.clone(),
        })
    }

    fn layer_forward(
        &self,
        CudaLayer { linear, layer }: &mut CudaLayer,
        parameters: &Buffer,
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<(), Error> {
        let (network, p) = (&self.network, parameters);
        let ranges = [layer.weight.clone(), layer.bias.clone()];
        match linear {
            Linear::Conv(conv) => network.conv2d_forward(conv, p, ranges, input, output)?,
            Linear::Dense(dense) => network.dense_forward(dense, p, ranges, input, output)?,
        }
        Ok(())
    }

    fn layer_backward(
        &self,
        CudaLayer { linear, layer }: &mut CudaLayer,
        parameters: &Buffer,
        input: &Buffer,
        output: &Buffer,
        doutput: &mut Buffer,
        dinput: Option<&mut Buffer>,
        dparameters: &mut Buffer,
    ) -> Result<(), Error> {
        let (network, p, dp) = (&self.network, parameters, dparameters);
        let ranges = [layer.weight.clone(), layer.bias.clone()];
        match linear {
            Linear::Conv(conv) => {
                network.conv2d_backward(conv, p, ranges, input, output, doutput, dinput, dp)?;
            }
            Linear::Dense(dense) => {
                network.dense_backward(dense, p, ranges, input, output, doutput, dinput, dp)?;
            }
        }
        Ok(())
    }

    fn plan_gaussian(&self, images: usize, code: usize) -> Result<GaussianCode, Error> {
        Ok(self.network.plan_gaussian(images, code)?)
    }

    fn gaussian_forward(
        &self,
        gaussian: &mut GaussianCode,
        moments: &Buffer,
        noise: &Buffer,
        code: &mut Buffer,
    ) -> Result<(), Error> {
        Ok(self
            .network
            .gaussian_forward(gaussian, moments, noise, code)?)
    }

    fn gaussian_backward(
        &self,
        gaussian: &mut GaussianCode,
        moments: &Buffer,
        noise: &Buffer,
        factor: f32,
        dcode: &Buffer,
        dmoments: &mut Buffer,
    ) -> Result<(), Error> {
        Ok(self
            .network
            .gaussian_backward(gaussian, moments, noise, factor, dcode, dmoments)?)
    }

    fn divergence(&self, gaussian: &GaussianCode) -> Result<f64, Error> {
        let of_images = self.network.divergences(gaussian)?;
        Ok(of_images.iter().sum::<f64>() / of_images.len() as f64)
    }

    fn plan_measure(&self, measure: super::Measure, batch: ImageBatch) -> Result<Measure, Error> {
        batch.checked_len()?;
        let params = Params {
            data_range: 1.0,
            ..Params::SNELL_2017
        };
        let comparison = match measure {
            super::Measure::SquaredError => Comparison::SquaredError,
            super::Measure::AbsoluteError => Comparison::AbsoluteError,
            super::Measure::MsSsim => Comparison::MsSsim(params),
            super::Measure::Blend { score, error } => Comparison::Blend {
                params,
                score,
                error,
            },
        };
        let size = Size {
            width: batch.width,
            height: batch.height,
        };
        Ok(self
            .network
            .plan_measure(comparison, batch.images, batch.channels, size)?)
    }

    fn measure_and_gradient(
        &self,
        measure: &mut Measure,
        reference: &Buffer,
        distorted: &Buffer,
        factor: f32,
        gradient: &mut Buffer,
    ) -> Result<(), Error> {
        Ok(self
            .network
            .measure_and_gradient(measure, reference, distorted, factor, gradient)?)
    }

    fn measured(&self, measure: &Measure) -> Result<f64, Error> {
        let of_images = self.network.measured(measure)?;
        Ok(of_images.iter().sum::<f64>() / of_images.len() as f64)
    }

    fn adam(
        &self,
        constants: &AdamConstants,
        coefficients: &Buffer,
        gradient: &Buffer,
        first_moment: &mut Buffer,
        second_moment: &mut Buffer,
        parameters: &mut Buffer,
    ) -> Result<(), Error> {
        let constants = Adam {
            beta1: constants.beta1,
            beta2: constants.beta2,
            complement1: constants.complement1,
            complement2: constants.complement2,
            epsilon: constants.epsilon,
        };
        let state = [first_moment, second_moment];
        Ok(self
            .network
            .adam(&constants, coefficients, gradient, state, parameters)?)
    }

    fn sgd(
        &self,
        momentum: f32,
        last_layer: usize,
        coefficients: &Buffer,
        gradient: &Buffer,
        velocity: &mut Buffer,
        parameters: &mut Buffer,
    ) -> Result<(), Error> {
        Ok(self.network.sgd(
            momentum,
            last_layer,
            coefficients,
            gradient,
            velocity,
            parameters,
        )?)
    }
}
