//! The subcommands, one file each.

mod score;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::picture::PictureError;

/// Multiscale structural similarity (MS-SSIM): measure images, and train networks with it
#[derive(Parser, Debug)]
#[command(name = "msssim", version, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Score(score::Arguments),
}

/// Why a command did not do what it was asked to: one line, naming the thing and the remedy.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Message(String),
}

type Outcome = Result<(), Failure>;

/// Runs the program: data to standard output, everything else to standard error.
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let mut out = io::stdout().lock();
    let outcome = match &command_line.command {
        Command::Score(arguments) => score::run(arguments, &mut out),
    };
    let outcome = outcome.and_then(|()| Ok(out.flush()?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place that tells the user what went wrong"
)]
fn report(failure: &Failure) {
    eprintln!("msssim: {failure}");
}
