//! The kernels of layers with single lines changed: each change must be found out, by a finding or by numbers that
//! differ.

use msssim_kernels::network::{
    Activation, Conv, ConvPlan, Dense, DensePlan, Kind, PackedPlan, Product,
};
use msssim_kernels::{CODE, CONV_BF16, CONV_F32, CONV_REST, CONV_TF32, PACKED_BF16, PACKED_TF32};
use msssim_ptx_emulator::{Argument, Device, Fault, LaunchError, Module, Shape};

/// Small, of odd sides and counts, and of several steps.
const CONV: Conv = Conv {
    images: 2,
    in_channels: 33,
    out_channels: 35,
    height: 5,
    width: 7,
    kernel: 3,
    stride: 2,
    replicate: false,
    transposed: false,
    activation: Activation::Relu,
};

type Outcome = Result<Vec<f32>, LaunchError>;

/// Words that are numbers of about 1 as floats, as floats of 10 bits of fraction, and as pairs of bf16.
fn words(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let half = |bits: u32| 0x3f00 | bits & 0x80ff;
        half(state >> 16) << 16 | half(state >> 7)
    };
    (0..len).flat_map(|_| next().to_le_bytes()).collect()
}

fn integers(values: impl IntoIterator<Item = i32>) -> Vec<u8> {
    values.into_iter().flat_map(i32::to_le_bytes).collect()
}

/// Launches `kernel` and reads back the `len` numbers at the address `result` takes from the arguments.
fn launch(
    text: &str,
    kernel: &str,
    shape: Shape,
    arguments: impl FnOnce(&mut Device) -> (Vec<Argument>, u64),
    len: usize,
) -> Outcome {
    let mut device = Device::new();
    let module = device.load(Module::parse(text).expect("PTX"));
    let (arguments, result) = arguments(&mut device);
    device.launch(&module, kernel, shape, &arguments)?;
    let bytes = device.read(result, 4 * len).expect("the result");
    let number = |word: &[u8]| f32::from_le_bytes(word.try_into().expect("four bytes"));
    Ok(bytes.chunks_exact(4).map(number).collect())
}

/// Runs a product with biases.
fn multiply(text: &str, product: &Product) -> Outcome {
    let (kernel, threads) = match product.kind {
        Kind::Gathered => (
            ["conv_8", "conv_32", "conv_64"][product.launch.variant],
            128,
        ),
        Kind::Lines => (
            ["dense_8", "dense_32", "dense_64"][product.launch.variant],
            128,
        ),
        Kind::Packed => (["packed_64", "packed_128"][product.launch.variant], 256),
    };
    let shape = Shape::new(product.launch.grid, [threads, 1, 1]);
    let len = product.gather.len as usize * product.gather.parts as usize;
    let arguments = |device: &mut Device| {
        let phases = integers(product.phases.iter().flat_map(|phase| phase.to_array()));
        let taps = integers(product.taps.iter().flat_map(|tap| tap.to_array()));
        let [left, right] = product.factors;
        let out = device.upload(&words(9, len));
        let mut arguments = vec![Argument(product.gather.to_bytes().to_vec())];
        for bytes in [
            phases,
            taps,
            words(1, left),
            words(2, right),
            words(3, product.biases as usize),
        ] {
            arguments.push(device.upload(&bytes).into());
        }
        arguments.push(out.into());
        (arguments, out)
    };
    launch(text, kernel, shape, arguments, len)
}

/// Replaces the `nth` occurrence of `from` in a kernel.
fn mutate(text: &str, kernel: &str, nth: usize, from: &str, to: &str) -> String {
    let start = text.find(&format!(".entry {kernel}(")).expect("the kernel");
    let (at, _) = text[start..]
        .match_indices(from)
        .nth(nth)
        .expect("the place");
    let at = start + at;
    format!("{}{to}{}", &text[..at], &text[at + from.len()..])
}

/// Whether something was found, or the numbers are others.
fn found_out(right: &Outcome, wrong: &Outcome) -> bool {
    let right = right.as_ref().expect("nothing to find");
    match wrong {
        Err(LaunchError::Finding(_)) => true,
        Ok(wrong) => {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            bits(right) != bits(wrong)
        }
        Err(error) => panic!("{error}"),
    }
}

fn plans() -> (ConvPlan, [PackedPlan; 2]) {
    let plan = ConvPlan::new(CONV).expect("a plan");
    let packed = [1, 2].map(|factors| PackedPlan::new(&plan, factors).expect("a plan"));
    (plan, packed)
}

