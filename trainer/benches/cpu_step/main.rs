//! Times training on the CPU: `cargo bench -p msssim-trainer --bench cpu_step [THREADS]`.
//!
//! Whole steps (network, loss with its gradient, Adam) of SRCNN and of autoencoders, the loss alone, and
//! the passes of each convolution. Where Python has PyTorch, `pytorch_cpu_step.py` takes the same steps,
//! one of its after one of ours, and the fastest of each is shown.
//!
//! As a test (`cargo test`) everything runs once, in small, and prints no time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose result is a table"
)]

mod convolutions;
mod pytorch;

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Instant;

use msssim_trainer::autoencoder::Shape;
use msssim_trainer::backend::{Backend, ImageBatch, cpu::Cpu};
use msssim_trainer::loss::{Loss, PlannedLoss};
use msssim_trainer::training::{BatchSource, Configuration, Training};

use pytorch::Pytorch;

type Failure = Box<dyn std::error::Error>;

/// Filters of the first layer of an autoencoder; `None` for SRCNN.
type Filters = Option<usize>;

/// Network, images, their side, the loss, and its name for PyTorch.
const CASES: [(Filters, usize, usize, Loss, &str); 7] = [
    (None, 64, 33, Loss::Mse, "mse"),
    (None, 64, 33, Loss::MsSsim, "ms-ssim"),
    (None, 8, 96, Loss::Mse, "mse"),
    (None, 8, 96, Loss::MsSsim, "ms-ssim"),
    (None, 8, 96, Loss::MsSsim, "pytorch-msssim"),
    (Some(16), 32, 96, Loss::Mse, "mse"),
    (Some(64), 8, 96, Loss::Mse, "mse"),
];

/// Steps of which the fastest counts.
const STEPS: usize = 15;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let bench = arguments.any(|argument| argument == "--bench");
    let threads = std::env::args().find_map(|argument| argument.parse().ok());
    let run = move || if bench { run() } else { smoke() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    let outcome = pool
        .build_global()
        .map_err(Failure::from)
        .and_then(|()| run());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let threads = rayon::current_num_threads();
    println!("{}, {threads} threads\n", processor());
    let mut pytorch = Pytorch::start(threads);
    let name = pytorch.as_ref().map_or("PyTorch", |pytorch| &pytorch.name);
    println!("| a step | images | loss | ms | loss alone | {name}, ms | ratio |");
    println!("| --- | --- | --- | ---: | ---: | ---: | ---: |");
    for (filters, images, side, loss, name) in CASES {
        let mut step = step_of(filters, images, side, loss)?;
        let network = match filters {
            None => "srcnn".to_owned(),
            Some(filters) => format!("ae-{filters}"),
        };
        let case = format!("{network} {images} {side} {name}");
        let (mut ours, mut theirs) = (f64::INFINITY, None::<f64>);
        step()?;
        for _ in 0..STEPS {
            ours = ours.min(milliseconds(&mut step)?);
            if let Some(time) = pytorch.as_mut().and_then(|pytorch| pytorch.step(&case)) {
                theirs = Some(theirs.map_or(time, |theirs| theirs.min(time)));
            }
        }
        let share = 100.0 * loss_time(images, side, loss)? / ours;
        let theirs = match theirs {
            Some(theirs) => format!("{theirs:.1} | {:.2}", theirs / ours),
            None => "- | -".to_owned(),
        };
        println!(
            "| {network} | {images} of {side} x {side} | {name} | {ours:.1} | {share:.1} % | {theirs} |"
        );
    }
    println!();
    convolutions::table()
}

fn milliseconds(step: &mut dyn FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let begun = Instant::now();
    step()?;
    Ok(1e3 * begun.elapsed().as_secs_f64())
}

/// A training step, to be taken any number of times.
fn step_of(
    filters: Filters,
    images: usize,
    side: usize,
    loss: Loss,
) -> Result<Box<dyn FnMut() -> Result<(), Failure>>, Failure> {
    let configuration = match filters {
        None => {
            let mut configuration = Configuration::new(loss, 1 << 20, 1);
            configuration.patches.batch = images;
            configuration.patches.side = side;
            configuration
        }
        Some(width) => {
            let shape = Shape {
                side,
                width,
                ..Shape::PAPER
            };
            Configuration::autoencoder(shape, images, loss, 1 << 20, 1)
        }
    };
    let mut training = Training::new(&Cpu, configuration)?;
    Ok(Box::new(move || Ok(training.step(&mut Waves).map(drop)?)))
}

/// A batch that costs nothing to make, since data is not what is timed.
struct Waves;

impl BatchSource for Waves {
    type Error = Infallible;

    fn fill(
        &mut self,
        _step: u64,
        input: &mut [f32],
        target: &mut [f32],
    ) -> Result<(), Infallible> {
        for (at, sample) in input.iter_mut().enumerate() {
            *sample = (at * 7 % 251) as f32 / 250.0;
        }
        target.copy_from_slice(input);
        target.reverse();
        Ok(())
    }
}

/// Milliseconds of the loss with its gradient.
fn loss_time(images: usize, side: usize, loss: Loss) -> Result<f64, Failure> {
    let batch = ImageBatch {
        images,
        channels: 1,
        height: side,
        width: side,
    };
    let mut planned = PlannedLoss::new(&Cpu, loss, batch)?;
    let [mut prediction, mut target] = [(); 2].map(|()| vec![0.0; images * side * side]);
    let Ok(()) = Waves.fill(0, &mut prediction, &mut target);
    let mut gradient = Cpu.zeros(prediction.len())?;
    let mut best = f64::INFINITY;
    for _ in 0..STEPS {
        let mut run = || {
            let (x, y) = (&target, &prediction);
            Ok(planned.forward_backward(&Cpu, x, y, &mut gradient)?)
        };
        best = best.min(milliseconds(&mut run)?);
    }
    Ok(best)
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| {
        let (key, name) = line.split_once(':')?;
        (key.trim() == "model name").then(|| name.trim().to_owned())
    });
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Everything once, in small.
fn smoke() -> Result<(), Failure> {
    for (filters, ..) in CASES {
        let mut step = step_of(filters.map(|_| 2), 2, 16, Loss::Mse)?;
        assert!(milliseconds(&mut step)? > 0.0);
    }
    assert!(loss_time(1, 9, Loss::MsSsim)? > 0.0);
    assert!(!processor().is_empty());
    convolutions::smoke()
}
