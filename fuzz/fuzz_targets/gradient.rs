//! Gradients of any bytes: finite, and blind to what scratch holds.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msssim_core::conformance::hostile::gradient(data));
