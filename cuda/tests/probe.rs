//! What a program is told where there is no usable device. In a process of its own: the emulated
//! device's properties are the process's.

use msssim_cuda::{Device, Error, MsSsim, Params, Pass, ProbeError, Size, Version};
use msssim_emulated_libcuda::Setting;

#[test]
fn absent_old_and_full_devices() {
    let emulator = msssim_emulated_libcuda::load().expect("the emulator");
    let probe = || Device::probe().expect_err("no usable device");

    emulator.set(Setting::DriverVersion, 11_080);
    let error = probe();
    assert!(
        matches!(
            error,
            ProbeError::DriverTooOld {
                have: Version {
                    major: 11,
                    minor: 8
                },
                ..
            }
        ),
        "{error}"
    );
    emulator.set(Setting::DriverVersion, 12_040);

    emulator.set(Setting::Devices, 0);
    let error = probe();
    assert!(
        matches!(
            error,
            ProbeError::NoDevice {
                ordinal: 0,
                count: 0
            }
        ),
        "{error}"
    );
    emulator.set(Setting::Devices, 1);
    let error = Device::open(3).expect_err("no such device");
    assert!(
        matches!(
            error,
            ProbeError::NoDevice {
                ordinal: 3,
                count: 1
            }
        ),
        "{error}"
    );

    emulator.set(Setting::ComputeCapability, 75);
    let error = probe().to_string();
    assert!(error.contains("7.5") && error.contains("8.0"), "{error}");
    emulator.set(Setting::ComputeCapability, 80);

    emulator.set(Setting::NewestPtx, 65);
    match probe() {
        ProbeError::PtxRefused { module, log } => {
            assert_eq!(module, "statistics");
            assert!(log.contains("PTX 7.0 is newer than 6.5"), "{log}");
        }
        other => panic!("{other}"),
    }
    emulator.set(Setting::NewestPtx, 84);

    emulator.set(Setting::Idle, 1);
    let error = probe();
    assert!(
        matches!(error, ProbeError::WrongAnswer { what: "score", .. }),
        "{error}"
    );
    emulator.set(Setting::Idle, 0);

    emulator.set(Setting::Memory, 1 << 10);
    let error = probe();
    assert!(
        matches!(
            error,
            ProbeError::Device(Error::OutOfMemory { free: 1024, .. })
        ),
        "{error}"
    );
    emulator.set(Setting::Memory, 1 << 30);

    let device = Device::probe().expect("a device");
    assert_eq!(device.architecture(), Version { major: 8, minor: 0 });
    emulator.set(Setting::Memory, 1 << 20);
    let size = Size {
        width: 512,
        height: 512,
    };
    let metric = MsSsim::new(size, 3, &Params::SNELL_2017).expect("a plan");
    let stream = device.new_stream().expect("a stream");
    let bytes = metric.workspace_bytes(4, Pass::Gradient).expect("bytes");
    match metric.workspace(&device, &stream, 4, Pass::Gradient) {
        Err(Error::OutOfMemory { asked, free }) => {
            assert_eq!(asked, bytes);
            assert!(free <= 1 << 20);
        }
        other => panic!("{other:?}"),
    }
}
