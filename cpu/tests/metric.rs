//! The metric on threads: the suite that every backend runs, and equality with the portable form.

use msssim_core::conformance::{self, Backend, Case, Output, hostile};
use msssim_cpu::{Error, MsSsim, Plane, Weighting};

fn on_threads(case: &Case, threads: usize) -> Output {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let run = || -> Result<Output, Error> {
        let metric = MsSsim::new(case.size, case.reference.len(), &case.params)?;
        let mut workspace = metric.workspace();
        let mut memory = vec![f32::NAN; metric.plan().mask_len()];
        let mask = match &case.mask {
            Some(mask) => Some(
                metric
                    .plan()
                    .mask(&Plane::new(mask, case.size)?, &mut memory)?,
            ),
            None => None,
        };
        let weighting = Weighting {
            mask,
            ..Weighting::default()
        };
        let mut differentiate = |exchanged| {
            case.run(|x, y, gradient| {
                let (x, y) = if exchanged { (y, x) } else { (x, y) };
                match mask {
                    None => metric.score_and_gradient(&mut workspace, x, y, gradient),
                    Some(_) => metric.differentiate(&mut workspace, x, y, &weighting, gradient),
                }
            })
        };
        // What an earlier image left in the workspace must not matter.
        differentiate(true)?;
        let output = differentiate(false)?;
        let alone = case.run(|x, y, _| match &mask {
            None => metric.score(&mut workspace, x, y),
            Some(mask) => metric.score_region(&mut workspace, x, y, mask),
        })?;
        // In words, in which NaN equals NaN.
        let words = |score| format!("{score:?}");
        assert_eq!(
            words(alone.score),
            words(output.score),
            "{}: with and without gradient",
            case.name
        );
        Ok(output)
    };
    pool.install(run).unwrap()
}

fn portable(case: &Case) -> Output {
    let metric = msssim_core::MsSsim::new(case.size, case.reference.len(), &case.params).unwrap();
    let mut scratch = vec![f32::NAN; metric.gradient_scratch_len()];
    let mut memory = vec![f32::NAN; metric.mask_len()];
    let mask = case.mask.as_ref().map(|mask| {
        let plane = Plane::new(mask, case.size).unwrap();
        metric.mask(&plane, &mut memory).unwrap()
    });
    let weighting = Weighting {
        mask,
        ..Weighting::default()
    };
    case.run(|x, y, gradient| metric.differentiate(x, y, &weighting, gradient, &mut scratch))
        .unwrap()
}

#[test]
fn parity_of_any_bytes() {
    let generated = (0..1500).map(|seed| hostile::bytes(seed, 20 + seed as usize % 200));
    for data in generated.chain(hostile::corpus("parity")) {
        hostile::parity(&data, |case| {
            let metric = MsSsim::new(case.size, case.reference.len(), &case.params).ok()?;
            // The portable form says which masks are refused.
            if let Some(mask) = &case.mask {
                let mut memory = vec![f32::NAN; metric.plan().mask_len()];
                let plane = Plane::new(mask, case.size).ok()?;
                metric.plan().mask(&plane, &mut memory).ok()?;
            }
            Some(on_threads(case, 2))
        });
    }
}

#[test]
fn conformance_suite() {
    let ran = conformance::run(Backend::Cpu, |case| Some(on_threads(case, 2)));
    assert_eq!(ran, conformance::cases().len());
}

#[test]
fn any_number_of_threads_gives_the_portable_bits() {
    for case in conformance::cases() {
        let expected = portable(&case);
        for threads in [1, 3] {
            let actual = on_threads(&case, threads);
            assert_eq!(
                actual.score, expected.score,
                "{}, {threads} threads",
                case.name
            );
            assert!(
                actual.gradient == expected.gradient,
                "{}, {threads} threads",
                case.name
            );
        }
    }
}

#[test]
fn a_batch_is_its_images() {
    let cases = conformance::cases();
    let case = cases
        .iter()
        .find(|case| case.name == "three channels")
        .unwrap();
    let metric = MsSsim::new(case.size, 3, &case.params).unwrap();
    let [x, y] = [&case.reference, &case.distorted].map(|planes| planes.concat());
    let (reference, distorted) = ([&x[..], &y[..]].concat(), [&y[..], &y[..]].concat());
    let mut workspace = metric.batch_workspace(3);
    let mut gradient = vec![f32::NAN; reference.len()];
    let mut scores = [f64::NAN; 2];
    metric.score_and_gradient_batch(
        &mut workspace,
        &reference,
        &distorted,
        &mut gradient,
        &mut scores,
    );
    let expected = portable(case);
    assert!(
        (scores[0] - expected.score.value).abs() < 1e-15,
        "the first image's score"
    );
    assert_eq!(scores[1], 1.0, "the second image is its own reference");
    let (first, second) = gradient.split_at(x.len());
    assert!(
        first == expected.gradient.concat(),
        "the first image's gradient"
    );
    assert!(
        second.iter().all(|&g| g == 0.0),
        "the second image's gradient"
    );
}

#[test]
#[should_panic(expected = "made for another plan")]
fn a_foreign_workspace_is_refused() {
    let cases = conformance::cases();
    let metric = |case: &Case| MsSsim::new(case.size, 1, &case.params).unwrap();
    let mut workspace = metric(&cases[0]).workspace();
    let _ = cases[1].run(|x, y, _| metric(&cases[1]).score(&mut workspace, x, y));
}
