//! The threads of `msssim-cpu` against the portable form, bit for bit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use msssim_core::conformance::{Case, Output, hostile};
use msssim_cpu::{MsSsim, Plane, Weighting};

fn on_threads(case: &Case) -> Option<Output> {
    let metric = MsSsim::new(case.size, case.reference.len(), &case.params).ok()?;
    let mut workspace = metric.workspace();
    let mut memory = vec![f32::NAN; metric.plan().mask_len()];
    let Some(mask) = &case.mask else {
        return case
            .run(|x, y, gradient| metric.score_and_gradient(&mut workspace, x, y, gradient))
            .ok();
    };
    let mask = Plane::new(mask, case.size).ok()?;
    let weighting = Weighting {
        mask: Some(metric.plan().mask(&mask, &mut memory).ok()?),
        ..Weighting::default()
    };
    case.run(|x, y, gradient| metric.differentiate(&mut workspace, x, y, &weighting, gradient))
        .ok()
}

fuzz_target!(|data: &[u8]| hostile::parity(data, on_threads));
