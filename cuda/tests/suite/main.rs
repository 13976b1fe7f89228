//! The CUDA backend against everything it must agree with.
//!
//! Runs on the emulator, on any machine; `card` runs the rest once more on a real device where there is
//! one. With `MSSSIM_REQUIRE_GPU=1` everything runs on a real device, and without one fails.

mod bits;
mod card;
mod conformance;
mod general;
mod graph;
mod misuse;
mod network;
mod properties;
mod support;
mod weighting;
