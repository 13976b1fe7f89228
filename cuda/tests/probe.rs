//! What a program is told where there is no usable device: every answer of `Device::probe`, and what comes
//! after it. In a process of its own, one test at a time: the emulated device's properties are the process's.
//! That no driver is installed is for `without_driver.rs`.

use msssim_cuda::network::{Activation, Comparison, Conv, Network, Precision};
use msssim_cuda::{Device, Error, MsSsim, Params, Pass, Plane, ProbeError, Size, Version};
use msssim_emulated_libcuda::{Alone, Idle, Setting};

fn alone() -> Alone {
    msssim_emulated_libcuda::alone().expect("the emulator")
}

fn refused() -> ProbeError {
    Device::probe().expect_err("no usable device")
}

#[test]
fn an_old_driver() {
    let emulator = alone();
    emulator.set(Setting::DriverVersion, 11_080);
    let error = refused();
    let (have, need) = match error {
        ProbeError::DriverTooOld { have, need } => (have, need),
        other => panic!("{other}"),
    };
    let version = |major, minor| Version { major, minor };
    assert_eq!((have, need), (version(11, 8), version(12, 0)));
    let text = error.to_string();
    assert!(text.contains("11.8") && text.contains("12.0"), "{text}");

    // The oldest that will do.
    emulator.set(Setting::DriverVersion, 12_000);
    let device = Device::probe().expect("a device");
    assert_eq!(device.driver(), version(12, 0));
}

