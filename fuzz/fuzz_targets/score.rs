//! Scores of any bytes: finite, at most 1, symmetric, 1 of equal images.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| msssim_core::conformance::hostile::score(data));
