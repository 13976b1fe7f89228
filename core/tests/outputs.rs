//! What the metric gives beside a score: weighted gradients, maps, means, regions, and any kind of samples.

use msssim_core::conformance::images::{waves, with_noise};
use msssim_core::{
    Bf16, Error, F16, Halving, Map, MsSsim, Params, Plane, PlaneMut, Score, Size, Stream, Weighting,
};

const SIZE: Size = Size {
    width: 53,
    height: 46,
};

fn pair(seed: u64) -> [Vec<u8>; 2] {
    let x = waves(seed, SIZE);
    let y = with_noise(seed, &x, SIZE, 40);
    [x, y]
}

fn scratch(metric: &MsSsim) -> Vec<f32> {
    vec![f32::NAN; metric.gradient_scratch_len()]
}

fn plane<T: msssim_core::Sample>(samples: &[T]) -> Plane<'_, T> {
    Plane::new(samples, SIZE).unwrap()
}

fn score<T: msssim_core::Sample>(metric: &MsSsim, x: &[T], y: &[T]) -> f64 {
    let score = metric.score(&[plane(x)], &[plane(y)], &mut scratch(metric));
    score.unwrap().value
}

#[test]
fn every_type_of_sample_gives_the_same_score() {
    let [x, y] = pair(1);
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).unwrap();
    let expected = score(&metric, &x, &y);
    let cast = |samples: &[u8]| -> Vec<f32> { samples.iter().map(|v| f32::from(*v)).collect() };
    assert_eq!(score(&metric, &cast(&x), &cast(&y)), expected, "f32");
    let wide = |samples: &[u8]| -> Vec<f64> { samples.iter().map(|v| f64::from(*v)).collect() };
    assert_eq!(score(&metric, &wide(&x), &wide(&y)), expected, "f64");
    let deep = |samples: &[u8]| -> Vec<u16> { samples.iter().map(|v| u16::from(*v)).collect() };
    assert_eq!(score(&metric, &deep(&x), &deep(&y)), expected, "u16");
    // 8 bits are exact in both halves' fractions: 10 bits, and 7 with the leading one.
    let upper = |samples: &[u8]| -> Vec<Bf16> {
        let bits = samples.iter().map(|v| f32::from(*v).to_bits());
        bits.map(|bits| Bf16((bits >> 16) as u16)).collect()
    };
    assert_eq!(score(&metric, &upper(&x), &upper(&y)), expected, "bf16");
    let half = |samples: &[u8]| -> Vec<F16> {
        let bits = samples.iter().map(|v| {
            // An integer below 2048 as a half.
            let bits = f32::from(*v).to_bits();
            let exponent = (bits >> 23) as i32 - 127 + 15;
            if *v == 0 {
                0
            } else {
                (exponent as u16) << 10 | (bits >> 13 & 0x3FF) as u16
            }
        });
        bits.map(F16).collect()
    };
    assert_eq!(score(&metric, &half(&x), &half(&y)), expected, "f16");
}

#[test]
fn interleaved_strided_and_cropped_planes_are_what_they_show() {
    let [x, y] = pair(2);
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).unwrap();
    let expected = score(&metric, &x, &y);
    let interleave =
        |samples: &[u8]| -> Vec<u8> { samples.iter().flat_map(|v| [7, *v, 200]).collect() };
    let (x3, y3) = (interleave(&x), interleave(&y));
    let [a, b] = [&x3, &y3].map(|image| Plane::interleaved(image, SIZE, 3, 1).unwrap());
    let interleaved = metric.score(&[a], &[b], &mut scratch(&metric)).unwrap();
    assert_eq!(interleaved.value, expected);

    let framed = |samples: &[u8]| -> Vec<u8> {
        let width = SIZE.width + 4;
        let mut out = vec![99; width * (SIZE.height + 4)];
        for (i, row) in samples.chunks_exact(SIZE.width).enumerate() {
            out[(i + 2) * width + 2..][..SIZE.width].copy_from_slice(row);
        }
        out
    };
    let outer = Size {
        width: SIZE.width + 4,
        height: SIZE.height + 4,
    };
    let (x4, y4) = (framed(&x), framed(&y));
    let [a, b] = [&x4, &y4].map(|image| Plane::new(image, outer).unwrap().cropped(2).unwrap());
    let cropped = metric.score(&[a], &[b], &mut scratch(&metric)).unwrap();
    assert_eq!(cropped.value, expected);
}

