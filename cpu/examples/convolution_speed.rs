//! Prints GFLOP/s of each pass of the networks' convolutions.
//!
//! usage: cargo run --release --example convolution_speed -p msssim-cpu
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use msssim_cpu::layers::{Conv2d, Conv2dShape, Padding, ShapeError};

/// Batch, side, kernel, input channels, output channels and stride: SRCNN at two batches, and the
/// encoders of autoencoders, of which the decoders are the transposes.
const LAYERS: [[usize; 6]; 11] = [
    [64, 33, 9, 1, 64, 1],
    [64, 33, 5, 64, 32, 1],
    [64, 33, 5, 32, 1, 1],
    [8, 96, 9, 1, 64, 1],
    [8, 96, 5, 64, 32, 1],
    [8, 96, 5, 32, 1, 1],
    [32, 96, 5, 1, 16, 2],
    [32, 48, 5, 16, 32, 2],
    [8, 96, 5, 3, 128, 2],
    [8, 48, 5, 128, 256, 2],
    [8, 24, 5, 256, 512, 2],
];

/// The best of several runs, in seconds.
fn best(mut run: impl FnMut()) -> f64 {
    (0..12).fold(f64::INFINITY, |best, _| {
        let start = Instant::now();
        run();
        best.min(start.elapsed().as_secs_f64())
    })
}

fn main() -> Result<(), ShapeError> {
    println!(
        "{:34} {:>9} {:>9} {:>9}   GFLOP/s",
        "layer", "forward", "by input", "by weight"
    );
    for [batch, side, kernel, in_channels, out_channels, stride] in LAYERS {
        let shape = Conv2dShape {
            batch,
            in_channels,
            out_channels,
            height: side,
            width: side,
            kernel,
            stride,
            padding: if stride == 1 {
                Padding::Replicate
            } else {
                Padding::Zero
            },
        };
        let conv = Conv2d::new(shape)?;
        let mut workspace = conv.workspace();
        let (input, mut output) = (vec![0.5; shape.input_len()], vec![0.25; shape.output_len()]);
        let (weight, bias) = (vec![0.125; shape.weight_len()], vec![0.0; out_channels]);
        let mut dinput = vec![0.0; shape.input_len()];
        let (mut dweight, mut dbias) = (weight.clone(), bias.clone());
        let places = batch * shape.output_height() * shape.output_width();
        let flops = 2.0 * (shape.weight_len() * places) as f64;
        let times = [
            best(|| conv.forward(&mut workspace, &input, &weight, &bias, &mut output)),
            best(|| conv.backward_input(&mut workspace, &output, &weight, &mut dinput)),
            best(|| {
                conv.backward_weight(&mut workspace, &output, &input, &mut dweight, &mut dbias)
            }),
        ];
        let [forward, by_input, by_weight] = times.map(|time| flops / time / 1e9);
        let name = format!(
            "{kernel}x{kernel}x{in_channels}x{out_channels} by {stride}, {batch} of {side}x{side}"
        );
        println!("{name:34} {forward:9.1} {by_input:9.1} {by_weight:9.1}");
    }
    Ok(())
}
