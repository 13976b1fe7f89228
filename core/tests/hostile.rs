//! The bodies of the fuzz targets over bytes from a generator, and over every input that once failed.

use msssim_core::conformance::hostile::{self, bytes};

/// How many inputs a test tries; a fuzzer tries millions.
const INPUTS: u32 = 4000;

fn inputs() -> impl Iterator<Item = Vec<u8>> {
    (0..INPUTS).map(|seed| bytes(seed, 20 + seed as usize % 200))
}

#[test]
fn scores_of_any_bytes() {
    inputs().for_each(|data| hostile::score(&data));
}

#[test]
fn gradients_of_any_bytes() {
    inputs().for_each(|data| hostile::gradient(&data));
}

#[test]
fn streams_of_any_bytes() {
    inputs().for_each(|data| hostile::stream(&data));
}
