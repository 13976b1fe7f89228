//! Layers and their gradients.

use std::ops::Range;

use msssim_cuda::Error;
use msssim_cuda::network::{
    Activation, Buffer, Conv, Convolution, Dense, DenseLayer, Network, Precision,
};

use super::{buffer, network, network_in, noise, values};

/// A layer, planned, and what it multiplies.
enum Layer {
    Conv(Conv, Box<Convolution>),
    Dense(Dense, Box<DenseLayer>),
}

impl Layer {
    fn forward(
        &self,
        network: &Network,
        parameters: &Buffer,
        ranges: [Range<usize>; 2],
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<(), Error> {
        match self {
            Self::Conv(_, conv) => network.conv2d_forward(conv, parameters, ranges, input, output),
            Self::Dense(_, dense) => {
                network.dense_forward(dense, parameters, ranges, input, output)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "those of the calls")]
    fn backward(
        &self,
        network: &Network,
        parameters: &Buffer,
        ranges: [Range<usize>; 2],
        input: &Buffer,
        output: &Buffer,
        doutput: &mut Buffer,
        dinput: Option<&mut Buffer>,
        dparameters: &mut Buffer,
    ) -> Result<(), Error> {
        match self {
            Self::Conv(_, conv) => network.conv2d_backward(
                conv,
                parameters,
                ranges,
                input,
                output,
                doutput,
                dinput,
                dparameters,
            ),
            Self::Dense(_, dense) => network.dense_backward(
                dense,
                parameters,
                ranges,
                input,
                output,
                doutput,
                dinput,
                dparameters,
            ),
        }
    }

    fn activation(&self) -> Activation {
        match self {
            Self::Conv(conv, _) => conv.activation,
            Self::Dense(dense, _) => dense.activation,
        }
    }

    /// Elements of input, output, weights and biases, and of an output channel's plane.
    fn lens(&self) -> [usize; 5] {
        match self {
            Self::Conv(conv, _) => {
                let size = |n: i32| n as usize;
                let [images, ins, outs] =
                    [conv.images, conv.in_channels, conv.out_channels].map(size);
                let weights = ins * outs * size(conv.kernel * conv.kernel);
                let large = size(conv.height * conv.width);
                let small = size(conv.out_height() * conv.out_width());
                if conv.transposed {
                    let lens = [images * outs * small, images * ins * large];
                    [lens[0], lens[1], weights, ins, large]
                } else {
                    let lens = [images * ins * large, images * outs * small];
                    [lens[0], lens[1], weights, outs, small]
                }
            }
            Self::Dense(dense, _) => {
                let [images, ins, outs] =
                    [dense.images, dense.inputs, dense.outputs].map(|n| n as usize);
                [images * ins, images * outs, ins * outs, outs, 1]
            }
        }
    }

    /// Calls `visit` with the places of output, input and weight of every product that the layer sums.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        match self {
            Self::Conv(conv, _) if conv.transposed => products(conv, |n, i, w| visit(i, n, w)),
            Self::Conv(conv, _) => products(conv, visit),
            Self::Dense(dense, _) => {
                let [images, ins, outs] =
                    [dense.images, dense.inputs, dense.outputs].map(|n| n as usize);
                for n in 0..images * outs {
                    let (image, out) = (n / outs, n % outs);
                    (0..ins).for_each(|i| visit(n, image * ins + i, out * ins + i));
                }
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Conv(conv, _) => format!("{conv:?}"),
            Self::Dense(dense, _) => format!("{dense:?}"),
        }
    }
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

fn close(what: &str, layer: &Layer, tolerance: f64, expected: &[f64], actual: &[f32]) {
    let bound = tolerance * largest(expected);
    within(what, layer, bound, expected, actual);
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |max, v| max.max(v.abs()))
}

fn within(what: &str, layer: &Layer, bound: f64, expected: &[f64], actual: &[f32]) {
    assert_eq!(expected.len(), actual.len());
    for (at, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        assert!(
            (expected - f64::from(*actual)).abs() <= bound,
            "{what} {at}: {actual} where {expected} is expected, {}",
            layer.describe()
        );
    }
}

#[test]
fn layers_and_their_gradients() {
    check(Precision::F32, 2e-6);
}

/// A factor is off by up to 2^-11 of it; of a sum of products of random signs, about as much remains.
#[test]
fn layers_in_tf32() {
    check(Precision::Tf32, 1e-3);
}

/// A factor is off by up to 2^-8 of it.
#[test]
fn layers_in_bf16() {
    check(Precision::Bf16, 8e-3);
}

const BASE: Conv = Conv {
    images: 2,
    in_channels: 3,
    out_channels: 5,
    height: 9,
    width: 11,
    kernel: 3,
    stride: 1,
    replicate: true,
    transposed: false,
    activation: Activation::Identity,
};

/// A convolution of the autoencoder's kind: half the size, of an even and an odd side.
const HALVING: Conv = Conv {
    height: 12,
    kernel: 5,
    stride: 2,
    replicate: false,
    ..BASE
};

fn convolutions() -> Vec<Conv> {
    let (relu, sigmoid) = (Activation::Relu, Activation::Sigmoid);
    vec![
        BASE,
        Conv {
            activation: relu,
            ..BASE
        },
        Conv {
            replicate: false,
            activation: sigmoid,
            ..BASE
        },
        // Smaller than the kernel on one side.
        Conv {
            kernel: 9,
            height: 3,
            ..BASE
        },
        Conv { kernel: 1, ..BASE },
        Conv {
            height: 1,
            width: 1,
            kernel: 5,
            ..BASE
        },
        HALVING,
        // A stride beyond the kernel: some samples are seen by no output.
        Conv {
            stride: 4,
            kernel: 3,
            height: 13,
            ..BASE
        },
        // More channels than a block has columns, more weights than it has rows, and parts of the depth.
        Conv {
            images: 1,
            in_channels: 9,
            out_channels: 70,
            height: 5,
            width: 6,
            kernel: 5,
            ..BASE
        },
        Conv {
            images: 1,
            in_channels: 40,
            out_channels: 33,
            height: 4,
            width: 4,
            activation: relu,
            ..BASE
        },
        // SRCNN's first layer, with several parts of the weights' gradient.
        Conv {
            in_channels: 1,
            out_channels: 64,
            kernel: 9,
            height: 16,
            width: 18,
            activation: relu,
            ..BASE
        },
        Conv {
            transposed: true,
            activation: sigmoid,
            ..HALVING
        },
        // Enough channels to be packed for tensor cores: odd counts, more than a tile's, an odd side.
        Conv {
            in_channels: 33,
            out_channels: 70,
            height: 5,
            width: 6,
            activation: relu,
            ..HALVING
        },
        Conv {
            images: 1,
            in_channels: 130,
            out_channels: 32,
            height: 3,
            width: 3,
            kernel: 3,
            stride: 1,
            ..HALVING
        },
        Conv {
            transposed: true,
            in_channels: 65,
            out_channels: 131,
            height: 4,
            width: 5,
            activation: sigmoid,
            ..HALVING
        },
        // Wider than a tile is deep in channels, so that parts are added up and activated.
        Conv {
            transposed: true,
            images: 1,
            in_channels: 34,
            out_channels: 40,
            height: 7,
            width: 5,
            activation: relu,
            ..HALVING
        },
        Conv {
            transposed: true,
            stride: 3,
            kernel: 3,
            ..HALVING
        },
    ]
}

fn dense_layers() -> Vec<Dense> {
    let base = Dense {
        images: 3,
        inputs: 7,
        outputs: 5,
        activation: Activation::Identity,
    };
    vec![
        base,
        // Longer than a part, and more rows than a tile.
        Dense {
            inputs: 401,
            outputs: 9,
            activation: Activation::Relu,
            ..base
        },
        Dense {
            images: 33,
            inputs: 4,
            outputs: 150,
            activation: Activation::Sigmoid,
        },
    ]
}

fn check(precision: Precision, tolerance: f64) {
    let network = network_in(precision);
    let convolutions = convolutions()
        .into_iter()
        .map(|conv| Layer::Conv(conv, Box::new(network.plan_conv2d(conv).expect("a plan"))));
    let dense = dense_layers()
        .into_iter()
        .map(|dense| Layer::Dense(dense, Box::new(network.plan_dense(dense).expect("a plan"))));
    for layer in convolutions.chain(dense) {
        check_layer(&network, &layer, tolerance);
    }
}

fn check_layer(network: &Network, layer: &Layer, tolerance: f64) {
    let [input_len, output_len, weight_len, biases, area] = layer.lens();
    let input = noise(1, input_len);
    // Biases first, to show that ranges are followed.
    let parameters = noise(2, biases + weight_len);
    let (bias, weight) = parameters.split_at(biases);
    let dout = noise(3, output_len);
    let ranges = || [biases..biases + weight_len, 0..biases];

    let mut output: Vec<f64> = (0..output_len)
        .map(|n| bias[n / area % biases].into())
        .collect();
    layer.products(|n, i, w| output[n] += f64::from(input[i]) * f64::from(weight[w]));
    // What is rounded is the sums; no activation is steeper than the identity.
    let bound = tolerance * largest(&output);
    for out in &mut output {
        *out = match layer.activation() {
            Activation::Identity => *out,
            Activation::Relu => out.max(0.0),
            Activation::Sigmoid => 1.0 / (1.0 + (-*out).exp()),
        };
    }
    let [parameters, there] = [&parameters, &input].map(|values| buffer(network, values));
    let mut out = buffer(network, &vec![f32::NAN; output_len]);
    layer
        .forward(network, &parameters, ranges(), &there, &mut out)
        .expect("launches");
    let computed = values(network, &out);
    within("output", layer, bound, &output, &computed);

    // What counts is what came out on the device: rounding may turn a sign.
    let pass = |(dout, out): (&f32, &f32)| {
        let (dout, out) = (f64::from(*dout), f64::from(*out));
        match layer.activation() {
            Activation::Identity => dout,
            Activation::Relu if out == 0.0 => 0.0,
            Activation::Relu => dout,
            Activation::Sigmoid => dout * out * (1.0 - out),
        }
    };
    let passed: Vec<f64> = dout.iter().zip(&computed).map(pass).collect();
    let (mut dinput, mut dweight) = (vec![0.0; input_len], vec![0.0; weight_len]);
    layer.products(|n, i, w| {
        dinput[i] += passed[n] * f64::from(weight[w]);
        dweight[w] += passed[n] * f64::from(input[i]);
    });
    let mut dbias = vec![0.0; biases];
    for (n, passed) in passed.iter().enumerate() {
        dbias[n / area % biases] += passed;
    }

    let mut din = buffer(network, &vec![f32::NAN; input_len]);
    let mut dparameters = buffer(network, &vec![f32::NAN; biases + weight_len]);
    let mut dout = buffer(network, &dout);
    let (p, dp) = (&parameters, &mut dparameters);
    layer
        .backward(
            network,
            p,
            ranges(),
            &there,
            &out,
            &mut dout,
            Some(&mut din),
            dp,
        )
        .expect("launches");
    let din = values(network, &din);
    let (by_bias, by_weight) = (0..biases, biases..biases + weight_len);
    let dparameters = values(network, &dparameters);
    close("gradient by input", layer, tolerance, &dinput, &din);
    // Summed in double in every precision.
    close(
        "gradient by bias",
        layer,
        2e-6,
        &dbias,
        &dparameters[by_bias],
    );
    close(
        "gradient by weight",
        layer,
        tolerance,
        &dweight,
        &dparameters[by_weight],
    );
}

#[test]
fn impossible_layers_are_refused() {
    let network = network();
    for conv in [
        Conv { kernel: 2, ..BASE },
        Conv {
            transposed: true,
            ..BASE
        },
    ] {
        let error = network.plan_conv2d(conv).unwrap_err().to_string();
        assert!(error.contains("even kernel"), "{error}");
        assert!(error.contains("transposed one that repeats"), "{error}");
    }
    let error = network
        .plan_dense(Dense {
            images: 1,
            inputs: 0,
            outputs: 1,
            activation: Activation::Identity,
        })
        .unwrap_err()
        .to_string();
    assert!(error.contains("counts of 0"), "{error}");
}
