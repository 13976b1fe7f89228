//! Times the metric on a card: `cargo bench -p msssim-cuda`.
//!
//! Device times are medians over CUDA events, with inputs rotated through more memory than the last
//! cache holds; cold starts are those of whole processes. Where Python has PyTorch, `pytorch.py` times
//! its twins on the same card in the same run.
//!
//! As a test (`cargo test`) every case runs once on the emulator, scaled down, and prints no time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose result is a table"
)]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use cudarc::driver::sys::{CUdevice_attribute, CUevent_flags};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream};
use msssim_cuda::{
    Buffers, Captured, Device, Images, ImagesMut, Layout, Mask, MsSsim, Params, Pass, Plane,
    Pooling, Size, Weighting, Workspace, cudarc,
};

type Failure = Box<dyn std::error::Error>;

/// What is timed.
struct Case {
    name: &'static str,
    images: usize,
    channels: usize,
    size: Size,
    params: Params,
    pass: Pass,
    by: Kernels,
}

/// Which kernels do it.
#[derive(Clone, Copy, PartialEq)]
enum Kernels {
    /// Those for training, where they have the convention.
    Own,
    General,
    /// The general ones, within a region of interest.
    Masked,
}

fn cases() -> [Case; 10] {
    let wang = Params {
        data_range: 1.0,
        ..Params::WANG_2003
    };
    let snell = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let case = |name, [images, channels, height, width]: [usize; 4], params, pass| Case {
        name,
        images,
        channels,
        size: Size { width, height },
        params,
        pass,
        by: Kernels::Own,
    };
    let (score, gradient) = (Pass::Score, Pass::Gradient);
    [
        case("score, 1080p", [8, 3, 1080, 1920], wang, score),
        case(
            "score and gradient, 1080p",
            [8, 3, 1080, 1920],
            wang,
            gradient,
        ),
        case(
            "score and gradient, 1080p, same-size windows",
            [8, 3, 1080, 1920],
            snell,
            gradient,
        ),
        case("score and gradient, 512", [1, 3, 512, 512], wang, gradient),
        case(
            "score and gradient, patches of 96",
            [128, 1, 96, 96],
            snell,
            gradient,
        ),
        case(
            "score and gradient, patches of 33",
            [128, 1, 33, 33],
            snell,
            gradient,
        ),
        Case {
            by: Kernels::General,
            ..case(
                "score and gradient, 1080p, general kernels",
                [8, 3, 1080, 1920],
                wang,
                gradient,
            )
        },
        Case {
            by: Kernels::Masked,
            ..case(
                "score and gradient, 1080p, general kernels with a mask",
                [8, 3, 1080, 1920],
                wang,
                gradient,
            )
        },
        Case {
            by: Kernels::General,
            ..case(
                "score and gradient, 512, products pixel by pixel, general kernels",
                [1, 3, 512, 512],
                Params {
                    pooling: Pooling::PixelProduct,
                    ..snell
                },
                gradient,
            )
        },
        case(
            "score and gradient, 512, terms apart",
            [1, 3, 512, 512],
            Params {
                data_range: 1.0,
                ..Params::METRIX
            },
            gradient,
        ),
    ]
}

