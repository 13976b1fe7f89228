//! Choosing kernel and cost by cross-validation, and predicting with what was chosen.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::kernel::Distances;
use super::svm::Machine;
use super::{Kernel, KernelMatrix, TUBE};

/// Parts of the learning samples, each predicted once from the others.
pub const FOLDS: usize = 5;

/// Widths of the radial kernel that are tried.
const GAMMAS: [f64; 4] = [0.1, 0.3, 1.0, 3.0];

/// Costs that are tried for classification.
const CLASS_COSTS: [f64; 2] = [10.0, 100.0];

/// Costs that are tried for regression; degrees are large numbers.
const VALUE_COSTS: [f64; 2] = [100.0, 1000.0];

/// Parameters of a machine, and how they did in cross-validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// How samples are compared.
    pub kernel: Kernel,
    /// What a sample on the wrong side costs: C.
    pub cost: f64,
    /// The error over the learning samples, each predicted from the other parts: percent for
    /// identity, degrees squared for angles.
    pub cross_validated: f64,
}

/// The kernels that are tried: for classification the linear one too. Angles are no linear matter: on the
/// codes of Extended Yale B it erred more than twice as much.
fn kernels(linear: bool) -> Vec<Kernel> {
    let linear = linear.then_some(Kernel::Linear);
    let radial = GAMMAS.map(|gamma| Kernel::Rbf { gamma });
    linear.into_iter().chain(radial).collect()
}

/// Chooses a classifier on the samples `train` and predicts the labels of the samples `test`.
pub(super) fn classify(
    distances: &Distances,
    labels: &[u32],
    train: &[usize],
    test: &[usize],
) -> (Choice, Vec<u32>) {
    let predict = |kernel: &KernelMatrix, cost, train: &[usize], test: &[usize]| {
        one_against_one(kernel, labels, train, test, cost)
    };
    let error = |predicted: &[(usize, u32)]| {
        let wrong = predicted.iter().filter(|(at, label)| labels[*at] != *label);
        100.0 * wrong.count() as f64 / predicted.len() as f64
    };
    choose(
        distances,
        (&kernels(true), &CLASS_COSTS),
        train,
        test,
        predict,
        error,
    )
}

/// Chooses a regression on the samples `train` and predicts the targets of the samples `test`.
pub(super) fn regress(
    distances: &Distances,
    targets: &[f64],
    train: &[usize],
    test: &[usize],
) -> (Choice, Vec<f64>) {
    let predict = |kernel: &KernelMatrix, cost, train: &[usize], test: &[usize]| {
        let known = train.iter().map(|at| targets[*at]).collect();
        let machine = Machine::approximate(kernel, train, known, cost, TUBE);
        test.iter().map(|at| machine.at(kernel, *at)).collect()
    };
    let error = |predicted: &[(usize, f64)]| {
        mean_squared_error(predicted.iter().map(|(at, value)| (*value, targets[*at])))
    };
    choose(
        distances,
        (&kernels(false), &VALUE_COSTS),
        train,
        test,
        predict,
        error,
    )
}

/// The candidate of least cross-validated error, the first of equals, and what it predicts for
/// `test` after learning from all of `train`.
///
/// `predict(kernel, cost, learn, tell)` learns from some samples and tells of others.
fn choose<T: Copy + Send>(
    distances: &Distances,
    (kernels, costs): (&[Kernel], &[f64]),
    train: &[usize],
    test: &[usize],
    predict: impl Fn(&KernelMatrix, f64, &[usize], &[usize]) -> Vec<T> + Sync,
    error: impl Fn(&[(usize, T)]) -> f64,
) -> (Choice, Vec<T>) {
    assert!(
        !train.is_empty() && !test.is_empty(),
        "a part without samples"
    );
    let mut best: Option<Choice> = None;
    for kernel in kernels {
        let matrix = distances.matrix(*kernel);
        let jobs: Vec<(f64, usize)> = costs
            .iter()
            .flat_map(|cost| (0..FOLDS).map(|fold| (*cost, fold)))
            .collect();
        let predictions: Vec<Vec<(usize, T)>> = jobs
            .par_iter()
            .map(|(cost, fold)| {
                let (tell, learn) = fold_of(train, *fold);
                if tell.is_empty() || learn.is_empty() {
                    return Vec::new();
                }
                let told = predict(&matrix, *cost, &learn, &tell);
                tell.into_iter().zip(told).collect()
            })
            .collect();
        for (cost, predictions) in costs.iter().zip(predictions.chunks(FOLDS)) {
            let cross_validated = error(&predictions.concat());
            if best.is_none_or(|best| cross_validated < best.cross_validated) {
                best = Some(Choice {
                    kernel: *kernel,
                    cost: *cost,
                    cross_validated,
                });
            }
        }
    }
    let Some(best) = best else {
        unreachable!("something is tried")
    };
    let told = predict(&distances.matrix(best.kernel), best.cost, train, test);
    (best, told)
}

/// Part `fold` of the samples, every fifth, and the others. Where samples of a subject follow each other, as
/// faces do, all parts have about as many of each.
fn fold_of(samples: &[usize], fold: usize) -> (Vec<usize>, Vec<usize>) {
    let numbered = samples.iter().copied().enumerate();
    let (part, others): (Vec<_>, Vec<_>) = numbered.partition(|(i, _)| i % FOLDS == fold);
    let samples = |part: Vec<(usize, usize)>| part.into_iter().map(|(_, at)| at).collect();
    (samples(part), samples(others))
}

/// A machine for each pair of classes; each gives its vote to one of the two, and of classes with
/// equal votes the smallest label wins, as in LIBSVM.
pub(super) fn one_against_one(
    kernel: &KernelMatrix,
    labels: &[u32],
    train: &[usize],
    test: &[usize],
    cost: f64,
) -> Vec<u32> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for at in train {
        classes.entry(labels[*at]).or_default().push(*at);
    }
    let classes: Vec<(u32, Vec<usize>)> = classes.into_iter().collect();
    let pairs: Vec<(usize, usize)> = (0..classes.len())
        .flat_map(|a| (a + 1..classes.len()).map(move |b| (a, b)))
        .collect();
    let winners: Vec<Vec<usize>> = pairs
        .par_iter()
        .map(|&(a, b)| {
            let machine = Machine::separate(kernel, &classes[a].1, &classes[b].1, cost);
            let winner = |at: &usize| if machine.at(kernel, *at) > 0.0 { a } else { b };
            test.iter().map(winner).collect()
        })
        .collect();
    (0..test.len())
        .map(|i| {
            let mut votes = vec![0usize; classes.len()];
            for winners in &winners {
                votes[winners[i]] += 1;
            }
            let mut most = 0;
            for (class, count) in votes.iter().enumerate() {
                if *count > votes[most] {
                    most = class;
                }
            }
            classes[most].0
        })
        .collect()
}

/// The mean of the squared differences of pairs.
pub(super) fn mean_squared_error(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut n) = (0.0, 0usize);
    for (a, b) in pairs {
        sum += (a - b) * (a - b);
        n += 1;
    }
    sum / n as f64
}
