//! Streams that do things late: what events and waits promise holds, and what a program forgets is found. In a
//! process of its own, one test at a time: the order is the process's.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaSlice, CudaStream, PinnedHostSlice};
use msssim_emulated_libcuda::{Alone, Order, Setting, alone};

/// The emulator in some order, for one test device.
struct Ordered {
    context: Arc<CudaContext>,
    emulator: Alone,
}

fn ordered(order: Order) -> Ordered {
    let emulator = alone().expect("the emulator");
    let context = CudaContext::new(0).expect("a context");
    // SAFETY: these tests order their streams by hand.
    unsafe { context.disable_event_tracking() };
    emulator.order(order);
    Ordered { context, emulator }
}

impl Ordered {
    fn stream(&self) -> Arc<CudaStream> {
        self.context.new_stream().expect("a stream")
    }

    fn pinned(&self, value: f32) -> PinnedHostSlice<f32> {
        // SAFETY: the content is written before it is read.
        let mut pinned = unsafe { self.context.alloc_pinned::<f32>(4) }.expect("pinned memory");
        pinned.as_mut_slice().expect("its content").fill(value);
        pinned
    }
}

/// Four numbers that are there for certain.
fn zeros(stream: &Arc<CudaStream>) -> CudaSlice<f32> {
    let zeros = stream.alloc_zeros::<f32>(4).expect("memory");
    stream.synchronize().expect("zeros");
    zeros
}

/// A copy that nothing orders is seen in one order and not in another; with a wait it is seen in all.
#[test]
fn a_forgotten_wait_shows_and_a_wait_holds() {
    for (order, seen) in [
        (Order::AtOnce, 1.0),
        (Order::Late, 0.0),
        (Order::CopiesFirst, 1.0),
    ] {
        let device = ordered(order);
        let (compute, copies) = (device.stream(), device.stream());
        let mut there = zeros(&compute);
        let pinned = device.pinned(1.0);
        copies.memcpy_htod(&pinned, &mut there).expect("a copy");
        assert_eq!(compute.clone_dtoh(&there).expect("it"), [seen; 4]);
        compute.join(&copies).expect("a wait");
        assert_eq!(compute.clone_dtoh(&there).expect("it"), [1.0; 4]);
    }
}

#[test]
fn memory_that_is_not_pinned_is_read_within_the_call() {
    let device = ordered(Order::Late);
    let stream = device.stream();
    let mut there = zeros(&stream);
    let mut values = [1.0f32; 4];
    stream.memcpy_htod(&values, &mut there).expect("a copy");
    values.fill(2.0);
    assert_eq!(stream.clone_dtoh(&there).expect("it"), [1.0; 4]);
    assert_eq!(values, [2.0; 4]);
}

#[test]
fn pinned_memory_that_is_written_too_early_is_found() {
    let device = ordered(Order::Late);
    let stream = device.stream();
    let mut there = zeros(&stream);
    let mut pinned = device.pinned(1.0);
    let address = pinned.as_mut_ptr().expect("an address");
    stream.memcpy_htod(&pinned, &mut there).expect("a copy");
    // SAFETY: it is this test's, and the emulator reads it within a call only.
    unsafe { *address = 2.0 };
    let error = stream.synchronize().expect_err("written too early");
    assert!(
        error
            .to_string()
            .contains("16 bytes of pinned memory were written"),
        "{error}"
    );

    // After a wait for the copy it may be written.
    stream.memcpy_htod(&pinned, &mut there).expect("a copy");
    // Without events cudarc does not.
    stream.synchronize().expect("the copy");
    pinned.as_mut_slice().expect("its content").fill(3.0);
    assert_eq!(stream.clone_dtoh(&there).expect("it"), [2.0, 1.0, 1.0, 1.0]);
    // A copy to it is the stream's own doing.
    let mut other = zeros(&stream);
    stream.memcpy_dtoh(&other, &mut pinned).expect("a copy");
    stream.memcpy_htod(&pinned, &mut other).expect("a copy");
    stream.synchronize().expect("in order");
}

#[test]
fn pinned_memory_that_is_freed_too_early_is_found() {
    let device = ordered(Order::Late);
    let stream = device.stream();
    let mut there = zeros(&stream);
    // SAFETY: as large as what is copied.
    let host = unsafe { cudarc::driver::result::malloc_host(16, 0) }.expect("pinned memory");
    // SAFETY: this many bytes were allocated; nothing else looks at them.
    let values = unsafe { std::slice::from_raw_parts_mut(host.cast::<f32>(), 4) };
    values.fill(1.0);
    stream.memcpy_htod(&*values, &mut there).expect("a copy");
    // SAFETY: refused, or freed once.
    let free = || unsafe { cudarc::driver::result::free_host(host) };
    let error = free().expect_err("still to be copied");
    assert!(error.to_string().contains("are freed while"), "{error}");
    stream.synchronize().expect("the copy");
    free().expect("no longer in use");
}

#[test]
fn what_is_still_to_come_is_not_ready_at_first() {
    let device = ordered(Order::Late);
    let stream = device.stream();
    let there = zeros(&stream);
    let mut pinned = device.pinned(1.0);
    stream.memcpy_dtoh(&there, &mut pinned).expect("a copy");
    let event = stream.record_event(None).expect("an event");
    assert!(!event.try_is_complete().expect("an answer"));
    assert!(event.try_is_complete().expect("an answer"));
    assert_eq!(pinned.as_slice().expect("its content"), [0.0; 4]);
}

/// The second is asked for before the first is done, and the journal says so.
#[test]
fn the_journal_tells_asking_from_doing() {
    let device = ordered(Order::Late);
    let stream = device.stream();
    let mut there = zeros(&stream);
    let pinned = device.pinned(1.0);
    device.emulator.watch();
    stream.memcpy_htod(&pinned, &mut there).expect("a copy");
    stream.memset_zeros(&mut there).expect("zeros");
    stream.synchronize().expect("both");
    let watched = device.emulator.watched();
    let at = |what: &str, words: &str| {
        let line = |line: &String| line.starts_with(what) && line.contains(words);
        let at = watched.iter().position(line);
        at.unwrap_or_else(|| panic!("{what} {words} in {watched:?}"))
    };
    let lines = [
        at("asked", "upload 16 pinned"),
        at("asked", "fill 16"),
        at("done", "upload 16 pinned"),
        at("done", "fill 16"),
    ];
    assert!(lines.is_sorted(), "{watched:?}");
}

#[test]
fn the_host_may_have_no_memory_to_pin() {
    let device = ordered(Order::AtOnce);
    device.emulator.set(Setting::PinnedMemory, 1 << 10);
    // SAFETY: nothing is read.
    let error = unsafe { device.context.alloc_pinned::<f32>(1 << 10) }.expect_err("too much");
    assert!(
        error.to_string().contains("4096 bytes of host memory"),
        "{error}"
    );
}