/// Timed runs of a case, after as many to warm up as a tenth of them.
const RUNS: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let result = if has("--context-only") {
        CudaContext::new(0).map(drop).map_err(Failure::from)
    } else if has("--first-score") {
        first_score()
    } else if has("--bench") {
        bench()
    } else {
        smoke()
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Failure> {
    let device = match Device::probe() {
        Ok(device) => device,
        Err(error) => {
            eprintln!("skipped: {error}");
            return Ok(());
        }
    };
    let stream = device.new_stream()?;
    let bandwidth = copy_bandwidth(&stream)?;
    let (driver, architecture) = (device.driver(), device.architecture());
    println!(
        "{}, compute capability {architecture}, driver of CUDA {driver}",
        device.name()
    );
    println!(
        "copy bandwidth, read and write: {:.0} GB/s\n",
        bandwidth / 1e9
    );
    println!(
        "| f32, medians of {RUNS} | images | ms | 5 % | 95 % | as a graph, ms | MiB beside images | least bytes / copy bandwidth |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in cases() {
        let [low, median, high] = launches(&device, &stream, &case)?;
        let graph = match case.pass {
            Pass::Gradient => format!("{:.4}", graph(&device, &stream, &case)?),
            Pass::Score => "".to_owned(),
        };
        let workspace = case.metric()?.workspace_bytes(case.images, case.pass)?;
        let share = least_bytes(&case)? / (median * 1e-3) / bandwidth;
        let Size { width, height } = case.size;
        println!(
            "| {} | {} x {} x {height} x {width} | {median:.4} | {low:.4} | {high:.4} | {graph} | {:.1} | {:.0} % |",
            case.name,
            case.images,
            case.channels,
            workspace as f64 / f64::from(1 << 20),
            100.0 * share
        );
    }
    println!();
    cold_starts()?;
    println!();
    pytorch();
    Ok(())
}

impl Case {
    fn metric(&self) -> Result<MsSsim, Failure> {
        let metric = MsSsim::new(self.size, self.channels, &self.params)?;
        Ok(match self.by {
            Kernels::Own => metric,
            Kernels::General | Kernels::Masked => metric.general(),
        })
    }

    /// A disc that reaches the longer sides, the same in all images, if there is to be a mask.
    fn mask(&self, stream: &Arc<CudaStream>) -> Result<Option<Mask>, Failure> {
        if self.by != Kernels::Masked {
            return Ok(None);
        }
        let Size { width, height } = self.size;
        let radius = width.min(height) as f32 / 2.0;
        let inside = |at: usize| {
            let row = (at / width) as f32 - height as f32 / 2.0;
            let column = (at % width) as f32 - width as f32 / 2.0;
            f32::from(u8::from(row * row + column * column <= radius * radius))
        };
        let weights: Vec<f32> = (0..self.size.area()).map(inside).collect();
        let plane = Plane::new(&weights, self.size)?;
        Ok(Some(self.metric()?.mask(stream, &[plane])?))
    }

    fn samples(&self) -> usize {
        self.images * self.channels * self.size.area()
    }
}

/// One set of inputs, and room for their gradient.
struct Pair {
    reference: CudaSlice<f32>,
    distorted: CudaSlice<f32>,
    gradient: CudaSlice<f32>,
}

impl Pair {
    fn new(stream: &Arc<CudaStream>, samples: usize, seed: u32) -> Result<Self, Failure> {
        // Speed does not depend on what the images show, as long as nothing is denormal or NaN.
        let mut state = seed.wrapping_mul(747_796_405) | 1;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        let reference: Vec<f32> = (0..samples).map(|_| noise()).collect();
        let distorted: Vec<f32> = reference.iter().map(|x| 0.8 * x + 0.2 * noise()).collect();
        Ok(Self {
            reference: stream.clone_htod(&reference)?,
            distorted: stream.clone_htod(&distorted)?,
            gradient: stream.alloc_zeros(samples)?,
        })
    }

    fn enqueue(
        &mut self,
        workspace: &mut Workspace,
        pass: Pass,
        mask: Option<&Mask>,
    ) -> Result<(), Failure> {
        let metric = *workspace.metric();
        let reference = Images::planar(self.reference.as_view());
        let distorted = Images::planar(self.distorted.as_view());
        match pass {
            Pass::Score => metric.enqueue_score_region(workspace, &reference, &distorted, mask)?,
            Pass::Gradient => metric.enqueue_differentiate(
                workspace,
                &reference,
                &distorted,
                &Weighting {
                    upstream: None,
                    mask,
                },
                &mut ImagesMut::planar(self.gradient.as_view_mut()),
            )?,
        }
        Ok(())
    }
}

/// Pairs that together exceed the last cache three times.
fn pairs(device: &Device, stream: &Arc<CudaStream>, case: &Case) -> Result<Vec<Pair>, Failure> {
    let cache = device
        .context()
        .attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
    let cache = usize::try_from(cache).unwrap_or(0);
    let count = (3 * cache).div_ceil(12 * case.samples()).max(2);
    (0..count as u32)
        .map(|seed| Pair::new(stream, case.samples(), seed))
        .collect()
}

/// Milliseconds on the device of each of many calls of `run`: 5 %, median, 95 %.
fn timed(
    stream: &Arc<CudaStream>,
    mut run: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<[f64; 3], Failure> {
    for i in 0..RUNS / 10 {
        run(i)?;
    }
    let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
    let mut times = Vec::with_capacity(RUNS);
    for i in 0..RUNS {
        let start = stream.record_event(flags)?;
        run(i)?;
        let end = stream.record_event(flags)?;
        times.push(f64::from(start.elapsed_ms(&end)?));
    }
    times.sort_by(f64::total_cmp);
    Ok([
        times[RUNS / 20],
        times[RUNS / 2],
        times[RUNS - 1 - RUNS / 20],
    ])
}

fn launches(device: &Device, stream: &Arc<CudaStream>, case: &Case) -> Result<[f64; 3], Failure> {
    let mut pairs = pairs(device, stream, case)?;
    let mut workspace = case
        .metric()?
        .workspace(device, stream, case.images, case.pass)?;
    let (count, mask) = (pairs.len(), case.mask(stream)?);
    timed(stream, |i| {
        pairs[i % count].enqueue(&mut workspace, case.pass, mask.as_ref())
    })
}

fn graph(device: &Device, stream: &Arc<CudaStream>, case: &Case) -> Result<f64, Failure> {
    let pairs = pairs(device, stream, case)?.into_iter();
    let graphs = pairs.map(|pair| captured(device, stream, case, pair));
    let mut graphs = graphs.collect::<Result<Vec<_>, Failure>>()?;
    let count = graphs.len();
    let [_, median, _] = timed(stream, |i| Ok(graphs[i % count].replay()?))?;
    Ok(median)
}

fn captured(
    device: &Device,
    stream: &Arc<CudaStream>,
    case: &Case,
    pair: Pair,
) -> Result<Captured<f32>, Failure> {
    let workspace = case
        .metric()?
        .workspace(device, stream, case.images, case.pass)?;
    let buffers = Buffers {
        reference: pair.reference,
        distorted: pair.distorted,
        upstream: None,
        mask: case.mask(stream)?,
        gradient: pair.gradient,
        layout: Layout::Planar,
    };
    Ok(Captured::new(workspace, buffers)?)
}

/// Bytes a second that a copy within the device reads and writes.
fn copy_bandwidth(stream: &Arc<CudaStream>) -> Result<f64, Failure> {
    let bytes = 1 << 30;
    let from = stream.alloc_zeros::<u8>(bytes)?;
    let mut to = stream.alloc_zeros::<u8>(bytes)?;
    let [_, median, _] = timed(stream, |_| Ok(stream.memcpy_dtod(&from, &mut to)?))?;
    Ok(2.0 * bytes as f64 / (median * 1e-3))
}

/// Bytes that have to come from or go to device memory, were every cache perfect.
fn least_bytes(case: &Case) -> Result<f64, Failure> {
    let metric = case.metric()?;
    let areas: Vec<f64> = metric
        .plan()
        .scale_sizes()
        .iter()
        .map(|size| size.area() as f64)
        .collect();
    let (finest, coarser) = (areas[0], areas[1..].iter().sum::<f64>());
    // Two samples of the finest scale read, two of each coarser one written and read.
    let score = 8.0 * finest + 16.0 * coarser;
    let gradient = match case.pass {
        Pass::Score => 0.0,
        // Each scale's own gradient written and read, the whole one written.
        Pass::Gradient => 8.0 * (finest + coarser) + 4.0 * finest,
    };
    Ok((score + gradient) * (case.images * case.channels) as f64)
}

/// Probes, scores one pair of 3 x 512 x 512, and ends.
fn first_score() -> Result<(), Failure> {
    let device = Device::probe()?;
    let stream = device.new_stream()?;
    let [_, _, _, case, ..] = cases();
    let mut pair = Pair::new(&stream, case.samples(), 1)?;
    let metric = case.metric()?;
    let mut workspace = metric.workspace(&device, &stream, case.images, Pass::Score)?;
    pair.enqueue(&mut workspace, Pass::Score, None)?;
    match workspace.scores()? {
        [score] if score.value > 0.0 && score.value < 1.0 => Ok(()),
        scores => Err(format!("the first scores are {scores:?}").into()),
    }
}

/// Whole processes: one that creates a context, one that scores, with and without the driver's cache.
fn cold_starts() -> Result<(), Failure> {
    let cache = std::env::temp_dir().join(format!("msssim-bench-{}", std::process::id()));
    let run = |flag: &str| -> Result<f64, Failure> {
        let start = Instant::now();
        let output = Command::new(std::env::current_exe()?)
            .arg(flag)
            .env("CUDA_CACHE_PATH", &cache)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let best = |flag: &str| -> Result<f64, Failure> {
        let mut times = (0..5).map(|_| run(flag)).collect::<Result<Vec<_>, _>>()?;
        times.sort_by(f64::total_cmp);
        Ok(times[2])
    };
    let result = (|| {
        let context = best("--context-only")?;
        let cold = run("--first-score")?;
        let warm = best("--first-score")?;
        println!("a process that creates a context: {context:.0} ms");
        println!(
            "first score beyond that, driver's cache empty: {:.0} ms",
            cold - context
        );
        println!(
            "first score beyond that, driver's cache warm: {:.0} ms",
            warm - context
        );
        Ok(())
    })();
    let _ = std::fs::remove_dir_all(&cache);
    result
}

/// PyTorch's times of the same, where there is PyTorch.
fn pytorch() {
    // Below the package, where Cargo starts a benchmark, or below the workspace.
    let places = ["benches/pytorch.py", "cuda/benches/pytorch.py"];
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

/// Every case once, one or two small images of it, on the emulator, and a graph of it where it has one.
fn smoke() -> Result<(), Failure> {
    msssim_emulated_libcuda::load()?;
    let device = Device::probe()?;
    let stream = device.new_stream()?;
    for mut case in cases() {
        let smallest = case.params.smallest_side();
        for side in [&mut case.size.width, &mut case.size.height] {
            *side = smallest.max(33.min(*side));
        }
        (case.images, case.channels) = (case.images.min(2), 1);
        if smallest > 100 {
            case.images = 1;
        }
        let mut pair = Pair::new(&stream, case.samples(), 1)?;
        let mut workspace = case
            .metric()?
            .workspace(&device, &stream, case.images, case.pass)?;
        let mask = case.mask(&stream)?;
        pair.enqueue(&mut workspace, case.pass, mask.as_ref())?;
        let scores = workspace.scores()?;
        assert!(scores.iter().all(|score| (0.0..1.0).contains(&score.value)));
        assert!(least_bytes(&case)? >= 8.0 * case.samples() as f64);
        if case.pass == Pass::Gradient {
            captured(&device, &stream, &case, pair)?;
        }
    }
    Ok(())
}
