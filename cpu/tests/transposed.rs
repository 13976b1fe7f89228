//! The transposed convolution against its definition in float64, and any number of threads.

use msssim_cpu::layers::{Conv2dShape, Padding, ShapeError, TransposedConv2d};

const SHAPES: [[usize; 7]; 6] = [
    // Of the convolution that is reversed: batch, in, out, height, width, kernel, stride.
    [2, 3, 5, 8, 6, 5, 2],
    [3, 1, 16, 7, 9, 5, 2],
    [1, 20, 33, 12, 12, 5, 2],
    [2, 4, 2, 5, 5, 3, 1],
    [1, 2, 3, 1, 1, 5, 2],
    [2, 2, 3, 7, 5, 3, 3],
];

fn shapes() -> impl Iterator<Item = Conv2dShape> {
    SHAPES.into_iter().flat_map(
        |[
            batch,
            in_channels,
            out_channels,
            height,
            width,
            kernel,
            stride,
        ]| {
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

/// Visits every product of the layer: indices of the input, the weight and the output.
fn for_each_product(shape: &Conv2dShape, mut visit: impl FnMut(usize, usize, usize)) {
    let (rows, columns) = (shape.output_height(), shape.output_width());
    let centre = (shape.kernel / 2) as isize;
    let place = |at: usize, tap: usize, side: usize| {
        let place = (at * shape.stride + tap) as isize - centre;
        match shape.padding {
            Padding::Replicate => Some(place.clamp(0, side as isize - 1) as usize),
            Padding::Zero => usize::try_from(place).ok().filter(|at| *at < side),
        }
    };
    for n in 0..shape.batch {
        for o in 0..shape.out_channels {
            for c in 0..shape.in_channels {
                for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                    for (i, j) in
                        (0..shape.kernel).flat_map(|i| (0..shape.kernel).map(move |j| (i, j)))
                    {
                        let places = place(y, i, shape.height).zip(place(x, j, shape.width));
                        if let Some((row, column)) = places {
                            visit(
                                ((n * shape.out_channels + o) * rows + y) * columns + x,
                                ((o * shape.in_channels + c) * shape.kernel + i) * shape.kernel + j,
                                ((n * shape.in_channels + c) * shape.height + row) * shape.width
                                    + column,
                            );
                        }
                    }
                }
            }
        }
    }
}

fn operands(shape: &Conv2dShape) -> [Vec<f32>; 4] {
    [
        noise(1, shape.output_len()),
        noise(2, shape.weight_len()),
        noise(3, shape.in_channels),
        noise(4, shape.input_len()),
    ]
}

/// What a layer makes of noise, with garbage in all results: output, dinput, dweight, dbias.
fn run(shape: Conv2dShape) -> [Vec<f32>; 4] {
    let layer = TransposedConv2d::new(shape).unwrap();
    let mut workspace = layer.workspace();
    let [input, weight, bias, doutput] = operands(&shape);
    let [mut output, mut dinput, mut dweight, mut dbias] =
        [&doutput, &input, &weight, &bias].map(|like| vec![f32::NAN; like.len()]);
    for _ in 0..2 {
        layer.forward(&mut workspace, &input, &weight, &bias, &mut output);
        layer.backward_input(&mut workspace, &doutput, &weight, &mut dinput);
        layer.backward_weight(&mut workspace, &doutput, &input, &mut dweight, &mut dbias);
    }
    [output, dinput, dweight, dbias]
}

#[test]
fn every_pass_is_its_definition() {
    for shape in shapes() {
        let [input, weight, bias, doutput] =
            operands(&shape).map(|v| v.into_iter().map(f64::from).collect::<Vec<f64>>());
        let plane = shape.height * shape.width;
        let channel = |at: usize| at / plane % shape.in_channels;
        let mut output: Vec<f64> = (0..doutput.len()).map(|at| bias[channel(at)]).collect();
        let [mut dinput, mut dweight, mut dbias] =
            [&input, &weight, &bias].map(|like| vec![0.0; like.len()]);
        for (at, d) in doutput.iter().enumerate() {
            dbias[channel(at)] += d;
        }
        for_each_product(&shape, |i, w, o| {
            output[o] += input[i] * weight[w];
            dinput[i] += doutput[o] * weight[w];
            dweight[w] += doutput[o] * input[i];
        });
        let expected = [output, dinput, dweight, dbias];
        for (name, (actual, expected)) in ["output", "dinput", "dweight", "dbias"]
            .iter()
            .zip(run(shape).iter().zip(&expected))
        {
            for (actual, expected) in actual.iter().zip(expected) {
                let error = (f64::from(*actual) - expected).abs();
                assert!(error < 1e-4, "{name} of {shape:?}: {error}");
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for shape in shapes() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| run(shape))
        };
        assert!(on(1) == on(4), "{shape:?}");
    }
}

#[test]
fn bad_shapes_and_lengths_are_named() {
    let good = shapes().next().unwrap();
    let even = Conv2dShape { kernel: 4, ..good };
    assert_eq!(TransposedConv2d::new(even), Err(ShapeError::EvenKernel(4)));
}

#[test]
#[should_panic(expected = "bias holds 2")]
fn a_short_bias_is_named() {
    let shape = shapes().next().unwrap();
    let layer = TransposedConv2d::new(shape).unwrap();
    let [input, weight, _, mut output] = operands(&shape);
    layer.forward(
        &mut layer.workspace(),
        &input,
        &weight,
        &[0.0; 2],
        &mut output,
    );
}
