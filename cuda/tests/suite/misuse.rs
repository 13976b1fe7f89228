//! What is asked wrongly is refused in words, before anything is launched.

use msssim_cuda::{
    Error, Images, ImagesMut, Layout, MsSsim, Params, Pass, Size, Upstream, Weighting,
};

use crate::support::{device, portable, textures};

const SIZE: Size = Size {
    width: 24,
    height: 18,
};

#[test]
fn images_that_end_too_early() {
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).expect("a plan");
    let mut workspace = metric
        .workspace(device(), &stream, 2, Pass::Gradient)
        .expect("a workspace");
    let zeros = stream.alloc_zeros::<u8>(2 * SIZE.area()).expect("room");
    let short = stream.alloc_zeros::<u8>(2 * SIZE.area() - 1).expect("room");
    let mut gradient = stream.alloc_zeros::<f32>(2 * SIZE.area()).expect("room");
    let [whole, short] = [&zeros, &short].map(|samples| Images::planar(samples.as_view()));
    for (x, y, name) in [(&short, &whole, "reference"), (&whole, &short, "distorted")] {
        let error = metric.score(&mut workspace, x, y).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("864"), "{error}");
    }
    let part = gradient.slice_mut(1..);
    let error = metric
        .score_and_gradient(&mut workspace, &whole, &whole, &mut ImagesMut::planar(part))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::ShortImages {
                what: "gradient",
                ..
            }
        ),
        "{error}"
    );
    let one = stream.alloc_zeros::<f32>(1).expect("room");
    let error = metric
        .enqueue_differentiate(
            &mut workspace,
            &whole,
            &whole,
            &Weighting {
                upstream: Some(Upstream::Images(&one.as_view())),
                mask: None,
            },
            &mut ImagesMut::planar(gradient.as_view_mut()),
        )
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::ShortImages {
                what: "upstream",
                ..
            }
        ),
        "{error}"
    );
    let folded = Layout::Strided {
        image: 0,
        channel: 0,
        row: 24,
        column: 1,
    };
    let error = metric
        .score_and_gradient(
            &mut workspace,
            &whole,
            &whole,
            &mut ImagesMut::new(gradient.as_view_mut(), folded),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Overlap { .. }), "{error}");
    // Reading one reference for all images is fine.
    let one_for_all = Images::new(zeros.as_view(), folded);
    let scores = metric
        .score(&mut workspace, &one_for_all, &whole)
        .expect("scores");
    assert_eq!(scores.len(), 2);
}

#[test]
fn sizes_that_do_not_fit() {
    let small = MsSsim::new(SIZE, 1, &Params::WANG_2003).unwrap_err();
    assert!(small.to_string().contains("161"), "{small}");
    let metric = MsSsim::new(SIZE, 3, &Params::SNELL_2017).expect("a plan");
    for images in [0, 21_846, usize::MAX] {
        let error = metric.workspace_bytes(images, Pass::Score).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}

#[test]
fn the_largest_batch_of_the_benchmark_takes_less_than_400_mib() {
    let size = Size {
        width: 1920,
        height: 1080,
    };
    for params in [Params::WANG_2003, Params::SNELL_2017] {
        let metric = MsSsim::new(size, 3, &params).expect("a plan");
        let bytes = metric.workspace_bytes(8, Pass::Gradient).expect("bytes");
        assert!(bytes < 400 << 20, "{bytes}");
    }
}

#[test]
fn extreme_samples_stay_finite_and_nan_shows() {
    let params = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(SIZE, 1, &params).expect("a plan");
    let mut workspace = metric
        .workspace(device(), &stream, 1, Pass::Gradient)
        .expect("a workspace");
    let (x, y) = textures(1, SIZE, 1.0);
    for extreme in [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e20] {
        let mut y = y.clone();
        y[SIZE.area() / 2] = extreme;
        let mut pair = crate::support::Pair::<f32>::new(&stream, &x, &y, Layout::Planar);
        let computed = pair.run(&metric, &mut workspace);
        let (score, _) = portable(&params, SIZE, &x, &y);
        assert!(computed.scores[0].value.is_finite(), "{extreme}");
        assert!(computed.gradient.iter().all(|g| g.is_finite()), "{extreme}");
        assert!(
            (computed.scores[0].value - score.value).abs() < 1e-4,
            "{extreme}"
        );
    }
    let mut broken = y;
    broken[7] = f32::NAN;
    let mut pair = crate::support::Pair::<f32>::new(&stream, &x, &broken, Layout::Planar);
    let computed = pair.run(&metric, &mut workspace);
    assert!(computed.scores[0].value.is_nan());
    assert!(computed.gradient.iter().all(|g| g.is_nan()));
}

#[test]
#[should_panic(expected = "made for another plan")]
fn a_workspace_of_another_plan() {
    let stream = device().new_stream().expect("a stream");
    let metric = |channels| MsSsim::new(SIZE, channels, &Params::SNELL_2017).expect("a plan");
    let mut workspace = metric(1)
        .workspace(device(), &stream, 1, Pass::Score)
        .expect("a workspace");
    let samples = stream.alloc_zeros::<u8>(3 * SIZE.area()).expect("room");
    let images = Images::planar(samples.as_view());
    let _ = metric(3).score(&mut workspace, &images, &images);
}

#[test]
fn nothing_is_scored_before_a_batch_is() {
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).expect("a plan");
    let mut workspace = metric
        .workspace(device(), &stream, 3, Pass::Score)
        .expect("a workspace");
    assert!(workspace.scores().expect("no scores").is_empty());
    let bytes = metric.workspace_bytes(3, Pass::Score).expect("bytes");
    assert!(bytes < metric.workspace_bytes(3, Pass::Gradient).expect("bytes"));
}
