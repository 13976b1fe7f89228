//! Training on images that do not fit a device at once: block after block, the next one copied while steps run. On
//! the emulated device, in the orders that a device may choose, one test at a time: the order is the process's.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use msssim_cuda::network::Precision;
use msssim_emulated_libcuda::{Alone, Order, Setting};
use msssim_trainer::autoencoder::{Model, Shape};
use msssim_trainer::backend::Backend;
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::backend::cuda::Cuda;
use msssim_trainer::checkpoint::Checkpoint;
use msssim_trainer::dead_leaves::dead_leaves;
use msssim_trainer::loss::Loss;
use msssim_trainer::patches::{Loader, Source};
use msssim_trainer::training::{Configuration, Outcome, Saving, Training, TrainingError};
use tempfile::TempDir;

/// Steps of a run: three images of two steps each, and the first of them again.
const STEPS: u64 = 8;

fn alone() -> Alone {
    msssim_emulated_libcuda::alone().expect("the emulator")
}

fn cuda() -> Cuda {
    Cuda::new(Precision::F32).expect("a device")
}

/// A luma crop of 9 x 9.
fn srcnn() -> Configuration {
    let mut configuration = Configuration::new(Loss::Mae, STEPS, 5);
    (configuration.patches.batch, configuration.patches.side) = (1, 9);
    configuration
}

/// Inputs are targets, and there is noise.
fn autoencoder() -> Configuration {
    let shape = Shape {
        model: Model::ElVae,
        channels: 1,
        side: 9,
        width: 3,
        bottleneck: 5,
    };
    Configuration::autoencoder(shape, 2, Loss::Mse, STEPS, 5)
}

/// Three images, each of which serves two steps.
fn images() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..3 {
        let path = folder.path().join(format!("{i}.png"));
        dead_leaves(7, i, 12, 12).save_png(&path).expect("a file");
    }
    folder
}

/// Blocks of one image.
fn loader(configuration: &Configuration, folder: &Path) -> Loader {
    let source = Source::folders(&[folder.to_owned()], &configuration.patches, 3, 1);
    let source = source.expect("images");
    Loader::new(source, configuration.patches, configuration.seed)
}

fn run<B: Backend>(training: &mut Training<'_, B>, folder: &Path) {
    let mut loader = loader(training.configuration(), folder);
    assert_eq!(loader.blocks(), 3);
    let stop = AtomicBool::new(false);
    let outcome = training.run(&mut loader, None, &stop, |_| {});
    assert_eq!(outcome.expect("a run"), Outcome::Finished);
}

/// Those of batches that the host cuts and uploads, on the same device; and nearly those of the CPU.
#[test]
fn blocks_in_turn_give_the_bits_of_uploaded_batches() {
    let emulator = alone();
    let folder = images();
    // What is late for the one network is for the other.
    for (configuration, orders) in [
        (srcnn(), vec![Order::CopiesFirst]),
        (autoencoder(), vec![Order::Late, Order::CopiesFirst]),
    ] {
        let cuda = cuda();
        let mut uploaded = Training::new(&cuda, configuration).expect("a plan");
        let mut batches = loader(&configuration, folder.path());
        for _ in 0..STEPS {
            uploaded.step(&mut batches).expect("a step");
        }
        let expected = uploaded.checkpoint().expect("weights");
        for order in orders {
            emulator.order(order);
            let mut streamed = Training::new(&cuda, configuration).expect("a plan");
            run(&mut streamed, folder.path());
            assert_eq!(streamed.losses(), uploaded.losses(), "{order:?}");
            assert!(streamed.checkpoint().expect("weights") == expected);
        }
        emulator.order(Order::AtOnce);

        let mut here = Training::new(&Cpu, configuration).expect("a plan");
        run(&mut here, folder.path());
        for (expected, actual) in here.losses().iter().zip(uploaded.losses()) {
            assert!(
                (expected - actual).abs() <= 1e-5 * expected.abs(),
                "{actual} where the CPU has {expected}"
            );
        }
    }
}

/// The device has work to do when it is given the copy of the next block: all steps of the one before.
#[test]
fn the_next_block_is_asked_for_before_the_steps_of_this_one_are_done() {
    let emulator = alone();
    let (folder, configuration, cuda) = (images(), srcnn(), cuda());
    let mut training = Training::new(&cuda, configuration).expect("a plan");
    emulator.order(Order::Late);
    emulator.watch();
    run(&mut training, folder.path());
    let mut asked = 0;
    let mut done = 0;
    for line in emulator.watched() {
        if line.starts_with("asked") && line.ends_with("pinned") {
            // Of inputs and of targets.
            asked += 1;
        }
        if line.starts_with("done") && line.ends_with("launch end_step") {
            done += 1;
            // The first two steps are of the first block, and the second one is on its way by then.
            let blocks = (STEPS / 2).min(2 + (done - 1) / 2);
            assert!(asked >= 2 * blocks, "step {done}: {asked} planes asked for");
        }
    }
    assert_eq!((asked, done), (2 * STEPS / 2, STEPS));
}

