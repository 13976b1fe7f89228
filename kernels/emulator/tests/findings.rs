//! Each rule is broken once, and the finding names the rule, the place and the line.

mod common;

use common::{block, finding, kernel, line_of, run};
use msssim_ptx_emulator::{Access, Argument, Device, Fault, LaunchError, Module, Shape, Space};

const TILE: &str = ".shared .align 16 .b8 tile[256];\nmov.u32 %r0, tile; shl.b32 %r1, %t, 2; add.u32 %r1, %r0, %r1;\n";

#[test]
fn global_memory() {
    let text = kernel(
        "",
        "mul.wide.u32 %d0, %t, 4; add.s64 %d0, %a, %d0;\nst.global.u32 [%d0], %t;",
    );
    let found = finding(&text, block(40), &[0; 35]);
    assert_eq!((found.kernel.as_str(), found.block), ("k", [0; 3]));
    assert_eq!((found.warp, found.lane), (1, Some(3)));
    assert_eq!(found.line, line_of(&text, "st.global"));
    assert!(matches!(
        found.fault,
        Fault::OutOfBounds {
            space: Space::Global,
            access: Access::Write,
            bytes: 4,
            bounds: (_, 140),
            ..
        }
    ));
    let found = finding(&kernel("", "ld.global.u32 %r0, [%a+2];"), block(1), &[0; 2]);
    assert!(matches!(found.fault, Fault::Misaligned { bytes: 4, .. }));
    let text = kernel(
        ".const .align 4 .u32 c = 1;",
        "mov.u64 %d0, c; st.global.u32 [%d0], %t;",
    );
    assert!(matches!(
        finding(&text, block(1), &[0]).fault,
        Fault::ReadOnly { .. }
    ));
    let null = finding(&kernel("", "ld.u32 %r0, [8];"), block(1), &[0]);
    assert!(matches!(
        null.fault,
        Fault::OutOfBounds { bounds: (0, 0), .. }
    ));
}

#[test]
fn shared_memory() {
    let found = finding(
        &kernel("", &format!("{TILE}ld.shared.u32 %r2, [%r1];")),
        block(1),
        &[0],
    );
    assert_eq!(found.fault, Fault::UninitialisedShared { offset: 0 });
    let found = finding(
        &kernel("", &format!("{TILE}st.shared.u32 [%r1+256], %t;")),
        block(1),
        &[0],
    );
    assert!(matches!(
        found.fault,
        Fault::OutOfBounds {
            space: Space::Shared,
            address: 256,
            ..
        }
    ));
    let found = finding(
        &kernel("", &format!("{TILE}st.shared.v2.u32 [%r1+4], {{%t, %t}};")),
        block(1),
        &[0],
    );
    assert!(matches!(
        found.fault,
        Fault::Misaligned {
            space: Space::Shared,
            bytes: 8,
            ..
        }
    ));
}

#[test]
fn races_between_threads_and_between_blocks() {
    let neighbour = |between: &str| {
        format!(
            "{TILE}st.shared.u32 [%r1], %t;\n{between}\nxor.b32 %r2, %r1, 4; ld.shared.u32 %r3, [%r2];"
        )
    };
    let found = finding(&kernel("", &neighbour("")), block(64), &[0]);
    assert_eq!(
        found.fault,
        Fault::SharedRace {
            offset: 4,
            earlier: Access::Write,
            thread: Some(1),
            later: Access::Read,
            by: 0
        }
    );
    for between in ["bar.sync 0;", "bar.warp.sync -1;"] {
        assert!(
            run(&kernel("", &neighbour(between)), block(64), &[0]).is_ok(),
            "{between}"
        );
    }
    let overwrite = format!(
        "{TILE}st.shared.u32 [%r1], %t;\nbar.sync 0;\nld.shared.u32 %r3, [%r0];\nst.shared.u32 [%r1], %r3;"
    );
    let found = finding(&kernel("", &overwrite), block(64), &[0]);
    assert!(matches!(
        found.fault,
        Fault::SharedRace {
            offset: 0,
            earlier: Access::Read,
            later: Access::Write,
            ..
        }
    ));
    let found = finding(
        &kernel("", "st.global.u32 [%a], %t;"),
        Shape::new([2, 1, 1], [1; 3]),
        &[0],
    );
    assert_eq!(found.block, [1, 0, 0]);
    assert!(matches!(
        found.fault,
        Fault::GlobalRace { block: Some(0), .. }
    ));
}

#[test]
fn copies_that_were_not_waited_for() {
    let copy = |pending: u32| {
        format!(
            "{TILE}shl.b32 %r1, %t, 4; add.u32 %r1, %r0, %r1;
            cp.async.cg.shared.global [%r1], [%a], 16;
            cp.async.commit_group;
            cp.async.wait_group {pending};
            bar.sync 0;
            ld.shared.u32 %r3, [%r0+16];"
        )
    };
    assert!(run(&kernel("", &copy(0)), block(2), &[0; 4]).is_ok());
    let found = finding(&kernel("", &copy(1)), block(2), &[0; 4]);
    assert_eq!(
        found.fault,
        Fault::CopyInFlight {
            offset: 16,
            access: Access::Read
        }
    );
}

