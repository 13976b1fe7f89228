//! The machine as it is, without the emulator, in a process of its own.

use msssim_cuda::{Device, ProbeError, cudarc};

#[test]
fn probing_answers_on_any_machine() {
    // SAFETY: asks only whether the library can be opened.
    let driver = unsafe { cudarc::driver::sys::is_culib_present() };
    match Device::probe() {
        Ok(device) => assert!(driver && !device.name().is_empty()),
        Err(error @ ProbeError::NoDriver) => {
            assert!(!driver);
            assert!(error.to_string().contains("install NVIDIA's driver"));
        }
        Err(error) => assert!(driver, "{error}"),
    }
}
