//! `msssim score` as a user meets it.

#[path = "../common/mod.rs"]
mod common;
mod conventions;
mod folders;
mod known;
mod outputs;
#[path = "../common/program.rs"]
mod program;
mod refusals;
mod regions;

use std::path::{Path, PathBuf};

use msssim_trainer::picture::Picture;
use program::printed;
use serde_json::Value;

/// The objects that a run with `--json` prints.
fn objects(arguments: &[&str]) -> Vec<Value> {
    let text = printed(&[arguments, &["--json"]].concat());
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The score of the only pair, in full precision.
fn score(arguments: &[&str]) -> f64 {
    let objects = objects(arguments);
    assert_eq!(objects.len(), 1, "{arguments:?}");
    objects[0]["ms_ssim"].as_f64().unwrap()
}

/// Writes a grey picture whose samples are a function of row and column.
fn grey(
    folder: &Path,
    name: &str,
    [height, width]: [usize; 2],
    sample: impl Fn(usize, usize) -> u8,
) -> PathBuf {
    let path = folder.join(name);
    let samples = (0..height * width).map(|at| f32::from(sample(at / width, at % width)));
    let picture = Picture::grey(width, height, samples.collect(), 255.0);
    picture.save_png(&path).unwrap();
    path
}

/// A repeatable texture.
fn texture(row: usize, column: usize) -> u8 {
    let mixed = (row as u32).wrapping_mul(73_856_093) ^ (column as u32).wrapping_mul(19_349_663);
    let noise = (mixed.wrapping_mul(0x7FEB_352D) >> 27) as usize;
    (((row / 5) % 8) * 16 + ((column / 7) % 6) * 16 + noise) as u8
}
