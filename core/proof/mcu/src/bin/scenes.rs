//! The scores as a microcontroller computes them.

#![no_std]
#![no_main]

use mcu::{finish, print, print_hex};
use scenes::{SCENES, SCRATCH_LEN};

static mut SCRATCH: [f32; SCRATCH_LEN] = [0.0; SCRATCH_LEN];

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: one thread, and nothing else uses it.
    let scratch = unsafe { &mut *(&raw mut SCRATCH) };
    for scene in &SCENES {
        print(scene.name);
        print(" ");
        match scene.bits(scratch) {
            Ok(bits) => print_hex(bits, 16),
            Err(_) => finish(false),
        }
        print("\n");
    }
    finish(true)
}
