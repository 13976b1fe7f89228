//! What the programs for a Cortex-M share: output through the debugger's connection, the stack's mark,
//! the clock. Nothing here formats or can panic, so that what is left of panics in a program is the
//! library's.

#![no_std]
#![cfg(target_os = "none")]

use core::panic::PanicInfo;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::syscall1;

/// Says so and fails. `run.sh` looks for its name in the programs.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    print("panicked\n");
    finish(false)
}

/// Prints.
pub fn print(text: &str) {
    for byte in text.as_bytes() {
        // SAFETY: operation 3 writes the character at an address.
        unsafe { syscall1!(WRITEC, &raw const *byte) };
    }
}

/// Prints `digits` hexadecimal digits of a number.
pub fn print_hex(number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place) & 15) as u8;
        let letter = if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        };
        // SAFETY: as in `print`.
        unsafe { syscall1!(WRITEC, &raw const letter) };
    }
}

/// Prints a number.
pub fn print_decimal(number: u32) {
    let mut unit = 1_000_000_000;
    let mut begun = false;
    while unit > 0 {
        let digit = (number / unit % 10) as u64;
        begun |= digit > 0 || unit == 1;
        if begun {
            print_hex(digit, 1);
        }
        unit /= 10;
    }
}

/// Ends the program, and QEMU with it.
pub fn finish(success: bool) -> ! {
    exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// What unused stack holds.
const PAINT: u32 = 0x5AFE_57AC;

unsafe extern "C" {
    static mut __sheap: u32;
}

/// Bytes below the stack pointer that are not painted, being in use.
const IN_USE: usize = 256;

/// Fills the stack that is not in use.
#[inline(never)]
pub fn paint_stack() {
    let mut at = &raw mut __sheap;
    let end = cortex_m::register::msp::read() as usize - IN_USE;
    while at.addr() < end {
        // SAFETY: between the last static and the stack, and nothing else is there.
        unsafe {
            at.write_volatile(PAINT);
            at = at.add(1);
        }
    }
}

/// Bytes of stack that have been used since it was painted, from here on.
#[inline(never)]
pub fn stack_used() -> u32 {
    let mut at = &raw const __sheap;
    let pointer = cortex_m::register::msp::read() as usize;
    // SAFETY: as above; it ends at the first word that is in use.
    unsafe {
        while at.addr() < pointer && at.read_volatile() == PAINT {
            at = at.add(1);
        }
    }
    (pointer - at.addr()) as u32
}

/// Starts the clock. Under QEMU's `-icount shift=0` an instruction is a nanosecond and this clock has 25 MHz,
/// so it counts every 40th. It wraps after 671 million of them.
pub fn start_clock() {
    // SAFETY: nothing else uses the timer.
    let mut timer = unsafe { Peripherals::steal() }.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(0xFF_FFFF);
    timer.clear_current();
    timer.enable_counter();
}

/// Instructions since the clock was started.
pub fn instructions() -> u32 {
    (0xFF_FFFF - SYST::get_current()) * 40
}
