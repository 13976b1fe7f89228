//! Shipped kernels with one line changed. Bounds, barriers and indices are gone through as they come in the
//! PTX, so that what a change of the sources adds is looked at too.

use msssim_kernels::general::Convention;
use msssim_kernels::{Halving, MAX_SCALES};
use msssim_ptx_emulator::{Access, Fault, Finding, LaunchError, Space};

use crate::case::{Case, convention};
use crate::launch::{Texts, run};
use crate::mutate::{body, first_line, mutate};

/// The kernels of the pyramid.
const PYRAMID: [&str; 2] = ["load_f32", "halve"];
/// Those of windows.
const WINDOWS: [&str; 6] = [
    "windows_together",
    "slopes_together",
    "spread_together",
    "windows_apart",
    "slopes_apart",
    "spread_apart",
];

/// How a change showed.
#[derive(Debug)]
enum Caught {
    Found(Box<Finding>),
    /// The numbers are others.
    Numbers,
}

/// Which of the kernels' ways a case goes.
#[derive(Clone, Copy)]
enum Way {
    Together,
    Apart,
    PerPixel,
}

/// Two images with a mask each, where the way has masks: a step too far among them leaves the last.
fn case(way: Way, channels: usize) -> Case {
    let together = Convention {
        halving: Halving::LowPass97,
        ..convention()
    };
    let (convention, masks) = match way {
        Way::Together => (together, 2),
        Way::Apart => {
            let apart = Some([[0.5; MAX_SCALES]; 2]);
            (Convention { apart, ..together }, 2)
        }
        Way::PerPixel => {
            let per_pixel = Convention {
                per_pixel: true,
                weights: [1.0; MAX_SCALES],
                ..convention()
            };
            (per_pixel, 0)
        }
    };
    let mut case = Case::new(convention, masks);
    case.batch[..2].copy_from_slice(&[2, channels]);
    case
}

/// The case of one channel that a kernel is tried with.
fn case_of(kernel: &str) -> Case {
    // With three powers a scale `pool` has more to keep in order.
    match kernel.ends_with("_apart") || kernel == "pool" {
        true => case(Way::Apart, 1),
        false => case(Way::Together, 1),
    }
}

/// Changes the `nth` `from` in a kernel to `to` and runs a case with it; the line that was changed.
fn change(case: &Case, kernel: &str, nth: usize, from: &str, to: &str) -> (u32, Caught) {
    let mut texts = Texts::default();
    let text = texts.of(kernel);
    let (changed, line) = mutate(text, kernel, nth, from, to);
    *text = changed;
    let pair = case.pair();
    match run(&texts, case, &pair) {
        Err(LaunchError::Finding(found)) => {
            assert_eq!(found.kernel, kernel, "{found}");
            let place = format!("warp {}", found.warp);
            let text = found.to_string();
            assert!(text.contains(&place) && text.contains("PTX line"), "{text}");
            (line, Caught::Found(found))
        }
        Ok(wrong) => {
            let right = run(&Texts::default(), case, &pair).expect("a run");
            assert_ne!(
                wrong.bits(),
                right.bits(),
                "{kernel}, line {line}: {from} made {to} is not caught"
            );
            (line, Caught::Numbers)
        }
        Err(other) => panic!("{kernel}, line {line}: {other}"),
    }
}

/// The jumps of a kernel to its end, which are what keeps it within its images.
fn ways_out(text: &str, kernel: &str) -> Vec<String> {
    let body = body(text, kernel);
    let end = body[..body.rfind("ret;").expect("an end")]
        .lines()
        .rev()
        .find(|line| line.starts_with('$'));
    let jump = format!("bra \t{};", end.expect("a label").trim_end_matches(':'));
    let ways = body
        .lines()
        .map(str::trim)
        .filter(|line| line.ends_with(&jump));
    ways.map(str::to_owned).collect()
}

#[test]
fn a_dropped_bound_is_found() {
    let mut texts = Texts::default();
    for kernel in PYRAMID.into_iter().chain(WINDOWS) {
        let text = texts.of(kernel);
        let ways = ways_out(text, kernel);
        assert!(!ways.is_empty(), "{kernel}");
        for way in ways {
            let (line, caught) = change(&case_of(kernel), kernel, 0, &way, "");
            let Caught::Found(found) = caught else {
                panic!("{kernel}, line {line}: only the numbers changed")
            };
            assert!(
                matches!(
                    found.fault,
                    Fault::OutOfBounds { .. }
                        | Fault::GlobalRace { .. }
                        | Fault::UninitialisedShared { .. }
                ),
                "{found}"
            );
        }
    }
}

/// The instruction with its result replaced by its first operand.
fn without_effect(instruction: &str, opcode: &str) -> String {
    let operands: Vec<&str> = instruction.trim_start_matches(opcode).split(',').collect();
    format!("mov.u32 {}, {};", operands[0].trim(), operands[1].trim())
}

#[test]
fn a_row_below_the_last_is_found() {
    // Of a tile that the image does not fill: the windows that reach such a row are not all there.
    for kernel in ["spread_together", "spread_apart"] {
        let text = Texts::default().windows;
        let clamp = first_line(&text, kernel, 0, "min.s32");
        let (line, caught) = change(
            &case_of(kernel),
            kernel,
            0,
            clamp,
            &without_effect(clamp, "min.s32"),
        );
        assert!(matches!(caught, Caught::Found(_)), "line {line}");
    }
}

