//! Scores, or differentiates, one pair of images several times: for `.ci/instructions.sh`, which counts what that takes.
//!
//! `repeat_metric score|gradient times`

use std::hint::black_box;
use std::process::ExitCode;

use msssim_cpu::{MsSsim, Params, Plane, PlaneMut, Size};

const SIZE: Size = Size {
    width: 960,
    height: 270,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times = arguments.next().and_then(|times| times.parse().ok());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    match (times, pool) {
        (Some(times), Ok(pool)) => match pool.install(|| run(&what, times)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => ExitCode::FAILURE,
    }
}

fn run(what: &str, times: usize) -> Result<(), msssim_cpu::Error> {
    let x: Vec<f32> = (0..SIZE.area()).map(|i| (i * 7919 % 251) as f32).collect();
    let y: Vec<f32> = x.iter().map(|v| 0.9 * v + 3.0).collect();
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
