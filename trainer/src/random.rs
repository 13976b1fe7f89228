//! Random numbers keyed by seed, purpose and index.
//!
//! Every draw of a run comes from a generator that is named by what it is for, so nothing about
//! randomness has to be saved to go on exactly where a run stopped, and batches do not depend on
//! which thread makes them. The numbers are the same on every machine: PCG XSL RR 128/64 (O'Neill
//! 2014), integers, and `libm`.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// A generator for one purpose.
#[derive(Clone, Debug)]
pub struct Random(Pcg64);

impl Random {
    /// The generator of `seed` for `purpose`, number `index`.
    pub fn new(seed: u64, purpose: &str, index: u64) -> Self {
        // Finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the key spreads.
        let mix = |state: u64, word: u64| {
            let mut v = (state ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
            v = (v ^ (v >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            v = (v ^ (v >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            v ^ (v >> 31)
        };
        let key = purpose
            .bytes()
            .fold(mix(0, seed), |state, byte| mix(state, u64::from(byte)));
        Self(Pcg64::seed_from_u64(mix(key, index)))
    }

    /// An integer from 0 up to but not including `n`, each equally likely.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "no integer is below 0");
        // Lemire (2019): the high half of a product, rejecting the incomplete last interval.
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A standard normal number (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(core::f64::consts::TAU * self.unit())
    }

    /// Puts `items` into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_on_every_machine() {
        let mut random = Random::new(1, "test", 2);
        let draws: Vec<u64> = (0..4).map(|_| random.below(1000)).collect();
        assert_eq!(draws, [666, 15, 17, 954]);
        assert_eq!(random.normal().to_bits(), 4_608_560_540_843_098_122);
    }

    #[test]
    fn purposes_and_indices_are_apart() {
        let first = |seed, purpose, index| Random::new(seed, purpose, index).below(u64::MAX);
        let all = [
            first(0, "a", 0),
            first(1, "a", 0),
            first(0, "b", 0),
            first(0, "a", 1),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{all:?}");
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(3, "moments", 0);
        let n = 20_000;
        let mean = |draws: &[f64]| draws.iter().sum::<f64>() / draws.len() as f64;
        let unit: Vec<f64> = (0..n).map(|_| random.unit()).collect();
        let normal: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let squares: Vec<f64> = normal.iter().map(|v| v * v).collect();
        assert!((mean(&unit) - 0.5).abs() < 0.01, "unit");
        assert!(
            mean(&normal).abs() < 0.03 && (mean(&squares) - 1.0).abs() < 0.04,
            "normal"
        );
        let mut items: Vec<u32> = (0..50).collect();
        random.shuffle(&mut items);
        assert!(items.iter().zip(0..).any(|(a, b)| *a != b), "shuffled");
        items.sort();
        assert_eq!(items, (0..50).collect::<Vec<u32>>());
    }
}