#[test]
fn a_driver_that_does_not_run() {
    let emulator = alone();
    emulator.set(Setting::Mismatch, 1);
    match refused() {
        ProbeError::Device(Error::Driver { name, text }) => {
            assert_eq!(name, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH");
            assert!(text.contains("unsupported"), "{text}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn no_device_and_none_of_that_number() {
    let emulator = alone();
    assert!(Device::open(0).is_ok());
    let error = Device::open(3).expect_err("no such device");
    let expected = |error: &ProbeError, number, known| matches!(error, ProbeError::NoDevice { ordinal, count } if (*ordinal, *count) == (number, known));
    assert!(expected(&error, 3, 1), "{error}");
    emulator.set(Setting::Devices, 0);
    let error = refused();
    assert!(expected(&error, 0, 0), "{error}");
}

#[test]
fn an_old_device() {
    let emulator = alone();
    emulator.set(Setting::ComputeCapability, 75);
    let error = refused();
    match &error {
        ProbeError::ArchitectureTooOld { name, have, need } => {
            assert_eq!(name, "PTX emulator");
            assert_eq!((have.major, have.minor), (7, 5));
            assert_eq!((need.major, need.minor), (8, 0));
        }
        other => panic!("{other}"),
    }
    let text = error.to_string();
    assert!(text.contains("7.5") && text.contains("8.0"), "{text}");

    emulator.set(Setting::ComputeCapability, 120);
    let device = Device::probe().expect("a device");
    let newer = Version {
        major: 12,
        minor: 0,
    };
    assert_eq!(device.architecture(), newer);
}

#[test]
fn kernels_that_are_refused() {
    let emulator = alone();
    emulator.set(Setting::NewestPtx, 65);
    match refused() {
        ProbeError::PtxRefused { module, log } => {
            assert_eq!(module, "statistics");
            assert!(log.contains("PTX 7.0 is newer than 6.5"), "{log}");
        }
        other => panic!("{other}"),
    }
}

/// Kernels that a probe leaves out are loaded by the first workspace that needs them, and where they are
/// refused, by the next.
#[test]
fn kernels_that_are_refused_later() {
    let emulator = alone();
    let size = Size {
        width: 40,
        height: 40,
    };
    let metric = |params| {
        let params = Params {
            scales: 2,
            ..params
        };
        MsSsim::new(size, 1, &params).expect("a plan")
    };
    let training = metric(Params::SNELL_2017);
    let pixels = metric(Params::SNELL_2017_PIXELS);
    assert!(training.is_for_training() && pixels.is_for_training());
    for (metric, first) in [
        (pixels, "terms"),
        (pixels.general(), "terms"),
        (training.general(), "pyramid"),
        (metric(Params::METRIX), "pyramid"),
    ] {
        // Nothing is loaded on this one yet.
        let device = Device::probe().expect("a device");
        let stream = device.new_stream().expect("a stream");
        emulator.set(Setting::NewestPtx, 65);
        for pass in [Pass::Score, Pass::Gradient] {
            match metric.workspace(&device, &stream, 1, pass) {
                Err(Error::PtxRefused { module, log }) => {
                    assert_eq!(module, first);
                    assert!(log.contains("PTX 7.0 is newer than 6.5"), "{log}");
                }
                other => panic!("{other:?}"),
            }
            // What the probe has loaded is there.
            let works = training.workspace(&device, &stream, 1, pass);
            works.expect("a workspace");
        }
        emulator.set(Setting::NewestPtx, 84);
        let works = metric.workspace(&device, &stream, 1, Pass::Gradient);
        works.expect("a workspace");
    }
}

/// The kernels of networks are translated when a network is opened, those of a loss when it is planned; whichever is
/// refused is named, and there once it is not.
#[test]
fn kernels_of_networks_that_the_driver_refuses() {
    let emulator = alone();
    for (precision, kernel, module) in [
        (Precision::F32, "conv_8", "conv_f32"),
        (Precision::Tf32, "conv_8", "conv_tf32"),
        (Precision::Bf16, "conv_8", "conv_bf16"),
        (Precision::Tf32, "pack", "packed_tf32"),
        (Precision::Bf16, "pack", "packed_bf16"),
        (Precision::F32, "pad", "conv_rest"),
        (Precision::F32, "gaussian_forward", "code"),
        (Precision::F32, "squared_error", "loss"),
        (Precision::F32, "adam", "optimizer"),
        (Precision::F32, "begin_step", "feed"),
    ] {
        emulator.refuse(Some(kernel));
        match Network::open(0, precision).err() {
            Some(ProbeError::PtxRefused { module: of, log }) => {
                assert_eq!(of, module);
                assert!(log.contains(&format!("{kernel} is refused")), "{log}");
            }
            other => panic!("{module}: {other:?}"),
        }
        emulator.refuse(None);
    }
    for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
        let network = Network::open(0, precision).expect("a device");
        let size = Size {
            width: 40,
            height: 36,
        };
        let comparison = Comparison::MsSsim(Params::SNELL_2017_PIXELS);
        emulator.set(Setting::NewestPtx, 65);
        match network.plan_measure(comparison, 1, 1, size) {
            Err(Error::PtxRefused { module, log }) => {
                assert_eq!(module, "terms");
                assert!(log.contains("PTX 7.0 is newer than 6.5"), "{log}");
            }
            other => panic!("{other:?}"),
        }
        emulator.set(Setting::NewestPtx, 84);
        let measure = network.plan_measure(comparison, 1, 1, size);
        measure.expect("a plan");
    }
}

/// A device on which nothing runs, or one kernel does not: found by the numbers.
#[test]
fn wrong_answers() {
    let emulator = alone();
    let wrong = || match refused() {
        ProbeError::WrongAnswer {
            name,
            what,
            expected,
            actual,
        } => {
            assert_eq!(name, "PTX emulator");
            assert!(expected != actual, "{expected} {actual}");
            what
        }
        other => panic!("{other}"),
    };
    emulator.idle(Idle::Always);
    assert_eq!(wrong(), "score");
    for (kernel, what) in [
        ("gradient_f32", "score"),
        ("gradient_level", "score"),
        ("combine", "score"),
        ("finish", "gradient"),
    ] {
        emulator.idle(Idle::Kernel(kernel));
        assert_eq!(wrong(), what, "without {kernel}");
    }
    // What the known answer does not take.
    emulator.idle(Idle::Kernel("statistics_u8"));
    assert!(Device::probe().is_ok());
}

/// Whatever allocation finds no room, the answer is the same.
#[test]
fn too_little_memory() {
    let emulator = alone();
    let mut refusals = 0;
    for memory in (1..).map(|kilobytes| kilobytes << 10) {
        emulator.set(Setting::Memory, memory);
        match Device::probe() {
            Ok(_) => break,
            Err(ProbeError::OutOfMemory { asked, free }) => {
                assert!(free < asked && free as i64 <= memory, "{asked} {free}");
            }
            Err(other) => panic!("{memory} bytes: {other}"),
        }
        refusals += 1;
        assert!(refusals < 1000, "{memory} bytes are not enough");
    }
    assert!(refusals > 10, "{refusals}");
}

#[test]
fn too_little_memory_later() {
    let emulator = alone();
    let device = Device::probe().expect("a device");
    let stream = device.new_stream().expect("a stream");
    emulator.set(Setting::Memory, 1 << 20);
    let size = Size {
        width: 512,
        height: 512,
    };
    let metric = MsSsim::new(size, 3, &Params::SNELL_2017).expect("a plan");
    let bytes = metric.workspace_bytes(4, Pass::Gradient).expect("bytes");
    match metric.workspace(&device, &stream, 4, Pass::Gradient) {
        Err(Error::OutOfMemory { asked, free }) => {
            assert_eq!(asked, bytes);
            assert!(free <= 1 << 20);
        }
        other => panic!("{other:?}"),
    }
    let ones = vec![1.0f32; size.area()];
    let plane = Plane::new(&ones, size).expect("a plane");
    match metric.general().mask(&stream, &[plane]) {
        Err(Error::OutOfMemory { asked, free }) => {
            assert!(asked >= 4 * size.area() && free < asked);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_little_memory_for_a_network() {
    let emulator = alone();
    let network = Network::open(0, Precision::F32).expect("a device");
    let conv = Conv {
        images: 2,
        in_channels: 1,
        out_channels: 2,
        height: 8,
        width: 8,
        kernel: 5,
        stride: 2,
        replicate: false,
        transposed: false,
        activation: Activation::Relu,
    };
    let size = Size {
        width: 8,
        height: 8,
    };
    let comparison = Comparison::MsSsim(Params::SNELL_2017);
    let mut refusals = 0;
    for memory in (1..).map(|kilobytes| kilobytes << 10) {
        emulator.set(Setting::Memory, memory);
        let plan = || {
            let conv = network.plan_conv2d(conv)?;
            let measure = network.plan_measure(comparison, 2, 1, size)?;
            let agenda = network.plan_agenda(64, [2, 1, 8], 3, 16)?;
            Ok((conv, measure, agenda))
        };
        match plan() {
            Ok(_) => break,
            Err(Error::OutOfMemory { asked, free }) => {
                assert!(free < asked && free as i64 <= memory, "{asked} {free}");
            }
            Err(other) => panic!("{memory} bytes: {other}"),
        }
        refusals += 1;
        assert!(refusals < 1000, "{memory} bytes are not enough");
    }
    assert!(refusals > 10, "{refusals}");
}