#[test]
fn a_dropped_barrier_is_a_race() {
    let (plan, [tf32, bf16]) = plans();
    for (text, kernel, product) in [
        (CONV_F32, "conv_64", &plan.down),
        (CONV_TF32, "conv_64", &plan.up),
        (CONV_BF16, "conv_64", &plan.weight),
        (PACKED_TF32, "packed_64", &tf32.down),
        (PACKED_BF16, "packed_64", &bf16.up),
    ] {
        let right = multiply(text, product);
        assert!(right.is_ok(), "{kernel}: {right:?}");
        match multiply(&mutate(text, kernel, 0, "bar.sync \t0;", ""), product) {
            Err(LaunchError::Finding(finding)) => {
                assert_eq!(finding.kernel, kernel);
                let expected = matches!(
                    finding.fault,
                    Fault::SharedRace { .. }
                        | Fault::UninitialisedShared { .. }
                        | Fault::CopyInFlight { .. }
                );
                assert!(expected, "{finding}");
            }
            other => panic!("{kernel}: {other:?} where a finding is expected"),
        }
    }
}

#[test]
fn a_copy_that_is_not_awaited_is_found() {
    let (_, [_, bf16]) = plans();
    for (from, to) in [
        ("cp.async.wait_group 1;", ""),
        ("cp.async.wait_group 1;", "cp.async.wait_group 2;"),
    ] {
        let text = mutate(PACKED_BF16, "packed_64", 0, from, to);
        match multiply(&text, &bf16.down) {
            Err(LaunchError::Finding(finding)) => {
                assert!(
                    matches!(finding.fault, Fault::CopyInFlight { .. }),
                    "{finding}"
                );
            }
            other => panic!("{other:?} where a finding is expected"),
        }
    }
}

/// Lines of arithmetic and addresses, each changed in turn.
#[test]
fn changed_lines_are_found_out() {
    let (plan, [tf32, bf16]) = plans();
    let dense = DensePlan::new(Dense {
        images: 3,
        inputs: 150,
        outputs: 130,
        activation: Activation::Sigmoid,
    })
    .expect("a plan");
    for (text, kernel, product, nth, from, to) in [
        // Where depths, rows and columns end, where a row begins, and how factors are rounded and taken.
        (CONV_F32, "conv_64", &plan.down, 0, "min.s32", "max.s32"),
        (CONV_F32, "conv_64", &plan.up, 1, "div.s32", "rem.s32"),
        (CONV_F32, "conv_64", &plan.up, 1, "min.s32", "max.s32"),
        (
            CONV_TF32,
            "conv_64",
            &plan.weight,
            50,
            "cvt.rna.tf32.f32",
            "mov.b32",
        ),
        (
            CONV_F32,
            "dense_8",
            &dense.forward,
            0,
            "setp.gt.s32",
            "setp.lt.s32",
        ),
        (
            CONV_BF16,
            "dense_8",
            &dense.forward,
            0,
            "min.s32",
            "max.s32",
        ),
        (
            PACKED_BF16,
            "packed_64",
            &bf16.down,
            1,
            ".x4.shared",
            ".x4.trans.shared",
        ),
        (PACKED_BF16, "packed_64", &bf16.up, 2, "shl.b32", "shr.u32"),
        (PACKED_TF32, "packed_64", &tf32.up, 2, "div.s32", "rem.s32"),
        (
            PACKED_TF32,
            "packed_64",
            &tf32.down,
            0,
            "min.s32",
            "max.s32",
        ),
        (PACKED_TF32, "packed_64", &tf32.down, 1, "xor.b32", "or.b32"),
    ] {
        let right = multiply(text, product);
        let wrong = multiply(&mutate(text, kernel, nth, from, to), product);
        assert!(found_out(&right, &wrong), "{kernel}: {from} for {to}");
    }
}

/// The gradient by weights from packed factors.
fn packed_weight(text: &str, plan: &PackedPlan) -> Outcome {
    let weight = &plan.weight;
    let len = weight.parts_len();
    let arguments = |device: &mut Device| {
        let parts = device.upload(&words(9, len));
        let mut arguments = vec![Argument(weight.to_bytes().to_vec())];
        for bytes in [
            integers(weight.outputs.iter().flatten().copied()),
            words(1, plan.input.packed_len()),
            words(2, plan.dout.packed_len()),
        ] {
            arguments.push(device.upload(&bytes).into());
        }
        arguments.push(parts.into());
        (arguments, parts)
    };
    let shape = Shape::new(weight.grid(), [256, 1, 1]);
    launch(text, "packed_weight", shape, arguments, len)
}

