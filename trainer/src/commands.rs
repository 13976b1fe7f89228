//! The subcommands, one file each.

mod evaluate;
mod export;
mod inference;
mod interrupt;
mod networks;
mod options;
mod progress;
mod reconstruction;
mod representations;
mod reproduce;
mod run_options;
mod score;
mod train;
mod upscale;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::built_in::NoNetwork;
use crate::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::patches::PatchError;
use crate::picture::PictureError;
use crate::run_folder::RunFolderError;
use crate::super_resolution::SuperResolutionError;
use crate::training::TrainingError;

/// Multiscale structural similarity (MS-SSIM): measure images, and train networks with it
#[derive(Parser, Debug)]
#[command(name = "msssim", version, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Score(Box<score::Arguments>),
    Train(train::Arguments),
    Evaluate(evaluate::Arguments),
    Upscale(upscale::Arguments),
    Reproduce(reproduce::Arguments),
    Export(export::Arguments),
}

/// Why a command did not do what it was asked to: one line, naming the thing and the remedy.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    Patches(#[from] PatchError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    #[error(transparent)]
    NoNetwork(#[from] NoNetwork),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    SuperResolution(#[from] SuperResolutionError),
    #[error(transparent)]
    Backend(#[from] crate::backend::Error),
    #[error(
        "stopped; the work so far is in {}: the same command with --resume --out {} goes on",
        .0.display(), .0.display()
    )]
    Interrupted(PathBuf),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Message(String),
    /// Scores below what was asked for.
    #[error("{0}")]
    Below(String),
}

type Outcome = Result<(), Failure>;

/// Runs the program: data to standard output, everything else to standard error.
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let mut out = io::stdout().lock();
    let outcome = match &command_line.command {
        Command::Score(arguments) => score::run(arguments, &mut out),
        Command::Train(arguments) => train::run(arguments, &mut out),
        Command::Evaluate(arguments) => evaluate::run(arguments, &mut out),
        Command::Upscale(arguments) => upscale::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Reproduce(arguments) => reproduce::run(arguments, &mut out),
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
            match failure {
                Failure::Interrupted(_) => ExitCode::from(interrupt::INTERRUPTED),
                Failure::Below(_) => ExitCode::from(score::BELOW),
                _ => ExitCode::FAILURE,
            }
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

/// Refuses to replace a file that is not said to be.
fn refuse_existing(path: &Path, force: bool) -> Outcome {
    if path.exists() && !force {
        return Err(Failure::Message(format!(
            "{}: exists already; choose another name or replace it with --force",
            path.display()
        )));
    }
    Ok(())
}
