//! Training that is ended in the midst, or cannot save: what is left, and what comes of going on.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use msssim_trainer::checkpoint::Checkpoint;

use crate::program::{msssim, printed, text};

/// Trains in two parts, the first ended by `signal` once it has left a checkpoint, and in one.
fn in_parts(command: &[&str], loss: &str, signal: &str) {
    let root = tempfile::tempdir().unwrap();
    let (whole, parts) = (root.path().join("whole"), root.path().join("parts"));
    let train = |out: &Path, more: &[&str]| {
        let mut train = msssim(&["train", command[0], "--loss", loss, "--out", text(out)]);
        train.args(more);
        train
    };
    let options = &command[1..];
    assert!(train(&whole, options).output().unwrap().status.success());

    // The first checkpoint is written in the midst of training: end it then.
    let weights = parts.join(format!("{loss}.safetensors"));
    let mut child = train(&parts, options)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !weights.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "training ended without a checkpoint"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    if signal == "-INT" {
        assert_eq!(output.status.code(), Some(130), "{errors}");
        assert!(errors.contains("--resume"), "{errors}");
    }
    let steps = Checkpoint::load(&weights)
        .unwrap()
        .state()
        .unwrap()
        .losses
        .len();
    assert!((200..1000).contains(&steps), "{steps}");

    let resumed = train(&parts, &["--resume"]).output().unwrap();
    let errors = String::from_utf8_lossy(&resumed.stderr);
    assert!(resumed.status.success(), "{errors}");
    let bytes = |out: &Path| fs::read(out.join(format!("{loss}.safetensors"))).unwrap();
    assert!(bytes(&whole) == bytes(&parts), "{command:?}: the same bits");
}

const SUPER_RESOLUTION: [&str; 7] = ["sr", "--steps", "1000", "--batch", "1", "--patch", "8"];

const AUTOENCODER: [&str; 13] = [
    "autoencoder",
    "--steps",
    "1000",
    "--batch",
    "2",
    "--side",
    "9",
    "--width",
    "2",
    "--bottleneck",
    "4",
    "--learning-rate",
    "0.001",
];

#[test]
fn a_resumed_run_ends_like_an_uninterrupted_one() {
    let sgd = [&SUPER_RESOLUTION[..], &["--optimizer", "sgd"]].concat();
    in_parts(&sgd, "mae", "-INT");
    in_parts(&sgd, "mse", "-KILL");
    in_parts(&SUPER_RESOLUTION, "ms-ssim", "-KILL");
}

#[test]
fn a_resumed_autoencoder_ends_like_an_uninterrupted_one() {
    in_parts(&AUTOENCODER, "ms-ssim", "-KILL");
    for model in ["fc", "el-vae"] {
        in_parts(
            &[&AUTOENCODER[..], &["--model", model]].concat(),
            "mse",
            "-KILL",
        );
    }
}

/// A limit on the size of files lets the checkpoint of step 200 pass and stops that of step 400, 800 bytes
/// of losses longer, in the middle, as a full disk would.
#[test]
#[cfg(unix)]
fn a_checkpoint_that_does_not_fit_leaves_the_one_before() {
    let root = tempfile::tempdir().unwrap();
    let (whole, cut) = (root.path().join("whole"), root.path().join("cut"));
    let mut options = AUTOENCODER;
    options[2] = "400";
    let train = |out: &Path| {
        let mut train = msssim(&["train", options[0], "--loss", "mae", "--out", text(out)]);
        train.args(&options[1..]);
        train
    };
    assert!(train(&whole).output().unwrap().status.success());
    let size = fs::metadata(whole.join("mae.safetensors")).unwrap().len();

    // In blocks of 512 bytes; without the trap the signal would end the program.
    let blocks = ((size - 1) / 512).to_string();
    let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, &blocks, env!("CARGO_BIN_EXE_msssim")])
        .args(train(&cut).get_args())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let weights = cut.join("mae.safetensors");
    assert!(
        errors.contains("cannot be written") && errors.contains(text(&weights)),
        "{errors}"
    );
    let kept = Checkpoint::load(&weights).unwrap();
    assert_eq!(kept.state().unwrap().losses.len(), 200);
    let left = fs::read_dir(&cut)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    let resumed = [
        "train",
        "autoencoder",
        "--loss",
        "mae",
        "--resume",
        "--out",
        text(&cut),
    ];
    printed(&resumed);
    assert!(fs::read(&weights).unwrap() == fs::read(whole.join("mae.safetensors")).unwrap());
}
