//! `msssim-cpu` against the portable form: bit for bit without fused instructions, and sound with all the machine has,
//! which are the same bits among each other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use msssim_core::conformance::{Case, Output, hostile};
use msssim_cpu::{Isa, MsSsim, Plane, Weighting};

fn on(case: &Case, isa: Isa) -> Option<Output> {
    let metric = MsSsim::with_isa(case.size, case.reference.len(), &case.params, isa).ok()?;
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

fuzz_target!(|data: &[u8]| {
    let available = || Isa::ALL.into_iter().filter(|isa| isa.is_available());
    for isa in available().filter(|isa| !isa.is_fused()) {
        hostile::parity(data, |case| on(case, isa));
    }
    let case = hostile::case(data);
    let outputs: Vec<Output> = available()
        .filter(|isa| isa.is_fused())
        .filter_map(|isa| on(&case, isa))
        .collect();
    for output in &outputs {
        hostile::sound(&case, output);
        assert_eq!(hostile::bits(output), hostile::bits(&outputs[0]), "of {case:?}");
    }
});
