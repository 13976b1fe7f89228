//! What weighs in a score and its gradient: weights of images and of channels, and regions.

use msssim_core::PlaneMut;
use msssim_cuda::{Error, Layout, MsSsim, Params, Pass, Plane, Size, Upstream, Weighting};

use crate::support::{Pair, device, textures};

/// Weights of images and of channels, by kernels of both kinds, as the portable form has them.
#[test]
fn weights_of_images_and_channels() {
    let size = Size {
        width: 26,
        height: 23,
    };
    let (images, channels) = (2, 3);
    let (x, y) = textures(images * channels, size, 255.0);
    let of_channels = [0.25, -1.0, 0.0, 2.0, 0.5, 3.0];
    let of_images = [-0.5, 4.0];
    let small = |params| Params {
        scales: 2,
        ..params
    };
    for params in [
        small(Params::SNELL_2017),
        small(Params::SNELL_2017_PIXELS),
        small(Params::TORCHMETRICS),
        small(Params::METRIX),
        Params {
            radius: 4,
            ..small(Params::ZHAO_2017)
        },
    ] {
        let stream = device().new_stream().expect("a stream");
        let metric = MsSsim::new(size, channels, &params).expect("a plan");
        let mut workspace = metric
            .workspace(device(), &stream, images, Pass::Gradient)
            .expect("a workspace");
        let mut pair = Pair::<f32>::new(&stream, &x, &y, Layout::Planar);
        for by_channel in [true, false] {
            let weights = match by_channel {
                true => of_channels.to_vec(),
                false => of_images.to_vec(),
            };
            let there = stream.clone_htod(&weights).expect("room");
            let view = there.as_view();
            let upstream = match by_channel {
                true => Upstream::Channels(&view),
                false => Upstream::Images(&view),
            };
            let weighting = Weighting {
                upstream: Some(upstream),
                mask: None,
            };
            let computed = pair.differentiate(&metric, &mut workspace, &weighting);
            for i in 0..images {
                let upstream: Vec<f64> = (0..channels)
                    .map(|c| match by_channel {
                        true => f64::from(of_channels[i * channels + c]),
                        false => f64::from(of_images[i]) / channels as f64,
                    })
                    .collect();
                let image = channels * size.area();
                let part = |samples: &[f32]| samples[i * image..][..image].to_vec();
                let expected = portable(&metric, &part(&x), &part(&y), &upstream);
                let largest = expected.iter().fold(0.0f32, |m, g| m.max(g.abs()));
                for (expected, actual) in expected.iter().zip(part(&computed.gradient)) {
                    assert!(
                        (expected - actual).abs() <= 2e-5 * largest,
                        "{expected} {actual} of {largest}, {by_channel} {params:?}"
                    );
                }
            }
        }
    }
}

/// The portable form's gradient of the weighted scores of an image's channels.
fn portable(metric: &MsSsim, x: &[f32], y: &[f32], upstream: &[f64]) -> Vec<f32> {
    let (plan, size) = (metric.plan(), metric.plan().size());
    let planes = |samples| -> Vec<Plane<'_>> {
        <[f32]>::chunks_exact(samples, size.area())
            .map(|plane| Plane::new(plane, size).expect("a plane"))
            .collect()
    };
    let mut gradient = vec![0.0; y.len()];
    let mut out: Vec<PlaneMut<'_>> = gradient
        .chunks_exact_mut(size.area())
        .map(|plane| PlaneMut::new(plane, size).expect("a plane"))
        .collect();
    let weighting = msssim_core::Weighting {
        upstream: Some(upstream),
        mask: None,
    };
    let mut scratch = vec![0.0; plan.gradient_scratch_len()];
    plan.differentiate(&planes(x), &planes(y), &weighting, &mut out, &mut scratch)
        .expect("a score");
    gradient
}

/// What lies outside a region is not seen, whatever it is, and a region of nothing is refused.
#[test]
fn masks_hide_and_have_to_fit() {
    let size = Size {
        width: 21,
        height: 19,
    };
    let params = Params {
        scales: 2,
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let stream = device().new_stream().expect("a stream");
    let training = MsSsim::new(size, 1, &params).expect("a plan");
    assert!(training.is_for_training());
    let ones = vec![1.0f32; size.area()];
    let plane = |samples| Plane::<f32>::new(samples, size).expect("a plane");
    let error = training.mask(&stream, &[plane(&ones)]).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");

    let metric = training.general();
    let mut workspace = metric
        .workspace(device(), &stream, 3, Pass::Gradient)
        .expect("a workspace");
    let (x, y) = textures(3, size, 1.0);
    let mut pair = Pair::<f32>::new(&stream, &x, &y, Layout::Planar);
    let plain = pair.run(&metric, &mut workspace);
    let everything = metric.mask(&stream, &[plane(&ones)]).expect("a mask");
    let weighting = Weighting {
        upstream: None,
        mask: Some(&everything),
    };
    let whole = pair.differentiate(&metric, &mut workspace, &weighting);
    for (a, b) in plain.scores.iter().zip(&whole.scores) {
        assert!((a.value - b.value).abs() < 1e-6, "{a:?} {b:?}");
    }

    // The left side is hidden: NaN there changes nothing, and has no gradient.
    let half: Vec<f32> = (0..size.area())
        .map(|at| f32::from(u8::from(at % size.width >= 9)))
        .collect();
    let mask = metric.mask(&stream, &[plane(&half)]).expect("a mask");
    let weighting = Weighting {
        upstream: None,
        mask: Some(&mask),
    };
    let seen = pair.differentiate(&metric, &mut workspace, &weighting);
    let broken: Vec<f32> = y
        .iter()
        .enumerate()
        .map(|(at, v)| if at % size.width < 9 { f32::NAN } else { *v })
        .collect();
    let hidden = Pair::<f32>::new(&stream, &x, &broken, Layout::Planar).differentiate(
        &metric,
        &mut workspace,
        &weighting,
    );
    assert_eq!(seen.bits(), hidden.bits());
    let outside = seen.gradient.iter().zip(half.iter().cycle());
    assert!(outside.clone().all(|(g, w)| *w > 0.0 || *g == 0.0));
    assert!(outside.clone().any(|(g, w)| *w > 0.0 && *g != 0.0));

    let two = metric
        .mask(&stream, &[plane(&ones), plane(&half)])
        .expect("a mask");
    assert_eq!(two.images(), 2);
    let samples = Pair::<f32>::new(&stream, &x, &y, Layout::Planar);
    let images = [&samples.reference, &samples.distorted]
        .map(|samples| msssim_cuda::Images::planar(samples.as_view()));
    let error = metric
        .score_region(&mut workspace, &images[0], &images[1], &two)
        .unwrap_err();
    assert!(
        matches!(error, Error::ShortImages { what: "mask", .. }),
        "{error}"
    );
    let zeros = vec![0.0f32; size.area()];
    assert!(matches!(
        metric.mask(&stream, &[plane(&zeros)]),
        Err(Error::Metric(_))
    ));
    assert!(matches!(
        metric.mask::<f32>(&stream, &[]),
        Err(Error::Metric(_))
    ));
    // In double precision by general kernels alone.
    let wide = Pair::<f64>::new(&stream, &x, &y, Layout::Planar);
    let images = [&wide.reference, &wide.distorted]
        .map(|samples| msssim_cuda::Images::planar(samples.as_view()));
    let mut narrow = training
        .workspace(device(), &stream, 3, Pass::Score)
        .expect("a workspace");
    let error = training
        .score(&mut narrow, &images[0], &images[1])
        .unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
