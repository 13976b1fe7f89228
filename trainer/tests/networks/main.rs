//! The networks' gradients and first steps against restatements in float64.

mod autoencoder;
mod float64;
mod srcnn;

/// A number in [-1, 1) that depends on its place; the same on every machine.
fn noise(seed: u32, i: usize) -> f32 {
    let mut v = (i as u32).wrapping_mul(0x9E37_79B9) ^ seed.wrapping_mul(0x85EB_CA6B);
    v = (v ^ (v >> 16)).wrapping_mul(0x7FEB_352D);
    v = (v ^ (v >> 15)).wrapping_mul(0x846C_A68B);
    ((v ^ (v >> 16)) >> 8) as f32 / (1 << 23) as f32 - 1.0
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}
