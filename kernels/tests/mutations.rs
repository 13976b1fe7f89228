//! Shipped kernels with one line changed: each change must be caught, by the finding that it deserves.

mod common;
#[path = "common/mutate.rs"]
mod mutate;

use common::{Case, Output, Texts, metric, run, run_with};
use msssim_kernels::{Halving, Pass};
use msssim_ptx_emulator::{Access, Fault, Finding, LaunchError, Space};
use mutate::{first_line, member_mask, mutate};

/// A small case of two scales, strips across and down.
fn case() -> Case {
    Case::new(metric(2, false, Halving::Symmetric), 50, 50)
}

fn outcome(texts: &Texts, pass: Pass) -> Result<Output, LaunchError> {
    let (x, y) = case().pair();
    run_with(texts, &case(), pass, &x, &y)
}

fn finding(texts: &Texts, pass: Pass) -> Finding {
    match outcome(texts, pass) {
        Err(LaunchError::Finding(finding)) => *finding,
        other => panic!("{other:?} where a finding is expected"),
    }
}

#[test]
fn a_dropped_barrier_is_a_race() {
    for (pass, kernel) in [
        (Pass::Score, "statistics_f32"),
        (Pass::Gradient, "gradient_f32"),
    ] {
        // The barrier of each row, and that before the sums of the warps are added.
        for nth in 0..2 {
            let mut texts = Texts::default();
            let text = match pass {
                Pass::Score => &mut texts.statistics,
                Pass::Gradient => &mut texts.gradient,
            };
            *text = mutate(text, kernel, nth, "bar.sync \t0;", "").0;
            let found = finding(&texts, pass);
            assert_eq!(found.kernel, kernel);
            let expected = matches!(
                found.fault,
                Fault::SharedRace { .. } | Fault::UninitialisedShared { .. }
            );
            assert!(expected, "{found}");
        }
    }
    let mut texts = Texts::default();
    texts.combine = mutate(&texts.combine, "combine", 0, "bar.sync \t0;", "").0;
    // Through device memory within one block, which is not looked for; the numbers are wrong.
    let (x, y) = case().pair();
    let right = run(&case(), Pass::Score, &x, &y);
    let wrong = outcome(&texts, Pass::Score).expect("a run");
    assert_ne!(wrong.scores[0].to_bits(), right.scores[0].to_bits());
}

#[test]
fn a_barrier_that_half_the_block_skips_is_a_deadlock_or_a_race() {
    let mut texts = Texts::default();
    let (text, line) = mutate(
        &texts.statistics,
        "statistics_f32",
        0,
        "bar.sync \t0;",
        "{ .reg .pred early; .reg .b32 t; mov.u32 t, %tid.x; setp.lt.u32 early, t, 32; @early bar.sync 1; @!early bar.sync 0; }",
    );
    texts.statistics = text;
    let found = finding(&texts, Pass::Score);
    assert_eq!(found.line, line);
    assert!(
        matches!(found.fault, Fault::BarrierDeadlock { waiting: 3, .. }),
        "{found}"
    );
}

#[test]
fn a_dropped_bound_leaves_the_image() {
    // Rows are clamped to the image before they are read.
    let mut texts = Texts::default();
    let clamp = first_line(&texts.statistics, "statistics_f32", 3, "min.s32");
    let operands: Vec<&str> = clamp
        .trim_start_matches("min.s32")
        .trim_end_matches(';')
        .split(',')
        .collect();
    let unclamped = format!("mov.u32 {}, {};", operands[0].trim(), operands[1].trim());
    texts.statistics = mutate(&texts.statistics, "statistics_f32", 0, clamp, &unclamped).0;
    let found = finding(&texts, Pass::Score);
    assert!(
        matches!(
            found.fault,
            Fault::OutOfBounds {
                space: Space::Global,
                access: Access::Read,
                ..
            }
        ),
        "{found}"
    );
    // Columns beyond the image are not finished.
    let mut texts = Texts::default();
    let branch = first_line(&texts.finish, "finish", 0, "@%p1 bra").to_owned();
    texts.finish = mutate(&texts.finish, "finish", 0, &branch, "").0;
    let found = finding(&texts, Pass::Gradient);
    assert!(
        matches!(
            found.fault,
            Fault::GlobalRace { .. } | Fault::OutOfBounds { .. }
        ),
        "{found}"
    );
}

