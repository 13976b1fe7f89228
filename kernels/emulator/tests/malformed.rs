//! Text that is not PTX, or not quite, gives an error with a line and never a panic.

mod common;

use common::kernel;
use msssim_ptx_emulator::{Module, Problem};
use proptest::prelude::*;

fn problem(text: &str) -> (u32, Problem) {
    let error = Module::parse(text)
        .err()
        .unwrap_or_else(|| panic!("parsed: {text}"));
    (error.line, error.problem)
}

#[test]
fn each_problem_has_its_line() {
    let in_kernel = |body: &str| problem(&kernel("", &format!("\n\n{body}")));
    let line = 12;
    let unsupported = |op: &str| (line, Problem::UnsupportedInstruction(op.into()));
    assert_eq!(in_kernel("frob.b32 %r0, %r1;"), unsupported("frob.b32"));
    assert_eq!(
        in_kernel("add.ftz.f32 %f0, %f1, %f2;"),
        unsupported("add.ftz.f32")
    );
    assert_eq!(
        in_kernel("add.s32 %r0, %r1;"),
        (line, Problem::BadOperands("add.s32".into()))
    );
    assert_eq!(
        in_kernel("add.s32 %r0, %r1, %zz;"),
        (line, Problem::Undeclared("%zz".into()))
    );
    assert_eq!(
        in_kernel("add.s32 %r0, %r1, %r40;"),
        (line, Problem::Undeclared("%r40".into()))
    );
    assert_eq!(
        in_kernel("bra NOWHERE;"),
        (line, Problem::Undeclared("NOWHERE".into()))
    );
    assert_eq!(
        in_kernel("L: L: bra L;"),
        (line, Problem::Redeclared("L".into()))
    );
    assert_eq!(
        in_kernel(".reg .b32 %t;"),
        (line, Problem::Redeclared("%t".into()))
    );
    assert_eq!(
        in_kernel("add.s32 %r0, %r1, 0xZZ;"),
        (line, Problem::BadNumber("0xZZ".into()))
    );
    assert_eq!(
        in_kernel(".shared .b8 big[999999999];").1,
        Problem::TooLarge("shared or local memory")
    );
    assert_eq!(problem("/* ..."), (1, Problem::UnclosedComment));
    assert_eq!(
        problem("\n.frob"),
        (2, Problem::UnsupportedDirective(".frob".into()))
    );
    assert_eq!(
        problem(".visible .entry k() { ret;").1,
        Problem::UnexpectedEnd
    );
    let recursive = ".func f() { call f; ret; } .entry k() { call f; ret; }";
    assert_eq!(problem(recursive).1, Problem::Recursion("f".into()));
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        let _ = Module::parse(&text);
    }

    /// A valid text with a piece cut out, doubled or replaced.
    #[test]
    fn damaged_ptx_is_survived(
        at in 0usize..2000,
        len in 0usize..30,
        put in prop::sample::select(vec!["", ";", "{", "}", "[", "%r0", "-", "<9999999>", "[99999999999]", ", ", "0f", ".b8", "@", "|"]),
    ) {
        let text = kernel(
            ".const .align 4 .b8 c[8] = {1, 2, 3};\n.func (.param .b32 r) f(.param .b32 x) { ret; }",
            ".shared .align 16 .b8 tile[64]; setp.lt.and.s32 %p0|%p1, %r0, 1, !%p2; L: @%p0 bra L;
             { .param .b32 q; .param .b32 s; st.param.b32 [q+0], %r0; call.uni (s), f, (q); }
             mov.b64 {%r1, %r2}, %d0; ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [%a+16];
             mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1, %f2, %f3, %f4}, {%r0, %r0, %r0, %r0}, {%r0, %r0}, {%f0, %f0, %f0, %f0};
             cp.async.cg.shared.global [%r1], [%d1], 16; atom.global.cas.b32 %r1, [%a+8], 5, 9;",
        );
        let at = at % text.len();
        let end = (at + len).min(text.len());
        let _ = Module::parse(&format!("{}{put}{}", &text[..at], &text[end..]));
    }
}
