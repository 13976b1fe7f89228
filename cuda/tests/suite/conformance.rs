//! The suite that every backend passes.

use msssim_core::conformance::{self, Backend, Case, Output};
use msssim_core::{ChannelPooling, Plane, Terms};
use msssim_cuda::{Images, ImagesMut, MsSsim, Pass, Size, Weighting};

use crate::support::{device, requires_card};

/// What the device makes of a case, by general kernels where there is a mask.
fn run(case: &Case) -> Output {
    let stream = device().new_stream().expect("a stream");
    let mut metric = MsSsim::new(case.size, case.reference.len(), &case.params).expect("a plan");
    let mask = case.mask.as_deref().map(|weights| {
        metric = metric.general();
        let plane = Plane::new(weights, case.size).expect("a plane");
        metric.mask(&stream, &[plane]).expect("a mask")
    });
    let mut workspace = metric
        .workspace(device(), &stream, 1, Pass::Gradient)
        .expect("a workspace");
    let upload = |planes: &[Vec<f32>]| stream.clone_htod(&planes.concat()).expect("room");
    let (x, y) = (upload(&case.reference), upload(&case.distorted));
    let garbage = vec![f32::NAN; x.len()];
    let mut gradient = stream.clone_htod(&garbage).expect("room");
    let weighting = Weighting {
        upstream: None,
        mask: mask.as_ref(),
    };
    let score = metric
        .differentiate(
            &mut workspace,
            &Images::planar(x.as_view()),
            &Images::planar(y.as_view()),
            &weighting,
            &mut ImagesMut::planar(gradient.as_view_mut()),
        )
        .expect("a score")[0];
    let gradient = stream.clone_dtoh(&gradient).expect("the gradient");
    let gradient = gradient.chunks_exact(case.size.area());
    Output {
        score,
        gradient: gradient.map(<[f32]>::to_vec).collect(),
    }
}

/// What is run as it is on the emulator too: five scales of windows inside the image.
const WHOLE: [&str; 2] = [
    "the smallest square that five valid scales allow",
    "odd width, even height",
];

/// Rows and columns by which five scales of windows of 11 inside the image need more than four; even, so that
/// sides stay odd or even.
const FIFTH_SCALE: usize = 80;

/// The case for the emulator, which takes its time: of images that are large for five scales' sake a part, with
/// four scales if five do not fit; of channels by themselves one. Those are the property tests', and all
/// of it is for a card.
fn shortened(mut case: Case) -> Case {
    let slow = case.mask.is_some() || matches!(case.params.terms, Terms::Apart { .. });
    if slow {
        let channels = match case.params.channels {
            ChannelPooling::Scores => 1,
            ChannelPooling::Means => 2,
        };
        case.reference.truncate(channels);
        case.distorted.truncate(channels);
    }
    let Size { width, height } = case.size;
    if width.min(height) <= 2 * FIFTH_SCALE || WHOLE.contains(&case.name) {
        return case;
    }
    let size = Size {
        width: width - FIFTH_SCALE,
        height: height - FIFTH_SCALE,
    };
    let mut params = case.params;
    if params.smallest_side() > size.width.min(size.height) {
        params.scales -= 1;
    }
    let part = |plane: &Vec<f32>| -> Vec<f32> {
        let rows = plane.chunks_exact(width).take(size.height);
        rows.flat_map(|row| &row[..size.width]).copied().collect()
    };
    Case {
        params,
        size,
        reference: case.reference.iter().map(part).collect(),
        distorted: case.distorted.iter().map(part).collect(),
        mask: case.mask.as_ref().map(part),
        ..case
    }
}

#[test]
fn conformance_suite() {
    let mut ran = 0;
    for case in conformance::cases() {
        let case = match requires_card() {
            true => case,
            false => shortened(case),
        };
        conformance::check(Backend::Cuda, &case, &run(&case));
        ran += 1;
    }
    assert_eq!(ran, conformance::cases().len());
}
