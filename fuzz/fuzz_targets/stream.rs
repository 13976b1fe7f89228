//! Rows as they arrive against the whole image, bit for bit.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msssim_core::conformance::hostile::stream(data));
