//! The networks that the program brings along, as a user meets them.

use std::fs;

use msssim_trainer::picture::Picture;
use serde_json::Value;

use crate::TINY;
use crate::program::{images, printed, refusal, run, text};

#[test]
fn images_are_enlarged_without_weights() {
    let small = images(&[20]);
    let (input, out) = (small.path().join("0.png"), small.path().join("out.png"));
    let upscale = |more: &[&str]| {
        printed(&[&["upscale", text(&input), text(&out), "--force"], more].concat());
        let picture = Picture::open(&out).unwrap();
        (picture.width, picture.height, fs::read(&out).unwrap())
    };
    let (width, height, default) = upscale(&[]);
    assert_eq!((width, height), (80, 80));
    assert!(upscale(&["--loss", "ms-ssim", "--scale", "4"]).2 == default);
    for loss in ["mse", "mae"] {
        let (width, _, other) = upscale(&["--loss", loss]);
        assert!(width == 80 && other != default, "{loss}");
    }
    assert_eq!(upscale(&["--scale", "2"]).0, 40);
    assert_eq!(upscale(&["--scale", "3"]).0, 60);
}

#[test]
fn networks_that_are_not_built_in_are_named_with_those_that_are() {
    let small = images(&[20]);
    let (input, out) = (small.path().join("0.png"), small.path().join("out.png"));
    let upscale = ["upscale", text(&input), text(&out)];
    let with = |more: &[&'static str]| [&upscale[..], more].concat();
    let line = refusal(&with(&["--scale", "5"]));
    assert!(
        line.contains("5 times, only 2, 3 or 4") && line.contains("--weights"),
        "{line}"
    );
    let line = refusal(&with(&["--scale", "3", "--loss", "mse"]));
    assert!(
        line.contains("3 times was trained with MSE") && line.contains("--scale 4"),
        "{line}"
    );
    let evaluate = |more: &[&str]| refusal(&[&["evaluate", "sr"], more].concat());
    let line = evaluate(&["--scale", "7"]);
    assert!(line.contains("7 times, only 2, 3 or 4"), "{line}");
    let line = evaluate(&["--scale", "2", "--loss", "mae"]);
    assert!(line.contains("2 times was trained with MAE"), "{line}");

    for (more, words) in [
        (
            ["--loss", "mse", "--weights", "mine"],
            "cannot be used with",
        ),
        (["--loss", "mix", "--scale", "4"], "mse, mae, ms-ssim"),
    ] {
        let output = run(&with(&more));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
    assert!(!out.exists(), "nothing is written");
}

#[test]
fn built_in_networks_are_measured_side_by_side() {
    let test = images(&[40, 36]);
    let picture = test.path().join("enlarged.png");
    let evaluate = ["evaluate", "sr", "--test", text(test.path())];
    let table = printed(&[&evaluate[..], &["--picture", text(&picture)]].concat());
    assert!(
        table.contains("Bicubic         MSE         MAE     MS-SSIM"),
        "{table}"
    );
    let shown = Picture::open(&picture).unwrap();
    assert!(shown.width > 5 * 36, "five images side by side");
    let again = refusal(&[&evaluate[..], &["--picture", text(&picture)]].concat());
    assert!(
        again.contains("enlarged.png") && again.contains("--force"),
        "{again}"
    );
    fs::remove_file(&picture).unwrap();

    let json = |more: &[&str]| {
        let line = printed(&[&evaluate[..], &["--json"], more].concat());
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let four = json(&[]);
    for method in ["bicubic", "mse", "mae", "ms-ssim"] {
        assert!(four[method]["psnr"].as_f64().unwrap() > 10.0, "{four}");
    }
    let one = json(&["--loss", "mae"]);
    assert!(one["mae"] == four["mae"] && one["mse"].is_null(), "{one}");
    let two = json(&["--scale", "2"]);
    assert!(
        two["mse"].is_null() && two["ms-ssim"]["psnr"].is_f64(),
        "{two}"
    );
}

/// The file that a run leaves, made as short as those that the program brings along.
#[test]
fn weights_are_exported_without_their_training() {
    let root = tempfile::tempdir().unwrap();
    let (out, alone) = (
        root.path().join("run"),
        root.path().join("alone.safetensors"),
    );
    printed(
        &[
            &["train", "sr", "--loss", "mae", "--out", text(&out)],
            &TINY[..],
        ]
        .concat(),
    );
    let whole = out.join("mae.safetensors");
    let export = ["export", "--weights", text(&whole)];
    let with =
        |more: &[&'static str]| [&export[..], &["--safetensors", text(&alone)], more].concat();
    printed(&with(&[]));
    let length = |path| fs::metadata(path).unwrap().len();
    assert!(length(&alone) < length(&whole) / 2);
    let measured = |weights| printed(&["evaluate", "sr", "--json", "--weights", text(weights)]);
    assert_eq!(measured(&alone), measured(&whole));
    assert!(refusal(&with(&[])).contains("--force"));
    printed(&with(&["--force"]));

    // No run goes on from it, and one form is asked for.
    fs::copy(&alone, &whole).unwrap();
    let line = refusal(&[
        "train",
        "sr",
        "--loss",
        "mae",
        "--resume",
        "--out",
        text(&out),
    ]);
    assert!(line.contains("mae.safetensors"), "{line}");
    for arguments in [export.to_vec(), with(&["--onnx", "network.onnx"])] {
        assert_eq!(run(&arguments).status.code(), Some(2), "{arguments:?}");
    }
}
