//! Runs the shipped kernels under the emulator, and the same metric in plain float64 beside them.

use msssim_kernels::{
    COMBINE, FINISH, GRADIENT, Halving, Image, MAX_SCALES, Metric, Negative, Pass, Plan, STATISTICS,
};
use msssim_ptx_emulator::{Argument, Counters, Device, LaunchError, Module, Shape};

/// A batch of image pairs and the metric to compute of them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) metric: Metric,
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// The kernels' suffix: `u8`, `f16`, `bf16` or `f32`.
    pub(crate) samples: &'static str,
    /// Whether the channels of a pixel lie side by side.
    pub(crate) interleaved: bool,
    pub(crate) upstream: Option<Vec<f32>>,
}

/// The metric of the paper with windows inside the image or over its border.
pub(crate) fn metric(scales: usize, valid: bool, halving: Halving) -> Metric {
    let distances: Vec<f64> = (0..6).map(|k| (-f64::from(k * k) / 4.5).exp()).collect();
    let sum = distances[0] + 2.0 * distances[1..].iter().sum::<f64>();
    let mut taps = [0.0; 6];
    for (tap, distance) in taps.iter_mut().zip(&distances) {
        *tap = (distance / sum) as f32;
    }
    Metric {
        scales,
        weights: [1.0; MAX_SCALES],
        negative: Negative::Signed,
        valid,
        halving,
        per_pixel: false,
        taps,
        c1: 1e-4,
        c2: 9e-4,
        data_range: 1.0,
    }
}

impl Case {
    /// One grey `f32` pair.
    pub(crate) fn new(metric: Metric, height: usize, width: usize) -> Self {
        Self {
            metric,
            images: 1,
            channels: 1,
            height,
            width,
            samples: "f32",
            interleaved: false,
            upstream: None,
        }
    }

    /// Texture and a distorted copy of it, in [0, data range], exact in the case's type.
    pub(crate) fn pair(&self) -> (Vec<f32>, Vec<f32>) {
        let len = self.images * self.channels * self.height * self.width;
        let mut state = 12345u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65536.0
        };
        let mut smooth = 0.5;
        let x: Vec<f32> = (0..len)
            .map(|_| {
                smooth = 0.8 * smooth + 0.2 * noise();
                smooth
            })
            .collect();
        let y: Vec<f32> = x.iter().map(|x| 0.7 * x + 0.3 * noise()).collect();
        let exact = |v: Vec<f32>| v.into_iter().map(|v| self.round(v)).collect();
        (exact(x), exact(y))
    }

    /// `v` times the data range, as the nearest sample.
    fn round(&self, v: f32) -> f32 {
        let range = self.metric.data_range as f32;
        match self.samples {
            "u8" => (v * 255.0).round() * range / 255.0,
            // Both half types have these values: eight bits of fraction.
            "f16" | "bf16" => (v * 128.0).round() / 128.0 * range,
            _ => v * range,
        }
    }

    /// The bytes of samples in the case's type.
    fn bytes(&self, samples: &[f32]) -> Vec<u8> {
        let half = |v: f32| -> u16 {
            // Multiples of 1/128 up to 1 are exact.
            if v == 0.0 {
                return 0;
            }
            let bits = v.to_bits();
            (((bits >> 23) - 112) << 10 | (bits >> 13 & 0x3ff)) as u16
        };
        match self.samples {
            "u8" => samples.iter().map(|&v| v as u8).collect(),
            "f16" => samples
                .iter()
                .flat_map(|&v| half(v).to_le_bytes())
                .collect(),
            "bf16" => samples
                .iter()
                .flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes())
                .collect(),
            _ => samples.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

/// What the kernels computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) scores: Vec<f64>,
    /// Per plane and scale: of cs, and of l cs.
    pub(crate) means: Vec<[f64; 2]>,
    /// In the images' layout; empty for a score alone.
    pub(crate) gradient: Vec<f32>,
    /// What the launches did, kernel by kernel.
    pub(crate) counters: Vec<(String, Counters)>,
}

/// The PTX of all kernels, to be changed by mutation tests.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pub(crate) statistics: String,
    pub(crate) gradient: String,
    pub(crate) combine: String,
    pub(crate) finish: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            statistics: STATISTICS.to_owned(),
            gradient: GRADIENT.to_owned(),
            combine: COMBINE.to_owned(),
            finish: FINISH.to_owned(),
        }
    }
}

/// Runs a case with the shipped kernels.
pub(crate) fn run(case: &Case, pass: Pass, x: &[f32], y: &[f32]) -> Output {
    run_with(&Texts::default(), case, pass, x, y).unwrap_or_else(|e| panic!("{case:?}: {e}"))
}

