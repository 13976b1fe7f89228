//! Many files at once, and folders.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{images, msssim, printed, refusal, run, text};
use crate::{grey, objects, texture};

#[test]
fn many_files_in_their_order() {
    let folder = images(&[180, 180]);
    let (a, b) = (folder.path().join("0.png"), folder.path().join("1.png"));
    let lines = objects(&["score", text(&a), text(&a), text(&b)]);
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["ms_ssim"], &lines[0]["preset"]),
        (&1.0.into(), &"wang-2003".into())
    );
    assert_eq!(
        (&lines[1]["reference"], &lines[1]["distorted"]),
        (&text(&a).into(), &text(&b).into())
    );
    assert_eq!(lines[1]["scales"].as_array().unwrap().len(), 5);
    assert!(lines[1]["scales"][0]["cs"].as_f64().unwrap() < 0.9);
    let table = printed(&["score", text(&a), text(&b), text(&a)]);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(rows[0].ends_with("1.png"), "{table}");
    assert_eq!(rows[1], format!("1.000000  {}", text(&a)));
}

/// Two folders: `one.png` is in both and distorted, `two` too under another ending, `both.png` is a
/// file of text on the right, and one image on either side is alone.
fn folders() -> [tempfile::TempDir; 2] {
    let [left, right] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let distorted = |i, j| texture(i, j) / 2 + 40;
    grey(left.path(), "one.png", [48, 40], texture);
    grey(right.path(), "one.png", [48, 40], distorted);
    grey(left.path(), "two.png", [33, 35], texture);
    let as_png = grey(right.path(), "two.png", [33, 35], texture);
    image::open(&as_png)
        .unwrap()
        .save(as_png.with_extension("bmp"))
        .unwrap();
    fs::remove_file(as_png).unwrap();
    grey(left.path(), "left.png", [20, 20], texture);
    grey(right.path(), "right.png", [20, 20], texture);
    [left, right]
}

const SNELL: &str = "--preset=snell-2017";

#[test]
fn folders_are_paired_by_name() {
    let [left, right] = folders();
    let (a, b) = (left.path(), right.path());
    let output = run(&["score", text(a), text(b), SNELL]);
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert_eq!(rows[0][1], text(&b.join("one.png")));
    assert_eq!(rows[1], ["1.000000", text(&b.join("two.bmp"))]);
    assert_eq!(rows[2][1..], ["mean", "of", "2", "in", text(b)]);
    let words = String::from_utf8(output.stderr).unwrap();
    for (path, other) in [(a.join("left.png"), b), (b.join("right.png"), a)] {
        let said = words
            .lines()
            .any(|line| line.starts_with(text(&path)) && line.ends_with(text(other)));
        assert!(said, "{words}");
    }

    let lines = objects(&["score", text(a), text(b), SNELL]);
    let number = |line: &Value, name: &str| line[name].as_f64().unwrap();
    let mean = (number(&lines[0], "ms_ssim") + 1.0) / 2.0;
    assert_eq!(number(&lines[2], "mean_ms_ssim"), mean);
    assert_eq!(lines[2]["pairs"], 2);
    assert_eq!(format!("{mean:.6}"), rows[2][0]);
}

#[test]
fn several_folders_have_a_mean_each() {
    let [left, right] = folders();
    let (a, b) = (text(left.path()), text(right.path()));
    let table = printed(&["score", a, a, b, SNELL]);
    let means: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("mean of"))
        .collect();
    assert_eq!(means.len(), 2, "{table}");
    assert_eq!(means[0], format!("1.000000  mean of 3 in {a}"));
    assert!(means[1].ends_with(&format!("mean of 2 in {b}")), "{table}");
}

