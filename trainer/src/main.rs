//! The program `msssim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    msssim_trainer::commands::main()
}
