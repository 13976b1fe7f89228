//! `--csv`: a table of all pairs, written whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use msssim_core::{ScaleMeans, Score};

use super::super::{Failure, Outcome};
use super::Arguments;
use super::comparison::Comparison;
use super::pairs::Pair;
use crate::atomic_file;

/// A pair, and what became of it.
pub(super) struct Row {
    reference: PathBuf,
    distorted: PathBuf,
    /// What makes the score another than the preset's.
    options: String,
    /// The score, and those of the channels.
    outcome: Result<(Score, Vec<Score>), String>,
}

impl Row {
    pub(super) fn scored(arguments: &Arguments, pair: &Pair, comparison: &Comparison) -> Self {
        let channels = comparison.channels.iter().map(|(_, score)| *score);
        Self {
            reference: pair.reference.clone(),
            distorted: pair.distorted.clone(),
            options: arguments.deviations(comparison.small).join(" "),
            outcome: Ok((comparison.score, channels.collect())),
        }
    }

    pub(super) fn failed(arguments: &Arguments, pair: &Pair, words: String) -> Self {
        Self {
            reference: pair.reference.clone(),
            distorted: pair.distorted.clone(),
            options: arguments.deviations(false).join(" "),
            outcome: Err(words),
        }
    }

    /// The cells, as [`header`] names them.
    fn cells(&self, arguments: &Arguments, scales: usize) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or_else(String::new, |v| v.to_string());
        let scored = self.outcome.as_ref().ok();
        let mut cells = vec![
            self.reference.display().to_string(),
            self.distorted.display().to_string(),
            arguments.preset.name().to_owned(),
            self.options.clone(),
            number(scored.map(|(score, _)| score.value)),
        ];
        for channel in 0..arguments.channels.names().len() {
            let score = scored.and_then(|(_, channels)| channels.get(channel));
            cells.push(number(score.map(|score| score.value)));
        }
        if arguments.per_scale {
            for scale in 0..scales {
                let means = scored.and_then(|(score, _)| score.scales().get(scale));
                cells.extend(terms(means).map(number));
            }
        }
        cells.push(self.outcome.as_ref().err().cloned().unwrap_or_default());
        cells
    }
}

/// Names of the terms of a scale.
const TERMS: [&str; 5] = ["l", "c", "s", "cs", "ssim"];

/// Their means.
fn terms(means: Option<&ScaleMeans>) -> [Option<f64>; 5] {
    let apart = means.and_then(|means| means.apart);
    [
        apart.map(|apart| apart.luminance),
        apart.map(|apart| apart.contrast),
        apart.map(|apart| apart.structure),
        means.map(|means| means.cs),
        means.and_then(|means| means.ssim),
    ]
}

fn header(arguments: &Arguments, scales: usize) -> Vec<String> {
    let mut names: Vec<String> = ["reference", "distorted", "preset", "options", "ms_ssim"]
        .map(str::to_owned)
        .to_vec();
    let channels = arguments.channels.names().iter();
    names.extend(channels.map(|name| format!("ms_ssim_{name}")));
    if arguments.per_scale {
        for scale in 1..=scales {
            names.extend(TERMS.map(|term| format!("{term}_{scale}")));
        }
    }
    names.push("error".into());
    names
}

/// Writes the table; those that could not be scored have no numbers but the reason.
pub(super) fn write(path: &Path, arguments: &Arguments, rows: &[Row]) -> Outcome {
    let scored = rows.iter().flat_map(|row| &row.outcome);
    let scales = scored.map(|(score, _)| score.scales().len()).max();
    let scales = scales.unwrap_or(0);
    atomic_file::write(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        let mut record = |cells: Vec<String>| table.write_record(cells).map_err(io::Error::from);
        record(header(arguments, scales))?;
        for row in rows {
            record(row.cells(arguments, scales))?;
        }
        table.flush()
    })
    .map_err(|error| Failure::Message(format!("{}: cannot be written: {error}", path.display())))
}
