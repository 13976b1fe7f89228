//! A firmware that does nothing but score 8-bit grey images that arrive by rows: what it costs.
//!
//! 192 x 192 pixels, or with the feature `wide` 640 x 192.

#![no_std]
#![no_main]

use mcu::{finish, instructions, paint_stack, print, print_decimal, stack_used, start_clock};
use msssim_core::{Params, Size, Stream};
use scenes::Source;

const SIZE: Size = Size {
    width: if cfg!(feature = "wide") { 640 } else { 192 },
    height: 192,
};
const LEN: usize = Params::WANG_2003.stream_scratch_len(SIZE.width);

static mut SCRATCH: [f32; LEN] = [0.0; LEN];

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: one thread, and nothing else uses it.
    let scratch = unsafe { &mut *(&raw mut SCRATCH) };
    paint_stack();
    start_clock();
    let scored = score(scratch);
    let (stack, instructions) = (stack_used(), instructions());
    print("scratch ");
    print_decimal(4 * LEN as u32);
    print("\nstack ");
    print_decimal(stack);
    print("\ninstructions-per-pixel ");
    print_decimal(instructions / SIZE.area() as u32);
    print("\n");
    finish(scored.is_some_and(|score| score > 0.5 && score < 1.0))
}

#[inline(never)]
fn score(scratch: &mut [f32]) -> Option<f64> {
    let mut stream = Stream::new(SIZE, &Params::WANG_2003).ok()?;
    let mut source = Source::new();
    for row in 0..SIZE.height {
        let (mut x, mut y) = ([0u8; SIZE.width], [0u8; SIZE.width]);
        for (column, (x, y)) in x.iter_mut().zip(&mut y).enumerate() {
            [*x, *y] = source.pixel(row, column);
        }
        stream.push(&x, &y, scratch).ok()?;
    }
    Some(stream.score().ok()?.value)
}
