//! Training on a CUDA device: on the emulated one, and where there is a card once more on that, in a process
//! that has not loaded the emulator. With `MSSSIM_REQUIRE_GPU=1` on a card only.

use msssim_cuda::network::Precision;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use msssim_trainer::autoencoder::{Model, Shape};
use msssim_trainer::backend::Backend;
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::backend::cuda::Cuda;
use msssim_trainer::checkpoint::Checkpoint;
use msssim_trainer::dead_leaves::dead_leaves;
use msssim_trainer::loss::Loss;
use msssim_trainer::optimizer::Optimizer;
use msssim_trainer::patches::{Loader, Source};
use msssim_trainer::schedule::Schedule;
use msssim_trainer::training::{Configuration, Task, Training};

/// Whether only a real device will do.
fn requires_card() -> bool {
    std::env::var_os("MSSSIM_REQUIRE_GPU").is_some_and(|value| value == "1")
}

fn cuda(precision: Precision) -> Cuda {
    if !requires_card() {
        msssim_emulated_libcuda::load().expect("the emulator");
    }
    Cuda::new(precision).expect("a device")
}

/// A luma crop of 24 x 24.
fn medium(loss: Loss, optimizer: Optimizer, steps: u64) -> Configuration {
    let mut configuration = small(loss, optimizer, steps);
    configuration.patches.batch = 1;
    configuration.patches.side = 24;
    configuration
}

/// Two luma crops of 9 x 9.
fn small(loss: Loss, optimizer: Optimizer, steps: u64) -> Configuration {
    let mut configuration = Configuration {
        optimizer,
        schedule: Schedule::Cosine { warm_up: 2 },
        ..Configuration::new(loss, steps, 5)
    };
    configuration.patches.batch = 2;
    configuration.patches.side = 9;
    configuration
}

/// A narrow autoencoder of crops of 9 x 9; a code that is not drawn from a Gaussian has no noise.
fn autoencoder(model: Model, loss: Loss, steps: u64) -> Configuration {
    let shape = Shape {
        model,
        channels: 1,
        side: 9,
        width: 3,
        bottleneck: 5,
    };
    let mut configuration = Configuration::autoencoder(shape, 2, loss, steps, 5);
    if let Task::Autoencoder { kl_weight, .. } = &mut configuration.task {
        *kl_weight = 0.01;
    }
    configuration
}

fn loader(configuration: &Configuration) -> Loader {
    let source = Source::dead_leaves(2, 24, &configuration.patches, 3);
    Loader::new(source, configuration.patches, configuration.seed)
}

fn train<B: Backend>(training: &mut Training<'_, B>, steps: usize) -> Vec<f32> {
    let mut crops = loader(training.configuration());
    (0..steps)
        .map(|_| training.step(&mut crops).expect("a step"))
        .collect()
}

/// The tensor cores round what they multiply, so that losses differ by what is stated here.
#[test]
fn reduced_precision_learns_alike() {
    for (precision, tolerance, configuration) in [
        (Precision::Tf32, 2e-3, small(Loss::Mse, SGD, 4)),
        (Precision::Bf16, 2e-2, small(Loss::Mse, SGD, 4)),
        (
            Precision::Tf32,
            1e-3,
            autoencoder(Model::Conv, Loss::Mse, 4),
        ),
        (
            Precision::Bf16,
            1e-2,
            autoencoder(Model::ElVae, Loss::Mae, 4),
        ),
    ] {
        let cuda = cuda(precision);
        let mut here = Training::new(&Cpu, configuration).expect("a plan");
        let mut there = Training::new(&cuda, configuration).expect("a plan");
        let (expected, actual) = (train(&mut here, 4), train(&mut there, 4));
        for (expected, actual) in expected.iter().zip(&actual) {
            assert!(
                (expected - actual).abs() <= tolerance * expected.abs(),
                "{precision:?}: {actual:?} where the CPU has {expected:?}"
            );
        }
        assert_ne!(expected, actual, "nothing was rounded");
    }
}

/// Steps that the device takes by itself, cropping from images in its memory, a block of them at a time,
/// are those whose batches the host makes.
#[test]
fn resident_images_give_the_batches_of_the_host() {
    let cuda = cuda(Precision::F32);
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..3 {
        let path = folder.path().join(format!("{i}.png"));
        dead_leaves(7, i, 12, 16).save_png(&path).expect("a file");
    }
    // Noise comes from tables as crops do, and its divergence counts. Blocks are of one image, which serves two
    // steps, or of all.
    for (configuration, budget) in [
        (small(Loss::Mae, Optimizer::ADAM, 7), 1),
        (small(Loss::Mae, Optimizer::ADAM, 3), usize::MAX),
        (autoencoder(Model::ElVae, Loss::Mse, 7), 1),
        (autoencoder(Model::ElVae, Loss::Mse, 3), usize::MAX),
    ] {
        check_resident(&cuda, configuration, folder.path(), budget);
    }
}

