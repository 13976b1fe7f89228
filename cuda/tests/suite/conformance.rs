//! The suite that every backend passes.

use msssim_core::conformance::{self, Backend, Output};
use msssim_cuda::MsSsim;

use crate::support::compute;

#[test]
fn conformance_suite() {
    let ran = conformance::run(Backend::Cuda, |case| {
        let (x, y) = (case.reference.concat(), case.distorted.concat());
        let channels = case.reference.len();
        MsSsim::new(case.size, channels, &case.params).ok()?;
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
    assert_eq!(ran, conformance::cases().len());
}
