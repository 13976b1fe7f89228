//! The findings that README.md prints are those that are printed.

mod common;

use common::{block, finding, kernel};
use msssim_ptx_emulator::{Argument, Device, LaunchError, Module, Shape};

const TILE: &str = ".shared .align 16 .b8 tile[256];\nmov.u32 %r0, tile; shl.b32 %r1, %t, 2; add.u32 %r1, %r0, %r1;\n";

/// Every kind of finding once, as printed.
fn printed() -> Vec<String> {
    let own = "mul.wide.u32 %d0, %t, 4; add.s64 %d0, %a, %d0;\n";
    let in_tile = |body: &str| format!("{TILE}{body}");
    let of = |body: &str, shape| finding(&kernel("", body), shape, &[0; 35]).to_string();
    let constant = kernel(
        ".const .align 4 .u32 c = 1;",
        "mov.u64 %d0, c;\nst.global.u32 [%d0], %t;",
    );
    vec![
        of(&format!("{own}st.global.u32 [%d0], %t;"), block(40)),
        of("ld.global.u32 %r0, [%a+2];", block(1)),
        finding(&constant, block(1), &[0]).to_string(),
        of(&in_tile("ld.shared.u32 %r2, [%r1];"), block(1)),
        of(
            &in_tile("st.shared.u32 [%r1], %t;\nxor.b32 %r2, %r1, 4;\nld.shared.u32 %r3, [%r2];"),
            block(64),
        ),
        of("st.global.u32 [%a], %t;", Shape::new([2, 1, 1], [1; 3])),
        of(
            &in_tile(
                "cp.async.cg.shared.global [%r1], [%a], 16;\ncp.async.commit_group;\n\
                 cp.async.wait_group 1;\nld.shared.u32 %r3, [%r0];",
            ),
            block(1),
        ),
        of(
            "setp.lt.u32 %p0, %t, 32;\n@%p0 bar.sync 1;\n@!%p0 bar.sync 2;",
            block(64),
        ),
        of(
            "setp.lt.u32 %p0, %t, 16;\n@%p0 bar.sync 1;\n@!%p0 bar.sync 2;",
            block(32),
        ),
        of(
            "setp.ge.u32 %p0, %t, 8;\n@%p0 ret;\nshfl.sync.down.b32 %r2, %t, 1, 31, -1;",
            block(32),
        ),
        of(
            "setp.lt.u32 %p0, %t, 8;\n@%p0 shfl.sync.idx.b32 %r2, %t, 9, 31, 255;",
            block(32),
        ),
        of("setp.eq.u32 %p0, %t, 3;\n@%p0 trap;", block(32)),
        endless(),
    ]
}

fn endless() -> String {
    let mut device = Device::new();
    device.limit = 1000;
    let module = device.load(Module::parse(&kernel("", "L: bra L;")).expect("a module"));
    match device.launch(&module, "k", block(32), &[Argument::from(0u64)]) {
        Err(LaunchError::Finding(finding)) => finding.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_findings_are_printed_as_they_are() {
    let readme = include_str!("../README.md");
    let shown: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("k, block"))
        .collect();
    assert_eq!(shown, printed());
}
