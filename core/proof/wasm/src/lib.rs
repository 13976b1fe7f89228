//! The scores as wasm computes them, for `run.mjs`.

#![no_std]

use scenes::{SCENES, SCRATCH_LEN};

/// Stops.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

static mut SCRATCH: [f32; SCRATCH_LEN] = [0.0; SCRATCH_LEN];

/// The bits of a scene's score; all ones where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn bits(scene: usize) -> u64 {
    // SAFETY: one thread, and nothing else uses it.
    let scratch = unsafe { &mut *(&raw mut SCRATCH) };
    let scene = SCENES.get(scene);
    scene
        .and_then(|scene| scene.bits(scratch).ok())
        .unwrap_or(u64::MAX)
}

/// The address of a scene's name; 0 beyond the last.
#[unsafe(no_mangle)]
pub extern "C" fn name(scene: usize) -> usize {
    SCENES
        .get(scene)
        .map_or(0, |scene| scene.name.as_ptr().addr())
}

/// The length of a scene's name.
#[unsafe(no_mangle)]
pub extern "C" fn name_len(scene: usize) -> usize {
    SCENES.get(scene).map_or(0, |scene| scene.name.len())
}
