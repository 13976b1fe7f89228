//! The bodies of the fuzz targets over bytes from a generator, and over the fuzzer's corpora, in which every
//! input lies that once failed.

use msssim_core::conformance::hostile::{self, bytes, corpus};

/// How many inputs a test tries beside the corpus; a fuzzer tries millions.
const INPUTS: u32 = 4000;

fn inputs(target: &str) -> impl Iterator<Item = Vec<u8>> {
    (0..INPUTS)
        .map(|seed| bytes(seed, 20 + seed as usize % 200))
        .chain(corpus(target))
}

#[test]
fn scores_of_any_bytes() {
    inputs("score").for_each(|data| hostile::score(&data));
}

#[test]
fn gradients_of_any_bytes() {
    inputs("gradient").for_each(|data| hostile::gradient(&data));
}

#[test]
fn streams_of_any_bytes() {
    inputs("stream").for_each(|data| hostile::stream(&data));
}
