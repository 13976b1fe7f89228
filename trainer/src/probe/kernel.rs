//! Kernels: how alike two samples are.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::features::Standardised;

/// A kernel of standardised features. Both are scaled by the number of features, so that the same
/// parameters suit a wide bottleneck and a narrow one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// `x . z / features`
    #[default]
    Linear,
    /// `exp(-gamma |x - z|^2 / features)`
    Rbf {
        /// How fast likeness falls with distance.
        gamma: f64,
    },
}

/// Scaled inner products of all pairs of samples, of which every kernel is made.
#[derive(Clone, Debug)]
pub(super) struct Distances {
    /// `x . z / features`, row by row.
    products: Vec<f64>,
    samples: usize,
}

/// The value of a kernel for all pairs of samples.
#[derive(Clone, Debug)]
pub struct KernelMatrix {
    values: Vec<f64>,
    samples: usize,
}

impl Distances {
    pub(super) fn new(features: &Standardised) -> Self {
        let Standardised {
            values,
            samples,
            dimensions,
        } = features;
        let mut products = vec![0.0; samples * samples];
        let row = |at: usize| &values[at * dimensions..][..*dimensions];
        let scale = 1.0 / (*dimensions).max(1) as f64;
        products
            .par_chunks_exact_mut(*samples)
            .enumerate()
            .for_each(|(i, products)| {
                for (j, product) in products.iter_mut().enumerate() {
                    *product = scale * dot(row(i), row(j));
                }
            });
        Self {
            products,
            samples: *samples,
        }
    }

    /// The matrix of a kernel.
    pub(super) fn matrix(&self, kernel: Kernel) -> KernelMatrix {
        let Self { products, samples } = self;
        let values = match kernel {
            Kernel::Linear => products.clone(),
            Kernel::Rbf { gamma } => {
                let mut values = vec![0.0; products.len()];
                values
                    .par_chunks_exact_mut(*samples)
                    .enumerate()
                    .for_each(|(i, values)| {
                        for (j, value) in values.iter_mut().enumerate() {
                            let squares = products[i * samples + i] + products[j * samples + j];
                            let distance = squares - 2.0 * products[i * samples + j];
                            // `libm`'s: the same number on every machine.
                            *value = libm::exp(-gamma * distance.max(0.0));
                        }
                    });
                values
            }
        };
        KernelMatrix {
            values,
            samples: *samples,
        }
    }
}

impl KernelMatrix {
    /// The kernel of samples `i` and `j`.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.samples + j]
    }
}

/// The inner product, in eight sums that are added in a fixed order.
fn dot(x: &[f64], z: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (x, z) = (x.chunks(8), z.chunks(8));
    for (x, z) in x.zip(z) {
        for ((sum, x), z) in sums.iter_mut().zip(x).zip(z) {
            *sum += x * z;
        }
    }
    sums.iter().sum()
}
