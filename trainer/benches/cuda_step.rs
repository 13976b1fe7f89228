//! Times training on a card: `cargo bench -p msssim-trainer --bench cuda_step`.
//!
//! Whole steps of SRCNN with MS-SSIM, as `msssim train sr --device cuda` takes them; the loss alone; and
//! each layer of SRCNN and of the paper's autoencoder with the share of the card's arithmetic that it reaches.
//! Where Python has PyTorch, `pytorch_step.py` times its steps and the same layers by cuDNN and cuBLAS on the same
//! card in the same run.
//!
//! As a test (`cargo test`) everything runs once on the emulator, in small, and prints no time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose result is a table"
)]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use msssim_cuda::cudarc::driver::sys::CUdevice_attribute;
use msssim_cuda::network::{Activation, Comparison, Conv, Dense, Network, Precision};
use msssim_cuda::{Device, Params, Size};
use msssim_trainer::backend::cuda::Cuda;
use msssim_trainer::loss::Loss;
use msssim_trainer::patches::{Loader, Source};
use msssim_trainer::training::{Configuration, Training};

type Failure = Box<dyn std::error::Error>;

const PRECISIONS: [(Precision, &str); 3] = [
    (Precision::F32, "f32"),
    (Precision::Tf32, "tf32"),
    (Precision::Bf16, "bf16"),
];

/// Images and sides of a batch.
const BATCHES: [(usize, usize); 2] = [(128, 33), (16, 96)];

/// Replays of which a time is the mean, and such times of which the median is printed.
const REPLAYS: usize = 64;
const TIMES: usize = 15;

