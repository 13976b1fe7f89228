//! Test images made from integers, so that any program can make the same ones.

use std::vec::Vec;

use crate::plane::Size;

/// The distance of `k` from the nearest even multiple of `period`: a triangle wave up to `period`.
fn triangle(k: u64, period: u64) -> u64 {
    (k % (2 * period)).abs_diff(period)
}

/// A hash of three integers to 32 bits.
fn hash(i: u64, j: u64, seed: u64) -> u64 {
    let mixed =
        i.wrapping_mul(73_856_093) ^ j.wrapping_mul(19_349_663) ^ seed.wrapping_mul(83_492_791);
    let mut v = mixed as u32;
    v ^= v >> 16;
    v = v.wrapping_mul(0x7FEB_352D);
    v ^= v >> 15;
    v = v.wrapping_mul(0x846C_A68B);
    u64::from(v ^ (v >> 16))
}

fn by_pixel(size: Size, mut sample: impl FnMut(u64, u64) -> u8) -> Vec<u8> {
    let mut samples = Vec::with_capacity(size.area());
    for i in 0..size.height as u64 {
        for j in 0..size.width as u64 {
            samples.push(sample(i, j));
        }
    }
    samples
}

/// Three triangle waves and a little hashed noise, differently placed for every seed.
pub fn waves(seed: u64, size: Size) -> Vec<u8> {
    let wave = |k, period| triangle(k, period) * 255 / period;
    by_pixel(size, |i, j| {
        let waves = 2 * wave(i + 3 * seed, 37) + 2 * wave(j + i / 3, 23) + wave(i + j, 71);
        ((waves + (hash(i, j, seed) >> 26)) / 5).min(255) as u8
    })
}

/// `samples`, the image that [`waves`] made of `seed`, with hashed noise up to `amplitude`.
pub fn with_noise(seed: u64, samples: &[u8], size: Size, amplitude: i64) -> Vec<u8> {
    let mut samples = samples.iter();
    by_pixel(size, |i, j| {
        let sample = samples.next().copied().unwrap_or_default();
        let noise = (hash(i, j, seed + 1000) >> 24) as i64 - 128;
        (i64::from(sample) + (noise * amplitude).div_euclid(128)).clamp(0, 255) as u8
    })
}

/// The exclusive or over all samples of sample times (index + 1): says whether an image is right.
pub fn checksum(samples: &[u8]) -> u64 {
    let terms = samples
        .iter()
        .zip(1u64..)
        .map(|(sample, index)| u64::from(*sample) * index);
    terms.fold(0, |sum, term| sum ^ term)
}

/// A pair of textures: `G2`, waves with noise of 20 (`contrast` low), or `G1`, a lattice with
/// noise of 16 (`contrast` high).
pub fn texture_pair(high_contrast: bool, size: Size) -> (Vec<u8>, Vec<u8>) {
    let lcg = |v: u32| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let x = by_pixel(size, |i, j| {
        if high_contrast {
            ((7 * i + 13 * j + 3 * ((i * j) % 31)) % 256) as u8
        } else {
            let waves = 2 * triangle(i, 37) + 3 * triangle(j, 29) + 2 * triangle(i + j, 11);
            (40 + waves).min(255) as u8
        }
    });
    let reach: i64 = if high_contrast { 16 } else { 20 };
    let noisy = |(n, sample): (u32, &u8)| {
        let noise = i64::from(lcg(lcg(n)) >> 24) % (2 * reach + 1) - reach;
        (i64::from(*sample) + noise).clamp(0, 255) as u8
    };
    let y = (0u32..).zip(&x).map(noisy).collect();
    (x, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textures_have_their_published_sums() {
        let size = Size {
            width: 192,
            height: 192,
        };
        let sum = |samples: &[u8]| samples.iter().map(|v| u64::from(*v)).sum::<u64>();
        let (x, y) = texture_pair(false, size);
        assert_eq!((sum(&x), sum(&y)), (4_875_160, 4_852_620));
        assert_eq!(
            (&x[..5], &y[..5]),
            (
                &[223, 218, 213, 208, 203][..],
                &[233, 210, 228, 205, 183][..]
            )
        );
        let (x, y) = texture_pair(true, size);
        assert_eq!((sum(&x), sum(&y)), (4_698_559, 4_684_697));
    }
}
