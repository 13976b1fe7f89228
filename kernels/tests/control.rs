//! Shipped kernels of which one line is changed so that their threads lose each other, stop or never end:
//! each is caught, with kernel, block, warp and line.

#[allow(dead_code, reason = "the other tests use the rest of it")]
mod common;
#[path = "common/mutate.rs"]
mod mutate;

use common::{Case, Texts, metric, run, run_with};
use msssim_kernels::{Halving, Pass};
use msssim_ptx_emulator::{Access, Fault, Finding, LaunchError};
use mutate::{first_line, member_mask, mutate};

/// Two scales, of which the finer has more than one block across.
fn case() -> Case {
    Case::new(metric(2, false, Halving::Symmetric), 30, 300)
}

/// What is found in a score, all else being as shipped.
fn finding(texts: &Texts) -> Finding {
    let case = case();
    let (x, y) = case.pair();
    match run_with(texts, &case, Pass::Score, &x, &y) {
        Err(LaunchError::Finding(finding)) => *finding,
        other => panic!("{other:?} where a finding is expected"),
    }
}

/// The line of the first instruction of the kernel, at or after `line`, that begins so.
fn line_from(text: &str, line: u32, opcode: &str) -> u32 {
    let later = text.lines().zip(1..).skip(line as usize - 1);
    let mut found = later.filter(|(text, _)| text.trim_start().starts_with(opcode));
    found.next().expect("the instruction").1
}

/// Checks where the finding is, and that its text says so.
fn assert_at(found: &Finding, kernel: &str, block: [u32; 3], warp: u32, line: u32) {
    let Finding {
        kernel: in_kernel,
        block: in_block,
        warp: in_warp,
        line: at_line,
        ..
    } = found;
    assert_eq!(
        (in_kernel.as_str(), *in_block, *in_warp, *at_line),
        (kernel, block, warp, line),
        "{found}"
    );
    let [x, y, z] = block;
    let place = format!("{kernel}, block ({x}, {y}, {z}), warp {warp}");
    let text = found.to_string();
    assert!(text.starts_with(&place), "{text}");
    assert!(text.contains(&format!("PTX line {line}: ")), "{text}");
}

#[test]
fn the_case_is_right_as_shipped() {
    let case = case();
    let (x, y) = case.pair();
    let score = run(&case, Pass::Score, &x, &y).scores[0];
    assert!(score > 0.0 && score < 1.0, "{score}");
}

#[test]
fn a_shuffle_from_lanes_that_have_gone_ahead() {
    // The lower half adds the upper half's sums, which has jumped over the reduction to the barrier.
    let mut texts = Texts::default();
    let reduction = texts
        .statistics
        .find(".entry statistics_f32(")
        .expect("the kernel");
    let barriers: Vec<usize> = texts.statistics[reduction..]
        .match_indices("bar.sync")
        .map(|(at, _)| reduction + at)
        .collect();
    let before = &texts.statistics[..barriers[1]];
    let label = before.lines().rev().find(|l| l.starts_with("$L"));
    let label = label.expect("a label").trim_end_matches(':').to_owned();
    let all = member_mask(&texts.statistics, "statistics_f32");
    let half = all.replace("-1;", "65535;");
    let (text, line) = mutate(
        &texts.statistics,
        "statistics_f32",
        0,
        all,
        &format!(
            "{half} {{ .reg .pred upper; .reg .b32 lane; mov.u32 lane, %tid.x; and.b32 lane, lane, 31; \
             setp.ge.u32 upper, lane, 16; @upper bra {label}; }}"
        ),
    );
    texts.statistics = text;
    let found = finding(&texts);
    let line = line_from(&texts.statistics, line, "shfl.sync.down");
    assert_at(&found, "statistics_f32", [0; 3], 0, line);
    assert_eq!(found.lane, Some(0));
    assert_eq!(found.fault, Fault::ShuffleFromAbsentLane { source: 16 });
}

#[test]
fn a_barrier_within_a_branch_of_some_lanes() {
    // A lane a scale stores its power; the barrier after it is the whole block's.
    let mut texts = Texts::default();
    let (text, line) = mutate(
        &texts.combine,
        "combine",
        0,
        "st.shared.f64 \t[%rd12],",
        "bar.sync 0; st.shared.f64 [%rd12],",
    );
    texts.combine = text;
    let found = finding(&texts);
    let line = line_from(&texts.combine, line + 1, "bar.sync");
    assert_at(&found, "combine", [0; 3], 0, line);
    assert_eq!(
        found.fault,
        Fault::BarrierDivergence {
            present: !0b11,
            absent: 0b11
        }
    );
}