#[test]
fn the_packed_gradient_by_weights_is_watched_too() {
    let (_, [tf32, bf16]) = plans();
    for (text, plan) in [(PACKED_TF32, &tf32), (PACKED_BF16, &bf16)] {
        let right = packed_weight(text, plan);
        for (nth, from, to) in [
            (0, "bar.sync \t0;", ""),
            (0, "cp.async.wait_group 1;", "cp.async.wait_group 2;"),
            // The zeros beyond the last output and the last channel.
            (0, "st.shared.v4.u32", "// st.shared.v4.u32"),
            (0, "xor.b32", "or.b32"),
            (0, "min.s32", "max.s32"),
        ] {
            let wrong = packed_weight(&mutate(text, "packed_weight", nth, from, to), plan);
            assert!(found_out(&right, &wrong), "{from} for {to}");
        }
    }
}

/// What runs in blocks of 256 threads over `len` numbers: kernel, grid, what comes before the addresses, numbers at
/// each address, and which of those is read back.
struct Plain<'t> {
    text: &'t str,
    kernel: &'t str,
    grid: [u32; 3],
    integers: &'t [i32],
    buffers: &'t [usize],
    result: usize,
}

impl Plain<'_> {
    fn run(&self, text: &str) -> Outcome {
        let arguments = |device: &mut Device| {
            let buffers: Vec<u64> = (0..)
                .zip(self.buffers)
                .map(|(seed, len)| device.upload(&words(seed, *len)))
                .collect();
            let values = self.integers.iter().map(|value| (*value).into());
            let addresses = buffers.iter().map(|address| (*address).into());
            (values.chain(addresses).collect(), buffers[self.result])
        };
        let shape = Shape::new(self.grid, [256, 1, 1]);
        launch(
            text,
            self.kernel,
            shape,
            arguments,
            self.buffers[self.result],
        )
    }
}

#[test]
fn sums_and_codes_are_watched_too() {
    let (relu, sigmoid) = (1, 2);
    for (case, nth, from, to) in [
        // 100 numbers in three parts, biases of 10 channels.
        (
            Plain {
                text: CONV_REST,
                kernel: "add_parts",
                grid: [1, 1, 1],
                integers: &[100, 3, 10, 10, relu],
                buffers: &[300, 10, 100],
                result: 2,
            },
            0,
            "setp.ge.s32",
            "setp.gt.s32",
        ),
        // Three images of two channels of 9 samples, in two parts.
        (
            Plain {
                text: CONV_REST,
                kernel: "output_backward",
                grid: [2, 2, 1],
                integers: &[3, 2, 9, sigmoid],
                buffers: &[54, 54, 8],
                result: 2,
            },
            0,
            "bar.sync \t0;",
            "",
        ),
        (
            Plain {
                text: CONV_REST,
                kernel: "add_weight_parts",
                grid: [2, 3, 1],
                integers: &[9, 33, 2],
                buffers: &[2 * 9 * 3 * 33, 3 * 33 * 9],
                result: 1,
            },
            0,
            "bar.sync \t0;",
            "",
        ),
        (
            Plain {
                text: PACKED_BF16,
                kernel: "pack_weights",
                grid: [2, 3, 1],
                integers: &[9, 33, 32, 33 * 9, 9],
                buffers: &[3 * 33 * 9, 9 * 3 * 32],
                result: 1,
            },
            0,
            "bar.sync \t0;",
            "",
        ),
        // Two codes of 70 numbers.
        (
            Plain {
                text: CODE,
                kernel: "gaussian_forward",
                grid: [2, 1, 1],
                integers: &[70],
                buffers: &[280, 140, 140, 4],
                result: 3,
            },
            0,
            "bar.sync \t0;",
            "",
        ),
        (
            Plain {
                text: CODE,
                kernel: "gaussian_forward",
                grid: [2, 1, 1],
                integers: &[70],
                buffers: &[280, 140, 140, 4],
                result: 2,
            },
            0,
            "0f42A00000",
            "0f00000000",
        ),
    ] {
        let wrong = case.run(&mutate(case.text, case.kernel, nth, from, to));
        assert!(
            found_out(&case.run(case.text), &wrong),
            "{}: {from} for {to}",
            case.kernel
        );
    }
}