#[test]
fn barriers() {
    // Warp 1 waits at another barrier than warp 0.
    let text = kernel(
        "",
        "setp.lt.u32 %p0, %t, 32;\n@%p0 bar.sync 1;\n@!%p0 bar.sync 2;",
    );
    let found = finding(&text, block(64), &[0]);
    let line = line_of(&text, "@%p0 bar");
    assert_eq!(
        found.fault,
        Fault::BarrierDeadlock {
            waiting: 3,
            lines: vec![line, line + 1]
        }
    );
    let text = kernel(
        "",
        "setp.lt.u32 %p0, %t, 16;\n@%p0 bar.sync 1;\n@!%p0 bar.sync 2;",
    );
    let found = finding(&text, block(32), &[0]);
    assert_eq!(
        found.fault,
        Fault::BarrierDivergence {
            present: 0xffff_0000,
            absent: 0xffff
        }
    );
    // Too few warps for the count.
    let found = finding(&kernel("", "bar.sync 1, 96;"), block(64), &[0]);
    assert!(matches!(
        found.fault,
        Fault::BarrierDeadlock { waiting: 3, .. }
    ));
    // Threads that have returned are not waited for.
    assert!(
        run(
            &kernel("", "setp.ge.u32 %p0, %t, 40; @%p0 ret; bar.sync 0;"),
            block(64),
            &[0]
        )
        .is_ok()
    );
}

#[test]
fn absent_lanes() {
    let shuffle = "shfl.sync.down.b32 %r2, %t, 1, 31, -1;";
    let found = finding(
        &kernel("", &format!("setp.ge.u32 %p0, %t, 8; @%p0 ret; {shuffle}")),
        block(32),
        &[0],
    );
    assert_eq!(
        found.fault,
        Fault::AbsentLanes {
            named: u32::MAX,
            present: 0xff
        }
    );
    let found = finding(&kernel("", shuffle), block(16), &[0]);
    assert_eq!(
        found.fault,
        Fault::AbsentLanes {
            named: u32::MAX,
            present: 0xffff
        }
    );
    let found = finding(
        &kernel(
            "",
            "setp.lt.u32 %p0, %t, 8;\n@%p0 shfl.sync.idx.b32 %r2, %t, 9, 31, 255;",
        ),
        block(32),
        &[0],
    );
    assert_eq!(
        (found.fault, found.lane),
        (Fault::ShuffleFromAbsentLane { source: 9 }, Some(0))
    );
    // Lanes that wait at different shuffles never meet.
    let found = finding(
        &kernel(
            "",
            &format!("setp.lt.u32 %p0, %t, 8; @%p0 bra A; {shuffle} bra.uni B; A: {shuffle} B:"),
        ),
        block(32),
        &[0],
    );
    assert!(matches!(found.fault, Fault::AbsentLanes { .. }));
}

#[test]
fn traps_and_endless_loops() {
    let text = kernel("", "setp.eq.u32 %p0, %t, 3;\n@%p0 trap;");
    let found = finding(&text, block(4), &[0]);
    assert_eq!(
        (found.fault, found.line),
        (Fault::Trap, line_of(&text, "@%p0 trap"))
    );
    let mut device = Device::new();
    device.limit = 1000;
    let module = device.load(Module::parse(&kernel("", "L: bra L;")).unwrap());
    let error = device.launch(&module, "k", block(32), &[Argument::from(0u64)]);
    let Err(LaunchError::Finding(found)) = error else {
        panic!("{error:?}")
    };
    assert_eq!(found.fault, Fault::TooManyInstructions { limit: 1000 });
}

#[test]
fn launches_that_do_not_fit() {
    let text = kernel("", "").replace(") {", ") .maxntid 64, 1, 1 {");
    let mut device = Device::new();
    let module = device.load(Module::parse(&text).unwrap());
    let mut launch = |name: &str, shape, arguments: &[Argument]| {
        device.launch(&module, name, shape, arguments).unwrap_err()
    };
    let pointer = [Argument::from(0u64)];
    assert!(matches!(
        launch("q", block(1), &pointer),
        LaunchError::UnknownKernel(_)
    ));
    assert!(matches!(
        launch("k", block(65), &pointer),
        LaunchError::BlockSize {
            limit: [64, 1, 1],
            ..
        }
    ));
    assert!(matches!(
        launch("k", block(0), &pointer),
        LaunchError::BlockSize { .. }
    ));
    assert!(matches!(
        launch("k", block(1), &[]),
        LaunchError::ArgumentCount {
            expected: 1,
            given: 0,
            ..
        }
    ));
    assert!(matches!(
        launch("k", block(1), &[Argument::from(0u32)]),
        LaunchError::ArgumentSize {
            index: 0,
            expected: 8,
            given: 4,
            ..
        }
    ));
    assert!(matches!(
        launch("k", Shape::new([0, 1, 1], [1; 3]), &pointer),
        LaunchError::GridSize { .. }
    ));
    let hungry = Shape {
        dynamic_shared: 1 << 20,
        ..block(1)
    };
    assert!(matches!(
        launch("k", hungry, &pointer),
        LaunchError::SharedSize { .. }
    ));
}
