//! The convolution against its definition in float64, its adjoints, and any number of threads.

use msssim_cpu::layers::{Conv2d, Conv2dShape, Padding, ShapeError};

const SHAPES: [(usize, usize, usize, usize, usize, usize, usize); 14] = [
    // batch, in, out, height, width, kernel, stride
    (1, 1, 1, 2, 2, 3, 1),
    (3, 1, 6, 13, 11, 9, 1),
    (20, 5, 3, 7, 9, 5, 1),
    (2, 3, 1, 6, 5, 5, 1),
    (2, 4, 6, 12, 9, 5, 2),
    (1, 2, 3, 1, 1, 5, 1),
    (2, 1, 2, 3, 2, 9, 2),
    (1, 40, 8, 33, 33, 5, 1),
    // A stride beyond the image; blocks of channels, of rows and of images, the last ones smaller.
    (2, 1, 2, 3, 2, 3, 9),
    (1, 163, 6, 3, 4, 5, 1),
    (1, 163, 2, 4, 3, 5, 1),
    (1, 2, 20, 23, 200, 5, 1),
    (41, 70, 33, 5, 3, 3, 2),
    (1, 6, 3, 1, 130, 1, 3),
];

fn shapes() -> impl Iterator<Item = Conv2dShape> {
    SHAPES.into_iter().flat_map(
        |(batch, in_channels, out_channels, height, width, kernel, stride)| {
            [Padding::Zero, Padding::Replicate].map(|padding| Conv2dShape {
                batch,
                in_channels,
                out_channels,
                height,
                width,
                kernel,
                stride,
                padding,
            })
        },
    )
}

fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// The definition.
fn naive(shape: &Conv2dShape, input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let Conv2dShape {
        batch,
        in_channels,
        out_channels,
        height,
        width,
        kernel,
        stride,
        padding,
    } = *shape;
    let sample = |n: usize, c: usize, y: isize, x: isize| {
        let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
        if padding == Padding::Zero && !inside {
            return 0.0;
        }
        let (y, x) = (
            y.clamp(0, height as isize - 1),
            x.clamp(0, width as isize - 1),
        );
        f64::from(input[((n * in_channels + c) * height + y as usize) * width + x as usize])
    };
    let centre = (kernel / 2) as isize;
    let mut output = Vec::new();
    for n in 0..batch {
        for o in 0..out_channels {
            for y in 0..height.div_ceil(stride) {
                for x in 0..width.div_ceil(stride) {
                    let mut sum = f64::from(bias[o]);
                    for c in 0..in_channels {
                        for i in 0..kernel {
                            for j in 0..kernel {
                                let w = weight[((o * in_channels + c) * kernel + i) * kernel + j];
                                let (y, x) = ((y * stride + i) as isize, (x * stride + j) as isize);
                                sum += f64::from(w) * sample(n, c, y - centre, x - centre);
                            }
                        }
                    }
                    output.push(sum);
                }
            }
        }
    }
    output
}

#[test]
fn forward_is_its_definition() {
    for shape in shapes() {
        let conv = Conv2d::new(shape).unwrap();
        let mut workspace = conv.workspace();
        let input = noise(1, shape.input_len());
        let (weight, bias) = (noise(2, shape.weight_len()), noise(3, shape.out_channels));
        let mut output = vec![f32::NAN; shape.output_len()];
        for _ in 0..2 {
            conv.forward(&mut workspace, &input, &weight, &bias, &mut output);
            for (actual, expected) in output.iter().zip(naive(&shape, &input, &weight, &bias)) {
                assert!((f64::from(*actual) - expected).abs() < 1e-4, "{shape:?}");
            }
        }
    }
}

