//! Layers one after another, forward and backward.

use super::Network;
use crate::backend::{Backend, Error, Layer};

/// Layers, each working on what the one before made.
#[derive(Debug)]
pub struct Sequence<B: Backend> {
    names: Vec<String>,
    layers: Vec<B::Layer>,
    /// What each layer made last, and how many numbers that is.
    outputs: Vec<(B::Buffer, usize)>,
    /// The gradient by the output of each layer but the last; none unless it is to be trained.
    doutputs: Vec<B::Buffer>,
}

impl<B: Backend> Sequence<B> {
    /// Plans `layers`, at least one.
    ///
    /// # Errors
    /// An [`Error`] when one of them cannot be planned, or something is empty or too large.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn new(backend: &B, layers: &[Layer]) -> Result<Self, Error> {
        assert!(!layers.is_empty(), "no layer");
        let outputs = layers.iter().map(|layer| {
            let len = layer.operation.output_len();
            Ok((backend.zeros(len)?, len))
        });
        Ok(Self {
            names: layers.iter().map(|layer| layer.name.clone()).collect(),
            layers: layers
                .iter()
                .map(|layer| backend.plan_layer(layer))
                .collect::<Result<_, _>>()?,
            outputs: outputs.collect::<Result<_, Error>>()?,
            doutputs: Vec::new(),
        })
    }

    /// The same with memory for [`Sequence::backward`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn for_training(mut self, backend: &B) -> Result<Self, Error> {
        let inner = &self.outputs[..self.outputs.len() - 1];
        self.doutputs = inner
            .iter()
            .map(|(_, len)| backend.zeros(*len))
            .collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// What the last layer made last.
    pub fn output(&self) -> &B::Buffer {
        &self.outputs[self.outputs.len() - 1].0
    }

    /// How many numbers that is.
    pub fn output_len(&self) -> usize {
        self.outputs[self.outputs.len() - 1].1
    }

    /// Runs all layers.
    ///
    /// # Errors
    /// Those of the device.
    pub fn forward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
    ) -> Result<(), Error> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let (before, after) = self.outputs.split_at_mut(i);
            let input = before.last().map_or(input, |(output, _)| output);
            backend.layer_forward(layer, parameters, input, &mut after[0].0)?;
        }
        Ok(())
    }

    /// The gradients by the layers' parameters and, where wanted, by the input, from that by the
    /// output, which is used up; `input` and `parameters` are those of the last [`Sequence::forward`].
    ///
    /// # Errors
    /// Those of the device.
    ///
    /// # Panics
    /// Unless the sequence is [`Sequence::for_training`].
    pub fn backward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
        doutput: &mut B::Buffer,
        mut dinput: Option<&mut B::Buffer>,
        dparameters: &mut B::Buffer,
    ) -> Result<(), Error> {
        assert!(
            self.doutputs.len() + 1 == self.layers.len(),
            "a sequence that is not for training"
        );
        for (i, layer) in self.layers.iter_mut().enumerate().rev() {
            let (before, after) = self.outputs.split_at(i);
            let input = before.last().map_or(input, |(output, _)| output);
            let output = &after[0].0;
            let (dbefore, dafter) = self.doutputs.split_at_mut(i);
            let dinput = dbefore.last_mut().or(dinput.as_deref_mut());
            let doutput = dafter.first_mut().unwrap_or(doutput);
            backend.layer_backward(
                layer,
                parameters,
                input,
                output,
                doutput,
                dinput,
                dparameters,
            )?;
        }
        Ok(())
    }
}

impl<B: Backend> Network<B> for Sequence<B> {
    fn forward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
    ) -> Result<(), Error> {
        Self::forward(self, backend, parameters, input)
    }

    fn output(&self) -> &B::Buffer {
        Self::output(self)
    }

    fn backward(
        &mut self,
        backend: &B,
        parameters: &B::Buffer,
        input: &B::Buffer,
        doutput: &mut B::Buffer,
        dparameters: &mut B::Buffer,
    ) -> Result<(), Error> {
        Self::backward(self, backend, parameters, input, doutput, None, dparameters)
    }

    fn first_not_finite(&self, backend: &B) -> Result<Option<String>, Error> {
        for (name, (output, len)) in self.names.iter().zip(&self.outputs) {
            let mut values = vec![0.0; *len];
            backend.download(output, &mut values)?;
            if values.iter().any(|v| !v.is_finite()) {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }
}
