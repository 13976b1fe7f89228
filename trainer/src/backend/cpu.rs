//! The CPU as a device: vectors, and the layers and the metric of `msssim_cpu`.
//!
//! Results are the same bits for any number of threads: sums over images run on one thread each
//! and are added in the order of the images.

mod measure;

use std::convert::Infallible;

use msssim_cpu::layers::{
    Conv2d, Conv2dWorkspace, Dense, DenseWorkspace, GaussianCode, TransposedConv2d, relu_backward,
    relu_forward, sigmoid_backward, sigmoid_forward,
};
use rayon::prelude::*;

use super::{
    Activation, AdamConstants, Backend, Crop, Error, ImageBatch, Layer, Measure, Operation,
};

pub use measure::CpuMeasure;

/// Numbers that one task updates.
const CHUNK: usize = 1 << 13;

/// The threads of the current rayon pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

/// A planned layer.
#[derive(Clone, Debug)]
pub struct CpuLayer {
    linear: Linear,
    layer: Layer,
}

#[derive(Clone, Debug)]
enum Linear {
    Conv2d(Conv2d, Conv2dWorkspace),
    ConvTranspose2d(TransposedConv2d, Conv2dWorkspace),
    Dense(Dense, DenseWorkspace),
}

impl Backend for Cpu {
    type Buffer = Vec<f32>;
    type Layer = CpuLayer;
    type Gaussian = GaussianCode;
    type Measure = CpuMeasure;
    type Recording = Infallible;

    fn repeat(
        &self,
        _recording: &mut Option<Infallible>,
        calls: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        calls()
    }

    // The host is the device: batches are made by the loader's threads.
    type Agenda = Infallible;

    fn plan_agenda(
        &self,
        _capacity: usize,
        _crops: [usize; 3],
        _coefficients: usize,
        _noise: usize,
    ) -> Result<Option<Infallible>, Error> {
        Ok(None)
    }

    type Staging = Infallible;

    fn show(&self, agenda: &mut Infallible, _: Option<&[f32]>, _: &[f32]) -> Result<(), Error> {
        match *agenda {}
    }

    fn stream_images(
        &self,
        agenda: &mut Infallible,
        _: usize,
        _: bool,
    ) -> Result<Infallible, Error> {
        match *agenda {}
    }

    fn stage(&self, agenda: &Infallible, _: &mut Infallible) -> Result<(), Error> {
        match *agenda {}
    }

    fn turn(&self, agenda: &mut Infallible, _: &mut Infallible) -> Result<(), Error> {
        match *agenda {}
    }

    fn write_agenda(
        &self,
        agenda: &mut Infallible,
        _: &[Crop],
        _: &[f32],
        _: &[f32],
    ) -> Result<(), Error> {
        match *agenda {}
    }

    fn take_step(&self, agenda: &mut Infallible) {
        match *agenda {}
    }

    fn begin_step(
        &self,
        agenda: &Infallible,
        _: &mut Vec<f32>,
        _: &mut Vec<f32>,
        _: &mut Vec<f32>,
        _: Option<&mut Vec<f32>>,
    ) -> Result<(), Error> {
        match *agenda {}
    }

    fn end_step(
        &self,
        agenda: &Infallible,
        _: &CpuMeasure,
        _: Option<&GaussianCode>,
    ) -> Result<(), Error> {
        match *agenda {}
    }

    fn recorded(&self, agenda: &Infallible) -> Result<Vec<[f64; 2]>, Error> {
        match *agenda {}
    }

    fn zeros(&self, len: usize) -> Result<Vec<f32>, Error> {
        Ok(vec![0.0; len])
    }

    fn upload(&self, values: &[f32], buffer: &mut Vec<f32>) -> Result<(), Error> {
        buffer[..values.len()].copy_from_slice(values);
        Ok(())
    }

