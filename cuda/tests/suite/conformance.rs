//! The suite that every backend passes.

use msssim_core::conformance::{self, Backend, Case, Output};
use msssim_core::{ChannelPooling, Plane, Terms};
use msssim_cuda::{Images, ImagesMut, MsSsim, Pass, Weighting};

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

#[test]
fn conformance_suite() {
    let mut ran = 0;
    for mut case in conformance::cases() {
        // The emulator takes its time, and channels of their own are those of the property tests.
        let slow = case.mask.is_some() || matches!(case.params.terms, Terms::Apart { .. });
        if slow && !requires_card() {
            let channels = match case.params.channels {
                ChannelPooling::Scores => 1,
                ChannelPooling::Means => 2,
            };
            case.reference.truncate(channels);
            case.distorted.truncate(channels);
        }
        conformance::check(Backend::Cuda, &case, &run(&case));
        ran += 1;
    }
    assert_eq!(ran, conformance::cases().len());
}
