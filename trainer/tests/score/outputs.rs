//! Files that are written: whole or not at all, and never over something else.

use std::fs;

use crate::program::{images, printed, refusal, run, text};

#[test]
fn nothing_is_replaced_unasked() {
    let folder = images(&[40, 40]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let kept = fs::read(&b).unwrap();
    for (option, name) in [("--csv", "out.csv"), ("--map", "out.png")] {
        let path = folder.path().join(name);
        let pair = ["score", text(&a), text(&b), "--preset=snell-2017", option];
        let with = |path, more: &[&'static str]| [&pair[..], &[path], more].concat();
        fs::write(&path, "mine").unwrap();
        let words = refusal(&with(text(&path), &[]));
        assert!(words.contains(name) && words.contains("--force"), "{words}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        printed(&with(text(&path), &["--force"]));
        assert_ne!(fs::read(&path).unwrap(), b"mine");

        let words = refusal(&with(text(&b), &["--force"]));
        assert!(words.contains("one of the images"), "{words}");
        assert!(fs::read(&b).unwrap() == kept, "the image is whole");
        let nowhere = folder.path().join("none").join(name);
        let words = refusal(&with(text(&nowhere), &[]));
        assert!(words.contains("no such folder"), "{words}");
        let words = refusal(&with(text(folder.path()), &["--force"]));
        assert!(words.contains("is a folder"), "{words}");
    }
    let same = folder.path().join("same");
    let both = ["--csv", text(&same), "--map", text(&same)];
    let words = refusal(&[&["score", text(&a), text(&b)], &both[..]].concat());
    assert!(words.contains("both"), "{words}");
}

#[test]
fn where_nothing_is_scored_nothing_is_written() {
    let folder = images(&[40, 41]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let csv = folder.path().join("out.csv");
    let output = run(&["score", text(&a), text(&b), text(&b), "--csv", text(&csv)]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("2 of 2 pairs"), "{words}");
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["0.png", "1.png"]);
}

/// A name is quoted, whatever it is.
#[test]
fn names_with_commas_and_quotes() {
    let folder = images(&[40]);
    let a = folder.path().join("0.png");
    let odd = folder.path().join("a, \"b\"\n.png");
    fs::copy(&a, &odd).unwrap();
    let csv = folder.path().join("out.csv");
    printed(&[
        "score",
        text(&a),
        text(&odd),
        "--preset=snell-2017",
        "--csv",
        text(&csv),
    ]);
    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let row = reader.records().next().unwrap().unwrap();
    assert_eq!((&row[1], &row[4]), (text(&odd), "1"));
}