/// A convolution without bias is linear in its input and in its weights: `<A u, v> = <u, A' v>`.
#[test]
fn backward_is_the_adjoint() {
    for shape in shapes() {
        let conv = Conv2d::new(shape).unwrap();
        let mut workspace = conv.workspace();
        let (input, weight) = (noise(4, shape.input_len()), noise(5, shape.weight_len()));
        let bias = noise(6, shape.out_channels);
        let doutput = noise(7, shape.output_len());
        let mut output = vec![f32::NAN; shape.output_len()];
        conv.forward(
            &mut workspace,
            &input,
            &weight,
            &vec![0.0; bias.len()],
            &mut output,
        );
        let expected = dot(&output, &doutput);

        let mut dinput = vec![f32::NAN; input.len()];
        conv.backward_input(&mut workspace, &doutput, &weight, &mut dinput);
        let mut dweight = vec![f32::NAN; weight.len()];
        let mut dbias = vec![f32::NAN; bias.len()];
        conv.backward_weight(&mut workspace, &doutput, &input, &mut dweight, &mut dbias);

        let scale = 1e-5 * dot(&output, &output).sqrt() * dot(&doutput, &doutput).sqrt();
        assert!(
            (dot(&input, &dinput) - expected).abs() < scale,
            "input, {shape:?}"
        );
        assert!(
            (dot(&weight, &dweight) - expected).abs() < scale,
            "weight, {shape:?}"
        );
        // The bias is added to every output of its channel.
        let plane = shape.output_height() * shape.output_width();
        let by_bias: f64 = doutput
            .chunks_exact(plane)
            .zip(bias.iter().cycle())
            .map(|(d, b)| f64::from(*b) * d.iter().map(|v| f64::from(*v)).sum::<f64>())
            .sum();
        assert!(
            (dot(&bias, &dbias) - by_bias).abs() < 1e-4 * plane as f64,
            "bias, {shape:?}"
        );
    }
}

#[test]
fn by_hand() {
    let shape = Conv2dShape {
        batch: 1,
        in_channels: 1,
        out_channels: 1,
        height: 2,
        width: 2,
        kernel: 3,
        stride: 1,
        padding: Padding::Replicate,
    };
    // The tap to the right of the centre: each output is its right neighbour, the border itself.
    let mut weight = [0.0; 9];
    weight[5] = 1.0;
    let conv = Conv2d::new(shape).unwrap();
    let mut output = [f32::NAN; 4];
    conv.forward(
        &mut conv.workspace(),
        &[1.0, 2.0, 3.0, 4.0],
        &weight,
        &[10.0],
        &mut output,
    );
    assert_eq!(output, [12.0, 12.0, 14.0, 14.0]);
    let mut dinput = [f32::NAN; 4];
    conv.backward_input(
        &mut conv.workspace(),
        &[1.0, 2.0, 3.0, 4.0],
        &weight,
        &mut dinput,
    );
    assert_eq!(dinput, [0.0, 3.0, 0.0, 7.0]);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for shape in shapes() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let conv = Conv2d::new(shape).unwrap();
                let mut workspace = conv.workspace();
                let (input, weight) = (noise(4, shape.input_len()), noise(5, shape.weight_len()));
                let (bias, doutput) = (noise(6, shape.out_channels), noise(7, shape.output_len()));
                let mut output = vec![f32::NAN; shape.output_len()];
                conv.forward(&mut workspace, &input, &weight, &bias, &mut output);
                let mut dinput = vec![f32::NAN; input.len()];
                conv.backward_input(&mut workspace, &doutput, &weight, &mut dinput);
                let (mut dweight, mut dbias) =
                    (vec![f32::NAN; weight.len()], vec![f32::NAN; bias.len()]);
                conv.backward_weight(&mut workspace, &doutput, &input, &mut dweight, &mut dbias);
                (output, dinput, dweight, dbias)
            })
        };
        assert!(run(1) == run(4), "{shape:?}");
    }
}

#[test]
fn bad_shapes_are_refused_by_name() {
    let good = shapes().next().unwrap();
    let error = |shape| Conv2d::new(shape).unwrap_err();
    assert_eq!(
        error(Conv2dShape { kernel: 4, ..good }),
        ShapeError::EvenKernel(4)
    );
    let empty = Conv2dShape { batch: 0, ..good };
    assert_eq!(error(empty), ShapeError::Zero(empty));
    let huge = Conv2dShape {
        height: usize::MAX / 2,
        ..good
    };
    assert_eq!(error(huge), ShapeError::TooLarge(huge));
}
