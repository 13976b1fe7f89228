//! What a run leaves behind about its losses: while it trains as TensorBoard's event files, and at
//! the end as tables and a drawing.
//!
//! | file | content |
//! | --- | --- |
//! | `log.csv` | `loss,step,value` for every step |
//! | `log.jsonl` | the same, a JSON object on each line |
//! | `loss.svg` | the curves |
//! | `tensorboard/LOSS/events.out.tfevents.*` | the scalar `loss` over the steps |

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::loss::Loss;
use crate::report::{curve, standalone};
use crate::run_folder::{RunFolder, RunFolderError};
use crate::tensorboard::EventWriter;

/// The most points of a curve in an event file.
const POINTS: u64 = 10_000;

/// Writes the losses of every step, and draws them; returns the drawing.
///
/// # Errors
/// [`RunFolderError::Write`].
pub fn write(
    folder: &RunFolder,
    curves: &[(Loss, Vec<f32>)],
) -> Result<Option<String>, RunFolderError> {
    let (mut csv, mut json) = (String::from("loss,step,value\n"), String::new());
    for (loss, values) in curves {
        let loss = loss.file_name();
        for (step, value) in values.iter().enumerate() {
            let step = step + 1;
            let _ = writeln!(csv, "{loss},{step},{value}");
            let _ = writeln!(
                json,
                "{{\"loss\":\"{loss}\",\"step\":{step},\"value\":{value}}}"
            );
        }
    }
    folder.write("log.csv", csv.as_bytes())?;
    folder.write("log.jsonl", json.as_bytes())?;
    let widened = |values: &[f32]| values.iter().copied().map(f64::from).collect();
    let curves: Vec<_> = curves
        .iter()
        .map(|(loss, values)| (*loss, widened(values)))
        .collect();
    let drawing = curve::svg(&curves);
    if let Some(drawing) = &drawing {
        folder.write("loss.svg", standalone(drawing).as_bytes())?;
    }
    Ok(drawing)
}

/// Appends the loss to an event file while a network trains; of a long run, means over stretches
/// of steps.
#[derive(Debug)]
pub struct Events {
    writer: io::Result<EventWriter>,
    path: PathBuf,
    stretch: u64,
    sum: f64,
    count: u64,
}

impl Events {
    /// For a network that has taken `done` of `steps` steps. What cannot be written is said at the
    /// end, by [`Events::finish`]: it shall not end the training.
    pub fn new(folder: &RunFolder, loss: Loss, done: u64, steps: u64) -> Self {
        let path = folder.file("tensorboard").join(loss.file_name());
        Self {
            writer: EventWriter::create(&path, done + 1),
            path,
            stretch: steps.div_ceil(POINTS).max(1),
            sum: 0.0,
            count: 0,
        }
    }

    /// The loss at `step`, the first being 1.
    pub fn at(&mut self, step: u64, loss: f32) {
        self.sum += f64::from(loss);
        self.count += 1;
        if step.is_multiple_of(self.stretch) {
            let mean = (self.sum / self.count as f64) as f32;
            (self.sum, self.count) = (0.0, 0);
            if let Ok(writer) = &mut self.writer
                && let Err(error) = writer.scalar("loss", step, mean)
            {
                self.writer = Err(error);
            }
        }
    }

    /// Hands the last points to the file system.
    ///
    /// # Errors
    /// [`RunFolderError::Write`] with what went wrong first.
    pub fn finish(self) -> Result<(), RunFolderError> {
        let flushed = self.writer.and_then(|mut writer| writer.flush());
        flushed.map_err(|error| RunFolderError::Write {
            path: self.path,
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn both_tables_hold_every_step() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&root.path().join("run")), root.path()).unwrap();
        let curves = [(Loss::Mse, vec![0.5, 0.25]), (Loss::MsSsim, vec![0.125])];
        assert!(write(&folder, &curves).unwrap().is_some());
        let read = |name| fs::read_to_string(folder.file(name)).unwrap();
        assert_eq!(
            read("log.csv"),
            "loss,step,value\nmse,1,0.5\nmse,2,0.25\nms-ssim,1,0.125\n"
        );
        let lines = read("log.jsonl");
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[1]["step"], &lines[1]["value"]),
            (&2.into(), &0.25.into())
        );
    }

    #[test]
    fn what_cannot_be_written_is_said_at_the_end() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&root.path().join("run")), root.path()).unwrap();
        fs::write(folder.file("tensorboard"), "in the way").unwrap();
        let mut events = Events::new(&folder, Loss::Mae, 0, 10);
        events.at(1, 0.5);
        let error = events.finish().unwrap_err().to_string();
        assert!(error.contains("tensorboard"), "{error}");
    }
}
