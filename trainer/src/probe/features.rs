//! Numbers that describe samples.

/// Some numbers for each sample, one sample after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dimensions: usize,
}

impl Features {
    /// `values` of `dimensions` numbers for each sample.
    ///
    /// # Panics
    /// If there is no sample, or a part of one.
    pub fn new(values: Vec<f32>, dimensions: usize) -> Self {
        assert!(
            dimensions > 0 && !values.is_empty() && values.len().is_multiple_of(dimensions),
            "{} values are not samples of {dimensions}",
            values.len()
        );
        Self { values, dimensions }
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// Numbers of each sample.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// All numbers, one sample after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The features less their mean over the samples `fitted`, divided by their deviation there.
    /// Features that do not vary there, those of dead units, are left out: one that did elsewhere
    /// would have no scale.
    pub(super) fn standardised(&self, fitted: &[usize]) -> Standardised {
        let row = |at: usize| &self.values[at * self.dimensions..][..self.dimensions];
        let n = fitted.len() as f64;
        let mut mean = vec![0.0f64; self.dimensions];
        for &at in fitted {
            for (mean, value) in mean.iter_mut().zip(row(at)) {
                *mean += f64::from(*value) / n;
            }
        }
        let mut variance = vec![0.0f64; self.dimensions];
        for &at in fitted {
            for ((variance, value), mean) in variance.iter_mut().zip(row(at)).zip(&mean) {
                let d = f64::from(*value) - mean;
                *variance += d * d / n;
            }
        }
        let live: Vec<usize> = (0..self.dimensions)
            .filter(|&k| {
                variance[k].sqrt() > 1e-6 * mean[k].abs().max(f64::from(f32::MIN_POSITIVE))
            })
            .collect();
        let standard = |at: usize, k: usize| (f64::from(row(at)[k]) - mean[k]) / variance[k].sqrt();
        let values = (0..self.samples())
            .flat_map(|at| live.iter().map(move |&k| (at, k)))
            .map(|(at, k)| standard(at, k))
            .collect();
        Standardised {
            values,
            samples: self.samples(),
            dimensions: live.len(),
        }
    }
}

/// Features of mean 0 and deviation 1 over the samples that they were fitted to.
#[derive(Clone, Debug)]
pub(super) struct Standardised {
    /// One sample after the other.
    pub(super) values: Vec<f64>,
    pub(super) samples: usize,
    /// Numbers of each sample; 0 if none varies.
    pub(super) dimensions: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_the_fitted_samples() {
        // The third sample is not fitted, the second feature never moves there.
        let features = Features::new(vec![1.0, 7.0, 3.0, 7.0, 7.0, 9.0], 2);
        let standardised = features.standardised(&[0, 1]);
        assert_eq!(standardised.dimensions, 1);
        assert_eq!(standardised.values, [-1.0, 1.0, 5.0]);
    }
}