#[test]
fn a_barrier_for_more_warps_than_there_are() {
    let mut texts = Texts::default();
    let (text, line) = mutate(
        &texts.combine,
        "combine",
        1,
        "bar.sync \t0;",
        "bar.sync \t0, 288;",
    );
    texts.combine = text;
    let found = finding(&texts);
    assert_at(&found, "combine", [0; 3], 0, line);
    assert_eq!(
        found.fault,
        Fault::BarrierDeadlock {
            waiting: 0xff,
            lines: vec![line]
        }
    );
}

#[test]
fn a_barrier_that_one_warp_waits_at_elsewhere() {
    // Warp 1 waits at a barrier of its own, in every block; the first is where it is found.
    let mut texts = Texts::default();
    let (text, line) = mutate(
        &texts.statistics,
        "statistics_f32",
        1,
        "bar.sync \t0;",
        "{ .reg .pred second; .reg .b32 t; mov.u32 t, %tid.x; shr.u32 t, t, 5; setp.eq.u32 second, t, 1;\n\
         @second bar.sync 7;\n@!second bar.sync 0; }",
    );
    texts.statistics = text;
    let found = finding(&texts);
    assert_at(&found, "statistics_f32", [0; 3], 0, line + 2);
    match found.fault {
        Fault::BarrierDeadlock { waiting, lines } => {
            assert_eq!(waiting & 0b11, 0b11);
            assert_eq!(lines, [line + 1, line + 2]);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_assertion_that_one_thread_fails() {
    // As a failed `assert` compiles: here of a single thread, before the block's first barrier.
    let mut texts = Texts::default();
    let barrier = "bar.sync \t0;";
    let (text, line) = mutate(
        &texts.statistics,
        "statistics_f32",
        0,
        barrier,
        &format!(
            "{{ .reg .pred fails; .reg .b32 t, b; mov.u32 t, %tid.x; mov.u32 b, %ctaid.x; \
             mad.lo.u32 t, b, 1000, t; setp.eq.u32 fails, t, 1040; @fails trap; }} {barrier}"
        ),
    );
    texts.statistics = text;
    let found = finding(&texts);
    assert_at(&found, "statistics_f32", [1, 0, 0], 1, line);
    assert_eq!(found.fault, Fault::Trap);
}

#[test]
fn a_loop_that_takes_no_step() {
    // Warps go from pair to pair of plane and scale, eight at a time.
    let mut texts = Texts::default();
    let step = first_line(&texts.combine, "combine", 0, "add.s32 \t%r122").to_owned();
    let still = step.replace(", 8;", ", 0;");
    assert_ne!(step, still);
    let (text, line) = mutate(&texts.combine, "combine", 0, &step, &still);
    texts.combine = text;
    let found = finding(&texts);
    // Any branch of the loop may be the one too many.
    let back = line_from(&texts.combine, line, "@%p30 bra");
    assert!(found.line <= back, "{found}");
    let branch = texts.combine.lines().nth(found.line as usize - 1);
    assert!(branch.expect("a line").contains("bra"), "{found}");
    assert_at(&found, "combine", [0; 3], 0, found.line);
    assert!(
        matches!(found.fault, Fault::TooManyInstructions { limit: 100_000 }),
        "{found}"
    );
}

#[test]
fn a_copy_that_is_not_waited_for() {
    // The kernels copy through registers. Here each thread has its pixel's place filled from the image by a
    // copy first, which lands before the pixel is stored, or has not been waited for.
    let with = |waits: &str| {
        let mut texts = Texts::default();
        let store = first_line(&texts.statistics, "statistics_f32", 0, "st.shared.f32").to_owned();
        let place = store.split(['[', ']']).nth(1).expect("an address");
        let copy = format!(
            "{{ .reg .b64 image; ld.param.u64 image, [statistics_f32_param_0]; \
             cp.async.ca.shared.global [{place}], [image], 4; cp.async.commit_group; {waits} }}\n{store}"
        );
        let (text, line) = mutate(&texts.statistics, "statistics_f32", 0, &store, &copy);
        texts.statistics = text;
        (texts, line + 1)
    };
    let (texts, line) = with("cp.async.wait_group 1;");
    let found = finding(&texts);
    assert_at(&found, "statistics_f32", [0; 3], 0, line);
    assert!(
        matches!(
            found.fault,
            Fault::CopyInFlight {
                access: Access::Write,
                ..
            }
        ),
        "{found}"
    );
    // Waited for, it does no harm.
    let (texts, _) = with("cp.async.wait_group 0;");
    let case = case();
    let (x, y) = case.pair();
    let same = run_with(&texts, &case, Pass::Score, &x, &y).expect("a run");
    assert_eq!(same.scores, run(&case, Pass::Score, &x, &y).scores);
}
