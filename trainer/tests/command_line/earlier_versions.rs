//! What earlier versions left behind is still read.

use std::fs;

use crate::TINY;
use crate::program::{images, printed, text};

/// A run's training images used to be one folder, written as a string.
#[test]
fn a_run_with_one_folder_as_a_string_goes_on() {
    let train = images(&[32, 24]);
    let root = tempfile::tempdir().unwrap();
    let (now, before) = (root.path().join("now"), root.path().join("before"));
    let command = ["train", "sr", "--loss", "mae", "--out"];
    let folder = ["--train", text(train.path())];
    printed(&[&command[..], &[text(&now)], &folder, &TINY].concat());

    let configuration = fs::read_to_string(now.join("config.toml")).unwrap();
    let list = format!("train = [\"{}\"]", text(train.path()));
    assert!(configuration.contains(&list), "{configuration}");
    let string = format!("train = \"{}\"", text(train.path()));
    let earlier = configuration.replace(&list, &string);
    let file = root.path().join("earlier.toml");
    fs::write(&file, &earlier).unwrap();
    fs::create_dir(&before).unwrap();
    fs::write(before.join("config.toml"), &earlier).unwrap();

    let weights = |out: &std::path::Path| fs::read(out.join("mae.safetensors")).unwrap();
    printed(&[&command[..], &[text(&before), "--resume"], &folder].concat());
    assert!(weights(&before) == weights(&now), "resumed");
    let again = root.path().join("again");
    printed(&[&command[..], &[text(&again), "--config", text(&file)]].concat());
    assert!(weights(&again) == weights(&now), "configured");
}