/// Wherever in a block it was stopped.
#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let emulator = alone();
    let (folder, configuration) = (images(), autoencoder());
    let cuda = cuda();
    let mut whole = Training::new(&cuda, configuration).expect("a plan");
    run(&mut whole, folder.path());
    let checkpoint = whole.checkpoint().expect("weights");
    let file = tempfile::tempdir().expect("a folder");
    let path = file.path().join("checkpoint.safetensors");
    emulator.order(Order::CopiesFirst);
    for (stop_at, again) in [(1, true), (2, false), (5, false)] {
        let mut first = Training::new(&cuda, configuration).expect("a plan");
        let stop = AtomicBool::new(false);
        let saving = Saving {
            path: &path,
            every: stop_at,
        };
        let mut images = loader(&configuration, folder.path());
        let outcome = first.run(&mut images, Some(saving), &stop, |at| {
            stop.store(at.step >= stop_at, Ordering::Relaxed);
        });
        assert_eq!(outcome.expect("a run"), Outcome::Stopped);
        if again {
            // With images that are opened anew.
            run(&mut first, folder.path());
            assert!(first.checkpoint().expect("weights") == checkpoint);
            continue;
        }
        drop(first);
        let stopped = Checkpoint::load(&path).expect("a checkpoint");
        let mut second = Training::resume(&cuda, &stopped).expect("a plan");
        let done = second.losses().len() as u64;
        assert!(done >= stop_at && done < STEPS, "{done}");
        run(&mut second, folder.path());
        assert!(
            second.checkpoint().expect("weights") == checkpoint,
            "{done}"
        );
    }
}

/// Steps before it are done and saved.
#[test]
fn an_image_that_cannot_be_read_is_an_error_of_the_step_that_needs_it() {
    let _emulator = alone();
    let configuration = srcnn();
    let cuda = cuda();
    for (broken, kept) in [(0, None), (1, Some(2)), (2, Some(4))] {
        let folder = images();
        let mut images = loader(&configuration, folder.path());
        // The blocks are the images in an order that the seed decides.
        let order = order_of_images(&configuration);
        let name = format!("{}.png", order[broken]);
        fs::write(folder.path().join(&name), b"no image").expect("a file");
        let path = folder.path().join("checkpoint.safetensors");
        let mut training = Training::new(&cuda, configuration).expect("a plan");
        let saving = Saving {
            path: &path,
            every: 2,
        };
        let stop = AtomicBool::new(false);
        let result = training.run(&mut images, Some(saving), &stop, |_| {});
        match result {
            Err(TrainingError::Batch { step, source }) => {
                assert_eq!(step, 2 * broken as u64);
                assert!(source.to_string().contains(&name), "{source}");
            }
            other => panic!("{other:?}"),
        }
        let saved = Checkpoint::load(&path).ok().map(|checkpoint| {
            let training = checkpoint.state().expect("the state of its training");
            training.losses.len()
        });
        assert_eq!(saved, kept);
        assert_eq!(training.losses().len(), 2 * broken);
        // Once the image is there, the run goes on.
        dead_leaves(7, order[broken], 12, 12)
            .save_png(&folder.path().join(&name))
            .expect("a file");
        run(&mut training, folder.path());
        assert_eq!(training.losses().len() as u64, STEPS);
    }
}

/// Which image is in which block: found by what is read when all others are broken.
fn order_of_images(configuration: &Configuration) -> [u64; 3] {
    let block_of = |image: u64| {
        let folder = images();
        let mut loader = loader(configuration, folder.path());
        for other in (0..3).filter(|other| *other != image) {
            fs::write(folder.path().join(format!("{other}.png")), b"no image").expect("a file");
        }
        (0..3).find(|block| loader.images(*block).is_ok())
    };
    let mut order = [0, 1, 2];
    order.sort_by_key(|image| block_of(*image));
    order
}

/// What no step needs is not read.
#[test]
fn a_run_that_ends_with_a_block_reads_no_other() {
    let _emulator = alone();
    let mut configuration = srcnn();
    configuration.steps = 4;
    let folder = images();
    let mut images = loader(&configuration, folder.path());
    let last = order_of_images(&configuration)[2];
    fs::remove_file(folder.path().join(format!("{last}.png"))).expect("a file");
    let cuda = cuda();
    let mut training = Training::new(&cuda, configuration).expect("a plan");
    let stop = AtomicBool::new(false);
    let outcome = training.run(&mut images, None, &stop, |_| {});
    assert_eq!(outcome.expect("a run"), Outcome::Finished);
}

#[test]
fn a_host_without_memory_to_lock_is_told_what_to_do() {
    let emulator = alone();
    let (folder, configuration, cuda) = (images(), srcnn(), cuda());
    let mut images = loader(&configuration, folder.path());
    let mut training = Training::new(&cuda, configuration).expect("a plan");
    emulator.set(Setting::PinnedMemory, 1 << 10);
    let stop = AtomicBool::new(false);
    let error = training.run(&mut images, None, &stop, |_| {});
    let error = error.expect_err("no memory").to_string();
    assert!(
        error.contains("page-locked host memory") && error.contains("ulimit"),
        "{error}"
    );
}
