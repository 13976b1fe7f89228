//! The commands with `--device cuda`, on the emulated device: this program, started again with a command's
//! arguments, is `msssim` where there is a card.

use std::path::Path;
use std::process::{Command, ExitCode};

use msssim_trainer::dead_leaves::dead_leaves;

const COMMANDS: [&str; 4] = ["train", "reproduce", "evaluate", "upscale"];

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    if COMMANDS.contains(&&first[..]) {
        return command(&first);
    }
    let folder = tempfile::tempdir().expect("a folder");
    trains_autoencoders(folder.path());
    let folder = tempfile::tempdir().expect("a folder");
    enlarges(folder.path());
    ExitCode::SUCCESS
}

/// Runs a command on the emulated device. What uses networks does it there, after the last update of their weights.
fn command(name: &str) -> ExitCode {
    let emulator = msssim_emulated_libcuda::load().expect("the emulator");
    emulator.watch();
    let code = msssim_trainer::commands::main();
    if name != "train" {
        let watched = emulator.watched();
        let last = |words: &[&str]| {
            let is = |line: &String| words.iter().any(|word| line.contains(word));
            watched.iter().rposition(is)
        };
        let layer = last(&["launch conv_", "launch dense_"]);
        assert!(
            layer > last(&["launch adam"]),
            "{name}: networks run elsewhere"
        );
    }
    code
}

/// Starts a command and expects it to succeed.
fn run(command: &str, more: &[&str]) {
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(command.split(' '))
        .args(more)
        .args(["--device", "cuda"])
        .status()
        .expect("this program, started again");
    assert!(status.success(), "{command}: {status}");
}

fn trains_autoencoders(folder: &Path) {
    let small = "--width 1 --bottleneck 2 --steps 2 --batch 1 --learning-rate 0.01";
    for (number, (command, precision)) in [
        ("train autoencoder --side 8 --loss mae --model fc", "bf16"),
        ("reproduce reconstruction --side 8 --model el-vae", "tf32"),
        ("reproduce representations --splits 1 --loss mse", "f32"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.join(number.to_string());
        let to = out.to_str().expect("a name");
        run(
            &format!("{command} {small}"),
            &["--precision", precision, "--out", to],
        );
        check_run(&out);
    }
}

fn enlarges(folder: &Path) {
    let test = folder.join("test");
    std::fs::create_dir(&test).expect("a folder");
    let image = dead_leaves(1, 0, 20, 20);
    image.save_png(&test.join("0.png")).expect("a file");
    let small = folder.join("small.png");
    dead_leaves(1, 1, 4, 4).save_png(&small).expect("a file");
    let large = folder.join("large.png");
    let out = folder.join("run");
    let [test, small, large, to] =
        [&test, &small, &large, &out].map(|path| path.to_str().expect("a name"));
    run("evaluate sr --loss ms-ssim", &["--test", test]);
    run("upscale", &[small, large]);
    assert!(Path::new(large).is_file());
    run(
        "reproduce super-resolution --steps 1 --batch 1 --patch 8",
        &["--test", test, "--out", to],
    );
    check_run(&out);
}

/// That a run was one on the device, and left a network.
fn check_run(out: &Path) {
    let configuration = std::fs::read_to_string(out.join("config.toml")).expect("a file");
    assert!(
        configuration.contains("device = \"cuda\""),
        "{configuration}"
    );
    let networks = ["mse.safetensors", "mae.safetensors"];
    let folders = [out.to_owned(), out.join("split-1")];
    let mut files = folders
        .iter()
        .flat_map(|folder| networks.map(|name| folder.join(name)));
    assert!(files.any(|file| file.is_file()), "no weights in {out:?}");
}
