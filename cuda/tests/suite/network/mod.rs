//! What training takes, against plain float64 loops.

mod code;
mod layers;
mod losses;
mod steps;

use msssim_cuda::network::{Buffer, Network, Precision};

use crate::support::device;

fn network_in(precision: Precision) -> Network {
    // Loads the emulator where that is what is tested.
    device();
    Network::open(0, precision).expect("a device")
}

fn network() -> Network {
    network_in(Precision::F32)
}

fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn buffer(network: &Network, values: &[f32]) -> Buffer {
    let mut buffer = network.zeros(values.len()).expect("room");
    network.upload(values, &mut buffer).expect("a copy");
    buffer
}

fn values(network: &Network, buffer: &Buffer) -> Vec<f32> {
    let mut values = vec![f32::NAN; buffer.len()];
    network.download(buffer, &mut values).expect("a copy");
    values
}
