//! The program as its tests run it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use msssim_trainer::dead_leaves::dead_leaves;

/// The program with arguments, not yet running.
pub(crate) fn msssim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msssim"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What running it gives.
pub(crate) fn run(arguments: &[&str]) -> Output {
    msssim(arguments).output().unwrap()
}

/// What a successful run prints as data.
pub(crate) fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that a run which must fail says.
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed data");
    assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    let last = errors.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("msssim: "), "{arguments:?}: {errors}");
    last
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with procedural images `0.png`, `1.png` and so on of some sides.
pub(crate) fn images(sides: &[usize]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, side) in sides.iter().enumerate() {
        let path = folder.path().join(format!("{i}.png"));
        dead_leaves(3, i as u64, *side, *side)
            .save_png(&path)
            .unwrap();
    }
    folder
}
