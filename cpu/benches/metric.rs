//! How long scores and gradients take, by instructions, size and type of sample, on one thread unless it says otherwise.
//!
//! `cargo bench -p msssim-cpu`; for the table beside other crates see `benches/beside/run.py`.

#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use msssim_cpu::{Isa, MsSsim, Params, Plane, PlaneMut, Sample, Size};
use rayon::{ThreadPool, ThreadPoolBuilder};

const HD: Size = Size {
    width: 1920,
    height: 1080,
};

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
    let noisy = |&v: &u8| (i32::from(v) + noise() / 8 - 16).clamp(0, 255) as u8;
    let y = x.iter().map(noisy).collect();
    [x, y]
}

fn floats(images: &[Vec<u8>; 2]) -> [Vec<f32>; 2] {
    [0, 1].map(|i| images[i].iter().map(|&v| f32::from(v)).collect())
}

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn pool(threads: usize) -> ThreadPool {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a pool")
}

/// Times `run` on the threads of a pool, without the way into it.
fn time(bencher: &mut Bencher<'_>, pool: &ThreadPool, mut run: impl FnMut() + Send) {
    bencher.iter_custom(|times| {
        pool.install(|| {
            let start = Instant::now();
            for _ in 0..times {
                run();
            }
            start.elapsed()
        })
    });
}

fn score<T: Sample>(criterion: &mut Criterion, what: &str, size: Size, images: &[Vec<T>; 2]) {
    let pool = pool(1);
    let mut group = criterion.benchmark_group(format!("score {what} of {size}"));
    group.throughput(Throughput::Elements(size.area() as u64));
    let [x, y] = [0, 1].map(|i| [Plane::new(&images[i], size).expect("a plane")]);
    for isa in isas() {
        let metric = MsSsim::with_isa(size, 1, &Params::WANG_2003, isa).expect("a plan");
        let mut workspace = pool.install(|| metric.workspace());
        group.bench_function(BenchmarkId::new("with", format!("{isa:?}")), |bencher| {
            time(bencher, &pool, || {
                let score = metric.score(&mut workspace, black_box(&x), &y);
                black_box(score).expect("a score");
            });
        });
    }
    group.finish();
}

fn gradient(criterion: &mut Criterion, threads: usize, size: Size, images: &[Vec<f32>; 2]) {
    let name = format!("score and differentiate f32 of {size} on {threads} threads");
    let pool = pool(threads);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(size.area() as u64));
    let [x, y] = [0, 1].map(|i| [Plane::new(&images[i], size).expect("a plane")]);
    for isa in isas() {
        let metric = MsSsim::with_isa(size, 1, &Params::WANG_2003, isa).expect("a plan");
        let mut workspace = pool.install(|| metric.workspace());
        let mut gradient = vec![0.0; size.area()];
        group.bench_function(BenchmarkId::new("with", format!("{isa:?}")), |bencher| {
            time(bencher, &pool, || {
                let mut plane = [PlaneMut::new(&mut gradient, size).expect("a plane")];
                let score =
                    metric.score_and_gradient(&mut workspace, black_box(&x), &y, &mut plane);
                black_box(score).expect("a score");
            });
        });
    }
    group.finish();
}

fn pairs(criterion: &mut Criterion) {
    let bytes = images(HD.area());
    let samples = floats(&bytes);
    let mut copy = samples.clone();
    let mut group = criterion.benchmark_group(format!("copy both images of {HD}"));
    group.throughput(Throughput::Elements(HD.area() as u64));
    group.bench_function("with memcpy", |bencher| {
        bencher.iter(|| {
            copy[0].copy_from_slice(black_box(&samples[0]));
            copy[1].copy_from_slice(black_box(&samples[1]));
        });
    });
    group.finish();
    score(criterion, "f32", HD, &samples);
    score(criterion, "u8", HD, &bytes);
    gradient(criterion, 1, HD, &samples);
    gradient(criterion, 2, HD, &samples);
}

fn batches(criterion: &mut Criterion) {
    let pool = pool(1);
    for side in [96, 33] {
        let size = Size {
            width: side,
            height: side,
        };
        let pixels = 128 * size.area();
        let [x, y] = floats(&images(pixels));
        let name = format!("score and differentiate a batch of 128 of {size}");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(pixels as u64));
        for isa in isas() {
            let metric = MsSsim::with_isa(size, 1, &Params::SNELL_2017, isa).expect("a plan");
            let mut workspace = pool.install(|| metric.batch_workspace(128));
            let (mut gradient, mut scores) = (vec![0.0; pixels], vec![0.0; 128]);
            group.bench_function(BenchmarkId::new("with", format!("{isa:?}")), |bencher| {
                time(bencher, &pool, || {
                    let (x, y) = (black_box(&x), black_box(&y));
                    let (gradient, scores) = (&mut gradient, &mut scores);
                    metric.score_and_gradient_batch(&mut workspace, x, y, gradient, scores);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pairs, batches);
criterion_main!(benches);
