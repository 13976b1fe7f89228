//! PyTorch in a process of its own, which takes a step whenever it is asked to.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Pytorch {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it is, with its version.
    pub(crate) name: String,
}

impl Pytorch {
    /// `None`, after saying why, where there is no PyTorch.
    pub(crate) fn start(threads: usize) -> Option<Self> {
        // Below the package, where Cargo starts a benchmark, or below the workspace.
        let places = [
            "benches/pytorch_cpu_step.py",
            "trainer/benches/pytorch_cpu_step.py",
        ];
        let script = places.into_iter().find(|place| Path::new(place).is_file());
        let Some(script) = script else {
            eprintln!("skipped: none of {places:?} is here");
            return None;
        };
        let process = Command::new("python3")
            .args([script, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = match process {
            Ok(process) => process,
            Err(error) => {
                eprintln!("skipped: python3: {error}");
                return None;
            }
        };
        let (questions, answers) = (process.stdin.take()?, process.stdout.take()?);
        let mut pytorch = Self {
            process,
            questions,
            answers: BufReader::new(answers),
            name: String::new(),
        };
        pytorch.name = pytorch.line()?;
        Some(pytorch)
    }

    /// Milliseconds of a step, `None` where there are none to be had.
    pub(crate) fn step(&mut self, case: &str) -> Option<f64> {
        writeln!(self.questions, "{case}").ok()?;
        self.line()?.parse().ok()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim().to_owned())
    }
}

impl Drop for Pytorch {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