#[test]
fn a_bad_file_does_not_keep_the_others_from_being_scored() {
    let [left, right] = folders();
    let (a, b) = (left.path(), right.path());
    fs::write(a.join("bad.png"), "text").unwrap();
    grey(b, "bad.png", [20, 20], texture);
    grey(a, "size.png", [20, 20], texture);
    grey(b, "size.png", [20, 21], texture);
    let csv = a.join("scores.csv");
    let output = run(&[
        "score",
        text(a),
        text(b),
        SNELL,
        "--per-scale",
        "--csv",
        text(&csv),
        "--fail-below=0.999",
    ]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "an error outranks a low score"
    );
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains(&format!(
            "msssim: {}: not an image",
            text(&a.join("bad.png"))
        )),
        "{words}"
    );
    assert!(
        words.contains("1 of 2 scores are below 0.999; the lowest is "),
        "{words}"
    );
    assert_eq!(
        words.lines().last(),
        Some("msssim: 2 of 4 pairs could not be scored, for the reasons above")
    );
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("mean of 2 in"), "{table}");

    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let names = reader.headers().unwrap().clone();
    assert_eq!(
        names.iter().take(7).collect::<Vec<_>>(),
        [
            "reference",
            "distorted",
            "preset",
            "options",
            "ms_ssim",
            "l_1",
            "c_1"
        ]
    );
    assert_eq!(names.iter().next_back(), Some("error"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    let cell = |row: usize, name: &str| {
        let at = names.iter().position(|other| other == name).unwrap();
        rows[row][at].to_owned()
    };
    assert!(cell(0, "error").contains("bad.png") && cell(0, "ms_ssim").is_empty());
    assert!(cell(2, "error").contains("20 x 20") || cell(2, "error").contains("21 x 20"));
    assert_eq!(cell(1, "error"), "");
    assert_eq!((&*cell(3, "ms_ssim"), &*cell(3, "ssim_5")), ("1", "1"));
    let exact = objects(&[
        "score",
        text(&a.join("one.png")),
        text(&b.join("one.png")),
        SNELL,
    ]);
    assert_eq!(
        cell(1, "ms_ssim").parse::<f64>().ok(),
        exact[0]["ms_ssim"].as_f64()
    );

    // As JSON, every pair has an object.
    let output = run(&["score", text(a), text(b), SNELL, "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let errors = lines
        .lines()
        .filter(|line| line.contains("\"error\":"))
        .count();
    assert_eq!((lines.lines().count(), errors), (5, 2), "{lines}");
}

#[test]
fn channels_have_columns() {
    let folder = images(&[40, 40]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let csv = folder.path().join("scores.csv");
    let arguments = [
        "score",
        text(&a),
        text(&b),
        SNELL,
        "--channels=rgb",
        "--csv",
        text(&csv),
    ];
    let line = objects(&arguments).remove(0);
    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let row: std::collections::HashMap<String, String> =
        reader.deserialize().next().unwrap().unwrap();
    for (i, name) in ["red", "green", "blue"].into_iter().enumerate() {
        let number = row[&format!("ms_ssim_{name}")].parse::<f64>().unwrap();
        assert_eq!(
            Some(number),
            line["channels"][i]["ms_ssim"].as_f64(),
            "{name}"
        );
    }
}

fn status(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(arguments);
    let words = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), words)
}

#[test]
fn scores_below_have_a_status_of_their_own() {
    let [left, right] = folders();
    let (a, b) = (text(left.path()), text(right.path()));
    let (code, words) = status(&["score", a, b, SNELL, "--fail-below", "0.999"]);
    assert_eq!(code, Some(3), "{words}");
    let last = words.lines().last().unwrap();
    assert!(
        last.starts_with("msssim: 1 of 2 scores are below 0.999; the lowest is 0.")
            && last.ends_with("one.png"),
        "{last}"
    );
    assert_eq!(
        status(&["score", a, b, SNELL, "--fail-below=-1"]).0,
        Some(0)
    );
    // As good as asked for is good enough.
    assert_eq!(status(&["score", a, a, SNELL, "--fail-below=1"]).0, Some(0));
    let one = |folder: &Path| folder.join("one.png");
    let (x, y) = (one(left.path()), one(right.path()));
    let (code, words) = status(&["score", text(&x), text(&y), SNELL, "--fail-below=0.999"]);
    assert_eq!(code, Some(3), "{words}");
    assert!(
        words.contains(&format!("{}: the score is 0.", text(&y))),
        "{words}"
    );
    for wrong in ["2", "nan", "high"] {
        let (code, words) = status(&["score", a, b, &format!("--fail-below={wrong}")]);
        assert_eq!(code, Some(2), "{words}");
    }
}

#[test]
fn folders_that_cannot_be_paired() {
    let [left, right] = folders();
    let (a, b) = (left.path(), right.path());
    let file = a.join("one.png");
    for (x, y) in [(a, &*file), (&*file, b)] {
        let words = refusal(&["score", text(x), text(y)]);
        assert!(
            words.contains("is a folder where") && words.contains("one.png"),
            "{words}"
        );
    }
    let none = a.join("none");
    for (x, y) in [(a, &*none), (&*none, b)] {
        let words = refusal(&["score", text(x), text(y)]);
        assert!(words.contains("none: cannot be read"), "{words}");
    }
    let empty = tempfile::tempdir().unwrap();
    let words = refusal(&["score", text(a), text(empty.path())]);
    assert!(words.contains("no image in this folder"), "{words}");
    let other = tempfile::tempdir().unwrap();
    grey(other.path(), "other.png", [20, 20], texture);
    let words = refusal(&["score", text(a), text(other.path())]);
    assert!(words.contains("rename them"), "{words}");
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let folder = images(&[180]);
    let path = folder.path().join("0.png");
    let paths = vec![text(&path); 20];
    let mut child = msssim(&["score"])
        .args(paths)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
