//! Convolutions, errors and updates against plain float64 loops.

use msssim_cuda::network::{Adam, Buffer, Comparison, Conv, Crop, Network, Precision};
use msssim_cuda::{Error, Params, Size};

use crate::support::{compute, device, textures};

fn network_in(precision: Precision) -> Network {
    // Loads the emulator where that is what is tested.
    device();
    Network::open(0, precision).expect("a device")
}

fn network() -> Network {
    network_in(Precision::F32)
}

fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn buffer(network: &Network, values: &[f32]) -> Buffer {
    let mut buffer = network.zeros(values.len()).expect("room");
    network.upload(values, &mut buffer).expect("a copy");
    buffer
}

fn values(network: &Network, buffer: &Buffer) -> Vec<f32> {
    let mut values = vec![f32::NAN; buffer.len()];
    network.download(buffer, &mut values).expect("a copy");
    values
}

/// Calls `visit` with the places of output, input and weight of every product that a convolution sums.
fn products(conv: &Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let [images, ins, outs, height, width, kernel, stride] = [
        conv.images,
        conv.in_channels,
        conv.out_channels,
        conv.height,
        conv.width,
        conv.kernel,
        conv.stride,
    ]
    .map(|n| n as usize);
    let (out_height, out_width) = (conv.out_height() as usize, conv.out_width() as usize);
    let place = |at: usize, tap: usize, side: usize| {
        let at = (at * stride + tap) as isize - (kernel / 2) as isize;
        if conv.replicate {
            Some(at.clamp(0, side as isize - 1) as usize)
        } else {
            usize::try_from(at).ok().filter(|at| *at < side)
        }
    };
    for n in 0..images * outs * out_height * out_width {
        let (column, row) = (n % out_width, n / out_width % out_height);
        let (out, image) = (
            n / (out_width * out_height) % outs,
            n / (out_width * out_height * outs),
        );
        for w in 0..ins * kernel * kernel {
            let (k, l, channel) = (w / kernel % kernel, w % kernel, w / (kernel * kernel));
            if let (Some(i), Some(j)) = (place(row, k, height), place(column, l, width)) {
                let input = ((image * ins + channel) * height + i) * width + j;
                visit(n, input, out * ins * kernel * kernel + w);
            }
        }
    }
}

fn close(what: &str, conv: &Conv, tolerance: f64, expected: &[f64], actual: &[f32]) {
    assert_eq!(expected.len(), actual.len());
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (at, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        assert!(
            (expected - f64::from(*actual)).abs() <= tolerance * largest,
            "{what} {at}: {actual} where {expected} is expected, {conv:?}"
        );
    }
}

#[test]
fn convolutions_and_their_gradients() {
    check_convolutions(Precision::F32, 2e-6);
}

/// A factor is off by up to 2^-11 of it; of a sum of products of random signs, about as much remains.
#[test]
fn convolutions_in_tf32() {
    check_convolutions(Precision::Tf32, 1e-3);
}

/// A factor is off by up to 2^-8 of it.
#[test]
fn convolutions_in_bf16() {
    check_convolutions(Precision::Bf16, 8e-3);
}

