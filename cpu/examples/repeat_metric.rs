//! Scores or differentiates one pair of images, or differentiates a batch of small ones, several times: for `.ci/instructions.sh`, which counts what that takes.
//!
//! `repeat_metric score|gradient|batch times`

use std::hint::black_box;
use std::process::ExitCode;

use msssim_cpu::{MsSsim, Params, Plane, PlaneMut, Size};

const SIZE: Size = Size {
    width: 960,
    height: 270,
};

/// Of each image of a batch.
const SMALL: Size = Size {
    width: 33,
    height: 33,
};

/// Images of a batch.
const IMAGES: usize = 128;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times = arguments.next().and_then(|times| times.parse().ok());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    match (times, pool) {
        (Some(times), Ok(pool)) => {
            let run = || match &what[..] {
                "batch" => run_batch(times),
                what => run(what, times),
            };
            match pool.install(run) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        _ => ExitCode::FAILURE,
    }
}

/// Two images of so many samples.
fn samples(len: usize) -> [Vec<f32>; 2] {
    let x: Vec<f32> = (0..len).map(|i| (i * 7919 % 251) as f32).collect();
    let y = x.iter().map(|v| 0.9 * v + 3.0).collect();
    [x, y]
}

fn run_batch(times: usize) -> Result<(), msssim_cpu::Error> {
    let [x, y] = samples(IMAGES * SMALL.area());
    let mut gradient = vec![0.0; x.len()];
    let mut scores = vec![0.0; IMAGES];
    let metric = MsSsim::new(SMALL, 1, &Params::SNELL_2017)?;
    let mut workspace = metric.batch_workspace(IMAGES);
    for _ in 0..times {
        metric.score_and_gradient_batch(&mut workspace, &x, &y, &mut gradient, &mut scores);
        black_box(&scores);
    }
    Ok(())
}

fn run(what: &str, times: usize) -> Result<(), msssim_cpu::Error> {
    let [x, y] = samples(SIZE.area());
    let mut gradient = vec![0.0; SIZE.area()];
    let metric = MsSsim::new(SIZE, 1, &Params::WANG_2003)?;
    let mut workspace = metric.workspace();
    let (x, y) = ([Plane::new(&x, SIZE)?], [Plane::new(&y, SIZE)?]);
    for _ in 0..times {
        let score = match what {
            "score" => metric.score(&mut workspace, &x, &y)?,
            _ => {
                let mut plane = [PlaneMut::new(&mut gradient, SIZE)?];
                metric.score_and_gradient(&mut workspace, &x, &y, &mut plane)?
            }
        };
        black_box(score);
    }
    Ok(())
}
