//! The learning rate over the steps.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate changes from the first step to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// A linear rise over the first `warm_up` steps, then half a cosine down to 0, which it would
    /// reach one step after the last (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Steps before the full rate is reached.
        warm_up: u64,
    },
}

impl Schedule {
    /// The share of the full rate, 0 to 1, at `step` of `steps`; the first step is 0.
    ///
    /// The cosine is `libm`'s, so that it is the same number on every machine.
    pub fn factor(self, step: u64, steps: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine { warm_up } if step < warm_up => (step + 1) as f64 / (warm_up + 1) as f64,
            Self::Cosine { .. } if step >= steps => 0.0,
            Self::Cosine { warm_up } => {
                let done = (step - warm_up) as f64 / (steps - warm_up) as f64;
                0.5 * (1.0 + libm::cos(PI * done))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_stays() {
        assert_eq!(Schedule::Constant.factor(0, 10), 1.0);
        assert_eq!(Schedule::Constant.factor(1_000_000, 10), 1.0);
    }

    #[test]
    fn cosine_falls_from_one_to_zero() {
        let cosine = Schedule::Cosine { warm_up: 0 };
        assert_eq!(cosine.factor(0, 8), 1.0);
        assert!((cosine.factor(4, 8) - 0.5).abs() < 1e-15);
        // (1 + cos(7/8 pi)) / 2
        assert!((cosine.factor(7, 8) - 0.038_060_233_744_356_6).abs() < 1e-15);
        assert_eq!(cosine.factor(8, 8), 0.0);
        assert_eq!(cosine.factor(9, 8), 0.0);
    }

    #[test]
    fn warm_up_rises_to_the_full_rate_and_never_stands_still() {
        let cosine = Schedule::Cosine { warm_up: 4 };
        let factors: Vec<f64> = (0..5).map(|step| cosine.factor(step, 20)).collect();
        assert_eq!(factors, [0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(cosine.factor(20, 20), 0.0);
    }

    #[test]
    fn a_warm_up_longer_than_the_run_only_rises() {
        let cosine = Schedule::Cosine { warm_up: 99 };
        assert_eq!(cosine.factor(9, 10), 0.1);
    }
}