#[test]
fn a_dropped_barrier_is_a_race() {
    let mut texts = Texts::default();
    for kernel in WINDOWS.into_iter().chain(["pool"]) {
        let text = texts.of(kernel);
        let barriers = body(text, kernel).matches("bar.sync").count();
        assert!(barriers >= 2, "{kernel}");
        for nth in 0..barriers {
            let (line, caught) = change(&case_of(kernel), kernel, nth, "bar.sync \t0;", "");
            match caught {
                Caught::Found(found) => assert!(
                    matches!(
                        found.fault,
                        Fault::SharedRace { .. } | Fault::UninitialisedShared { .. }
                    ),
                    "{found}"
                ),
                // Before it the sums are written to device memory, which is not followed within a block.
                Caught::Numbers => assert_eq!((kernel, nth), ("pool", 0), "line {line}"),
            }
        }
    }
}

#[test]
fn a_shifted_index_is_found() {
    let (mut between_blocks, mut beyond, mut unwritten) = (0, 0, 0);
    let mut texts = Texts::default();
    for kernel in PYRAMID.into_iter().chain(WINDOWS).chain(["pool"]) {
        let text = texts.of(kernel);
        let stores = |kind: &str| -> Vec<&str> {
            let lines = body(text, kernel).lines().map(str::trim);
            lines.filter(|line| line.starts_with(kind)).collect()
        };
        let (shared, global) = (stores("st.shared"), stores("st.global"));
        let some = [shared.first(), shared.last(), global.last()];
        for store in some.into_iter().flatten() {
            let bytes = match store.split_whitespace().next() {
                Some("st.global.v2.f32") => 8,
                Some(opcode) if opcode.ends_with("f64") => 8,
                _ => 4,
            };
            let (line, caught) = change(&case_of(kernel), kernel, 0, store, &further(store, bytes));
            let Caught::Found(found) = caught else {
                panic!("{kernel}, line {line}: {store} is not found")
            };
            match found.fault {
                Fault::GlobalRace { .. } => between_blocks += 1,
                Fault::OutOfBounds { .. } => beyond += 1,
                Fault::SharedRace { .. } | Fault::UninitialisedShared { .. } => unwritten += 1,
                _ => panic!("{found}"),
            }
        }
    }
    assert!(
        between_blocks > 0 && beyond > 0 && unwritten > 0,
        "{between_blocks} {beyond} {unwritten}"
    );
}

#[test]
fn a_shifted_map_of_terms_is_found() {
    let text = Texts::default().windows;
    for kernel in ["windows_together", "slopes_together"] {
        let store = first_line(&text, kernel, 0, "st.global.f32");
        let (line, caught) = change(
            &case(Way::PerPixel, 1),
            kernel,
            0,
            store,
            &further(store, 4),
        );
        let Caught::Found(found) = caught else {
            panic!("{kernel}, line {line}: {store} is not found")
        };
        assert!(
            matches!(
                found.fault,
                Fault::OutOfBounds { .. } | Fault::GlobalRace { .. }
            ),
            "{found}"
        );
    }
}

/// A store `bytes` further on.
fn further(store: &str, bytes: usize) -> String {
    let (address, value) = store.split_once(']').expect("an address");
    let (base, offset) = address.split_once('+').unwrap_or((address, "0"));
    let offset: usize = offset.parse().expect("an offset");
    format!("{base}+{}]{value}", offset + bytes)
}

#[test]
fn a_mask_for_each_plane_instead_of_each_image() {
    let mut texts = Texts::default();
    for kernel in [
        "load_f32",
        "windows_together",
        "slopes_together",
        "windows_apart",
        "slopes_apart",
    ] {
        let text = texts.of(kernel);
        let division = first_line(text, kernel, 0, "div.s32");
        let undivided = without_effect(division, "div.s32");
        let way = match kernel.ends_with("_apart") {
            true => Way::Apart,
            false => Way::Together,
        };
        let case = case(way, 2);
        let (_, caught) = change(&case, kernel, 0, division, &undivided);
        match caught {
            Caught::Found(found) => assert!(
                matches!(
                    found.fault,
                    Fault::OutOfBounds {
                        space: Space::Global,
                        access: Access::Read,
                        ..
                    }
                ),
                "{found}"
            ),
            Caught::Numbers => panic!("{kernel}: not found"),
        }
    }
}

#[test]
fn a_result_that_goes_to_the_coefficients_is_found() {
    let text = Texts::default().pyramid;
    let store = first_line(&text, "halve", 0, "st.global.v2.f32");
    let address = store.split(['[', ']']).nth(1).expect("an address");
    // One thread is enough.
    let misdirected =
        format!("mov.u64 {address}, low_pass; add.s64 {address}, {address}, 8; {store}");
    let (line, caught) = change(&case_of("halve"), "halve", 0, store, &misdirected);
    let Caught::Found(found) = caught else {
        panic!("the coefficients were overwritten")
    };
    assert!(matches!(found.fault, Fault::ReadOnly { .. }), "{found}");
    assert_eq!(
        (found.block, found.warp, found.lane, found.line),
        ([0; 3], 0, Some(0), line)
    );
    let text = found.to_string();
    let start = format!("halve, block (0, 0, 0), warp 0, lane 0, PTX line {line}: write to memory");
    assert!(text.starts_with(&start), "{text}");
}