    fn download(&self, buffer: &Vec<f32>, values: &mut [f32]) -> Result<(), Error> {
        values.copy_from_slice(&buffer[..values.len()]);
        Ok(())
    }

    fn plan_layer(&self, layer: &Layer) -> Result<CpuLayer, Error> {
        let linear = match layer.operation {
            Operation::Conv2d(shape) => {
                let conv = Conv2d::new(shape)?;
                let workspace = conv.workspace();
                Linear::Conv2d(conv, workspace)
            }
            Operation::ConvTranspose2d(shape) => {
                let conv = TransposedConv2d::new(shape)?;
                let workspace = conv.workspace();
                Linear::ConvTranspose2d(conv, workspace)
            }
            Operation::Dense(shape) => {
                let dense = Dense::new(shape)?;
                Linear::Dense(dense, dense.workspace())
            }
        };
        Ok(CpuLayer {
            linear,
            layer: layer.clone(),
        })
    }

    fn layer_forward(
        &self,
        CpuLayer { linear, layer }: &mut CpuLayer,
        parameters: &Vec<f32>,
        input: &Vec<f32>,
        output: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let w = &parameters[layer.weight.clone()];
        let bias = &parameters[layer.bias.clone()];
        // Convolutions have their ReLU in the same pass.
        let relu = layer.activation == Activation::Relu && !matches!(linear, Linear::Dense(..));
        match linear {
            Linear::Conv2d(conv, workspace) if relu => {
                conv.forward_relu(workspace, input, w, bias, output);
            }
            Linear::ConvTranspose2d(conv, workspace) if relu => {
                conv.forward_relu(workspace, input, w, bias, output);
            }
            Linear::Conv2d(conv, workspace) => conv.forward(workspace, input, w, bias, output),
            Linear::ConvTranspose2d(conv, workspace) => {
                conv.forward(workspace, input, w, bias, output);
            }
            Linear::Dense(dense, workspace) => dense.forward(workspace, input, w, bias, output),
        }
        match layer.activation {
            Activation::Relu if !relu => relu_forward(output),
            Activation::Sigmoid => sigmoid_forward(output),
            Activation::Identity | Activation::Relu => {}
        }
        Ok(())
    }

    fn layer_backward(
        &self,
        CpuLayer { linear, layer }: &mut CpuLayer,
        parameters: &Vec<f32>,
        input: &Vec<f32>,
        output: &Vec<f32>,
        doutput: &mut Vec<f32>,
        dinput: Option<&mut Vec<f32>>,
        dparameters: &mut Vec<f32>,
    ) -> Result<(), Error> {
        match layer.activation {
            Activation::Identity => {}
            Activation::Relu => relu_backward(output, doutput),
            Activation::Sigmoid => sigmoid_backward(output, doutput),
        }
        // The two ranges of one buffer, whichever comes first.
        let [dw, dbias] = dparameters
            .get_disjoint_mut([layer.weight.clone(), layer.bias.clone()])
            .expect("a layer's weights and biases lie apart, inside the parameters");
        let w = &parameters[layer.weight.clone()];
        match linear {
            Linear::Conv2d(conv, workspace) => {
                conv.backward_weight(workspace, doutput, input, dw, dbias);
                if let Some(dinput) = dinput {
                    conv.backward_input(workspace, doutput, w, dinput);
                }
            }
            Linear::ConvTranspose2d(conv, workspace) => {
                conv.backward_weight(workspace, doutput, input, dw, dbias);
                if let Some(dinput) = dinput {
                    conv.backward_input(workspace, doutput, w, dinput);
                }
            }
            Linear::Dense(dense, workspace) => {
                dense.backward_weight(doutput, input, dw, dbias);
                if let Some(dinput) = dinput {
                    dense.backward_input(workspace, doutput, w, dinput);
                }
            }
        }
        Ok(())
    }

    fn plan_gaussian(&self, images: usize, code: usize) -> Result<GaussianCode, Error> {
        Ok(GaussianCode::new(images, code))
    }