/// Runs a case with other texts of the kernels.
pub(crate) fn run_with(
    texts: &Texts,
    case: &Case,
    pass: Pass,
    x: &[f32],
    y: &[f32],
) -> Result<Output, LaunchError> {
    let Case {
        images,
        channels,
        height,
        width,
        ..
    } = *case;
    let plan = Plan::new(&case.metric, pass, images, channels, height, width).expect("a plan");
    let layout = plan.layout;
    let mut device = Device::new();
    device.limit = 100_000;
    let parse = |text: &str| Module::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let marching = device.load(parse(match pass {
        Pass::Score => &texts.statistics,
        Pass::Gradient => &texts.gradient,
    }));
    let (combine, finish) = (
        device.load(parse(&texts.combine)),
        device.load(parse(&texts.finish)),
    );

    // Fresh memory holds NaN throughout. Every region is an allocation of its own, so that a step
    // beyond one is found.
    let mut region = |bytes: usize| device.allocate(bytes);
    let levels = layout.levels.map(|r| region(r.bytes));
    let own_gradients = region(layout.gradients.bytes);
    let partials = region(layout.partials.bytes);
    let means = region(layout.means.bytes);
    let scores = region(layout.scores.bytes);
    let factors = region(layout.factors.bytes);
    let result_bytes = if pass == Pass::Gradient {
        4 * y.len()
    } else {
        0
    };
    let result = region(result_bytes);
    let image = |samples| {
        if case.interleaved {
            Image::interleaved(samples, channels, height, width)
        } else {
            Image::planar(samples, channels, height, width)
        }
    };
    let upstream = case.upstream.as_ref().map_or(0, |weights| {
        let bytes: Vec<u8> = weights.iter().flat_map(|v| v.to_le_bytes()).collect();
        device.upload(&bytes)
    });
    let (x, y) = (device.upload(&case.bytes(x)), device.upload(&case.bytes(y)));

    let mut counters = Vec::new();
    let gradient = pass == Pass::Gradient;
    let stem = if gradient { "gradient" } else { "statistics" };
    for (j, of_scale) in plan.scales.iter().enumerate() {
        let next = if j + 1 < plan.scales.len() {
            levels[j + 1]
        } else {
            0
        };
        let sums = partials + 16 * plan.combine.first[j] as u64;
        let mut arguments: Vec<Argument> = if j == 0 {
            vec![
                Argument(image(x).to_bytes().to_vec()),
                Argument(image(y).to_bytes().to_vec()),
            ]
        } else {
            vec![levels[j].into()]
        };
        arguments.push(Argument(of_scale.scale.to_bytes().to_vec()));
        arguments.extend([next.into(), sums.into()]);
        if gradient && j == 0 {
            arguments.push(Argument(image(result).to_bytes().to_vec()));
        } else if gradient {
            arguments.push((own_gradients + 4 * plan.finish.first[j] as u64).into());
        }
        let name = match j {
            0 => format!("{stem}_{}", case.samples),
            _ => format!("{stem}_level"),
        };
        let shape = Shape::new(of_scale.grid, [of_scale.block, 1, 1]);
        counters.push((
            name.clone(),
            device.launch(&marching, &name, shape, &arguments)?,
        ));
    }
    let arguments = [
        Argument(plan.combine.to_bytes().to_vec()),
        partials.into(),
        means.into(),
        scores.into(),
        if gradient { factors } else { 0 }.into(),
        upstream.into(),
        0i32.into(),
    ];
    let shape = Shape::new([images as u32, 1, 1], [256, 1, 1]);
    counters.push((
        "combine".into(),
        device.launch(&combine, "combine", shape, &arguments)?,
    ));
    if gradient {
        let arguments = [
            Argument(plan.finish.to_bytes().to_vec()),
            own_gradients.into(),
            factors.into(),
            Argument(image(result).to_bytes().to_vec()),
        ];
        let shape = Shape::new(plan.finish_grid, [256, 1, 1]);
        counters.push((
            "finish".into(),
            device.launch(&finish, "finish", shape, &arguments)?,
        ));
    }

    let doubles = |address, bytes| -> Vec<f64> {
        let bytes: &[u8] = device.read(address, bytes).expect("the region");
        bytes
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
            .collect()
    };
    let floats = device.read(result, result_bytes).expect("the gradient");
    Ok(Output {
        scores: doubles(scores, layout.scores.bytes),
        means: doubles(means, layout.means.bytes)
            .chunks_exact(2)
            .map(|pair| [pair[0], pair[1]])
            .collect(),
        gradient: floats
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
            .collect(),
        counters,
    })
}