fn check_convolutions(precision: Precision, tolerance: f64) {
    let network = network_in(precision);
    let base = Conv {
        images: 2,
        in_channels: 3,
        out_channels: 5,
        height: 9,
        width: 11,
        kernel: 3,
        stride: 1,
        replicate: true,
        relu: false,
    };
    let cases = [
        base,
        Conv { relu: true, ..base },
        Conv {
            replicate: false,
            ..base
        },
        // Smaller than the kernel on one side.
        Conv {
            kernel: 9,
            height: 3,
            ..base
        },
        Conv { kernel: 1, ..base },
        Conv {
            height: 1,
            width: 1,
            kernel: 5,
            ..base
        },
        // The autoencoder's: half the size, even and odd sides.
        Conv {
            stride: 2,
            kernel: 5,
            replicate: false,
            height: 12,
            ..base
        },
        Conv {
            stride: 3,
            kernel: 5,
            height: 13,
            ..base
        },
        // More channels than a block has columns, and more weights than it has rows.
        Conv {
            images: 1,
            in_channels: 9,
            out_channels: 70,
            height: 5,
            width: 6,
            kernel: 5,
            ..base
        },
        Conv {
            images: 1,
            in_channels: 40,
            out_channels: 33,
            height: 4,
            width: 4,
            relu: true,
            ..base
        },
        // SRCNN's first layer, with several parts of the weights' gradient.
        Conv {
            in_channels: 1,
            out_channels: 64,
            kernel: 9,
            height: 16,
            width: 18,
            relu: true,
            ..base
        },
    ];
    for conv in cases {
        let planned = network.plan_conv2d(conv).expect("a plan");
        let (ins, outs) = (conv.in_channels as usize, conv.out_channels as usize);
        let input_len = conv.images as usize * ins * (conv.height * conv.width) as usize;
        let output_len =
            conv.images as usize * outs * (conv.out_height() * conv.out_width()) as usize;
        let weight_len = outs * ins * (conv.kernel * conv.kernel) as usize;
        let input = noise(1, input_len);
        // Biases first, to show that ranges are followed.
        let parameters = noise(2, outs + weight_len);
        let (bias, weight) = parameters.split_at(outs);
        let dout = noise(3, output_len);
        let area = output_len / outs / conv.images as usize;

        let mut output: Vec<f64> = (0..output_len)
            .map(|n| bias[n / area % outs].into())
            .collect();
        products(&conv, |n, i, w| {
            output[n] += f64::from(input[i]) * f64::from(weight[w])
        });
        if conv.relu {
            output.iter_mut().for_each(|out| *out = out.max(0.0));
        }
        let ranges = || [outs..outs + weight_len, 0..outs];
        let (parameters, there) = (buffer(&network, &parameters), buffer(&network, &input));
        let mut out = buffer(&network, &vec![f32::NAN; output_len]);
        network
            .conv2d_forward(&planned, &parameters, ranges(), &there, &mut out)
            .expect("a launch");
        let computed = values(&network, &out);
        close("output", &conv, tolerance, &output, &computed);

        // What counts is which outputs were rectified on the device: rounding may turn a sign.
        let pass = |(dout, out): (&f32, &f32)| {
            if conv.relu && *out == 0.0 {
                0.0
            } else {
                f64::from(*dout)
            }
        };
        let passed: Vec<f64> = dout.iter().zip(&computed).map(pass).collect();
        let (mut dinput, mut dweight) = (vec![0.0; input_len], vec![0.0; weight_len]);
        products(&conv, |n, i, w| {
            dinput[i] += passed[n] * f64::from(weight[w]);
            dweight[w] += passed[n] * f64::from(input[i]);
        });
        let mut dbias = vec![0.0; outs];
        for (n, passed) in passed.iter().enumerate() {
            dbias[n / area % outs] += passed;
        }

        let mut din = buffer(&network, &vec![f32::NAN; input_len]);
        let mut dparameters = buffer(&network, &vec![f32::NAN; outs + weight_len]);
        let mut dout = buffer(&network, &dout);
        network
            .conv2d_backward(
                &planned,
                &parameters,
                ranges(),
                &out,
                &mut dout,
                Some(&mut din),
                &mut dparameters,
            )
            .expect("launches");
        close(
            "gradient by input",
            &conv,
            tolerance,
            &dinput,
            &values(&network, &din),
        );
        let dparameters = values(&network, &dparameters);
        close(
            "gradient by bias",
            &conv,
            tolerance,
            &dbias,
            &dparameters[..outs],
        );
        close(
            "gradient by weight",
            &conv,
            tolerance,
            &dweight,
            &dparameters[outs..],
        );
    }
}

