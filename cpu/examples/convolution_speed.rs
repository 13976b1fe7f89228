//! Prints GFLOP/s of SRCNN's convolutions, beside those of one large matrix product.
//!
//! usage: cargo run --release --example convolution_speed -p msssim-cpu [BATCH [SIDE]]
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use msssim_cpu::layers::{Conv2d, Conv2dShape, Padding};

/// The best of several runs, in seconds.
fn best(mut run: impl FnMut()) -> f64 {
    (0..8).fold(f64::INFINITY, |best, _| {
        let start = Instant::now();
        run();
        best.min(start.elapsed().as_secs_f64())
    })
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok());
    let batch = arguments.next().unwrap_or(16);
    let side = arguments.next().unwrap_or(33);
    println!(
        "{:28} {:>10} {:>10} {:>10}   GFLOP/s",
        "layer", "forward", "by input", "by weight"
    );
    let (mut operations, mut seconds) = (0.0, 0.0);
    for (kernel, in_channels, out_channels) in [(9, 1, 64), (5, 64, 32), (5, 32, 1)] {
        let shape = Conv2dShape {
            batch,
            in_channels,
            out_channels,
            height: side,
            width: side,
            kernel,
            stride: 1,
            padding: Padding::Replicate,
        };
        let Ok(conv) = Conv2d::new(shape) else {
            continue;
        };
        let mut workspace = conv.workspace();
        let (input, mut output) = (vec![0.5; shape.input_len()], vec![0.25; shape.output_len()]);
        let (weight, bias) = (vec![0.125; shape.weight_len()], vec![0.0; out_channels]);
        let mut dinput = vec![0.0; shape.input_len()];
        let (mut dweight, mut dbias) = (weight.clone(), bias.clone());
        let flops = 2.0 * (shape.weight_len() * batch * side * side) as f64;
        let times = [
            best(|| conv.forward(&mut workspace, &input, &weight, &bias, &mut output)),
            best(|| conv.backward_input(&mut workspace, &output, &weight, &mut dinput)),
            best(|| {
                conv.backward_weight(&mut workspace, &output, &input, &mut dweight, &mut dbias)
            }),
        ];
        let [forward, by_input, by_weight] = times.map(|time| flops / time / 1e9);
        let name =
            format!("{kernel}x{kernel}x{in_channels}x{out_channels}, {batch} of {side}x{side}");
        println!("{name:28} {forward:10.1} {by_input:10.1} {by_weight:10.1}");
        // The first layer's input needs no gradient.
        let passes = if in_channels == 1 {
            [true, false, true]
        } else {
            [true; 3]
        };
        for (time, _) in times.iter().zip(passes).filter(|(_, runs)| *runs) {
            operations += flops;
            seconds += time;
        }
    }
    println!(
        "{:28} {:10.1}",
        "a training step",
        operations / seconds / 1e9
    );
}
