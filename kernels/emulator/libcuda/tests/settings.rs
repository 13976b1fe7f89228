//! What a program sees of a device that is absent, old or full. In a process of its own.

use cudarc::driver::CudaContext;
use cudarc::driver::sys::CUresult;
use msssim_emulated_libcuda::Setting;

#[test]
fn absent_old_and_full_devices() {
    let emulator = msssim_emulated_libcuda::alone().expect("the emulator");
    emulator.set(Setting::Devices, 0);
    let error = CudaContext::new(0).expect_err("no device");
    assert_eq!(error.0, CUresult::CUDA_ERROR_NO_DEVICE);

    emulator.set(Setting::Devices, 1);
    emulator.set(Setting::ComputeCapability, 75);
    emulator.set(Setting::Memory, 1 << 20);
    let context = CudaContext::new(0).expect("a context");
    assert_eq!(context.compute_capability().expect("a capability"), (7, 5));
    let stream = context.default_stream();
    let error = stream.alloc_zeros::<u8>(2 << 20).expect_err("full");
    assert_eq!(error.0, CUresult::CUDA_ERROR_OUT_OF_MEMORY);
    assert!(error.to_string().contains("1048576 free"), "{error}");
    let kernel = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }";
    let error = context
        .load_module(cudarc::nvrtc::Ptx::from_src(kernel))
        .expect_err("too old");
    assert_eq!(error.0, CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU);

    emulator.set(Setting::ComputeCapability, 80);
    emulator.refuse(Some("k"));
    let load = || context.load_module(cudarc::nvrtc::Ptx::from_src(kernel));
    let error = load().expect_err("refused");
    assert_eq!(error.0, CUresult::CUDA_ERROR_INVALID_PTX);
    assert!(error.to_string().contains("k is refused"), "{error}");
    emulator.refuse(Some("other"));
    load().expect("a module");
    emulator.refuse(Some("k"));
    emulator.refuse(None);
    load().expect("a module");

    emulator.set(Setting::Devices, 0);
    drop(emulator);
    CudaContext::new(0).expect("the device is there again");
}
