//! GFLOP/s of each pass of the networks' convolutions.

use std::time::Instant;

use msssim_cpu::layers::{Conv2d, Conv2dShape, Padding};

use crate::Failure;

/// Images, side, kernel, input channels, output channels and stride: SRCNN at two batches, and the
/// encoders of autoencoders, of which the decoders are the transposes.
const LAYERS: [[usize; 6]; 12] = [
    [64, 33, 9, 1, 64, 1],
    [64, 33, 5, 64, 32, 1],
    [64, 33, 5, 32, 1, 1],
    [8, 96, 9, 1, 64, 1],
    [8, 96, 5, 64, 32, 1],
    [8, 96, 5, 32, 1, 1],
    [32, 96, 5, 1, 16, 2],
    [32, 48, 5, 16, 32, 2],
    [32, 24, 5, 32, 64, 2],
    [16, 96, 5, 3, 128, 2],
    [16, 48, 5, 128, 256, 2],
    [16, 24, 5, 256, 512, 2],
];

/// Prints the fastest of several runs of each.
pub(crate) fn table() -> Result<(), Failure> {
    println!("| convolution | images | forward | by input | by weights, GFLOP/s |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for layer in LAYERS {
        let [images, side, kernel, inputs, outputs, stride] = layer;
        let [forward, by_input, by_weight] = speeds(layer, 10)?;
        println!(
            "| {kernel}x{kernel}x{inputs}x{outputs} by {stride} | {images} of {side} x {side} \
             | {forward:.0} | {by_input:.0} | {by_weight:.0} |"
        );
    }
    Ok(())
}

fn speeds(layer: [usize; 6], runs: usize) -> Result<[f64; 3], Failure> {
    let [batch, side, kernel, in_channels, out_channels, stride] = layer;
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
    let operations = 2.0 * (shape.weight_len() * places) as f64;
    let best = |run: &mut dyn FnMut()| {
        (0..runs).fold(f64::INFINITY, |best, _| {
            let start = Instant::now();
            run();
            best.min(start.elapsed().as_secs_f64())
        })
    };
    let times = [
        best(&mut || conv.forward(&mut workspace, &input, &weight, &bias, &mut output)),
        best(&mut || conv.backward_input(&mut workspace, &output, &weight, &mut dinput)),
        best(&mut || {
            conv.backward_weight(&mut workspace, &output, &input, &mut dweight, &mut dbias);
        }),
    ];
    Ok(times.map(|time| operations / time / 1e9))
}

/// Each once, in small.
pub(crate) fn smoke() -> Result<(), Failure> {
    for [_, _, kernel, inputs, outputs, stride] in LAYERS {
        let speeds = speeds([1, 4, kernel, inputs.min(8), outputs.min(8), stride], 1)?;
        assert!(speeds.iter().all(|speed| *speed > 0.0));
    }
    Ok(())
}
