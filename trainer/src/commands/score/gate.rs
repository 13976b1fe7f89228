//! `--fail-below`: scores as a condition.

use std::path::{Path, PathBuf};

use super::super::{Failure, Outcome};

/// The exit status of scores that are below what was asked for.
pub(in crate::commands) const BELOW: u8 = 3;

/// Reads the least score that is good enough.
pub(super) fn parse(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(least) if (-1.0..=1.0).contains(&least) => Ok(least),
        _ => Err("must be a number from -1 to 1, since no score is above 1"),
    }
}

/// Watches all scores.
pub(super) struct Gate {
    least: Option<f64>,
    seen: usize,
    below: usize,
    /// The lowest of those below, NaN before any number.
    worst: Option<(f64, PathBuf)>,
}

impl Gate {
    /// Lets scores of at least `least` pass, or all.
    pub(super) fn new(least: Option<f64>) -> Self {
        Self {
            least,
            seen: 0,
            below: 0,
            worst: None,
        }
    }

    /// Looks at the score of a file.
    pub(super) fn see(&mut self, score: f64, path: &Path) {
        self.seen += 1;
        if self.least.is_none_or(|least| score >= least) {
            return;
        }
        self.below += 1;
        let lower = match &self.worst {
            Some((worst, _)) => score < *worst || score.is_nan() && !worst.is_nan(),
            None => true,
        };
        if lower {
            self.worst = Some((score, path.to_owned()));
        }
    }

    /// An error with the status of its own if a score was below.
    pub(super) fn outcome(&self) -> Outcome {
        let Some(((worst, path), least)) = self.worst.as_ref().zip(self.least) else {
            return Ok(());
        };
        let (below, seen, path) = (self.below, self.seen, path.display());
        Err(Failure::Below(match seen {
            1 => format!("{path}: the score is {worst}, below {least}"),
            _ => format!(
                "{below} of {seen} scores are below {least}; the lowest is {worst} of {path}"
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_fails_and_is_named_first() {
        let mut gate = Gate::new(Some(0.5));
        gate.see(0.5, Path::new("even"));
        assert!(gate.outcome().is_ok(), "as good as asked for");
        for (score, name) in [(0.25, "low"), (f64::NAN, "nan"), (0.125, "lower")] {
            gate.see(score, Path::new(name));
        }
        let words = gate.outcome().unwrap_err().to_string();
        assert_eq!(
            words,
            "3 of 4 scores are below 0.5; the lowest is NaN of nan"
        );
    }

    #[test]
    fn without_a_condition_everything_passes() {
        let mut gate = Gate::new(None);
        gate.see(f64::NAN, Path::new("nan"));
        assert!(gate.outcome().is_ok(), "nothing was asked for");
    }

    #[test]
    fn conditions_that_nothing_meets_are_refused() {
        for text in ["1.1", "nan", "inf", "high"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("-0.5"), Ok(-0.5));
    }
}