fn main() -> ExitCode {
    let bench = std::env::args().any(|argument| argument == "--bench");
    match if bench { run() } else { smoke() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let device = match Device::probe() {
        Ok(device) => device,
        Err(error) => {
            eprintln!("skipped: {error}");
            return Ok(());
        }
    };
    println!("{}\n", device.name());
    println!("| SRCNN 9-5-5, MS-SSIM, a step | images | ms | loss alone, ms | its share |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for (precision, name) in PRECISIONS {
        for (images, side) in BATCHES {
            let step = step_time(precision, images, side, 20 * REPLAYS)?;
            let loss = loss_time(precision, images, side, REPLAYS)?;
            let share = 100.0 * loss / step;
            println!(
                "| {name} | {images} of {side} x {side} | {step:.4} | {loss:.4} | {share:.1} % |"
            );
        }
    }
    println!("\n| layer | precision | pass | ms | TFLOP/s | of the card's |");
    println!("| --- | --- | --- | ---: | ---: | ---: |");
    for (precision, name) in PRECISIONS {
        let peak = peak(&device, precision)?;
        for (name_of_layer, layer) in layers() {
            let operations = layer.operations();
            for (pass, ms) in layer_times(precision, layer, REPLAYS)? {
                let reached = operations / (ms * 1e-3) / 1e12;
                let share = peak.map_or("unknown".to_owned(), |peak| {
                    format!("{:.0} % of {peak:.0}", 100.0 * reached / peak)
                });
                println!(
                    "| {name_of_layer} | {name} | {pass} | {ms:.4} | {reached:.2} | {share} |"
                );
            }
        }
    }
    println!();
    pytorch();
    Ok(())
}

fn configuration(images: usize, side: usize, steps: usize) -> Configuration {
    let mut configuration = Configuration::new(Loss::MsSsim, steps as u64, 1);
    configuration.patches.batch = images;
    configuration.patches.side = side;
    configuration
}

/// Milliseconds of a step, cropping included: what is left of a run when its first quarter is taken off.
fn step_time(
    precision: Precision,
    images: usize,
    side: usize,
    steps: usize,
) -> Result<f64, Failure> {
    let configuration = configuration(images, side, steps);
    let cuda = Cuda::new(precision)?;
    let source = Source::dead_leaves(8, 2 * side.next_multiple_of(4), &configuration.patches, 1);
    let mut loader = Loader::new(source, configuration.patches, 1);
    let mut training = Training::new(&cuda, configuration)?;
    let warm = steps as u64 / 4;
    let mut begun = Instant::now();
    let mut counted = 0;
    training.run(&mut loader, None, &AtomicBool::new(false), |at| {
        // Steps are reported when the device has done a whole lot of them.
        if at.step <= warm {
            begun = Instant::now();
        } else {
            counted += 1;
        }
    })?;
    Ok(begun.elapsed().as_secs_f64() * 1e3 / f64::from(counted.max(1)))
}

/// The median over [`TIMES`] runs of the mean over `replays` replays of what `calls` put into the stream.
fn replayed(
    network: &Network,
    replays: usize,
    calls: impl FnOnce() -> Result<(), msssim_cuda::Error>,
) -> Result<f64, Failure> {
    let recording = network.record(calls)?;
    let wait = network.zeros(1)?;
    let times = if replays == 1 { 1 } else { TIMES };
    let mut means = Vec::with_capacity(times);
    for _ in 0..=times {
        let begun = Instant::now();
        for _ in 0..replays {
            network.replay(&recording)?;
        }
        network.download(&wait, &mut [0.0])?;
        means.push(begun.elapsed().as_secs_f64() * 1e3 / replays as f64);
    }
    // The first warms up.
    means.remove(0);
    means.sort_by(f64::total_cmp);
    Ok(means[means.len() / 2])
}

/// Milliseconds of MS-SSIM with its gradient.
fn loss_time(
    precision: Precision,
    images: usize,
    side: usize,
    replays: usize,
) -> Result<f64, Failure> {
    let network = Network::open(0, precision)?;
    let params = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let size = Size {
        width: side,
        height: side,
    };
    let measure = network.plan_measure(Comparison::MsSsim(params), images, 1, size)?;
    let len = images * size.area();
    let samples =
        |step: usize| -> Vec<f32> { (0..len).map(|i| (i * step % 251) as f32 / 250.0).collect() };
    let [mut x, mut y, mut gradient] = [
        network.zeros(len)?,
        network.zeros(len)?,
        network.zeros(len)?,
    ];
    network.upload(&samples(7), &mut x)?;
    network.upload(&samples(9), &mut y)?;
    // Once outside the recording: the factor is uploaded.
    network.measure_and_gradient(&measure, &x, &y, -1.0, &mut gradient)?;
    replayed(&network, replays, || {
        network.measure_and_gradient(&measure, &x, &y, -1.0, &mut gradient)
    })
}

/// A layer as it is planned.
#[derive(Clone, Copy)]
enum Layer {
    Conv(Conv),
    Dense(Dense),
}

impl Layer {
    /// Numbers of input, output, weights and biases.
    fn lens(&self) -> [usize; 4] {
        let size = |n: i32| n as usize;
        match self {
            Self::Conv(conv) => {
                let [images, ins, outs] =
                    [conv.images, conv.in_channels, conv.out_channels].map(size);
                let weights = ins * outs * size(conv.kernel * conv.kernel);
                let large = images * ins * size(conv.height * conv.width);
                let small = images * outs * size(conv.out_height() * conv.out_width());
                if conv.transposed {
                    [small, large, weights, ins]
                } else {
                    [large, small, weights, outs]
                }
            }
            Self::Dense(dense) => {
                let [images, ins, outs] = [dense.images, dense.inputs, dense.outputs].map(size);
                [images * ins, images * outs, ins * outs, outs]
            }
        }
    }

    /// Multiplications and additions of one pass.
    fn operations(&self) -> f64 {
        let products = match self {
            Self::Conv(conv) => {
                let outputs =
                    f64::from(conv.images) * f64::from(conv.out_height() * conv.out_width());
                let weights = f64::from(conv.in_channels * conv.kernel * conv.kernel);
                outputs * weights * f64::from(conv.out_channels)
            }
            Self::Dense(dense) => {
                f64::from(dense.images) * f64::from(dense.inputs) * f64::from(dense.outputs)
            }
        };
        2.0 * products
    }

    /// The same kind of layer, small enough for an emulator.
    fn small(self) -> Self {
        match self {
            Self::Conv(conv) => Self::Conv(Conv {
                images: 1,
                height: 4,
                width: 4,
                // As few as are packed.
                in_channels: conv.in_channels.min(32),
                out_channels: conv.out_channels.min(32),
                ..conv
            }),
            Self::Dense(dense) => Self::Dense(Dense {
                images: 2,
                inputs: dense.inputs.min(40),
                outputs: dense.outputs.min(40),
                ..dense
            }),
        }
    }
}

/// SRCNN's layers at its larger batch, and the autoencoder's; `pytorch_step.py` has the same.
fn layers() -> Vec<(&'static str, Layer)> {
    let conv = |images, in_channels, out_channels, side, kernel, stride| Conv {
        images,
        in_channels,
        out_channels,
        height: side,
        width: side,
        kernel,
        stride,
        replicate: stride == 1,
        transposed: false,
        activation: Activation::Identity,
    };
    let transposed = |in_channels, out_channels, side| Conv {
        transposed: true,
        ..conv(32, in_channels, out_channels, side, 5, 2)
    };
    let dense = |inputs, outputs| {
        Layer::Dense(Dense {
            images: 32,
            inputs,
            outputs,
            activation: Activation::Identity,
        })
    };
    let conv = |images, ins, outs, side, kernel, stride| {
        Layer::Conv(conv(images, ins, outs, side, kernel, stride))
    };
    vec![
        ("9x9x1x64, 128 of 33", conv(128, 1, 64, 33, 9, 1)),
        ("5x5x64x32, 128 of 33", conv(128, 64, 32, 33, 5, 1)),
        ("5x5x32x1, 128 of 33", conv(128, 32, 1, 33, 5, 1)),
        ("5x5x1x128 by 2, 32 of 96", conv(32, 1, 128, 96, 5, 2)),
        ("5x5x128x256 by 2, 32 of 48", conv(32, 128, 256, 48, 5, 2)),
        ("5x5x256x512 by 2, 32 of 24", conv(32, 256, 512, 24, 5, 2)),
        ("73728 to 512, 32 images", dense(73_728, 512)),
        ("512 to 73728, 32 images", dense(512, 73_728)),
        (
            "5x5x512x256 transposed by 2, 32 of 12",
            Layer::Conv(transposed(256, 512, 24)),
        ),
        (
            "5x5x256x128 transposed by 2, 32 of 24",
            Layer::Conv(transposed(128, 256, 48)),
        ),
        (
            "5x5x128x1 transposed by 2, 32 of 48",
            Layer::Conv(transposed(1, 128, 96)),
        ),
    ]
}

/// Milliseconds of each pass.
fn layer_times(
    precision: Precision,
    layer: Layer,
    replays: usize,
) -> Result<[(&'static str, f64); 3], Failure> {
    let network = Network::open(0, precision)?;
    let [inputs, outputs, weights, biases] = layer.lens();
    let ranges = || [0..weights, weights..weights + biases];
    let mut parameters = network.zeros(weights + biases)?;
    let mut dparameters = network.zeros(weights + biases)?;
    let [mut input, mut dinput] = [network.zeros(inputs)?, network.zeros(inputs)?];
    let [mut output, mut doutput] = [network.zeros(outputs)?, network.zeros(outputs)?];
    let samples = |len: usize| -> Vec<f32> { (0..len).map(|i| (i % 97) as f32 / 97.0).collect() };
    network.upload(&samples(inputs), &mut input)?;
    network.upload(&samples(outputs), &mut doutput)?;
    network.upload(&samples(weights), &mut parameters)?;

    let (p, dp) = (&parameters, &mut dparameters);
    let (x, y, dy) = (&input, &mut output, &mut doutput);
    let [forward, weight, both] = match layer {
        Layer::Conv(conv) => {
            let conv = network.plan_conv2d(conv)?;
            [
                replayed(&network, replays, || {
                    network.conv2d_forward(&conv, p, ranges(), x, y)
                })?,
                replayed(&network, replays, || {
                    network.conv2d_backward(&conv, p, ranges(), x, y, dy, None, dp)
                })?,
                replayed(&network, replays, || {
                    let dx = Some(&mut dinput);
                    network.conv2d_backward(&conv, p, ranges(), x, y, dy, dx, dp)
                })?,
            ]
        }
        Layer::Dense(dense) => {
            let dense = network.plan_dense(dense)?;
            [
                replayed(&network, replays, || {
                    network.dense_forward(&dense, p, ranges(), x, y)
                })?,
                replayed(&network, replays, || {
                    network.dense_backward(&dense, p, ranges(), x, y, dy, None, dp)
                })?,
                replayed(&network, replays, || {
                    let dx = Some(&mut dinput);
                    network.dense_backward(&dense, p, ranges(), x, y, dy, dx, dp)
                })?,
            ]
        }
    };
    Ok([
        ("forward", forward),
        ("by weights", weight),
        // What the gradient by the input adds.
        ("by input", (both - weight).max(f64::MIN_POSITIVE)),
    ])
}

/// The card's arithmetic in TFLOP/s, where it is known: multiprocessors x clock x operations of each.
fn peak(device: &Device, precision: Precision) -> Result<Option<f64>, Failure> {
    let attribute =
        |which| -> Result<f64, Failure> { Ok(f64::from(device.context().attribute(which)?)) };
    let count = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    let kilohertz = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?;
    let architecture = device.architecture();
    // Dense operations of a multiprocessor in a cycle, from NVIDIA's white papers of A100 and H100.
    let of_each = match (architecture.major, architecture.minor, precision) {
        (8, 0, Precision::F32) => 128.0,
        (8, 0, Precision::Tf32) => 1024.0,
        (8, 0, Precision::Bf16) => 2048.0,
        (9, 0, Precision::F32) => 256.0,
        (9, 0, Precision::Tf32) => 2048.0,
        (9, 0, Precision::Bf16) => 4096.0,
        _ => return Ok(None),
    };
    Ok(Some(count * kilohertz * 1e3 * of_each / 1e12))
}

/// PyTorch's times of the same steps, where there is PyTorch.
fn pytorch() {
    // Below the package, where Cargo starts a benchmark, or below the workspace.
    let places = ["benches/pytorch_step.py", "trainer/benches/pytorch_step.py"];
    let script = places.into_iter().find(|place| Path::new(place).is_file());
    let Some(script) = script else {
        eprintln!("skipped: none of {places:?} is here");
        return;
    };
    match Command::new("python3").arg(script).output() {
        Ok(output) if output.status.success() => {
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(output) => eprintln!(
            "skipped: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(error) => eprintln!("skipped: python3: {error}"),
    }
}

/// Everything once, in small, on the emulator.
fn smoke() -> Result<(), Failure> {
    msssim_emulated_libcuda::load()?;
    let device = Device::probe()?;
    for (precision, _) in PRECISIONS {
        assert!(peak(&device, precision)?.is_some_and(|peak| peak > 0.0));
        assert!(step_time(precision, 1, 8, 2)? > 0.0);
        assert!(loss_time(precision, 2, 9, 1)? > 0.0);
        for (_, layer) in layers() {
            let layer = layer.small();
            assert!(layer.operations() > 0.0);
            let times = layer_times(precision, layer, 1)?;
            assert!(times.iter().all(|(_, ms)| *ms > 0.0));
        }
    }
    Ok(())
}