fn gradient(
    metric: &MsSsim,
    planes: [&[Vec<u8>]; 2],
    weighting: &Weighting<'_>,
) -> (Score, Vec<Vec<f32>>) {
    let [x, y] = planes.map(|image| image.iter().map(|p| plane(p)).collect::<Vec<_>>());
    let mut gradient = vec![vec![f32::NAN; SIZE.area()]; x.len()];
    let mut out: Vec<PlaneMut<'_>> = gradient
        .iter_mut()
        .map(|p| PlaneMut::new(p, SIZE).unwrap())
        .collect();
    let score = metric.differentiate(&x, &y, weighting, &mut out, &mut scratch(metric));
    (score.unwrap(), gradient)
}

#[test]
fn upstream_weights_scale_each_channel() {
    let [[x0, y0], [x1, y1]] = [pair(3), pair(4)];
    let (x, y) = (vec![x0, x1], vec![y0, y1]);
    for params in [Params::SNELL_2017, Params::SNELL_2017_PIXELS] {
        let metric = MsSsim::new(SIZE, 2, &params).unwrap();
        let (_, plain) = gradient(&metric, [&x, &y], &Weighting::default());
        let weighting = Weighting {
            upstream: Some(&[2.0, -0.5]),
            ..Weighting::default()
        };
        let (_, weighted) = gradient(&metric, [&x, &y], &weighting);
        // Without weights each channel counts a half.
        for ((plain, weighted), factor) in plain.iter().zip(&weighted).zip([4.0, -1.0]) {
            for (plain, weighted) in plain.iter().zip(weighted) {
                assert_eq!(*weighted, factor * plain);
            }
        }
    }
    // One score of all channels: the weights add up.
    let together = Params {
        channels: msssim_core::ChannelPooling::Means,
        ..Params::SNELL_2017
    };
    let metric = MsSsim::new(SIZE, 2, &together).unwrap();
    let (score, plain) = gradient(&metric, [&x, &y], &Weighting::default());
    let weighting = Weighting {
        upstream: Some(&[2.0, -0.5]),
        ..Weighting::default()
    };
    let (again, weighted) = gradient(&metric, [&x, &y], &weighting);
    assert_eq!(score, again);
    for (plain, weighted) in plain.iter().flatten().zip(weighted.iter().flatten()) {
        assert!(
            (weighted - 1.5 * plain).abs() <= 1e-6 * plain.abs(),
            "{plain} {weighted}"
        );
    }
}

#[test]
fn a_cached_reference_gives_the_same_to_rounding() {
    for params in [
        Params::SNELL_2017,
        Params::SNELL_2017_PIXELS,
        Params {
            halving: Halving::LowPass97,
            ..Params::SNELL_2017
        },
    ] {
        let metric = MsSsim::new(SIZE, 2, &params).unwrap();
        let ([x0, y0], [x1, y1]) = (pair(5), pair(6));
        let x = [plane(&x0), plane(&x1)];
        let mut memory = vec![f32::NAN; metric.cache_len()];
        let cached = metric.cache(&x, &mut memory).unwrap();
        for y in [[plane(&y0), plane(&y1)], [plane(&y1), plane(&x1)]] {
            let mut scratch = scratch(&metric);
            let expected = metric.score(&x, &y, &mut scratch).unwrap();
            let score = metric.score_cached(&cached, &y, &mut scratch).unwrap();
            assert!(
                (score.value - expected.value).abs() < 1e-6,
                "{score:?} {expected:?}"
            );
            let mut gradients = [vec![0.0; 2 * SIZE.area()], vec![0.0; 2 * SIZE.area()]];
            let [a, b] = &mut gradients;
            let split = |all| <[f32]>::chunks_exact_mut(all, SIZE.area());
            let mut a: Vec<_> = split(a).map(|p| PlaneMut::new(p, SIZE).unwrap()).collect();
            let mut b: Vec<_> = split(b).map(|p| PlaneMut::new(p, SIZE).unwrap()).collect();
            metric
                .score_and_gradient(&x, &y, &mut a, &mut scratch)
                .unwrap();
            let again = metric.score_and_gradient_cached(&cached, &y, &mut b, &mut scratch);
            assert_eq!(again.unwrap(), score);
            let largest = gradients[0].iter().fold(0.0f32, |m, g| m.max(g.abs()));
            for (a, b) in gradients[0].iter().zip(&gradients[1]) {
                assert!((a - b).abs() <= 2e-5 * largest, "{a} {b} of {largest}");
            }
        }
    }
}