#[test]
fn a_shifted_index_is_found() {
    // A pixel stored one place too far leaves the first one unwritten.
    let mut texts = Texts::default();
    let store = first_line(&texts.statistics, "statistics_f32", 0, "st.shared.f32").to_owned();
    texts.statistics = mutate(
        &texts.statistics,
        "statistics_f32",
        0,
        &store,
        &store.replace("],", "+4],"),
    )
    .0;
    let found = finding(&texts, Pass::Score);
    assert_eq!(
        found.fault,
        Fault::UninitialisedShared {
            offset: found_offset(&found)
        },
        "{found}"
    );
    // The last block's sums, one place too far, are beyond the region.
    let mut texts = Texts::default();
    let store = first_line(&texts.combine, "combine", 0, "st.global.v2.f64").to_owned();
    let (text, line) = mutate(
        &texts.combine,
        "combine",
        0,
        &store,
        &store.replace("],", "+16],"),
    );
    texts.combine = text;
    let found = finding(&texts, Pass::Score);
    assert_eq!(found.line, line);
    assert!(
        matches!(
            found.fault,
            Fault::OutOfBounds {
                access: Access::Write,
                bytes: 16,
                ..
            }
        ),
        "{found}"
    );
    // Half a place too far is misaligned.
    texts.combine = Texts::default()
        .combine
        .replace(&store, &store.replace("],", "+8],"));
    assert!(matches!(
        finding(&texts, Pass::Score).fault,
        Fault::Misaligned { bytes: 16, .. }
    ));
    // A pixel of the gradient on its neighbour's place, in another thread's block.
    let mut texts = Texts::default();
    let store = first_line(&texts.gradient, "gradient_f32", 0, "st.global.f32").to_owned();
    texts.gradient = mutate(
        &texts.gradient,
        "gradient_f32",
        0,
        &store,
        &store.replace("],", "+200],"),
    )
    .0;
    let found = finding(&texts, Pass::Gradient);
    assert!(
        matches!(
            found.fault,
            Fault::GlobalRace { .. } | Fault::OutOfBounds { .. }
        ),
        "{found}"
    );
}

/// Where an unwritten word was read.
fn found_offset(found: &Finding) -> u64 {
    match found.fault {
        Fault::UninitialisedShared { offset } => offset,
        _ => u64::MAX,
    }
}

#[test]
fn a_shuffle_without_half_its_lanes_and_one_from_too_far() {
    let mut texts = Texts::default();
    let all = member_mask(&texts.statistics, "statistics_f32").to_owned();
    texts.statistics = mutate(
        &texts.statistics,
        "statistics_f32",
        0,
        &all,
        &all.replace("-1;", "65535;"),
    )
    .0;
    let found = finding(&texts, Pass::Score);
    assert!(
        matches!(found.fault, Fault::AbsentLanes { named: 0xffff, .. }),
        "{found}"
    );
    assert_eq!(found.lane, Some(16));

    let mut texts = Texts::default();
    texts.statistics = {
        let start = texts
            .statistics
            .find(".entry statistics_f32(")
            .expect("the kernel");
        let at = start + texts.statistics[start..].find(", 16;").expect("the offset");
        format!(
            "{}, 17;{}",
            &texts.statistics[..at],
            &texts.statistics[at + 5..]
        )
    };
    let (x, y) = case().pair();
    let right = run(&case(), Pass::Score, &x, &y);
    let wrong = outcome(&texts, Pass::Score).expect("a run");
    assert!(
        (wrong.scores[0] - right.scores[0]).abs() > 1e-5,
        "one lane counted twice, another not at all"
    );
}

#[test]
fn arguments_and_blocks_that_do_not_fit() {
    let mut texts = Texts::default();
    texts.finish = mutate(
        &texts.finish,
        "finish",
        0,
        ".param .u64 finish_param_1",
        ".param .u32 finish_param_1",
    )
    .0;
    texts.finish = texts
        .finish
        .replace("ld.param.u64 \t%rd1", "ld.param.u32 \t%rd1");
    let error = outcome(&texts, Pass::Gradient).unwrap_err();
    assert!(
        matches!(
            error,
            LaunchError::ArgumentSize {
                index: 1,
                expected: 4,
                given: 8,
                ..
            }
        ),
        "{error}"
    );
    let mut texts = Texts::default();
    texts.combine = mutate(&texts.combine, "combine", 0, ".maxntid 256", ".maxntid 128").0;
    let error = outcome(&texts, Pass::Score).unwrap_err();
    assert!(
        matches!(
            error,
            LaunchError::BlockSize {
                limit: [128, 1, 1],
                ..
            }
        ),
        "{error}"
    );
}

/// The only approximate function of the kernels is where the power of a mean begins a reciprocal. A device may
/// round it otherwise, and the score is the same.
#[test]
fn the_last_bits_of_the_only_approximate_function_do_not_show() {
    let mut case = case();
    case.metric.weights = [0.3; msssim_kernels::MAX_SCALES];
    let (x, y) = case.pair();
    let right = run(&case, Pass::Gradient, &x, &y);
    let seed = Texts::default();
    let seed = seed.combine.lines().find(|line| line.contains(".approx"));
    let seed = seed.expect("the reciprocal").trim();
    let register = seed.split_whitespace().nth(1).expect("a register");
    let register = register.trim_end_matches(',');
    for units in [-3, -1, 1, 3] {
        let other = format!(
            "{seed} {{ .reg .b32 low, high; mov.b64 {{low, high}}, {register}; \
             add.s32 high, high, {units}; mov.b64 {register}, {{low, high}}; }}"
        );
        let mut texts = Texts::default();
        texts.combine = texts.combine.replace(seed, &other);
        let moved = run_with(&texts, &case, Pass::Gradient, &x, &y).expect("a run");
        assert_eq!(moved.scores[0].to_bits(), right.scores[0].to_bits());
        assert_eq!(moved.gradient, right.gradient);
    }
    // Were it far off it would show: it is what the power is computed with.
    let off = seed.replace("rcp.approx.ftz.f64", "mov.f64");
    let mut texts = Texts::default();
    texts.combine = texts.combine.replace(seed, &off);
    let wrong = run_with(&texts, &case, Pass::Gradient, &x, &y).expect("a run");
    assert_ne!(wrong.scores[0].to_bits(), right.scores[0].to_bits());
}
