//! Times msssim-cpu beside other crates: one round, all of them in turn, the least time of each.
//!
//! Prints lines of `what <tab> nanoseconds per pixel`; `run.py` makes a table of several rounds.

use std::hint::black_box;
use std::time::{Duration, Instant};


use blazediff_ssim::{MsSsimOptions, Plane as BlazePlane, SsimOptions, ms_ssim};
use dssim_core::Dssim;
use imgref::Img;
use msssim_cpu::{Isa, MsSsim, Params, Plane, PlaneMut, Size};

/// Something to time.
struct Contender<'a> {
    name: String,
    pixels: usize,
    run: Box<dyn FnMut() + 'a>,
    best: Duration,
}

fn contender<'a>(name: String, pixels: usize, run: impl FnMut() + 'a) -> Contender<'a> {
    Contender {
        name,
        pixels,
        run: Box::new(run),
        best: Duration::MAX,
    }
}

/// A textured image and a noisier one, 8 bits.
fn images(pixels: usize) -> [Vec<u8>; 2] {
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i32
    };
    let x: Vec<u8> = (0..pixels)
        .map(|i| ((i / 7 % 160) as i32 + noise() / 4) as u8)
        .collect();
    let y = x
        .iter()
        .map(|&v| (i32::from(v) + noise() / 8 - 16).clamp(0, 255) as u8);
    let y = y.collect();
    [x, y]
}

fn floats(samples: &[u8]) -> Vec<f32> {
    samples.iter().map(|&v| f32::from(v)).collect()
}

fn main() {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one = one.expect("a pool of one thread");
    one.install(|| {
        for (width, height) in [(512, 512), (1920, 1080)] {
            pairs(Size { width, height });
        }
        for side in [96, 33] {
            batches(side);
        }
    });
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(|| scaling(threads));
    }
}

/// Runs all in turn for a while, and prints the least time of each.
fn race(mut contenders: Vec<Contender<'_>>) {
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < 5 || begin.elapsed() < Duration::from_secs(4) {
        for contender in &mut contenders {
            let start = Instant::now();
            (contender.run)();
            contender.best = contender.best.min(start.elapsed());
        }
        rounds += 1;
    }
    for Contender {
        name, pixels, best, ..
    } in contenders
    {
        println!("{name}\t{:.3}", best.as_secs_f64() * 1e9 / pixels as f64);
    }
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn pairs(size: Size) {
    let pixels = size.area();
    let label = format!("{} x {}", size.width, size.height);
    let bytes = images(pixels);
    let [x, y] = [&bytes[0], &bytes[1]].map(|samples| floats(samples));
    let mut contenders = Vec::new();
    let (mut a, mut b) = (x.clone(), y.clone());
    contenders.push(contender(
        format!("memcpy of both images, {label}"),
        pixels,
        {
            let (x, y) = (&x, &y);
            move || {
                a.copy_from_slice(black_box(x));
                b.copy_from_slice(black_box(y));
                black_box((&a, &b));
            }
        },
    ));

    let (p, q) = (
        [Plane::new(&x, size).expect("x")],
        [Plane::new(&y, size).expect("y")],
    );
    for isa in isas() {
        let metric = MsSsim::with_isa(size, 1, &Params::WANG_2003, isa).expect("a plan");
        let (mut forward, mut backward) = (metric.workspace(), metric.workspace());
        contenders.push(contender(
            format!("{isa:?} score, {label}"),
            pixels,
            move || {
                black_box(metric.score(&mut forward, black_box(&p), &q)).expect("a score");
            },
        ));
        let mut gradient = vec![0.0; pixels];
        contenders.push(contender(
            format!("{isa:?} gradient, {label}"),
            pixels,
            move || {
                let mut plane = [PlaneMut::new(&mut gradient, size).expect("a plane")];
                let score = metric.score_and_gradient(&mut backward, black_box(&p), &q, &mut plane);
                black_box(score).expect("a score");
            },
        ));
    }
    let blaze = [&x, &y].map(|samples| BlazePlane {
        samples: samples.clone(),
        width: size.width,
        height: size.height,
    });
    contenders.push(contender(
        format!("blazediff-ssim score, {label}"),
        pixels,
        move || {
            let (options, scales) = (SsimOptions::default(), MsSsimOptions::default());
            black_box(ms_ssim(&blaze[0], black_box(&blaze[1]), &options, &scales))
                .expect("a score");
        },
    ));
    // A metric of its own, of one channel; as for the others, nothing of either image is prepared.
    let grey = [&x, &y].map(|samples| {
        let samples = samples.iter().map(|v| v / 255.0).collect();
        Img::<Vec<f32>>::new(samples, size.width, size.height)
    });
    contenders.push(contender(
        format!("dssim-core, {label}"),
        pixels,
        move || {
            let dssim = Dssim::new();
            let [x, y] =
                [&grey[0], &grey[1]].map(|image| dssim.create_image(image).expect("an image"));
            black_box(dssim.compare(&x, black_box(y)));
        },
    ));
    race(contenders);
}

fn batches(side: usize) {
    let size = Size {
        width: side,
        height: side,
    };
    let pixels = 128 * size.area();
    let [x, y] = images(pixels).map(|samples| floats(&samples));
    let mut contenders = Vec::new();
    for isa in isas() {
        let metric = MsSsim::with_isa(size, 1, &Params::SNELL_2017, isa).expect("a plan");
        let mut workspace = metric.batch_workspace(128);
        let (mut gradient, mut scores) = (vec![0.0; pixels], vec![0.0; 128]);
        let (x, y) = (&x, &y);
        contenders.push(contender(
            format!("{isa:?} batch gradient, {side} x {side}"),
            pixels,
            move || {
                metric.score_and_gradient_batch(
                    &mut workspace,
                    black_box(x),
                    y,
                    &mut gradient,
                    &mut scores,
                );
                black_box(&gradient);
            },
        ));
    }
    race(contenders);
}

fn scaling(threads: usize) {
    let size = Size {
        width: 1920,
        height: 1080,
    };
    let [x, y] = images(size.area()).map(|samples| floats(&samples));
    let (p, q) = (
        [Plane::new(&x, size).expect("x")],
        [Plane::new(&y, size).expect("y")],
    );
    let metric = MsSsim::new(size, 1, &Params::WANG_2003).expect("a plan");
    let mut workspace = metric.workspace();
    let mut gradient = vec![0.0; size.area()];
    let what = format!("{threads} threads gradient, 1920 x 1080");
    race(vec![contender(what, size.area(), move || {
        let mut plane = [PlaneMut::new(&mut gradient, size).expect("a plane")];
        let score = metric.score_and_gradient(&mut workspace, black_box(&p), &q, &mut plane);
        black_box(score).expect("a score");
    })]);
}