#[test]
fn maps_have_the_means_that_the_score_has() {
    let [x, y] = pair(7);
    for params in [Params::SNELL_2017, Params::METRIX, Params::ZHAO_2017] {
        let params = Params {
            scales: 2,
            ..params
        };
        let metric = MsSsim::new(SIZE, 1, &params).unwrap();
        let mut scratch = scratch(&metric);
        let means = metric
            .means(&[plane(&x)], &[plane(&y)], &mut scratch)
            .unwrap();
        assert_eq!(means.value, score(&metric, &x, &y));
        for scale in 0..2 {
            let size = metric.map_size(scale);
            let mut mean = |map| {
                let mut out = vec![f32::NAN; size.area()];
                let mut plane_out = PlaneMut::new(&mut out, size).unwrap();
                metric
                    .map(
                        &plane(&x),
                        &plane(&y),
                        scale,
                        map,
                        &mut plane_out,
                        &mut scratch,
                    )
                    .unwrap();
                out.iter().copied().map(f64::from).sum::<f64>() / out.len() as f64
            };
            let of_scale = means.scales()[scale];
            let apart = of_scale.apart.unwrap();
            for (map, expected) in [
                (Map::ContrastStructure, of_scale.cs),
                (Map::Ssim, of_scale.ssim.unwrap()),
                (Map::Luminance, apart.luminance),
                (Map::Contrast, apart.contrast),
                (Map::Structure, apart.structure),
            ] {
                assert!((mean(map) - expected).abs() < 2e-6, "{map:?} {scale}");
            }
        }
        let mut out = vec![0.0; SIZE.area()];
        let mut out = PlaneMut::new(&mut out, SIZE).unwrap();
        let (x, y) = (plane(&x), plane(&y));
        let error = metric
            .map(&x, &y, 2, Map::Ssim, &mut out, &mut scratch)
            .unwrap_err();
        assert!(error.to_string().contains("scale"), "{error}");
    }
}

#[test]
fn what_a_mask_hides_is_never_seen() {
    let [x, y] = pair(8);
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).unwrap();
    let weights: Vec<f32> = (0..SIZE.area())
        .map(|at| if at % SIZE.width < 30 { 1.0 } else { 0.0 })
        .collect();
    let mut memory = vec![f32::NAN; metric.mask_len()];
    let mask = Some(metric.mask(&plane(&weights), &mut memory).unwrap());
    let weighting = Weighting {
        mask,
        ..Weighting::default()
    };
    let floats = |samples: &[u8]| -> Vec<f32> { samples.iter().map(|v| f32::from(*v)).collect() };
    let (x, y) = (floats(&x), floats(&y));
    let mut hidden = y.clone();
    for (at, v) in hidden.iter_mut().enumerate() {
        if weights[at] == 0.0 {
            *v = [f32::NAN, f32::INFINITY, -1e30][at % 3];
        }
    }
    let run = |y: &[f32]| {
        let mut gradient = vec![f32::NAN; SIZE.area()];
        let mut out = [PlaneMut::new(&mut gradient, SIZE).unwrap()];
        let score = metric
            .differentiate(
                &[plane(&x)],
                &[plane(y)],
                &weighting,
                &mut out,
                &mut scratch(&metric),
            )
            .unwrap();
        (score, gradient)
    };
    let (seen, blind) = (run(&y), run(&hidden));
    assert_eq!(seen, blind);
    assert!(seen.0.value < 0.99 && seen.0.value > 0.0);
    for (g, weight) in seen.1.iter().zip(&weights) {
        assert!(*weight > 0.0 || *g == 0.0);
    }
    // Ones everywhere are no mask.
    let mut memory = vec![f32::NAN; metric.mask_len()];
    let ones = vec![3.0f32; SIZE.area()];
    let mask = metric.mask(&plane(&ones), &mut memory).unwrap();
    let all = metric
        .score_region(
            &[plane(&x)],
            &[plane(&y)],
            Some(&mask),
            &mut scratch(&metric),
        )
        .unwrap();
    let without = metric
        .score(&[plane(&x)], &[plane(&y)], &mut scratch(&metric))
        .unwrap();
    assert!(
        (all.value - without.value).abs() < 1e-6,
        "{all:?} {without:?}"
    );
}

