//! A captured graph computes what the launches compute, run after run.

use msssim_cuda::cudarc::driver::CudaSlice;
use msssim_cuda::{
    Buffers, Captured, Images, ImagesMut, Layout, MsSsim, Params, Pass, Size, Upstream,
};

use crate::support::{Pair, compute, device, textures};

const PARAMS: Params = Params {
    data_range: 1.0,
    ..Params::SNELL_2017
};

#[test]
fn replays_follow_what_is_in_memory() {
    let size = Size {
        width: 37,
        height: 34,
    };
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(size, 1, &PARAMS).expect("a plan");
    let workspace = metric
        .workspace(device(), &stream, 2, Pass::Gradient)
        .expect("a workspace");
    let (x, y) = textures(2, size, 1.0);
    let upload = |samples: &[f32]| stream.clone_htod(samples).expect("room");
    let buffers = Buffers {
        reference: upload(&x),
        distorted: upload(&x),
        upstream: None,
        mask: None,
        gradient: upload(&vec![f32::NAN; x.len()]),
        layout: Layout::Planar,
    };
    let mut graph = Captured::new(workspace, buffers).expect("a graph");
    let read = |graph: &Captured<f32>| stream.clone_dtoh(&graph.gradient()).expect("a copy");
    assert!(
        read(&graph).iter().all(|v| v.is_nan()),
        "ran while captured"
    );

    graph.replay().expect("a run");
    assert!(
        graph
            .scores()
            .expect("scores")
            .iter()
            .all(|s| s.value == 1.0)
    );
    assert!(read(&graph).iter().all(|v| *v == 0.0));

    stream
        .memcpy_htod(&y, &mut graph.distorted_mut())
        .expect("a copy");
    graph.replay().expect("a run");
    let expected = compute(&PARAMS, size, 1, &x, &y);
    assert_eq!(graph.scores().expect("scores"), expected.scores);
    assert_eq!(read(&graph), expected.gradient);
    let (_, buffers) = graph.into_parts();
    assert_eq!(buffers.gradient.len(), x.len());
}

#[test]
fn upstream_weights_are_read_at_every_replay() {
    let size = Size {
        width: 20,
        height: 20,
    };
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(size, 1, &PARAMS).expect("a plan");
    let workspace = metric
        .workspace(device(), &stream, 2, Pass::Gradient)
        .expect("a workspace");
    let (x, y) = textures(2, size, 1.0);
    let upload = |samples: &[f32]| stream.clone_htod(samples).expect("room");
    let buffers = Buffers {
        reference: upload(&x),
        distorted: upload(&y),
        upstream: Some(Upstream::Images(upload(&[1.0, 1.0]))),
        mask: None,
        gradient: upload(&vec![f32::NAN; x.len()]),
        layout: Layout::Planar,
    };
    let mut graph = Captured::new(workspace, buffers).expect("a graph");
    let plain = compute(&PARAMS, size, 1, &x, &y).gradient;
    // Powers of two scale without rounding.
    for weights in [[1.0, 1.0], [-0.5, 4.0], [0.0, -1.0]] {
        let mut there = graph.upstream_mut().expect("weights");
        stream.memcpy_htod(&weights, &mut there).expect("a copy");
        graph.replay().expect("a run");
        let gradient = stream.clone_dtoh(&graph.gradient()).expect("a copy");
        for (i, (actual, plain)) in gradient.iter().zip(&plain).enumerate() {
            assert_eq!(*actual, plain * weights[i / size.area()]);
        }
    }
}

#[test]
fn a_failed_capture_leaves_the_stream_usable() {
    let size = Size {
        width: 16,
        height: 16,
    };
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(size, 1, &PARAMS).expect("a plan");
    let workspace = || {
        metric
            .workspace(device(), &stream, 1, Pass::Gradient)
            .expect("a workspace")
    };
    let (x, y) = textures(1, size, 1.0);
    let short: CudaSlice<f32> = stream.clone_htod(&x[1..]).expect("room");
    let buffers = Buffers {
        reference: short,
        distorted: stream.clone_htod(&y).expect("room"),
        upstream: None,
        mask: None,
        gradient: stream.clone_htod(&y).expect("room"),
        layout: Layout::Planar,
    };
    let error = Captured::new(workspace(), buffers).err().expect("an error");
    assert!(error.to_string().contains("255 samples"), "{error}");

    let mut pair = Pair::<f32>::new(&stream, &x, &y, Layout::Planar);
    let computed = pair.run(&metric, &mut workspace());
    assert_eq!(computed, compute(&PARAMS, size, 1, &x, &y));
    // And the same without waiting in between.
    let mut workspace = workspace();
    metric
        .enqueue_score_and_gradient(
            &mut workspace,
            &Images::planar(pair.reference.as_view()),
            &Images::planar(pair.distorted.as_view()),
            &mut ImagesMut::planar(pair.gradient.as_view_mut()),
        )
        .expect("launches");
    assert_eq!(workspace.scores().expect("scores"), computed.scores);
}