fn check_resident(cuda: &Cuda, configuration: Configuration, folder: &Path, budget: usize) {
    let loader = || {
        let folder = folder.to_owned();
        let source = Source::folders(&[folder], &configuration.patches, 3, budget).expect("images");
        Loader::new(source, configuration.patches, configuration.seed)
    };
    let mut by_host = Training::new(cuda, configuration).expect("a plan");
    let mut batches = loader();
    for _ in 0..configuration.steps {
        by_host.step(&mut batches).expect("a step");
    }
    let mut by_device = Training::new(cuda, configuration).expect("a plan");
    let mut seen = Vec::new();
    by_device
        .run(&mut loader(), None, &AtomicBool::new(false), |at| {
            seen.push(at.loss)
        })
        .expect("a run");
    assert_eq!(seen, by_host.losses());
    assert_eq!(
        by_device.checkpoint().expect("weights"),
        by_host.checkpoint().expect("weights")
    );
}

const SGD: Optimizer = Optimizer::Sgd {
    learning_rate: 0.01,
    last_layer_rate: 0.001,
    momentum: 0.9,
};

#[test]
fn ten_steps_of_srcnn_are_those_of_the_cpu() {
    let cuda = cuda(Precision::F32);
    // At 9 x 9 the coarser scales have few windows, whose rounding errors MS-SSIM's steps would add up.
    for (configuration, steps) in [
        (medium(Loss::MsSsim, Optimizer::ADAM, 10), 10),
        (small(Loss::Mse, SGD, 3), 3),
        (small(Loss::Mae, Optimizer::ADAM, 3), 3),
    ] {
        check_steps(&cuda, configuration, steps);
    }
}

#[test]
fn ten_steps_of_autoencoders_are_those_of_the_cpu() {
    let cuda = cuda(Precision::F32);
    for (configuration, steps) in [
        (autoencoder(Model::Conv, Loss::MsSsim, 10), 10),
        (autoencoder(Model::Fc, Loss::Mix, 3), 3),
        (autoencoder(Model::ElVae, Loss::Mse, 3), 3),
    ] {
        check_steps(&cuda, configuration, steps);
    }
}

fn check_steps(cuda: &Cuda, configuration: Configuration, steps: usize) {
    let mut here = Training::new(&Cpu, configuration).expect("a plan");
    let mut there = Training::new(cuda, configuration).expect("a plan");
    let (expected, actual) = (train(&mut here, steps), train(&mut there, steps));
    for (step, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
        assert!(
            (expected - actual).abs() <= 1e-5 * expected.abs(),
            "{:?}, step {step}: {actual} where the CPU has {expected}",
            configuration.loss
        );
    }
    assert_ne!(expected, [expected[0]; 10][..steps], "nothing is learnt");
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_bit_for_bit() {
    for (configuration, precision) in [
        (small(Loss::MsSsim, Optimizer::ADAM, 5), Precision::F32),
        (small(Loss::Mse, SGD, 5), Precision::Tf32),
        (autoencoder(Model::Conv, Loss::Mae, 5), Precision::Bf16),
        (autoencoder(Model::ElVae, Loss::Mse, 5), Precision::F32),
    ] {
        let cuda = cuda(precision);
        let mut whole = Training::new(&cuda, configuration).expect("a plan");
        let losses = train(&mut whole, 5);

        let mut first = Training::new(&cuda, configuration).expect("a plan");
        assert_eq!(train(&mut first, 3), losses[..3]);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint.safetensors");
        first
            .checkpoint()
            .expect("weights")
            .save(&path)
            .expect("a file");
        drop(first);
        // On a device opened anew, as after a crash.
        let cuda = self::cuda(precision);
        let checkpoint = Checkpoint::load(&path).expect("the file");
        let mut second = Training::resume(&cuda, &checkpoint).expect("a plan");
        assert_eq!(train(&mut second, 2), losses[3..]);
        assert_eq!(
            second.checkpoint().expect("weights"),
            whole.checkpoint().expect("weights")
        );
    }
}

#[test]
fn all_of_it_on_a_card() {
    if requires_card() {
        return;
    }
    let run = |arguments: &[&str]| {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program)
            .args(arguments)
            .env("MSSSIM_REQUIRE_GPU", "1")
            .output()
            .expect("this program, started again");
        let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        (output.status.success(), text.concat())
    };
    let (there, why) = run(&["--exact", "a_device_opens"]);
    if !there {
        assert!(
            why.contains("NoDriver") || why.contains("NoDevice"),
            "{why}"
        );
        let _ = writeln!(std::io::stderr(), "skipped: no CUDA device");
        return;
    }
    let (passed, why) = run(&["--test-threads", "1"]);
    assert!(passed, "on the card: {why}");
}

#[test]
fn a_device_opens() {
    assert!(!cuda(Precision::F32).name().is_empty());
}