#[test]
fn errors_of_images_and_their_gradients() {
    let network = network();
    let size = Size {
        width: 19,
        height: 17,
    };
    let (images, channels) = (3, 2);
    let samples = images * channels * size.area();
    let (x, mut y) = (noise(4, samples), noise(5, samples));
    // A difference of exactly 0 has a derivative of 0.
    y[5] = x[5];
    let (reference, distorted) = (buffer(&network, &x), buffer(&network, &y));
    for (comparison, value, derivative) in [
        (
            Comparison::SquaredError,
            (|d: f64| d * d) as fn(f64) -> f64,
            (|d: f64| 2.0 * d) as fn(f64) -> f64,
        ),
        (Comparison::AbsoluteError, f64::abs, |d| {
            if d == 0.0 { 0.0 } else { d.signum() }
        }),
    ] {
        let measure = network
            .plan_measure(comparison, images, channels, size)
            .expect("a plan");
        let mut gradient = network.zeros(samples).expect("room");
        network
            .measure_and_gradient(&measure, &reference, &distorted, -0.5, &mut gradient)
            .expect("a launch");
        let means = network.measured(&measure).expect("means");
        let differences: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(y - x)).collect();
        for (mean, of_image) in means.iter().zip(differences.chunks_exact(samples / images)) {
            let expected = of_image.iter().map(|d| value(*d)).sum::<f64>() / of_image.len() as f64;
            assert!(
                (mean - expected).abs() < 1e-7 * expected,
                "{mean} {expected}"
            );
        }
        let gradient = values(&network, &gradient);
        for (actual, d) in gradient.iter().zip(differences) {
            let expected = -0.5 * derivative(d) / samples as f64;
            assert!(
                (f64::from(*actual) - expected).abs() < 1e-9,
                "{actual} {expected}"
            );
        }
    }
}

#[test]
fn ms_ssim_is_the_metrics() {
    let network = network();
    let size = Size {
        width: 33,
        height: 33,
    };
    let params = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let (x, y) = textures(2, size, 1.0);
    let expected = compute(&params, size, 1, &x, &y);
    let measure = network
        .plan_measure(Comparison::MsSsim(params), 2, 1, size)
        .expect("a plan");
    let (reference, distorted) = (buffer(&network, &x), buffer(&network, &y));
    let mut gradient = network.zeros(x.len()).expect("room");
    // Powers of two scale without rounding: half of it is the mean over two images.
    for factor in [-1.0, 2.0] {
        network
            .measure_and_gradient(&measure, &reference, &distorted, factor, &mut gradient)
            .expect("launches");
        let scaled: Vec<f32> = expected.gradient.iter().map(|g| factor / 2.0 * g).collect();
        assert_eq!(values(&network, &gradient), scaled);
    }
    let means = network.measured(&measure).expect("means");
    assert!(
        means
            .iter()
            .zip(&expected.scores)
            .all(|(a, b)| *a == b.value)
    );
}

#[test]
fn a_blend_is_its_parts() {
    let network = network();
    let size = Size {
        width: 33,
        height: 20,
    };
    let params = Params {
        data_range: 1.0,
        ..Params::SNELL_2017
    };
    let (x, y) = textures(4, size, 1.0);
    let (reference, distorted) = (buffer(&network, &x), buffer(&network, &y));
    let run = |comparison| {
        let measure = network
            .plan_measure(comparison, 2, 2, size)
            .expect("a plan");
        let mut gradient = network.zeros(x.len()).expect("room");
        network
            .measure_and_gradient(&measure, &reference, &distorted, 2.0, &mut gradient)
            .expect("launches");
        let means = network.measured(&measure).expect("means");
        (means, values(&network, &gradient))
    };
    let (scores, by_score) = run(Comparison::MsSsim(params));
    let (errors, by_error) = run(Comparison::AbsoluteError);
    let (score, error) = (-0.75, 0.25);
    let (blends, by_blend) = run(Comparison::Blend {
        params,
        score,
        error,
    });
    for ((blend, s), e) in blends.iter().zip(scores).zip(errors) {
        assert!((blend - (0.25 * e - 0.75 * s)).abs() < 1e-12);
    }
    for ((blend, s), e) in by_blend.iter().zip(by_score).zip(by_error) {
        assert!(
            (blend - (0.25 * e - 0.75 * s)).abs() < 1e-8,
            "{blend} {s} {e}"
        );
    }
}

