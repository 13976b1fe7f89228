//! One number for everything that a backend makes of the suite's cases: whoever gets the same one, on whatever machine,
//! gets the same bits, and has passed the suite if another has that did.

use super::{Case, Output, cases, hostile};

/// The digest of [`crate::MsSsim`] and of all that multiplies and adds with two roundings.
pub const UNFUSED: u64 = 0x7E4C_D99A_8ABF_66EF;

/// The digest of kernels with fused multiply-add.
pub const FUSED: u64 = 0x16F1_B643_5541_9D95;

/// The digest of what `score_and_gradient` makes of every case: FNV-1a over the words of scores and gradients.
pub fn digest(mut score_and_gradient: impl FnMut(&Case) -> Output) -> u64 {
    let mut digest = 0xCBF2_9CE4_8422_2325u64;
    let mut add = |word: u64| digest = (digest ^ word).wrapping_mul(0x0100_0000_01B3);
    for case in cases() {
        let (score, gradient) = hostile::bits(&score_and_gradient(&case));
        add(score);
        gradient.into_iter().map(u64::from).for_each(&mut add);
    }
    digest
}
