//! One invocation: pairs compared side by side, reported in their order, and how it ends.

use std::io::Write;

use rayon::prelude::*;

use super::super::progress::say;
use super::super::{Failure, Outcome};
use super::comparison::{Comparer, Comparison};
use super::gate::Gate;
use super::pairs::{Group, Pair};
use super::{Arguments, csv, lines};
use crate::picture::{Picture, dimensions};
use crate::scorer::Scorer;

/// Pixels of the pairs that are compared side by side, unless a single one has more.
const SIDE_BY_SIDE: u64 = 1 << 26;

/// How many pairs there were of each kind.
#[derive(Default)]
struct Tally {
    scored: usize,
    failed: usize,
    /// Scored by the rule for small images.
    small: usize,
}

/// What opens and compares a pair.
struct Judge {
    comparer: Comparer,
    /// The reference of all pairs.
    shared: Option<Picture>,
}

impl Judge {
    fn pair(&self, pair: &Pair) -> Result<Comparison, Failure> {
        let opened;
        let reference = match &self.shared {
            Some(shared) => shared,
            None => {
                opened = Picture::open(&pair.reference)?;
                &opened
            }
        };
        let distorted = Picture::open(&pair.distorted)?;
        self.comparer.compare(reference, &distorted, pair)
    }

    /// How many of the next pairs are compared at once: one a thread, within some memory.
    fn side_by_side(&self, pairs: &[Pair]) -> usize {
        if pairs.len() == 1 || matches!(self.comparer.scorer, Scorer::Cuda { .. }) {
            return 1;
        }
        let mut pixels = 0;
        let fit = pairs.iter().take(rayon::current_num_threads());
        let fit = fit.take_while(|pair| {
            let (width, height) = dimensions(&pair.distorted).unwrap_or((0, 0));
            pixels += u64::from(width) * u64::from(height);
            pixels <= SIDE_BY_SIDE
        });
        fit.count().max(1)
    }

    /// The outcomes of pairs, in their order.
    fn pairs(&self, pairs: &[Pair]) -> Vec<Result<Comparison, Failure>> {
        match self.comparer.scorer {
            Scorer::Cpu => pairs.par_iter().map(|pair| self.pair(pair)).collect(),
            Scorer::Cuda { .. } => pairs.iter().map(|pair| self.pair(pair)).collect(),
        }
    }
}

/// One invocation: what has been found so far.
pub(super) struct Session<'a> {
    arguments: &'a Arguments,
    judge: Judge,
    several: bool,
    tally: Tally,
    gate: Gate,
    table: Option<Vec<csv::Row>>,
    out: &'a mut dyn Write,
}

impl<'a> Session<'a> {
    /// Nothing is found yet. Of several pairs, or of folders, each is named, and one that fails does
    /// not keep the others from being compared.
    pub(super) fn new(
        arguments: &'a Arguments,
        comparer: Comparer,
        shared: Option<Picture>,
        several: bool,
        out: &'a mut dyn Write,
    ) -> Self {
        Self {
            arguments,
            judge: Judge { comparer, shared },
            several,
            tally: Tally::default(),
            gate: Gate::new(arguments.fail_below),
            table: arguments.csv.is_some().then(Vec::new),
            out,
        }
    }

    /// Compares a group's pairs, and reports them in their order.
    pub(super) fn judge(&mut self, group: &Group) -> Outcome {
        let (mut sum, mut scored) = (0.0, 0);
        let small = self.tally.small;
        let mut rest = &group.pairs[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.judge.side_by_side(rest));
            rest = later;
            let results = self.judge.pairs(now);
            for (pair, result) in now.iter().zip(results) {
                if let Some(value) = self.report(pair, result)? {
                    sum += value;
                    scored += 1;
                }
            }
        }
        if group.of_folders && scored > 0 {
            let mean = sum / scored as f64;
            let small = self.tally.small > small;
            let options = self.arguments.deviations(small);
            lines::mean(self.arguments, options, group, (scored, mean), self.out)?;
        }
        Ok(())
    }

    /// Prints a pair's outcome; the score, if there is one.
    fn report(
        &mut self,
        pair: &Pair,
        result: Result<Comparison, Failure>,
    ) -> Result<Option<f64>, Failure> {
        let comparison = match result {
            Ok(comparison) => comparison,
            // The only one says it itself, as the command's error.
            Err(failure) if !self.several => return Err(failure),
            Err(failure) => {
                let words = failure.to_string();
                say(&format!("msssim: {words}"));
                if self.arguments.json {
                    lines::failed(pair, &words, self.out)?;
                }
                if let Some(table) = &mut self.table {
                    table.push(csv::Row::failed(self.arguments, pair, words));
                }
                self.tally.failed += 1;
                return Ok(None);
            }
        };
        if let (Some(map), Some(path)) = (&comparison.map, self.arguments.map.path()) {
            map.save_png(path)?;
        }
        if self.arguments.json {
            lines::json(self.arguments, pair, &comparison, self.out)?;
        } else {
            let path = self.several.then_some(pair.distorted.as_path());
            lines::text(self.arguments, path, &comparison, self.out)?;
        }
        let value = comparison.score.value;
        self.gate.see(value, &pair.distorted);
        self.tally.scored += 1;
        self.tally.small += usize::from(comparison.small);
        if let Some(table) = &mut self.table {
            table.push(csv::Row::scored(self.arguments, pair, &comparison));
        }
        Ok(Some(value))
    }

    /// Writes the table, and says how it ended.
    pub(super) fn conclude(self) -> Outcome {
        let Tally {
            scored,
            failed,
            small,
        } = self.tally;
        if small > 0 {
            let images = match (small, scored) {
                (1, 1) => "the images are".to_owned(),
                _ => format!("{small} of {scored} pairs are"),
            };
            say(&format!(
                "{images} smaller than {} needs ({} pixels a side): scored by --small {}",
                self.arguments.preset.name(),
                self.judge.comparer.params.smallest_side(),
                self.arguments.small.name(),
            ));
        }
        if let (Some(table), Some(path)) = (&self.table, &self.arguments.csv)
            && scored > 0
        {
            csv::write(path, self.arguments, table)?;
        }
        let below = self.gate.outcome();
        if failed > 0 {
            if let Err(failure) = below {
                say(&format!("msssim: {failure}"));
            }
            let pairs = scored + failed;
            return Err(Failure::Message(format!(
                "{failed} of {pairs} pairs could not be scored, for the reasons above"
            )));
        }
        below
    }
}