#[test]
fn updates_of_parameters() {
    let network = network();
    let len = 700;
    let (start, gradient) = (noise(6, len), noise(7, len));
    let there = buffer(&network, &gradient);

    let constants = Adam {
        beta1: 0.9,
        beta2: 0.999,
        complement1: 0.1,
        complement2: 0.001,
        epsilon: 1e-8,
    };
    let mut parameters = buffer(&network, &start);
    let [mut first, mut second] = [(); 2].map(|()| network.zeros(len).expect("room"));
    for step in 1..=3i32 {
        let unbias = |beta: f64| (1.0 / (1.0 - beta.powi(step))) as f32;
        let coefficients = buffer(&network, &[0.01, unbias(0.9), unbias(0.999)]);
        network
            .adam(
                &constants,
                &coefficients,
                &there,
                [&mut first, &mut second],
                &mut parameters,
            )
            .expect("a launch");
    }
    // A gradient that stays the same moves by the rate, whatever its size.
    for ((p, start), g) in values(&network, &parameters)
        .iter()
        .zip(&start)
        .zip(&gradient)
    {
        assert!(
            (p - (start - 0.03 * g.signum())).abs() < 1e-5,
            "{p} {start} {g}"
        );
    }

    let mut parameters = buffer(&network, &start);
    let mut velocity = network.zeros(len).expect("room");
    let rates = buffer(&network, &[0.5, 0.25]);
    for _ in 0..2 {
        network
            .sgd(0.5, 600, &rates, &there, &mut velocity, &mut parameters)
            .expect("a launch");
    }
    // v = g r, then 1.5 g r; together 2.5 g r.
    for (at, p) in values(&network, &parameters).iter().enumerate() {
        let rate = if at < 600 { 0.5 } else { 0.25 };
        assert!((p - (start[at] - 2.5 * rate * gradient[at])).abs() < 1e-6);
    }
}

#[test]
fn a_recording_outlives_the_memory_that_it_uses() {
    let network = network();
    let mut parameters = buffer(&network, &[1.0; 8]);
    let recording = {
        let rates = buffer(&network, &[0.5, 0.5]);
        let gradient = buffer(&network, &[1.0; 8]);
        let mut velocity = network.zeros(8).expect("room");
        network
            .record(|| network.sgd(0.0, 8, &rates, &gradient, &mut velocity, &mut parameters))
            .expect("a graph")
    };
    assert_eq!(
        values(&network, &parameters),
        [1.0; 8],
        "ran while recorded"
    );
    for _ in 0..4 {
        network.replay(&recording).expect("a run");
    }
    assert_eq!(values(&network, &parameters), [-1.0; 8]);
}

#[test]
fn what_cannot_be_recorded_or_planned_is_refused() {
    let network = network();
    let size = Size {
        width: 12,
        height: 12,
    };
    let measure = network
        .plan_measure(Comparison::MsSsim(Params::SNELL_2017), 1, 1, size)
        .expect("a plan");
    let [x, y, mut gradient] = [(); 3].map(|()| network.zeros(size.area()).expect("room"));
    let result =
        network.record(|| network.measure_and_gradient(&measure, &x, &y, 1.0, &mut gradient));
    assert!(matches!(result.err(), Some(Error::Unsupported { .. })));
    // The stream is usable afterwards.
    network
        .measure_and_gradient(&measure, &x, &y, 1.0, &mut gradient)
        .expect("launches");
    assert_eq!(network.measured(&measure).expect("a score"), [1.0]);

    let even = Conv {
        images: 1,
        in_channels: 1,
        out_channels: 1,
        height: 4,
        width: 4,
        kernel: 2,
        stride: 1,
        replicate: true,
        relu: false,
    };
    let error = network.plan_conv2d(even).unwrap_err().to_string();
    assert!(error.contains("even kernel"), "{error}");
}

