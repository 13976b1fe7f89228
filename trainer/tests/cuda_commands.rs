//! The commands that train autoencoders or enlarge an image with `--device cuda`, on the emulated device: this
//! program, started again with a command's arguments, is `msssim` where there is a card.

use std::path::Path;
use std::process::{Command, ExitCode};

use msssim_trainer::dead_leaves::dead_leaves;
use msssim_trainer::picture::Picture;

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    if ["train", "reproduce", "upscale"].contains(&&first[..]) {
        msssim_emulated_libcuda::load().expect("the emulator");
        return msssim_trainer::commands::main();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let small = [
        "--width",
        "1",
        "--bottleneck",
        "2",
        "--steps",
        "2",
        "--batch",
        "1",
        "--learning-rate",
        "0.01",
    ];
    for (number, (command, precision)) in [
        ("train autoencoder --side 8 --loss mae --model fc", "bf16"),
        ("reproduce reconstruction --side 8 --model el-vae", "tf32"),
        ("reproduce representations --splits 1 --loss mse", "f32"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = folder.path().join(number.to_string());
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(command.split(' '))
            .args(small)
            .args(["--device", "cuda", "--precision", precision, "--out"])
            .arg(&out)
            .status()
            .expect("this program, started again");
        assert!(status.success(), "{command}: {status}");
        let configuration = std::fs::read_to_string(out.join("config.toml")).expect("a file");
        assert!(
            configuration.contains("device = \"cuda\""),
            "{configuration}"
        );
        assert!(trained(&out), "{command} left no weights");
    }
    enlarge(folder.path());
    ExitCode::SUCCESS
}

/// Enlarges an image on the emulated device and on the CPU: rounding may put samples a level apart.
fn enlarge(folder: &Path) {
    let small = folder.join("small.png");
    dead_leaves(4, 0, 9, 7).save_png(&small).expect("a file");
    let [cpu, cuda] = ["cpu", "cuda"].map(|device| {
        let large = folder.join(format!("{device}.png"));
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(["upscale", "--scale", "2", "--device", device])
            .args([&small, &large])
            .status()
            .expect("this program, started again");
        assert!(status.success(), "upscale --device {device}: {status}");
        Picture::open(&large).expect("an image")
    });
    assert_eq!((cuda.width, cuda.height), (18, 14));
    let apart = cpu
        .planes
        .iter()
        .flatten()
        .zip(cuda.planes.iter().flatten());
    let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart <= 1.0, "{apart} levels apart");
}

/// Whether a run's folder, or that of its first split, has a network.
fn trained(out: &Path) -> bool {
    let networks = ["mse.safetensors", "mae.safetensors"];
    let folders = [out.to_owned(), out.join("split-1")];
    let mut files = folders
        .iter()
        .flat_map(|folder| networks.map(|name| folder.join(name)));
    files.any(|file| file.is_file())
}
