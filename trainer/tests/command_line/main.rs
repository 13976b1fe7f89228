//! The program as a user meets it: what it prints, what it leaves behind, what it refuses.

mod built_in;
#[path = "../common/mod.rs"]
mod common;
mod earlier_versions;
mod interrupted;
#[path = "../common/program.rs"]
mod program;

use std::fs;
use std::path::Path;

use common::data;
use msssim_trainer::picture::Picture;
use program::{images, printed, refusal, text};
use serde_json::Value;

/// The released 9-5-5 weights of Dong et al. give the poster's "Bicubic" and "MSE" columns. (The
/// gate does the same on BSD200 too, which takes a minute.)
#[test]
fn released_weights_give_the_posters_digits() {
    let Some(weights) = data("srcnn_released/x4.safetensors") else {
        return;
    };
    for (set, bicubic, network) in [
        ("Set5", ("28.44", "0.8097"), ("30.52", "0.8621")),
        ("Set14", ("26.01", "0.7018"), ("27.53", "0.7512")),
    ] {
        let Some(folder) = data(set) else { continue };
        let line = printed(&[
            "evaluate",
            "sr",
            "--weights",
            text(&weights),
            "--test",
            text(&folder),
            "--json",
        ]);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["set"], set);
        for (method, (psnr, ssim)) in [("bicubic", bicubic), ("network", network)] {
            let number = |measure: &str| line[method][measure].as_f64().unwrap();
            assert_eq!(format!("{:.2}", number("psnr")), psnr, "{set} {method}");
            assert_eq!(format!("{:.4}", number("ssim")), ssim, "{set} {method}");
        }
    }
}

/// The smallest experiment: a few steps on tiny crops of small images.
const TINY: [&str; 6] = ["--steps", "3", "--batch", "2", "--patch", "12"];

#[test]
fn an_experiment_from_start_to_report() {
    let (train, more, test) = (images(&[32, 40]), images(&[24]), images(&[40, 36]));
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let command = ["reproduce", "super-resolution", "--out", text(&out)];
    let folders = [
        "--train",
        text(train.path()),
        "--train",
        text(more.path()),
        "--test",
        text(test.path()),
    ];
    let table = printed(&[&command[..], &folders, &TINY].concat());
    assert!(
        table.contains("Bicubic         MSE         MAE     MS-SSIM"),
        "{table}"
    );
    for file in [
        "config.toml",
        "log.csv",
        "log.jsonl",
        "loss.svg",
        "results.json",
        "report.html",
    ] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 0, "{file}");
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(text(train.path())) && page.contains(text(more.path())));
    let picture = Picture::open(&out.join("side-by-side.png")).unwrap();
    assert!(picture.width > 5 * 36, "five images side by side");
    assert_eq!(
        fs::read_to_string(out.join("log.csv"))
            .unwrap()
            .lines()
            .count(),
        1 + 3 * 3
    );

    // The folder belongs to that run.
    let again = refusal(&[&command[..], &TINY].concat());
    assert!(again.contains("not empty"), "{again}");
    let other = refusal(&[&command[..], &["--resume", "--steps", "4"]].concat());
    assert!(other.contains("other options"), "{other}");

    // Its steps, one by one.
    let weights = out.join("ms-ssim.safetensors");
    let line = printed(&[
        "evaluate",
        "sr",
        "--weights",
        text(&weights),
        "--test",
        text(test.path()),
        "--json",
    ]);
    let line: Value = serde_json::from_str(&line).unwrap();
    let results: Value =
        serde_json::from_str(&fs::read_to_string(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(line["network"]["ssim"], results[0]["methods"][3]["ssim"]);

    let large = root.path().join("large.png");
    let small = test.path().join("0.png");
    let upscale = [
        "upscale",
        "--weights",
        text(&weights),
        text(&small),
        text(&large),
    ];
    printed(&upscale);
    let picture = Picture::open(&large).unwrap();
    assert_eq!(
        (picture.width, picture.height, picture.planes.len()),
        (160, 160, 3)
    );
    assert!(refusal(&upscale).contains("--force"));
    printed(&[&upscale[..], &["--force"]].concat());
}

/// Extended Yale B in small: two faces of 8 x 8 pixels for each of 38 subjects.
fn faces() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for subject in (1..=39u8).filter(|subject| *subject != 14) {
        let folder = root.path().join(format!("yaleB{subject:02}"));
        fs::create_dir(&folder).unwrap();
        for (light, word) in [(40, "A+000E+00"), (90, "A-070E+45")] {
            let mut pgm = b"P5\n8 8\n255\n".to_vec();
            pgm.extend((0..64u8).map(|i| light + (i % 8) * (subject % 7) + i / 8 * (subject / 7)));
            fs::write(folder.join(format!("yaleB{subject:02}_P00{word}.pgm")), pgm).unwrap();
        }
    }
    root
}

