//! A captured graph computes what the launches compute, run after run.

use msssim_cuda::cudarc::driver::CudaSlice;
use msssim_cuda::{
    Buffers, Captured, Error, Images, ImagesMut, Layout, MsSsim, Params, Pass, Plane, Size,
    Upstream, Weighting,
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

/// By general kernels, in groups of one image and all at once, each image with its own mask.
#[test]
fn a_general_plan_with_masks() {
    let size = Size {
        width: 23,
        height: 21,
    };
    let params = Params {
        scales: 2,
        ..Params::METRIX
    };
    let stream = device().new_stream().expect("a stream");
    let (x, y) = textures(2 * 3, size, 255.0);
    let half: Vec<f32> = (0..size.area()).map(|at| (at % 2) as f32).collect();
    let rows: Vec<f32> = (0..size.area())
        .map(|at| f32::from(u8::from(at / size.width > 7)))
        .collect();
    let planes = [&half, &rows].map(|weights| Plane::new(weights, size).expect("a plane"));
    let metric = MsSsim::new(size, 3, &params).expect("a plan");
    for metric in [metric.general(), metric.general().within(0)] {
        let workspace = || {
            metric
                .workspace(device(), &stream, 2, Pass::Gradient)
                .expect("a workspace")
        };
        let mask = || metric.mask(&stream, &planes).expect("a mask");
        let upload = |samples: &[f32]| stream.clone_htod(samples).expect("room");
        let weights = [0.5, -2.0, 1.0, 0.25, 3.0, -1.0];
        let buffers = Buffers {
            reference: upload(&x),
            distorted: upload(&x),
            upstream: Some(Upstream::Channels(upload(&[1.0; 6]))),
            mask: Some(mask()),
            gradient: upload(&vec![f32::NAN; x.len()]),
            layout: Layout::Interleaved,
        };
        let mut graph = Captured::new(workspace(), buffers).expect("a graph");
        let read = |graph: &Captured<f32>| stream.clone_dtoh(&graph.gradient()).expect("a copy");
        assert!(
            read(&graph).iter().all(|v| v.is_nan()),
            "ran while captured"
        );
        stream
            .memcpy_htod(&y, &mut graph.distorted_mut())
            .expect("a copy");
        let mut there = graph.upstream_mut().expect("weights");
        stream.memcpy_htod(&weights, &mut there).expect("a copy");
        graph.replay().expect("a run");

        let (there, mask) = (upload(&weights), mask());
        let view = there.as_view();
        let weighting = Weighting {
            upstream: Some(Upstream::Channels(&view)),
            mask: Some(&mask),
        };
        let expected = Pair::<f32>::new(&stream, &x, &y, Layout::Interleaved).differentiate(
            &metric,
            &mut workspace(),
            &weighting,
        );
        let same = |graph: &mut Captured<f32>| {
            assert_eq!(graph.scores().expect("scores"), expected.scores);
            let replayed = read(graph);
            let pairs = replayed.iter().zip(&expected.gradient);
            assert!(pairs.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()));
        };
        same(&mut graph);
        assert!(expected.gradient.iter().any(|v| *v != 0.0));
        graph.replay().expect("a run");
        same(&mut graph);
        // The mask is the graph's own, and given back with the rest.
        assert_eq!(graph.into_parts().1.mask.expect("the mask").images(), 2);
    }
}

/// What a mask does not fit is refused when the graph is made.
#[test]
fn a_mask_of_too_few_images_is_not_captured() {
    let size = Size {
        width: 16,
        height: 16,
    };
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(size, 1, &PARAMS).expect("a plan").general();
    let (x, y) = textures(3, size, 1.0);
    let ones = vec![1.0f32; size.area()];
    let plane = Plane::new(&ones, size).expect("a plane");
    let upload = |samples: &[f32]| stream.clone_htod(samples).expect("room");
    let workspace = metric
        .workspace(device(), &stream, 3, Pass::Gradient)
        .expect("a workspace");
    let buffers = Buffers {
        reference: upload(&x),
        distorted: upload(&y),
        upstream: None,
        mask: Some(metric.mask(&stream, &[plane, plane]).expect("a mask")),
        gradient: upload(&y),
        layout: Layout::Planar,
    };
    let error = Captured::new(workspace, buffers).err().expect("an error");
    assert!(
        matches!(error, Error::ShortImages { what: "mask", .. }),
        "{error}"
    );
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
