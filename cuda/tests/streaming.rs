//! Blocks of images that follow each other into an agenda's memory, in the orders that a device may choose. In a
//! process of its own, one test at a time: the order is the emulated device's.

use msssim_cuda::network::{
    Agenda, Buffer, Comparison, Crop, Measure, Network, Precision, Recording, Staging,
};
use msssim_cuda::{Error, Size};
use msssim_emulated_libcuda::{Alone, Order, Setting};

fn alone() -> Alone {
    msssim_emulated_libcuda::alone().expect("the emulator")
}

/// Rows and columns of an image, which is one crop.
const SIDE: usize = 4;

/// The most images of a block.
const IMAGES: usize = 3;

/// Steps that add up their inputs, without anybody waiting for them.
struct Steps {
    // Dropped before the device.
    staging: Staging,
    agenda: Agenda,
    measure: Measure,
    /// Inputs, targets, a gradient, the sum, what it moved by last.
    images: [Buffer; 5],
    rates: Buffer,
    recording: Option<Recording>,
    network: Network,
}

impl Steps {
    fn new(alike: bool) -> Self {
        let network = Network::open(0, Precision::F32).expect("a device");
        let (samples, steps) = (SIDE * SIDE, IMAGES);
        let agenda = network.plan_agenda(steps, [1, 1, SIDE], 2, 0);
        let mut agenda = agenda.expect("a plan");
        let staging = network.stream_images(&mut agenda, IMAGES * samples, alike);
        let size = Size {
            width: SIDE,
            height: SIDE,
        };
        let measure = network.plan_measure(Comparison::AbsoluteError, 1, 1, size);
        let zeros = |len| network.zeros(len).expect("room");
        Self {
            staging: staging.expect("room"),
            agenda,
            measure: measure.expect("a plan"),
            images: [samples; 5].map(zeros),
            rates: zeros(2),
            recording: None,
            network,
        }
    }

    /// Has a block copied whose images have these values everywhere.
    fn send(&mut self, values: &[f32]) {
        let Self {
            network,
            agenda,
            staging,
            ..
        } = self;
        network.stage(agenda, staging).expect("an order");
        let mut planes = staging.planes().expect("memory");
        for (image, value) in values.iter().enumerate() {
            planes[0][image * SIDE * SIDE..][..SIDE * SIDE].fill(*value);
        }
        staging.send(values.len() * SIDE * SIDE).expect("a copy");
    }

    /// Puts a step for each image of the block that was sent last into the stream.
    fn turn(&mut self, images: usize) {
        let Self {
            network,
            agenda,
            staging,
            measure,
            images: [input, target, gradient, sum, moved],
            rates,
            recording,
        } = self;
        network.turn(agenda, staging).expect("an order");
        let crop = |image| Crop {
            first: (image * SIDE * SIDE) as i32,
            row: SIDE as i32,
            plane: (SIDE * SIDE) as i32,
            symmetry: 0,
        };
        let crops: Vec<Crop> = (0..images).map(crop).collect();
        let written = network.write_agenda(agenda, &crops, &vec![-1.0; 2 * images], &[]);
        written.expect("copies");
        for _ in 0..images {
            network.take_step(agenda);
            let calls = || {
                network.begin_step(agenda, [input, target], rates, None)?;
                network.measure_and_gradient(measure, target, input, 1.0, gradient)?;
                network.sgd(0.0, SIDE * SIDE, rates, input, moved, sum)?;
                network.end_step(agenda, measure, None)
            };
            let recording = recording.get_or_insert_with(|| network.record(calls).expect("calls"));
            network.replay(recording).expect("a run");
        }
    }

    /// Waits for all steps: the sum of their inputs.
    fn sum(&self) -> f32 {
        let mut values = [0.0; SIDE * SIDE];
        let sum = &self.images[3];
        self.network.download(sum, &mut values).expect("a copy");
        assert_eq!(values, [values[0]; SIDE * SIDE]);
        values[0]
    }
}

/// Sums of which no other choice of values has the same.
#[test]
fn every_step_sees_the_images_of_its_block() {
    let emulator = alone();
    let blocks: [&[f32]; 5] = [
        &[1.0],
        &[2.0, 4.0, 8.0],
        &[16.0, 32.0],
        &[64.0, 128.0, 256.0],
        &[512.0],
    ];
    for order in [Order::AtOnce, Order::Late, Order::CopiesFirst] {
        for alike in [false, true] {
            let mut steps = Steps::new(alike);
            emulator.order(order);
            for block in blocks {
                steps.send(block);
                steps.turn(block.len());
            }
            assert_eq!(steps.sum(), 1023.0, "{order:?}");
        }
    }
}

/// A device and its memory may go while a copy has still to be made.
#[test]
fn what_was_sent_may_be_dropped() {
    let emulator = alone();
    emulator.order(Order::Late);
    let mut steps = Steps::new(true);
    steps.send(&[1.0, 2.0]);
    steps.turn(1);
    steps.send(&[3.0]);
    emulator.watch();
    drop(steps);
    let watched = emulator.watched();
    let at = |words: [&str; 2]| {
        let is = |line: &String| words.iter().all(|word| line.contains(word));
        watched.iter().position(is)
    };
    // The copy is over before any memory is given back.
    let copied = at(["done", "pinned"]).expect("a copy");
    assert!(Some(copied) < at(["asked", "free"]), "{watched:?}");
}

#[test]
fn what_there_is_no_room_for() {
    let emulator = alone();
    let network = Network::open(0, Precision::F32).expect("a device");
    let mut agenda = network.plan_agenda(1, [1, 1, 4], 1, 0).expect("a plan");
    // Two halves of 2^30 samples each are counted, of one more they are not.
    match network.stream_images(&mut agenda, (1 << 30) + 1, false) {
        Err(error @ Error::TooManySamples { samples, most }) => {
            assert_eq!((samples, most), ((1 << 31) + 2, 1 << 31));
            assert!(error.to_string().contains("fewer or smaller images"));
        }
        other => panic!("{other:?}"),
    }
    match network.stream_images(&mut agenda, 1 << 30, false) {
        Err(Error::OutOfMemory { asked, free }) => {
            assert_eq!(asked, 1 << 33);
            assert!(free < asked);
        }
        other => panic!("{other:?}"),
    }
    emulator.set(Setting::PinnedMemory, 1 << 10);
    match network.stream_images(&mut agenda, 1 << 10, false) {
        Err(error @ Error::HostMemory { asked }) => {
            assert_eq!(asked, 1 << 13);
            assert!(error.to_string().contains("ulimit"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // What was there before is used no more, and nothing is left of what was refused.
    emulator.set(Setting::PinnedMemory, i64::MAX);
    network
        .stream_images(&mut agenda, 1 << 10, false)
        .expect("room");
}
