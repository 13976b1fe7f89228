//! All numbers that a network learns: one flat buffer with named ranges.
//!
//! The optimiser and the device see one slice; a layer sees its ranges; a file sees names and
//! shapes.

use std::ops::Range;

/// A named range of the flat buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// As PyTorch would call it: `conv1.weight`.
    pub name: String,
    /// The longest stride first; weights are `out x in x height x width`.
    pub shape: Vec<usize>,
    /// Where it lies.
    pub range: Range<usize>,
}

/// The tensors of a network, one after another without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    tensors: Vec<Tensor>,
}

impl Layout {
    /// Appends a tensor and returns its range.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize]) -> Range<usize> {
        let start = self.len();
        let range = start..start + shape.iter().product::<usize>();
        self.tensors.push(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            range: range.clone(),
        });
        range
    }

    /// The tensors in the order of the buffer.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.range.end)
    }

    /// The first parameter of the last layer, whose weights and biases are the last two tensors.
    pub fn last_layer(&self) -> usize {
        match &self.tensors[..] {
            [.., weight, _] => weight.range.start,
            _ => 0,
        }
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values of all parameters of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    layout: Layout,
    values: Vec<f32>,
}

impl Parameters {
    /// Zeros everywhere.
    pub fn zeros(layout: Layout) -> Self {
        let values = vec![0.0; layout.len()];
        Self { layout, values }
    }

    /// The names, shapes and ranges.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to change.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The values of the tensor `name`, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        let tensor = self.layout.tensors.iter().find(|t| t.name == name)?;
        Some(&self.values[tensor.range.clone()])
    }

    /// The name of the first tensor that holds a NaN or an infinity, if any does.
    pub fn first_not_finite(&self) -> Option<&str> {
        let not_finite = |t: &&Tensor| self.values[t.range.clone()].iter().any(|v| !v.is_finite());
        Some(&self.layout.tensors.iter().find(not_finite)?.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Parameters {
        let mut layout = Layout::default();
        assert_eq!(layout.push("conv1.weight", &[2, 1, 3, 3]), 0..18);
        assert_eq!(layout.push("conv1.bias", &[2]), 18..20);
        Parameters::zeros(layout)
    }

    #[test]
    fn tensors_follow_each_other() {
        let mut parameters = small();
        assert_eq!(parameters.layout().len(), 20);
        parameters.values_mut()[19] = 5.0;
        assert_eq!(parameters.tensor("conv1.bias"), Some(&[0.0, 5.0][..]));
        assert_eq!(parameters.tensor("conv2.bias"), None);
    }

    #[test]
    fn the_tensor_with_a_nan_is_named() {
        let mut parameters = small();
        assert_eq!(parameters.first_not_finite(), None);
        parameters.values_mut()[18] = f32::INFINITY;
        assert_eq!(parameters.first_not_finite(), Some("conv1.bias"));
    }
}