#[test]
fn representations_from_start_to_report() {
    let faces = faces();
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let command = ["reproduce", "representations", "--out", text(&out)];
    let tiny = [
        "--splits=2",
        "--steps=3",
        "--batch=2",
        "--width=1",
        "--bottleneck=4",
    ];
    let more = ["--train", text(faces.path()), "--loss", "mse", "ms-ssim"];
    let table = printed(&[&command[..], &tiny, &more].concat());
    assert!(
        table.contains("MSE") && table.contains("MS-SSIM"),
        "{table}"
    );
    assert!(
        table.contains("277.46") && table.contains("here, 2 splits"),
        "{table}"
    );
    for file in [
        "config.toml",
        "results.json",
        "table.md",
        "faces.png",
        "report.html",
        "split-1/log.csv",
        "split-1/log.jsonl",
        "split-2/mse.safetensors",
        "split-2/ms-ssim-codes.safetensors",
        "split-2/ms-ssim-findings.json",
    ] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 0, "{file}");
    }
    assert!(out.join("split-1/tensorboard/mse").is_dir());
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("true azimuth") && page.contains("61 to learn from, 15 to measure on"));

    // What is done is not done again, and comes out the same.
    let results = fs::read(out.join("results.json")).unwrap();
    printed(&[&command[..], &["--resume"]].concat());
    assert!(results == fs::read(out.join("results.json")).unwrap());

    let spoilt = faces.path().join("yaleB20");
    fs::remove_dir_all(&spoilt).unwrap();
    let again = root.path().join("again");
    let command = ["reproduce", "representations", "--out", text(&again)];
    let line = refusal(&[&command[..], &more].concat());
    assert!(line.contains("no folder yaleB20"), "{line}");
}

#[test]
fn options_come_from_a_file_and_go_to_one() {
    let root = tempfile::tempdir().unwrap();
    let file = |name: &str| root.path().join(name);
    let (first, second, out) = (file("first.toml"), file("second.toml"), file("run"));
    let save = |options: &[&str], to: &Path| {
        printed(&[options, &["--save-config", text(to)]].concat());
        fs::read_to_string(to).unwrap()
    };
    for experiment in ["super-resolution", "reconstruction", "representations"] {
        let command = ["reproduce", experiment, "--out", text(&out)];
        let with = |more: &[&'static str]| [&command[..], more].concat();
        let saved = save(
            &with(&["--steps", "7", "--seed", "18446744073709551615"]),
            &first,
        );
        assert!(
            saved.contains("steps = 7") && saved.contains("18446744073709551615"),
            "{saved}"
        );
        // The file goes before the defaults, the command line before the file.
        let from_file = [&with(&["--seed", "5"])[..], &["--config", text(&first)]].concat();
        let again = save(&from_file, &second);
        assert!(
            again.contains("steps = 7") && again.contains("seed = 5"),
            "{again}"
        );
        assert!(!out.exists(), "{experiment}: nothing was begun");

        fs::write(&first, "steps = 3\nstepps = 4\n").unwrap();
        let line = refusal(&[&command[..], &["--config", text(&first)]].concat());
        assert!(
            line.contains("first.toml") && line.contains("line 2"),
            "{line}"
        );
    }
}

#[test]
fn autoencoders_from_start_to_report() {
    let (train, test) = (images(&[14, 12, 11]), images(&[12, 13]));
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let tiny = [
        "--steps",
        "10",
        "--batch",
        "2",
        "--side",
        "11",
        "--width",
        "2",
        "--bottleneck",
        "3",
        "--model",
        "el-vae",
    ];
    let command = ["reproduce", "reconstruction", "--out", text(&out)];
    let folders = ["--train", text(train.path()), "--test", text(test.path())];
    let table = printed(&[&command[..], &folders, &tiny].concat());
    assert!(table.contains("MSE         MAE     MS-SSIM"), "{table}");
    for file in [
        "config.toml",
        "rates.json",
        "log.csv",
        "loss.svg",
        "results.json",
        "images.csv",
        "ranks.svg",
        "montage.png",
        "worst.png",
        "samples.png",
        "report.html",
    ] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 0, "{file}");
    }
    let images = fs::read_to_string(out.join("images.csv")).unwrap();
    assert_eq!(images.lines().count(), 1 + 2 * 3);
    let rates: Value = serde_json::from_slice(&fs::read(out.join("rates.json")).unwrap()).unwrap();
    assert_eq!(rates.as_array().unwrap().len(), 3);
    assert_eq!(rates[2]["tried"].as_array().unwrap().len(), 3);
    let trials = fs::read_dir(&out).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("-rate-")
    });
    assert_eq!(trials.count(), 0, "trials are cleared away");

    // Once more without training anything.
    let again = printed(&[
        "reproduce",
        "reconstruction",
        "--resume",
        "--out",
        text(&out),
    ]);
    assert_eq!(again, table);

    let weights = out.join("ms-ssim.safetensors");
    let onnx = root.path().join("network.onnx");
    let export = ["export", "--weights", text(&weights), "--onnx", text(&onnx)];
    printed(&export);
    assert!(fs::metadata(&onnx).unwrap().len() > 1000);
    assert!(refusal(&export).contains("--force"));
    let line = refusal(&["evaluate", "sr", "--weights", text(&weights)]);
    assert!(line.contains("el-vae autoencoder"), "{line}");
}

