//! The autoencoder whose steps are timed: three 5 x 5 convolutions with stride 2, 512 features, and the
//! mirror image; every layer but the last is rectified.

use msssim_cpu::layers::{
    Conv2d, Conv2dShape, Conv2dWorkspace, Dense, DenseShape, DenseWorkspace, Padding,
    TransposedConv2d, relu_backward, relu_forward,
};
use msssim_trainer::backend::ImageBatch;
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::loss::{Loss, PlannedLoss};
use msssim_trainer::optimizer::{Optimizer, PlannedOptimizer};
use msssim_trainer::training::BatchSource;

use crate::{Failure, Waves};

const FEATURES: usize = 512;

enum Layer {
    Conv(Conv2d, Conv2dWorkspace),
    Transposed(TransposedConv2d, Conv2dWorkspace),
    Dense(Dense, DenseWorkspace),
}

/// A layer, what it made, the gradient by that, and where its parameters begin.
struct Stage {
    layer: Layer,
    rectified: bool,
    output: Vec<f32>,
    doutput: Vec<f32>,
    weights: usize,
    biases: usize,
    first: usize,
}

pub(crate) struct Autoencoder {
    stages: Vec<Stage>,
    input: Vec<f32>,
    target: Vec<f32>,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    loss: PlannedLoss<Cpu>,
    optimizer: PlannedOptimizer<Cpu>,
    steps: u64,
}

impl Autoencoder {
    /// For images of `side`, a multiple of 8, with `filters` in the first layer.
    pub(crate) fn new(
        images: usize,
        side: usize,
        filters: usize,
        loss: Loss,
    ) -> Result<Self, Failure> {
        let widths = [1, filters, 2 * filters, 4 * filters];
        let shape = |level: usize| Conv2dShape {
            batch: images,
            in_channels: widths[level],
            out_channels: widths[level + 1],
            height: side >> level,
            width: side >> level,
            kernel: 5,
            stride: 2,
            padding: Padding::Zero,
        };
        let inner = widths[3] * (side / 8) * (side / 8);
        let mut layers = Vec::new();
        for level in 0..3 {
            let conv = Conv2d::new(shape(level))?;
            let workspace = conv.workspace();
            layers.push(Layer::Conv(conv, workspace));
        }
        for (inputs, outputs) in [(inner, FEATURES), (FEATURES, inner)] {
            let dense = Dense::new(DenseShape {
                batch: images,
                inputs,
                outputs,
            })?;
            let workspace = dense.workspace();
            layers.push(Layer::Dense(dense, workspace));
        }
        for level in (0..3).rev() {
            let conv = TransposedConv2d::new(shape(level))?;
            let workspace = conv.workspace();
            layers.push(Layer::Transposed(conv, workspace));
        }

        let mut stages = Vec::new();
        let (mut first, count) = (0, layers.len());
        for (at, layer) in layers.into_iter().enumerate() {
            let (weights, biases, output) = match &layer {
                Layer::Conv(conv, _) => {
                    let shape = conv.shape();
                    (shape.weight_len(), shape.out_channels, shape.output_len())
                }
                Layer::Transposed(conv, _) => {
                    let shape = conv.reversed();
                    (shape.weight_len(), shape.in_channels, shape.input_len())
                }
                Layer::Dense(dense, _) => {
                    let shape = dense.shape();
                    (shape.weight_len(), shape.outputs, shape.output_len())
                }
            };
            stages.push(Stage {
                layer,
                rectified: at + 1 < count,
                output: vec![0.0; output],
                doutput: vec![0.0; output],
                weights,
                biases,
                first,
            });
            first += weights + biases;
        }
        // Small and of both signs.
        let parameters = (0..first)
            .map(|at| ((at * 7919 % 1009) as f32 - 504.0) / 25e3)
            .collect();
        let batch = ImageBatch {
            images,
            channels: 1,
            height: side,
            width: side,
        };
        let [mut input, mut target] = [(); 2].map(|()| vec![0.0; images * side * side]);
        let Ok(()) = Waves.fill(0, &mut input, &mut target);
        Ok(Self {
            stages,
            input,
            target,
            parameters,
            gradient: vec![0.0; first],
            loss: PlannedLoss::new(&Cpu, loss, batch)?,
            optimizer: PlannedOptimizer::new(&Cpu, Optimizer::ADAM, first, 0)?,
            steps: 0,
        })
    }

    pub(crate) fn step(&mut self) -> Result<(), Failure> {
        for at in 0..self.stages.len() {
            let (before, stage) = self.stages.split_at_mut(at);
            let input = before.last().map_or(&self.input, |stage| &stage.output);
            stage[0].forward(&self.parameters, input);
        }
        if let Some(last) = self.stages.last_mut() {
            let (target, loss) = (&self.target, &mut self.loss);
            loss.forward_backward(&Cpu, target, &last.output, &mut last.doutput)?;
        }
        for at in (0..self.stages.len()).rev() {
            let (before, stage) = self.stages.split_at_mut(at);
            let (input, dinput) = match before.last_mut() {
                Some(Stage {
                    output, doutput, ..
                }) => (&*output, Some(doutput)),
                None => (&self.input, None),
            };
            stage[0].backward(&self.parameters, input, dinput, &mut self.gradient);
        }
        self.optimizer.prepare(&Cpu, self.steps, 1.0)?;
        self.optimizer
            .update(&Cpu, &self.gradient, &mut self.parameters)?;
        self.steps += 1;
        Ok(())
    }
}

impl Stage {
    fn forward(&mut self, parameters: &[f32], input: &[f32]) {
        let (weight, rest) = parameters[self.first..].split_at(self.weights);
        let (bias, output) = (&rest[..self.biases], &mut self.output[..]);
        match &mut self.layer {
            Layer::Conv(conv, workspace) => {
                conv.forward_relu(workspace, input, weight, bias, output);
            }
            Layer::Transposed(conv, workspace) if self.rectified => {
                conv.forward_relu(workspace, input, weight, bias, output);
            }
            Layer::Transposed(conv, workspace) => {
                conv.forward(workspace, input, weight, bias, output);
            }
            Layer::Dense(dense, workspace) => {
                dense.forward(workspace, input, weight, bias, output);
                relu_forward(output);
            }
        }
    }

    fn backward(
        &mut self,
        parameters: &[f32],
        input: &[f32],
        dinput: Option<&mut Vec<f32>>,
        gradient: &mut [f32],
    ) {
        if self.rectified {
            relu_backward(&self.output, &mut self.doutput);
        }
        let weight = &parameters[self.first..][..self.weights];
        let (dweight, rest) = gradient[self.first..].split_at_mut(self.weights);
        let (dbias, doutput) = (&mut rest[..self.biases], &self.doutput[..]);
        match &mut self.layer {
            Layer::Conv(conv, workspace) => {
                conv.backward_weight(workspace, doutput, input, dweight, dbias);
                if let Some(dinput) = dinput {
                    conv.backward_input(workspace, doutput, weight, dinput);
                }
            }
            Layer::Transposed(conv, workspace) => {
                conv.backward_weight(workspace, doutput, input, dweight, dbias);
                if let Some(dinput) = dinput {
                    conv.backward_input(workspace, doutput, weight, dinput);
                }
            }
            Layer::Dense(dense, workspace) => {
                dense.backward_weight(doutput, input, dweight, dbias);
                if let Some(dinput) = dinput {
                    dense.backward_input(workspace, doutput, weight, dinput);
                }
            }
        }
    }
}