    fn gaussian_forward(
        &self,
        gaussian: &mut GaussianCode,
        moments: &Vec<f32>,
        noise: &Vec<f32>,
        code: &mut Vec<f32>,
    ) -> Result<(), Error> {
        gaussian.forward(moments, noise, code);
        Ok(())
    }

    fn gaussian_backward(
        &self,
        gaussian: &mut GaussianCode,
        moments: &Vec<f32>,
        noise: &Vec<f32>,
        factor: f32,
        dcode: &Vec<f32>,
        dmoments: &mut Vec<f32>,
    ) -> Result<(), Error> {
        gaussian.backward(moments, noise, factor, dcode, dmoments);
        Ok(())
    }

    fn divergence(&self, gaussian: &GaussianCode) -> Result<f64, Error> {
        Ok(gaussian.divergence())
    }

    fn plan_measure(&self, measure: Measure, batch: ImageBatch) -> Result<CpuMeasure, Error> {
        CpuMeasure::new(measure, batch)
    }

    fn measure_and_gradient(
        &self,
        measure: &mut CpuMeasure,
        reference: &Vec<f32>,
        distorted: &Vec<f32>,
        factor: f32,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Error> {
        measure.differentiate(reference, distorted, factor, gradient);
        Ok(())
    }

    fn measured(&self, measure: &CpuMeasure) -> Result<f64, Error> {
        Ok(measure.mean())
    }

    fn adam(
        &self,
        constants: &AdamConstants,
        coefficients: &Vec<f32>,
        gradient: &Vec<f32>,
        first_moment: &mut Vec<f32>,
        second_moment: &mut Vec<f32>,
        parameters: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let AdamConstants {
            beta1,
            beta2,
            complement1,
            complement2,
            epsilon,
        } = *constants;
        let [rate, unbias1, unbias2] = coefficients[..] else {
            panic!("Adam has 3 coefficients, not {}", coefficients.len())
        };
        require_lengths(&[gradient, first_moment, second_moment, parameters]);
        let state = first_moment
            .par_chunks_mut(CHUNK)
            .zip(second_moment.par_chunks_mut(CHUNK));
        parameters
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(state)
            .for_each(|((parameters, gradient), (first, second))| {
                let numbers = parameters.iter_mut().zip(gradient);
                for ((p, &g), (m, v)) in numbers.zip(first.iter_mut().zip(second)) {
                    *m = beta1 * *m + complement1 * g;
                    *v = beta2 * *v + complement2 * (g * g);
                    *p -= rate * (unbias1 * *m) / ((unbias2 * *v).sqrt() + epsilon);
                }
            });
        Ok(())
    }

    fn sgd(
        &self,
        momentum: f32,
        last_layer: usize,
        coefficients: &Vec<f32>,
        gradient: &Vec<f32>,
        velocity: &mut Vec<f32>,
        parameters: &mut Vec<f32>,
    ) -> Result<(), Error> {
        require_lengths(&[gradient, velocity, parameters]);
        let (before, after) = parameters.split_at_mut(last_layer);
        let (velocity_before, velocity_after) = velocity.split_at_mut(last_layer);
        let (gradient_before, gradient_after) = gradient.split_at(last_layer);
        for (rate, gradient, velocity, parameters) in [
            (coefficients[0], gradient_before, velocity_before, before),
            (coefficients[1], gradient_after, velocity_after, after),
        ] {
            for ((p, v), g) in parameters.iter_mut().zip(velocity).zip(gradient) {
                *v = momentum * *v + rate * g;
                *p -= *v;
            }
        }
        Ok(())
    }
}

fn require_lengths(buffers: &[&Vec<f32>]) {
    let lengths: Vec<usize> = buffers.iter().map(|buffer| buffer.len()).collect();
    assert!(
        lengths.iter().all(|len| *len == lengths[0]),
        "gradient, state and parameters hold {lengths:?} numbers"
    );
}
