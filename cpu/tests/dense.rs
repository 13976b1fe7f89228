//! The fully connected layer against its definition in float64, and any number of threads.

use msssim_cpu::layers::{Dense, DenseShape, ShapeError};

const SHAPES: [DenseShape; 5] = [
    dense(1, 1, 1),
    dense(3, 7, 5),
    dense(5, 300, 130),
    dense(17, 129, 257),
    dense(2, 1, 40),
];

const fn dense(batch: usize, inputs: usize, outputs: usize) -> DenseShape {
    DenseShape {
        batch,
        inputs,
        outputs,
    }
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

/// What a layer makes of noise, with garbage in all results: output, dinput, dweight, dbias.
fn run(shape: DenseShape) -> [Vec<f32>; 4] {
    let layer = Dense::new(shape).unwrap();
    let mut workspace = layer.workspace();
    let [input, weight, bias, doutput] = operands(shape);
    let [mut output, mut dinput, mut dweight, mut dbias] =
        [&doutput, &input, &weight, &bias].map(|like| vec![f32::NAN; like.len()]);
    for _ in 0..2 {
        layer.forward(&mut workspace, &input, &weight, &bias, &mut output);
        layer.backward_input(&mut workspace, &doutput, &weight, &mut dinput);
        layer.backward_weight(&doutput, &input, &mut dweight, &mut dbias);
    }
    [output, dinput, dweight, dbias]
}

fn operands(shape: DenseShape) -> [Vec<f32>; 4] {
    [
        noise(1, shape.input_len()),
        noise(2, shape.weight_len()),
        noise(3, shape.outputs),
        noise(4, shape.output_len()),
    ]
}

#[test]
fn every_pass_is_its_definition() {
    for shape in SHAPES {
        let DenseShape {
            batch,
            inputs,
            outputs,
        } = shape;
        let [input, weight, bias, doutput] =
            operands(shape).map(|v| v.into_iter().map(f64::from).collect::<Vec<f64>>());
        let mut expected = [
            bias.repeat(batch),
            vec![0.0; input.len()],
            vec![0.0; weight.len()],
            vec![0.0; bias.len()],
        ];
        let [output, dinput, dweight, dbias] = &mut expected;
        for n in 0..batch {
            for o in 0..outputs {
                let d = doutput[n * outputs + o];
                dbias[o] += d;
                for i in 0..inputs {
                    let (at_input, at_weight) = (n * inputs + i, o * inputs + i);
                    output[n * outputs + o] += weight[at_weight] * input[at_input];
                    dinput[at_input] += weight[at_weight] * d;
                    dweight[at_weight] += input[at_input] * d;
                }
            }
        }
        for (actual, expected) in run(shape).iter().zip(&expected) {
            for (actual, expected) in actual.iter().zip(expected) {
                // 300 products of numbers below 1, rounded to 24 bits.
                assert!((f64::from(*actual) - expected).abs() < 2e-5, "{shape:?}");
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for shape in SHAPES {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| run(shape))
        };
        assert!(on(1) == on(4), "{shape:?}");
    }
}

#[test]
fn bad_shapes_are_refused_by_name() {
    let error = |shape| Dense::new(shape).unwrap_err();
    for shape in [dense(0, 2, 2), dense(2, 0, 2), dense(2, 2, 0)] {
        assert_eq!(error(shape), ShapeError::EmptyDense(shape));
    }
    let huge = dense(1, usize::MAX / 2, 3);
    assert_eq!(error(huge), ShapeError::DenseTooLarge(huge));
}

#[test]
#[should_panic(expected = "weight holds 5")]
fn a_short_slice_is_named() {
    let layer = Dense::new(dense(1, 2, 3)).unwrap();
    layer.forward(
        &mut layer.workspace(),
        &[0.0; 2],
        &[0.0; 5],
        &[0.0; 3],
        &mut [0.0; 3],
    );
}
