//! An unmodified cudarc program on the emulator, found without any environment.

use std::sync::Arc;

use cudarc::driver::sys::{CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// `axpy(y, x, a, n)`: y += a x, one thread an element.
const AXPY: &str = ".version 7.0
.target sm_80
.address_size 64
.visible .entry axpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n) {
    .reg .pred %p; .reg .b32 %r<5>; .reg .b64 %d<6>; .reg .f32 %f<4>;
    ld.param.u64 %d0, [y]; ld.param.u64 %d1, [x]; ld.param.f32 %f0, [a]; ld.param.u32 %r0, [n];
    mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
    mad.lo.u32 %r4, %r1, %r2, %r3;
    setp.ge.u32 %p, %r4, %r0;
    @%p ret;
    mul.wide.u32 %d2, %r4, 4;
    add.s64 %d3, %d0, %d2; add.s64 %d4, %d1, %d2;
    ld.global.f32 %f1, [%d3]; ld.global.f32 %f2, [%d4];
    fma.rn.f32 %f3, %f0, %f2, %f1;
    st.global.f32 [%d3], %f3;
    ret;
}";

fn open() -> (Arc<CudaContext>, Arc<CudaStream>, CudaFunction) {
    msssim_emulated_libcuda::load().expect("the emulator");
    let context = CudaContext::new(0).expect("a context");
    let stream = context.new_stream().expect("a stream");
    let module = context
        .load_module(Ptx::from_src(AXPY))
        .expect("the module");
    let function = module.load_function("axpy").expect("the kernel");
    (context, stream, function)
}

fn axpy(
    stream: &Arc<CudaStream>,
    function: &CudaFunction,
    y: u64,
    x: u64,
    n: u32,
) -> Result<(), String> {
    let mut launch = stream.launch_builder(function);
    launch.arg(&y).arg(&x).arg(&2.0f32).arg(&n);
    // SAFETY: the arguments are the kernel's; what it touches is checked.
    let launched = unsafe { launch.launch(LaunchConfig::for_num_elems(n)) };
    launched.map(|_| ()).map_err(|error| error.to_string())
}

fn address<T>(slice: &cudarc::driver::CudaSlice<T>, stream: &CudaStream) -> u64 {
    use cudarc::driver::DevicePtr;
    slice.device_ptr(stream).0
}

#[test]
fn is_what_cudarc_finds() {
    let emulator = msssim_emulated_libcuda::load().expect("the emulator");
    assert!(emulator.path().is_absolute());
    // SAFETY: asks only whether the library can be opened.
    assert!(unsafe { cudarc::driver::sys::is_culib_present() });
    let context = CudaContext::new(0).expect("a context");
    assert_eq!(context.name().expect("a name"), "PTX emulator");
    assert_eq!(context.compute_capability().expect("a capability"), (8, 0));
}

#[test]
fn copies_launches_and_times() {
    let (context, stream, function) = open();
    let x = stream.clone_htod(&[1.0f32; 1000]).expect("x");
    let mut y = stream.alloc_zeros::<f32>(1000).expect("y");
    let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
    let start = stream.record_event(flags).expect("an event");
    let mut launch = stream.launch_builder(&function);
    launch.arg(&mut y).arg(&x).arg(&2.5f32).arg(&1000u32);
    // SAFETY: the arguments are the kernel's.
    unsafe { launch.launch(LaunchConfig::for_num_elems(1000)) }.expect("a launch");
    let end = stream.record_event(flags).expect("an event");
    assert!(start.elapsed_ms(&end).expect("a time") >= 0.0);
    assert_eq!(stream.clone_dtoh(&y).expect("y"), [2.5; 1000]);
    let copy = stream.clone_dtod(&y).expect("a copy");
    assert_eq!(stream.clone_dtoh(&copy).expect("it"), [2.5; 1000]);
    let mut pinned = unsafe_pinned(&context, 1000);
    stream
        .memcpy_dtoh(&copy, &mut pinned)
        .expect("a copy to pinned memory");
    assert_eq!(pinned.as_slice().expect("its content")[999], 2.5);
}

fn unsafe_pinned(context: &Arc<CudaContext>, len: usize) -> cudarc::driver::PinnedHostSlice<f32> {
    // SAFETY: the content is written before it is read.
    unsafe { context.alloc_pinned::<f32>(len) }.expect("pinned memory")
}

#[test]
fn a_captured_graph_runs_when_it_is_launched() {
    let (context, stream, function) = open();
    // SAFETY: everything is on one stream.
    unsafe { context.disable_event_tracking() };
    let x = stream.clone_htod(&[1.0f32; 8]).expect("x");
    let y = stream.alloc_zeros::<f32>(8).expect("y");
    stream
        .begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
        .expect("capture");
    axpy(
        &stream,
        &function,
        address(&y, &stream),
        address(&x, &stream),
        8,
    )
    .expect("a launch");
    axpy(
        &stream,
        &function,
        address(&y, &stream),
        address(&x, &stream),
        4,
    )
    .expect("a launch");
    let graph = stream
        .end_capture(CUgraphInstantiate_flags(0))
        .expect("a graph")
        .expect("a graph");
    assert_eq!(
        stream.clone_dtoh(&y).expect("y"),
        [0.0; 8],
        "nothing has run yet"
    );
    graph.launch().expect("a launch");
    graph.launch().expect("a launch");
    let expected = [8.0, 8.0, 8.0, 8.0, 4.0, 4.0, 4.0, 4.0];
    assert_eq!(stream.clone_dtoh(&y).expect("y"), expected);
}

#[test]
fn synchronising_spoils_a_capture() {
    let (_context, stream, _function) = open();
    stream
        .begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
        .expect("capture");
    let error = stream.synchronize().unwrap_err().to_string();
    assert!(error.contains("being captured"), "{error}");
    assert!(stream.end_capture(CUgraphInstantiate_flags(0)).is_err());
}

#[test]
fn findings_reach_the_error_message() {
    let (_context, stream, function) = open();
    let x = stream.clone_htod(&[1.0f32; 8]).expect("x");
    let y = stream.alloc_zeros::<f32>(8).expect("y");
    let error = axpy(
        &stream,
        &function,
        address(&y, &stream),
        address(&x, &stream),
        9,
    )
    .unwrap_err();
    for part in [
        "axpy",
        "block (0, 0, 0)",
        "lane 8",
        "PTX line 13",
        "global read of 4 bytes",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn copies_stay_within_their_allocation() {
    let (_context, stream, _function) = open();
    let eight = stream.alloc_zeros::<f32>(8).expect("memory");
    let from = address(&eight, &stream);
    // SAFETY: the emulator checks both places.
    let error =
        unsafe { cudarc::driver::result::memcpy_dtod_sync(from + 16, from, 20) }.unwrap_err();
    assert!(
        error.to_string().contains("not within an allocation"),
        "{error}"
    );
    let freed = from;
    drop(eight);
    // SAFETY: likewise; the memory is freed.
    let error = unsafe { cudarc::driver::result::memset_d8_sync(freed, 0, 4) };
    assert!(error.is_err(), "freed memory was written");
}

#[test]
fn refused_ptx_says_why() {
    let (context, ..) = open();
    let error = context
        .load_module(Ptx::from_src(AXPY.replace("fma.rn.f32", "frob.f32")))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("line 14") && text.contains("frob.f32"),
        "{text}"
    );
    let newer = context
        .load_module(Ptx::from_src(AXPY.replace("7.0", "9.9")))
        .unwrap_err();
    assert!(newer.to_string().contains("newer"), "{newer}");
}
