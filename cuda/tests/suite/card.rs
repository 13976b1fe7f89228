//! The suite once more on a real device, in a process that has not loaded the emulator.

use std::io::Write;
use std::process::{Command, Output};

use crate::support::{device, requires_card};

#[test]
fn the_suite_on_a_card() {
    if requires_card() {
        return;
    }
    let run = |arguments: &[&str]| -> Output {
        Command::new(std::env::current_exe().expect("this program"))
            .args(arguments)
            .env("MSSSIM_REQUIRE_GPU", "1")
            .output()
            .expect("this program, started again")
    };
    let text = |output: &Output| {
        let [out, err] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
        format!("{out}{err}")
    };
    let probe = run(&["--exact", "card::a_device_answers"]);
    if !probe.status.success() {
        let why = text(&probe);
        let absent = ["no CUDA driver library", "no CUDA device"];
        assert!(absent.iter().any(|words| why.contains(words)), "{why}");
        let _ = writeln!(std::io::stderr(), "skipped: no CUDA device");
        return;
    }
    let suite = run(&["--test-threads", "1"]);
    assert!(suite.status.success(), "on the card: {}", text(&suite));
}

#[test]
fn a_device_answers() {
    assert!(!device().name().is_empty());
}