#[test]
fn masks_that_mean_nothing_are_refused() {
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).unwrap();
    let mut memory = vec![0.0; metric.mask_len()];
    for bad in [0.0f32, -1.0, f32::NAN, f32::INFINITY] {
        let mut weights = vec![0.0; SIZE.area()];
        weights[100] = bad;
        let error = metric.mask(&plane(&weights), &mut memory).unwrap_err();
        assert!(error.to_string().contains("mask"), "{bad}: {error}");
    }
    let products = MsSsim::new(SIZE, 1, &Params::SNELL_2017_PIXELS).unwrap();
    let mut memory = vec![0.0; products.mask_len()];
    assert!(
        products
            .mask(&plane(&vec![1.0f32; SIZE.area()]), &mut memory)
            .is_err()
    );
}

#[test]
fn rows_as_they_arrive_give_the_whole_image_bit_for_bit() {
    let size = Size {
        width: 187,
        height: 203,
    };
    let x = waves(9, size);
    let y = with_noise(9, &x, size, 60);
    for (name, params) in Params::NAMED {
        let Ok(mut stream) = Stream::new(size, &params) else {
            assert!(
                ["torchmetrics", "zhao-2017", "snell-2017-pixels"].contains(&name),
                "{name}"
            );
            continue;
        };
        let metric = MsSsim::new(size, 1, &params).unwrap();
        let whole = metric
            .score(
                &[Plane::new(&x, size).unwrap()],
                &[Plane::new(&y, size).unwrap()],
                &mut scratch(&metric),
            )
            .unwrap();
        let mut lines = vec![f32::NAN; stream.scratch_len()];
        for _ in 0..2 {
            for (x, y) in x.chunks_exact(size.width).zip(y.chunks_exact(size.width)) {
                stream.push(x, y, &mut lines).unwrap();
            }
            assert_eq!(stream.score().unwrap(), whole, "{name}");
            stream.restart();
        }
    }
}

#[test]
fn bands_of_rows_give_the_same_and_bad_ones_take_none() {
    let pixels: Vec<u8> = (0..3 * SIZE.area()).map(|i| (i * i % 253) as u8).collect();
    let params = Params::SNELL_2017;
    let red = Plane::interleaved(&pixels, SIZE, 3, 0).unwrap();
    let green = Plane::interleaved(&pixels, SIZE, 3, 1).unwrap();
    let metric = MsSsim::new(SIZE, 1, &params).unwrap();
    let whole = metric.score(&[red], &[green], &mut scratch(&metric));

    let mut stream = Stream::new(SIZE, &params).unwrap();
    let mut lines = vec![f32::NAN; stream.scratch_len()];
    let len = lines.len();
    let short = stream.push_rows(&red, &green, &mut lines[1..]);
    let error = Error::ShortScratch {
        expected: len,
        actual: len - 1,
    };
    assert_eq!(short, Err(error));
    assert!(error.to_string().contains(&len.to_string()), "{error}");
    for rows in [1, 2, SIZE.height - 3] {
        let first = stream.rows() * 3 * SIZE.width;
        let size = Size {
            height: rows,
            ..SIZE
        };
        let [x, y] =
            [0, 1].map(|channel| Plane::interleaved(&pixels[first..], size, 3, channel).unwrap());
        // More rows than are left, and two planes of different height.
        assert!(rows == 1 || stream.push_rows(&red, &green, &mut lines).is_err());
        assert!(stream.push_rows(&x, &green, &mut lines).is_err());
        stream.push_rows(&x, &y, &mut lines).unwrap();
    }
    assert_eq!(stream.score(), whole);
}

#[test]
fn scratch_lengths_are_constants() {
    const SIZE_640: usize = Params::WANG_2003.stream_scratch_len(640);
    const SIZE_1920: usize = Params::WANG_2003.stream_scratch_len(1920);
    static WHOLE: [f32; Params::SNELL_2017.scratch_len(SIZE)] =
        [0.0; Params::SNELL_2017.scratch_len(SIZE)];
    // The bytes that the documentation states.
    assert_eq!((4 * SIZE_640, 4 * SIZE_1920), (129_760, 388_960));
    let metric = MsSsim::new(SIZE, 1, &Params::SNELL_2017).unwrap();
    assert_eq!(WHOLE.len(), metric.scratch_len());
}
