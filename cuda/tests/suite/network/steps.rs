//! Updates of parameters, recordings, and steps that the device takes by itself.

use msssim_cuda::network::{Adam, Comparison, Crop};
use msssim_cuda::{Error, Params, Size};

use super::{buffer, network, noise, values};

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
fn what_cannot_be_recorded_is_refused() {
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
        .plan_agenda(4, [batch, channels, side], 3, 5)
        .expect("a plan");
    network
        .show(&mut agenda, Some(&bicubic), &truth)
        .expect("room");
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
    let noises = noise(8, 20);

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
    let mut drawn = network.zeros(5).expect("room");
    // Two images of two numbers, which diverge by 1/2 and by 2 on the mean.
    let codes = network.plan_gaussian(batch, 2).expect("a plan");
    let moments = buffer(&network, &[1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    let [still, mut code] = [(); 2].map(|()| network.zeros(4).expect("room"));
    let recording = network
        .record(|| {
            let batch = [&mut input, &mut target];
            network.begin_step(&agenda, batch, &mut current, Some(&mut drawn))?;
            network.gaussian_forward(&codes, &moments, &still, &mut code)?;
            network.measure_and_gradient(&measure, &target, &input, 1.0, &mut gradient)?;
            network.end_step(&agenda, &measure, Some(&codes))
        })
        .expect("a graph");

    // Nothing is written yet, and a replay does nothing.
    network.replay(&recording).expect("a run");
    assert!(network.recorded(&agenda).expect("records").is_empty());
    network
        .write_agenda(&mut agenda, &crops, &coefficients, &noises)
        .expect("copies");
    for step in 0..4 {
        network.take_step(&mut agenda);
        network.replay(&recording).expect("a run");
        assert_eq!(values(&network, &current), coefficients[3 * step..][..3]);
        assert_eq!(values(&network, &drawn), noises[5 * step..][..5]);
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
    assert_eq!(
        network.recorded(&agenda).expect("records"),
        [[0.5, 1.25]; 4]
    );
    // The tables are used up: one more changes nothing.
    network.replay(&recording).expect("a run");
    assert_eq!(
        network.recorded(&agenda).expect("records"),
        [[0.5, 1.25]; 4]
    );
}

#[test]
#[should_panic(expected = "leaves images of 20 samples")]
fn a_crop_beyond_the_images() {
    let network = network();
    let mut agenda = network.plan_agenda(1, [1, 1, 3], 1, 0).expect("a plan");
    network.show(&mut agenda, None, &[0.0; 20]).expect("room");
    let crop = Crop {
        first: 10,
        row: 4,
        plane: 20,
        symmetry: 0,
    };
    let _ = network.write_agenda(&mut agenda, &[crop], &[0.0], &[]);
}