#[test]
fn steps_are_nothing_but_replays() {
    let network = network();
    let (batch, channels, side) = (2, 2, 3);
    // Planes of 7 columns and 5 rows; an image and the one after it.
    let (columns, rows) = (7, 5);
    let bicubic: Vec<f32> = (0..2 * channels * columns * rows)
        .map(|v| v as f32)
        .collect();
    let truth: Vec<f32> = bicubic.iter().map(|v| v + 0.5).collect();
    let mut agenda = network
        .plan_agenda(4, [batch, channels, side], 3)
        .expect("a plan");
    network.show(&mut agenda, &bicubic, &truth).expect("room");
    let crop = |image: usize, row: usize, column: usize, symmetry| Crop {
        first: (image * channels * columns * rows + row * columns + column) as i32,
        row: columns as i32,
        plane: (columns * rows) as i32,
        symmetry,
    };
    let crops: Vec<Crop> = (0..8)
        .map(|symmetry| crop(symmetry % 2, symmetry % 3, symmetry % 5, symmetry as i32))
        .collect();
    let coefficients: Vec<f32> = (0..12).map(|v| v as f32).collect();

    let len = batch * channels * side * side;
    let measure = network
        .plan_measure(
            Comparison::AbsoluteError,
            batch,
            channels,
            Size {
                width: side,
                height: side,
            },
        )
        .expect("a plan");
    let [mut input, mut target, mut gradient] = [(); 3].map(|()| network.zeros(len).expect("room"));
    let mut current = network.zeros(3).expect("room");
    let recording = network
        .record(|| {
            network.begin_step(&agenda, [&mut input, &mut target], &mut current)?;
            network.measure_and_gradient(&measure, &target, &input, 1.0, &mut gradient)?;
            network.end_step(&agenda, &measure)
        })
        .expect("a graph");

    // Nothing is written yet, and a replay does nothing.
    network.replay(&recording).expect("a run");
    assert!(network.recorded(&agenda).expect("records").is_empty());
    network
        .write_agenda(&mut agenda, &crops, &coefficients)
        .expect("copies");
    for step in 0..4 {
        network.take_step(&mut agenda);
        network.replay(&recording).expect("a run");
        assert_eq!(values(&network, &current), coefficients[3 * step..][..3]);
        let (input, target) = (values(&network, &input), values(&network, &target));
        for (at, v) in input.iter().enumerate() {
            let (i, j) = (at / side % side, at % side);
            let (channel, image) = (at / (side * side) % channels, at / (side * side * channels));
            let Crop {
                first,
                row,
                plane,
                symmetry,
            } = crops[step * batch + image];
            let flip = |bit, i| if symmetry & bit == 0 { i } else { side - 1 - i };
            let (mut i, mut j) = (flip(1, i), flip(2, j));
            if symmetry & 4 != 0 {
                (i, j) = (j, i);
            }
            let place = first as usize + channel * plane as usize + i * row as usize + j;
            assert_eq!(*v, bicubic[place], "step {step}, sample {at}");
            assert_eq!(target[at], truth[place]);
        }
    }
    assert_eq!(network.recorded(&agenda).expect("records"), [0.5; 4]);
    // The tables are used up: one more changes nothing.
    network.replay(&recording).expect("a run");
    assert_eq!(network.recorded(&agenda).expect("records"), [0.5; 4]);
}

#[test]
#[should_panic(expected = "leaves images of 20 samples")]
fn a_crop_beyond_the_images() {
    let network = network();
    let mut agenda = network.plan_agenda(1, [1, 1, 3], 1).expect("a plan");
    network
        .show(&mut agenda, &[0.0; 20], &[0.0; 20])
        .expect("room");
    let crop = Crop {
        first: 10,
        row: 4,
        plane: 20,
        symmetry: 0,
    };
    let _ = network.write_agenda(&mut agenda, &[crop], &[0.0]);
}