#[test]
fn autoencoders_that_cannot_be_trained_are_named() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let reproduce = |more: &[&str]| {
        let command = ["reproduce", "reconstruction", "--out", text(&out)];
        let line = refusal(&[&command[..], more].concat());
        assert!(!out.exists(), "{more:?}: nothing is begun");
        line
    };
    for (option, value) in [
        ("--side", "0"),
        ("--width", "0"),
        ("--steps", "0"),
        ("--batch", "0"),
        ("--learning-rate", "nan"),
        ("--kl-weight=-1", ""),
    ] {
        let option = format!("{option}={value}");
        let option = option.trim_end_matches('=');
        let line = reproduce(&[option]);
        let name = option.split('=').next().unwrap();
        assert!(line.contains(name), "{line}");
    }
    let line = reproduce(&["--model", "fc", "--bottleneck", "0"]);
    assert!(line.contains("--bottleneck must be 1"), "{line}");
    let small = images(&[20, 8]);
    let line = reproduce(&["--side", "12", "--test", text(small.path())]);
    assert!(line.contains("1.png") && line.contains("12 x 12"), "{line}");
}

#[test]
fn what_cannot_be_trained_or_measured_is_named() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let empty = tempfile::tempdir().unwrap();
    let small = images(&[9, 9]);
    let train = |more: &[&str]| refusal(&[&["train", "sr", "--out", text(&out)], more].concat());

    for command in [
        ["train", "sr"],
        ["train", "autoencoder"],
        ["reproduce", "super-resolution"],
        ["reproduce", "reconstruction"],
        ["reproduce", "representations"],
    ] {
        let folders = ["--out", text(&out), "--train", text(empty.path())];
        let line = refusal(&[&command[..], &folders].concat());
        assert!(line.contains(text(empty.path())), "{line}");
        assert!(!out.exists(), "{command:?}: nothing is begun");
    }
    let line = train(&["--train", text(empty.path())]);
    assert!(line.contains("no image in this folder"), "{line}");
    let line = train(&["--train", text(small.path())]);
    assert!(line.contains("none of the 2 images"), "{line}");
    let good = images(&[40]);
    for bad in [&small, &empty] {
        let line = train(&["--train", text(good.path()), text(bad.path())]);
        assert!(line.contains(text(bad.path())), "{line}");
    }
    assert!(!out.exists(), "nothing is begun");
    for (option, value) in [
        ("--steps", "0"),
        ("--patch", "2"),
        ("--batch", "0"),
        ("--scale", "1"),
        ("--learning-rate", "-1"),
    ] {
        let line = train(&[&format!("{option}={value}")]);
        assert!(line.contains(option), "{line}");
        assert!(!out.exists(), "{option}: nothing is begun");
    }
    fs::write(&out, "a file").unwrap();
    assert!(train(&TINY).contains("cannot be written"));

    let line = refusal(&["train", "sr", "--resume", "--out", text(root.path())]);
    assert!(line.contains("no run to resume"), "{line}");
}

#[test]
fn weights_that_cannot_be_used_are_named() {
    let root = tempfile::tempdir().unwrap();
    let test = images(&[40]);
    let tiny = images(&[12]);
    let out = root.path().join("run");
    printed(&[&["train", "sr", "--out", text(&out)], &TINY[..]].concat());
    let good = out.join("ms-ssim.safetensors");
    let bytes = fs::read(&good).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let evaluate = |weights: &Path, test: &Path| {
        refusal(&[
            "evaluate",
            "sr",
            "--weights",
            text(weights),
            "--test",
            text(test),
        ])
    };
    let mut nan = bytes.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut lying = bytes.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    for (name, bytes) in [
        ("cut", &bytes[..bytes.len() / 2]),
        ("empty", &[][..]),
        ("text", b"not weights at all, but long enough"),
        ("nan", &nan),
        ("lying", &lying),
    ] {
        let line = evaluate(&file(name, bytes), test.path());
        assert!(line.contains(text(&root.path().join(name))), "{line}");
    }
    let line = evaluate(&root.path().join("missing"), test.path());
    assert!(line.contains("missing"), "{line}");
    let line = evaluate(&good, tiny.path());
    assert!(line.contains("0.png") && line.contains("12 x 12"), "{line}");
    let weights = text(&good);
    let line = refusal(&["evaluate", "sr", "--weights", weights, "--scale", "3"]);
    assert!(line.contains("enlarge 4 times, not 3"), "{line}");
}
