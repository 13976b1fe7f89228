//! Support vector machines over a kernel matrix, by `libsvm-rs`, a port of LIBSVM (Chang and Lin
//! 2011).

use libsvm_rs::train::svm_train;
use libsvm_rs::{KernelType, SvmNode, SvmParameter, SvmProblem, SvmType};

use super::KernelMatrix;

/// A function of samples: a weighted sum of their kernels with some of them, less a constant.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Sample, weight.
    support: Vec<(usize, f64)>,
    threshold: f64,
}

impl Machine {
    /// Separates the samples `positive`, where it becomes positive, from the samples `negative`;
    /// `cost` is C.
    pub(super) fn separate(
        kernel: &KernelMatrix,
        positive: &[usize],
        negative: &[usize],
        cost: f64,
    ) -> Self {
        // LIBSVM counts as positive what comes first.
        let samples = [positive, negative].concat();
        let labels = samples.iter().enumerate();
        let labels = labels.map(|(at, _)| if at < positive.len() { 1.0 } else { -1.0 });
        Self::fit(kernel, &samples, labels.collect(), SvmType::CSvc, cost, 0.0)
    }

    /// Comes within `tube` of `targets`, those of `samples`, as far as `cost` says it is worth.
    pub(super) fn approximate(
        kernel: &KernelMatrix,
        samples: &[usize],
        targets: Vec<f64>,
        cost: f64,
        tube: f64,
    ) -> Self {
        Self::fit(kernel, samples, targets, SvmType::EpsilonSvr, cost, tube)
    }

    fn fit(
        kernel: &KernelMatrix,
        samples: &[usize],
        labels: Vec<f64>,
        svm_type: SvmType,
        cost: f64,
        tube: f64,
    ) -> Self {
        // Diagnostics go nowhere.
        libsvm_rs::set_quiet(true);
        // LIBSVM's form of a kernel matrix: a row begins with its own number, counted from 1.
        let node = |index: usize, value: f64| SvmNode {
            index: index as i32,
            value,
        };
        let row = |(number, &i): (usize, &usize)| {
            let values = samples.iter().enumerate();
            let values = values.map(|(at, &j)| node(at + 1, kernel.at(i, j)));
            std::iter::once(node(0, (number + 1) as f64))
                .chain(values)
                .collect()
        };
        let problem = SvmProblem {
            labels,
            instances: samples.iter().enumerate().map(row).collect(),
        };
        let parameter = SvmParameter {
            svm_type,
            kernel_type: KernelType::Precomputed,
            c: cost,
            p: tube,
            ..SvmParameter::default()
        };
        let model = svm_train(&problem, &parameter);
        let weights = model.sv_coef.first().into_iter().flatten();
        let numbers = model.sv_indices.iter().map(|number| samples[number - 1]);
        Self {
            support: numbers.zip(weights.copied()).collect(),
            threshold: model.rho.first().copied().unwrap_or(0.0),
        }
    }

    /// The function at a sample.
    pub(super) fn at(&self, kernel: &KernelMatrix, sample: usize) -> f64 {
        let terms = self.support.iter();
        let sum: f64 = terms
            .map(|(at, weight)| weight * kernel.at(sample, *at))
            .sum();
        sum - self.threshold
    }
}
