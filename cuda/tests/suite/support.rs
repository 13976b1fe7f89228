//! The device under test, and images on it.

use std::sync::{Arc, OnceLock};

use cudarc::driver::{CudaSlice, CudaStream, DeviceRepr};
use msssim_core::{Plane, PlaneMut};
use msssim_cuda::{
    Device, Images, ImagesMut, Layout, Mask, MsSsim, Params, Pass, Sample, Score, Size, Weighting,
    Workspace, bf16, cudarc, f16,
};

/// What the emulator calls its device.
const EMULATOR: &str = "PTX emulator";

/// Whether only a real device will do.
pub(crate) fn requires_card() -> bool {
    std::env::var_os("MSSSIM_REQUIRE_GPU").is_some_and(|value| value == "1")
}

/// The emulator, or with `MSSSIM_REQUIRE_GPU=1` the first real device. There is no third: a number
/// that the suite looks at was computed by the kernels.
pub(crate) fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        if !requires_card() {
            msssim_emulated_libcuda::load().expect("the emulator");
        }
        let device = Device::probe().unwrap_or_else(|error| panic!("no usable device: {error}"));
        assert_eq!(
            device.name() == EMULATOR,
            !requires_card(),
            "tested on {}",
            device.name()
        );
        device
    })
}

/// Samples of a type, from those that are exact in it.
pub(crate) trait Exact: Sample + Copy {
    fn from_f32(sample: f32) -> Self;
}

impl Exact for u8 {
    fn from_f32(sample: f32) -> Self {
        assert!(sample.fract() == 0.0, "{sample} is no u8");
        sample as u8
    }
}

impl Exact for u16 {
    fn from_f32(sample: f32) -> Self {
        assert!(sample.fract() == 0.0, "{sample} is no u16");
        sample as u16
    }
}

impl Exact for f64 {
    fn from_f32(sample: f32) -> Self {
        sample.into()
    }
}

impl Exact for f32 {
    fn from_f32(sample: f32) -> Self {
        sample
    }
}

impl Exact for f16 {
    fn from_f32(sample: f32) -> Self {
        Self::from_f32(sample)
    }
}

impl Exact for bf16 {
    fn from_f32(sample: f32) -> Self {
        Self::from_f32(sample)
    }
}

/// A batch on the device, with room for its gradient.
pub(crate) struct Pair<T> {
    pub(crate) reference: CudaSlice<T>,
    pub(crate) distorted: CudaSlice<T>,
    pub(crate) gradient: CudaSlice<f32>,
    pub(crate) layout: Layout,
}

impl<T: Exact + DeviceRepr> Pair<T> {
    pub(crate) fn new(stream: &Arc<CudaStream>, x: &[f32], y: &[f32], layout: Layout) -> Self {
        let upload = |samples: &[f32]| {
            let samples: Vec<T> = samples.iter().copied().map(T::from_f32).collect();
            stream.clone_htod(&samples).expect("room")
        };
        Self {
            reference: upload(x),
            distorted: upload(y),
            // What is not written must not look like a gradient.
            gradient: stream.clone_htod(&vec![f32::NAN; y.len()]).expect("room"),
            layout,
        }
    }

    pub(crate) fn run(&mut self, metric: &MsSsim, workspace: &mut Workspace) -> Computed {
        self.differentiate(metric, workspace, &Weighting::default())
    }

    pub(crate) fn differentiate(
        &mut self,
        metric: &MsSsim,
        workspace: &mut Workspace,
        weighting: &Weighting<'_>,
    ) -> Computed {
        let reference = Images::new(self.reference.as_view(), self.layout);
        let distorted = Images::new(self.distorted.as_view(), self.layout);
        let mut gradient = ImagesMut::new(self.gradient.as_view_mut(), self.layout);
        let scores = metric
            .differentiate(workspace, &reference, &distorted, weighting, &mut gradient)
            .expect("scores")
            .to_vec();
        let stream = workspace.stream().clone();
        Computed {
            scores,
            gradient: stream.clone_dtoh(&self.gradient).expect("the gradient"),
        }
    }

    /// The scores alone, by the kernels without a gradient.
    pub(crate) fn score(&self, metric: &MsSsim, workspace: &mut Workspace) -> Vec<Score> {
        self.score_region(metric, workspace, None)
    }

    pub(crate) fn score_region(
        &self,
        metric: &MsSsim,
        workspace: &mut Workspace,
        mask: Option<&Mask>,
    ) -> Vec<Score> {
        let reference = Images::new(self.reference.as_view(), self.layout);
        let distorted = Images::new(self.distorted.as_view(), self.layout);
        let scores = match mask {
            None => metric.score(workspace, &reference, &distorted),
            Some(mask) => metric.score_region(workspace, &reference, &distorted, mask),
        };
        scores.expect("scores").to_vec()
    }
}

/// What a device computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Computed {
    pub(crate) scores: Vec<Score>,
    pub(crate) gradient: Vec<f32>,
}

impl Computed {
    /// The bits of the scores, and then of the gradient.
    pub(crate) fn bits(&self) -> Vec<u64> {
        let scores = self.scores.iter().map(|score| score.value.to_bits());
        let samples = self.gradient.iter().map(|g| u64::from(g.to_bits()));
        scores.chain(samples).collect()
    }
}

/// Scores and differentiates a batch of planar `f32` images in fresh memory and a stream of its own.
pub(crate) fn compute(
    params: &Params,
    size: Size,
    channels: usize,
    x: &[f32],
    y: &[f32],
) -> Computed {
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(size, channels, params).expect("a plan");
    let images = x.len() / (channels * size.area());
    let mut workspace = metric
        .workspace(device(), &stream, images, Pass::Gradient)
        .expect("a workspace");
    Pair::<f32>::new(&stream, x, y, Layout::Planar).run(&metric, &mut workspace)
}

/// A batch of textures and copies of them with noise, in whole 255ths of `range`.
pub(crate) fn textures(planes: usize, size: Size, range: f32) -> (Vec<f32>, Vec<f32>) {
    use msssim_core::conformance::images::{waves, with_noise};
    let (mut reference, mut distorted) = (Vec::new(), Vec::new());
    for seed in 0..planes as u64 {
        let x = waves(seed, size);
        let y = with_noise(seed, &x, size, 30);
        reference.extend(x.iter().map(|v| f32::from(*v) * range / 255.0));
        distorted.extend(y.iter().map(|v| f32::from(*v) * range / 255.0));
    }
    (reference, distorted)
}

/// The portable form's score and gradient of one image.
pub(crate) fn portable(
    params: &Params,
    size: Size,
    x: &[f32],
    y: &[f32],
) -> (Score, Vec<Vec<f32>>) {
    let planes = |samples| -> Vec<Plane<'_>> {
        <[f32]>::chunks_exact(samples, size.area())
            .map(|plane| Plane::new(plane, size).expect("a plane"))
            .collect()
    };
    let (x, y) = (planes(x), planes(y));
    let metric = msssim_core::MsSsim::new(size, x.len(), params).expect("a plan");
    let mut scratch = vec![0.0; metric.gradient_scratch_len()];
    let mut gradient = vec![vec![0.0; size.area()]; x.len()];
    let mut out: Vec<PlaneMut<'_>> = gradient
        .iter_mut()
        .map(|plane| PlaneMut::new(plane, size).expect("a plane"))
        .collect();
    let score = metric
        .score_and_gradient(&x, &y, &mut out, &mut scratch)
        .expect("a score");
    drop(out);
    (score, gradient)
}
