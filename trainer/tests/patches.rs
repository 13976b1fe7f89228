//! Batches: a function of seed and step, from folders and from procedural images.

use std::fs;
use std::path::Path;

use msssim_trainer::dead_leaves::dead_leaves;
use msssim_trainer::evaluation::Channels;
use msssim_trainer::patches::{Loader, PatchError, PatchShape, Source, Symmetries};

const SHAPE: PatchShape = PatchShape {
    batch: 3,
    side: 12,
    factor: 4,
    channels: Channels::Y,
    symmetries: Symmetries::All,
};

fn batch(loader: &mut Loader, shape: &PatchShape, step: u64) -> (Vec<f32>, Vec<f32>) {
    let (mut input, mut target) = (
        vec![f32::NAN; shape.batch_len()],
        vec![f32::NAN; shape.batch_len()],
    );
    loader.fill(step, &mut input, &mut target).unwrap();
    (input, target)
}

fn folder_of(sides: &[usize]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, &side) in sides.iter().enumerate() {
        let path = folder.path().join(format!("{i}.png"));
        dead_leaves(5, i as u64, side, side + 4)
            .save_png(&path)
            .unwrap();
    }
    fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
    folder
}

fn folder_source(folder: &Path, budget: usize) -> Result<Source, PatchError> {
    Source::folders(&[folder.to_owned()], &SHAPE, 9, budget)
}

#[test]
fn a_batch_depends_on_seed_and_step_alone() {
    let source = || Source::dead_leaves(4, 40, &SHAPE, 1);
    let mut one = Loader::new(source(), SHAPE, 1);
    let batches: Vec<_> = (0..6).map(|step| batch(&mut one, &SHAPE, step)).collect();
    let mut resumed = Loader::new(source(), SHAPE, 1);
    for step in [4, 5, 2] {
        assert!(
            batch(&mut resumed, &SHAPE, step) == batches[step as usize],
            "step {step}"
        );
    }
    assert!(batches[0] != batches[1], "steps differ");
    let mut other = Loader::new(source(), SHAPE, 2);
    assert!(batch(&mut other, &SHAPE, 0) != batches[0], "seeds differ");
    let all = batches
        .iter()
        .flat_map(|(input, target)| input.iter().chain(target));
    assert!(
        all.into_iter().all(|v| (-0.5..1.5).contains(v)),
        "samples are scaled to 0 to 1"
    );
}

#[test]
fn a_folder_larger_than_the_budget_is_dealt_into_blocks() {
    let folder = folder_of(&[24, 28, 32, 36, 24, 8]);
    let whole = folder_source(folder.path(), usize::MAX).unwrap();
    assert_eq!(whole.skipped, 1, "the image that is smaller than a crop");
    // One image a block: every image of the folder serves in turn.
    let mut dealt = Loader::new(folder_source(folder.path(), 1).unwrap(), SHAPE, 3);
    let batches: Vec<_> = (0..40)
        .map(|step| batch(&mut dealt, &SHAPE, step))
        .collect();
    let mut again = Loader::new(folder_source(folder.path(), 1).unwrap(), SHAPE, 3);
    for step in [17, 18, 39, 0] {
        assert!(
            batch(&mut again, &SHAPE, step) == batches[step as usize],
            "step {step}"
        );
    }
    let mut together = Loader::new(whole, SHAPE, 3);
    assert!(
        batch(&mut together, &SHAPE, 0) != batches[0],
        "all images at once"
    );
}

/// The images of several folders are those of one in which they follow each other by name.
#[test]
fn folders_count_in_the_order_given() {
    let (first, second) = (folder_of(&[24, 28]), folder_of(&[36, 32, 20]));
    let both = tempfile::tempdir().unwrap();
    for (folder, letter) in [(&first, 'a'), (&second, 'b')] {
        for i in 0..3 {
            let name = format!("{i}.png");
            if folder.path().join(&name).exists() {
                let to = both.path().join(format!("{letter}{name}"));
                fs::copy(folder.path().join(&name), to).unwrap();
            }
        }
    }
    let drawn = |folders: &[&Path]| {
        let folders: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        // One image a block: the order of the images shows.
        let source = Source::folders(&folders, &SHAPE, 9, 1).unwrap();
        let mut loader = Loader::new(source, SHAPE, 3);
        let steps = 0..20;
        let batches: Vec<_> = steps.map(|step| batch(&mut loader, &SHAPE, step)).collect();
        batches
    };
    let expected = drawn(&[both.path()]);
    assert!(drawn(&[first.path(), second.path()]) == expected);
    assert!(drawn(&[second.path(), first.path()]) != expected);
}

#[test]
fn colour_crops_hold_three_planes() {
    let shape = PatchShape {
        channels: Channels::Ycbcr,
        ..SHAPE
    };
    let mut loader = Loader::new(Source::dead_leaves(2, 32, &shape, 1), shape, 1);
    let (input, target) = batch(&mut loader, &shape, 0);
    assert_eq!((input.len(), target.len()), (3 * 3 * 144, 3 * 3 * 144));
    let mut grey = Loader::new(Source::dead_leaves(2, 32, &SHAPE, 1), SHAPE, 1);
    assert!(
        batch(&mut grey, &SHAPE, 0).1[..144] == target[..144],
        "the first plane is Y"
    );
}

#[test]
fn bad_folders_are_named() {
    let small = folder_of(&[8, 8]);
    let message = folder_source(small.path(), usize::MAX)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("none of the 2 images") && message.contains("12 x 12"),
        "{message}"
    );

    let empty = tempfile::tempdir().unwrap();
    let message = folder_source(empty.path(), usize::MAX)
        .unwrap_err()
        .to_string();
    assert!(message.contains("no image in this folder"), "{message}");

    let good = folder_of(&[24]);
    for bad in [&small, &empty] {
        let folders = [good.path().to_owned(), bad.path().to_owned()];
        let message = Source::folders(&folders, &SHAPE, 9, usize::MAX)
            .unwrap_err()
            .to_string();
        let name = bad.path().display().to_string();
        assert!(message.starts_with(&name), "{message}");
    }

    let damaged = folder_of(&[24, 24]);
    let path = damaged.path().join("1.png");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let mut loader = Loader::new(folder_source(damaged.path(), usize::MAX).unwrap(), SHAPE, 1);
    let mut out = (vec![0.0; SHAPE.batch_len()], vec![0.0; SHAPE.batch_len()]);
    let message = loader
        .fill(0, &mut out.0, &mut out.1)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("1.png") && message.contains("damaged"),
        "{message}"
    );
}
