//! The suite that every backend passes.

use msssim_core::conformance::{self, Backend, Output};
use msssim_cuda::{Error, MsSsim};

use crate::support::compute;

#[test]
fn conformance_suite() {
    let mut without_kernels = 0;
    let ran = conformance::run(Backend::Cuda, |case| {
        let (x, y) = (case.reference.concat(), case.distorted.concat());
        let channels = case.reference.len();
        let planned = MsSsim::new(case.size, channels, &case.params);
        if case.mask.is_some() || matches!(planned, Err(Error::Unsupported { .. })) {
            without_kernels += 1;
            return None;
        }
        let computed = compute(&case.params, case.size, channels, &x, &y);
        Some(Output {
            score: computed.scores[0],
            gradient: computed
                .gradient
                .chunks_exact(case.size.area())
                .map(<[f32]>::to_vec)
                .collect(),
        })
    });
    // Conventions that training does not need, and masks.
    assert_eq!(
        (ran, without_kernels),
        (conformance::cases().len() - 22, 22)
    );
}
