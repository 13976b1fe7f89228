//! Single instructions against values worked out by hand or by Rust's own operators.

mod common;

use common::{block, kernel, run};

/// Runs `body` on three operands `%r0..%r2` (also `%f0..%f2`) and returns `%r9`.
fn evaluate(body: &str, operands: [u32; 3]) -> u32 {
    let body = format!(
        "ld.global.u32 %r0, [%a]; ld.global.u32 %r1, [%a+4]; ld.global.u32 %r2, [%a+8];\n\
         mov.b32 %f0, %r0; mov.b32 %f1, %r1; mov.b32 %f2, %r2;\n\
         cvt.u64.u32 %d0, %r0; cvt.s64.s32 %d1, %r1;\n\
         {body}\n\
         st.global.u32 [%a], %r9;"
    );
    let (data, _) = run(&kernel("", &body), block(1), &operands).unwrap();
    data[0]
}

#[test]
fn integers() {
    let cases: &[(&str, [u32; 3], u32)] = &[
        ("add.s32 %r9, %r0, %r1;", [u32::MAX, 2, 0], 1),
        ("sub.s32 %r9, %r0, 5;", [3, 0, 0], (-2i32) as u32),
        ("mul.hi.u32 %r9, %r0, %r1;", [0x8000_0000, 6, 0], 3),
        (
            "mul.hi.s32 %r9, %r0, %r1;",
            [0x8000_0000, 6, 0],
            -3i32 as u32,
        ),
        ("mad.lo.s32 %r9, %r0, %r1, %r2;", [7, 6, 5], 47),
        (
            "mul.wide.s32 %d2, %r0, %r1; shr.s64 %d2, %d2, 32; cvt.u32.u64 %r9, %d2;",
            [-1i32 as u32, 5, 0],
            u32::MAX,
        ),
        (
            "mad.wide.u32 %d2, %r0, %r1, %d0; cvt.u32.u64 %r9, %d2;",
            [3, 5, 0],
            18,
        ),
        ("div.s32 %r9, %r0, %r1;", [-7i32 as u32, 2, 0], -3i32 as u32),
        ("rem.s32 %r9, %r0, %r1;", [-7i32 as u32, 2, 0], -1i32 as u32),
        ("div.u32 %r9, %r0, %r1;", [7, 0, 0], u32::MAX),
        ("min.s32 %r9, %r0, %r1;", [-7i32 as u32, 2, 0], -7i32 as u32),
        ("max.u32 %r9, %r0, %r1;", [-7i32 as u32, 2, 0], -7i32 as u32),
        ("shl.b32 %r9, %r0, %r1;", [1, 32, 0], 0),
        ("shr.s32 %r9, %r0, %r1;", [0x8000_0000, 99, 0], u32::MAX),
        ("shr.u32 %r9, %r0, %r1;", [0x8000_0000, 99, 0], 0),
        ("neg.s32 %r9, %r0;", [5, 0, 0], -5i32 as u32),
        ("abs.s32 %r9, %r0;", [-5i32 as u32, 0, 0], 5),
        ("not.b32 %r9, %r0;", [0xf0, 0, 0], !0xf0),
        ("popc.b32 %r9, %r0;", [0xf0f, 0, 0], 8),
        ("clz.b32 %r9, %r0;", [0xf0f, 0, 0], 20),
        ("brev.b32 %r9, %r0;", [3, 0, 0], 0xc000_0000),
        ("bfind.u32 %r9, %r0;", [0x10, 0, 0], 4),
        ("bfe.u32 %r9, %r0, 4, 8;", [0x1234_5678, 0, 0], 0x67),
        ("bfe.s32 %r9, %r0, 4, 8;", [0x1234_5f88, 0, 0], 0xffff_fff8),
        ("bfe.s32 %r9, %r0, 28, 8;", [0x9000_0000, 0, 0], 0xffff_fff9),
        (
            "bfi.b32 %r9, %r0, %r1, 8, 4;",
            [0xab, 0xffff_ffff, 0],
            0xffff_fbff,
        ),
        (
            "prmt.b32 %r9, %r0, %r1, 0x7041;",
            [0x4433_2211, 0x8877_6655, 0],
            0x8811_5522,
        ),
        (
            "prmt.b32 %r9, %r0, %r1, 0xba98;",
            [0x0080_0080, 0, 0],
            0x00ff_00ff,
        ),
        (
            "shf.l.wrap.b32 %r9, %r0, %r1, 8;",
            [0x1122_3344, 0x5566_7788, 0],
            0x6677_8811,
        ),
        (
            "shf.r.wrap.b32 %r9, %r0, %r1, 8;",
            [0x1122_3344, 0x5566_7788, 0],
            0x8811_2233,
        ),
        (
            "lop3.b32 %r9, %r0, %r1, %r2, 0x96;",
            [0b1100, 0b1010, 0b1111],
            0b1001,
        ),
        ("selp.b32 %r9, %r0, %r1, %p0;", [4, 5, 0], 5),
        (
            "setp.lt.s32 %p1, %r0, %r1; selp.u32 %r9, 1, 0, %p1;",
            [-1i32 as u32, 0, 0],
            1,
        ),
        (
            "setp.lo.u32 %p1, %r0, %r1; selp.u32 %r9, 1, 0, %p1;",
            [-1i32 as u32, 0, 0],
            0,
        ),
        (
            "setp.eq.u32 %p1|%p2, %r0, %r1; selp.u32 %r9, 1, 2, %p2;",
            [3, 3, 0],
            2,
        ),
        (
            "setp.ne.u32 %p1, %r0, 0; setp.eq.and.u32 %p2, %r1, 4, !%p1; selp.u32 %r9, 1, 0, %p2;",
            [0, 4, 0],
            1,
        ),
        ("set.eq.u32.u32 %r9, %r0, %r1;", [3, 3, 0], u32::MAX),
        ("cvt.s32.s8 %r9, %r0;", [0x1ff, 0, 0], u32::MAX),
        ("cvt.u32.u16 %r9, %r0;", [0x1_2345, 0, 0], 0x2345),
        ("cvt.sat.u8.s32 %r9, %r0;", [-9i32 as u32, 0, 0], 0),
        (
            "mov.b64 %d2, {%r0, %r1}; mov.b64 {%r3, %r9}, %d2;",
            [1, 7, 0],
            7,
        ),
        (
            "mov.b32 {%h0, %h1}, %r0; mov.b32 %r9, {%h1, %h0};",
            [0x1111_2222, 0, 0],
            0x2222_1111,
        ),
    ];
    for (body, operands, expected) in cases {
        assert_eq!(evaluate(body, *operands), *expected, "{body} {operands:x?}");
    }
}

#[test]
fn floats() {
    let cases: &[(&str, [f32; 3], f32)] = &[
        (
            "fma.rn.f32 %f9, %f0, %f1, %f2;",
            [3.0, 0.1, 1.0],
            3f32.mul_add(0.1, 1.0),
        ),
        ("add.rz.f32 %f9, %f0, %f1;", [1.0, 5.9e-8, 0.0], 1.0),
        (
            "add.rp.f32 %f9, %f0, %f1;",
            [1.0, 1e-30, 0.0],
            1.0 + f32::EPSILON,
        ),
        ("div.rn.f32 %f9, %f0, %f1;", [1.0, 3.0, 0.0], 1.0 / 3.0),
        ("rcp.rn.f32 %f9, %f0;", [3.0, 0.0, 0.0], 1.0 / 3.0),
        // The upper half of a double alone.
        (
            "cvt.f64.f32 %d2, %f0; rcp.approx.ftz.f64 %d2, %d2; cvt.rn.f32.f64 %f9, %d2;",
            [3.0, 0.0, 0.0],
            f64::from_bits(0x3FD5_5555_0000_0000) as f32,
        ),
        (
            "sqrt.rn.f32 %f9, %f0;",
            [2.0, 0.0, 0.0],
            std::f32::consts::SQRT_2,
        ),
        ("ex2.approx.ftz.f32 %f9, %f0;", [-3.0, 0.0, 0.0], 0.125),
        ("lg2.approx.f32 %f9, %f0;", [8.0, 0.0, 0.0], 3.0),
        ("min.f32 %f9, %f0, %f1;", [f32::NAN, 2.0, 0.0], 2.0),
        ("max.f32 %f9, %f0, %f1;", [-0.0, 0.0, 0.0], 0.0),
        ("abs.f32 %f9, %f0;", [-2.5, 0.0, 0.0], 2.5),
        ("neg.f32 %f9, %f0;", [0.0, 0.0, 0.0], -0.0),
        ("copysign.f32 %f9, %f0, %f1;", [-1.0, 3.0, 0.0], -3.0),
        ("cvt.sat.f32.f32 %f9, %f0;", [1.5, 0.0, 0.0], 1.0),
        ("cvt.rmi.f32.f32 %f9, %f0;", [-1.5, 0.0, 0.0], -2.0),
        ("cvt.rni.f32.f32 %f9, %f0;", [2.5, 0.0, 0.0], 2.0),
        (
            "cvt.rni.s32.f32 %r3, %f0; cvt.rn.f32.s32 %f9, %r3;",
            [-3.5, 0.0, 0.0],
            -4.0,
        ),
        (
            "cvt.rzi.u32.f32 %r3, %f0; cvt.rn.f32.u32 %f9, %r3;",
            [-3.5, 0.0, 0.0],
            0.0,
        ),
        (
            "cvt.rn.f16.f32 %h0, %f0; cvt.f32.f16 %f9, %h0;",
            [0.1, 0.0, 0.0],
            0.099_975_586,
        ),
        (
            "cvt.rn.bf16.f32 %h0, %f0; cvt.f32.bf16 %f9, %h0;",
            [0.1, 0.0, 0.0],
            0.100_097_656,
        ),
        (
            "cvt.rn.f16x2.f32 %r3, %f0, %f1; mov.b32 {%h0, %h1}, %r3; cvt.f32.f16 %f9, %h1;",
            [2.0, 3.0, 0.0],
            2.0,
        ),
        (
            "cvt.rn.f16.f32 %h0, %f0; fma.rn.f16 %h1, %h0, %h0, %h0; cvt.f32.f16 %f9, %h1;",
            [3.0, 0.0, 0.0],
            12.0,
        ),
        (
            "cvt.f64.f32 %d2, %f0; mul.f64 %d2, %d2, 0d3FE0000000000000; cvt.rn.f32.f64 %f9, %d2;",
            [3.0, 0.0, 0.0],
            1.5,
        ),
        (
            "setp.ltu.f32 %p1, %f0, %f1; selp.f32 %f9, 0f3F800000, 0f00000000, %p1;",
            [f32::NAN, 1.0, 0.0],
            1.0,
        ),
        (
            "setp.lt.f32 %p1, %f0, %f1; selp.f32 %f9, 0f3F800000, 0f00000000, %p1;",
            [f32::NAN, 1.0, 0.0],
            0.0,
        ),
        (
            "testp.infinite.f32 %p1, %f0; selp.f32 %f9, 0f3F800000, 0f00000000, %p1;",
            [f32::INFINITY, 0.0, 0.0],
            1.0,
        ),
    ];
    for (body, operands, expected) in cases {
        let body = format!("{body} mov.b32 %r9, %f9;");
        let actual = evaluate(&body, operands.map(f32::to_bits));
        assert_eq!(
            actual,
            expected.to_bits(),
            "{body} {operands:?}: {}",
            f32::from_bits(actual)
        );
    }
    let nan = evaluate(
        "sub.f32 %f9, %f0, %f0; mov.b32 %r9, %f9;",
        [0x7f80_0000, 0, 0],
    );
    assert_eq!(nan, 0x7fff_ffff, "a device's NaN");
}

#[test]
fn memory_of_every_width_and_space() {
    let body = "
        .local .align 8 .b8 depot[16];
        ld.global.v2.u32 {%r0, %r1}, [%a];
        ld.global.s8 %r2, [%a+8];
        ld.global.nc.u8 %r3, [%a+9];
        st.local.v2.u32 [depot], {%r0, %r1};
        mov.u64 %d0, depot;
        cvta.local.u64 %d1, %d0;
        ld.u16 %r4, [%d1+2];
        st.shared.u32 [cell+4], %r4;
        mov.u64 %d2, cell;
        cvta.shared.u64 %d3, %d2;
        ld.u32 %r5, [%d3+4];
        ld.const.u32 %r6, [table+8];
        mov.u64 %d4, counter;
        ld.global.u32 %r7, [%d4];
        add.u32 %r7, %r7, 1;
        st.global.u32 [counter], %r7;
        ld.global.u32 %r7, [counter];
        st.global.v4.u32 [%a], {%r2, %r3, %r5, %r6};
        st.global.u16 [%a+16], %r0;
        st.global.u32 [%a+20], %r7;";
    let declarations = ".const .align 4 .u32 table[3] = {1, 2, 77};
        .global .align 4 .b8 counter[4] = {41, 0, 0, 0};
        .shared .align 8 .b8 cell[8];";
    let data = [0x1122_3344, 0x5566_7788, 0xab_80, 0, 0xffff_ffff, 0];
    let (out, counters) = run(&kernel(declarations, body), block(1), &data).unwrap();
    assert_eq!(out, [0xffff_ff80, 0xab, 0x1122, 77, 0xffff_3344, 42]);
    // Read: 8 + 1 + 1 of data, 4 of the table, 8 of the counter. Written: 4 of the counter, 22 of data.
    assert_eq!(
        (counters.global_read_bytes, counters.global_written_bytes),
        (22, 26)
    );
}

#[test]
fn atomics() {
    let body = "
        atom.global.add.u32 %r0, [%a], 1;
        red.global.max.s32 [%a+4], %t;
        atom.global.cas.b32 %r1, [%a+8], 5, 9;
        red.global.add.f32 [%a+12], 0f3F800000;
        atom.global.exch.b32 %r2, [%a+16], %t;";
    let (out, _) = run(&kernel("", body), block(64), &[10, 3, 5, 0, 0]).unwrap();
    assert_eq!(out, [74, 63, 9, 64f32.to_bits(), 63]);
}

#[test]
fn device_functions_and_divergent_calls() {
    let declarations = "
        .func (.param .b32 result) twice(.param .b32 x) {
            .reg .b32 %r<3>;
            ld.param.u32 %r0, [x];
            add.u32 %r1, %r0, %r0;
            st.param.b32 [result], %r1;
            ret;
        }
        .func (.param .b32 result) four_times(.param .b32 x) {
            .reg .b32 %r<3>;
            ld.param.u32 %r0, [x];
            { .param .b32 in; .param .b32 out;
              st.param.b32 [in], %r0; call.uni (out), twice, (in); ld.param.b32 %r0, [out]; }
            { .param .b32 in; .param .b32 out;
              st.param.b32 [in], %r0; call.uni (out), twice, (in); ld.param.b32 %r0, [out]; }
            st.param.b32 [result], %r0;
            ret;
        }";
    let body = "
        mul.wide.u32 %d0, %t, 4; add.s64 %a, %a, %d0;
        ld.global.u32 %r0, [%a];
        and.b32 %r1, %t, 1;
        setp.eq.u32 %p0, %r1, 0;
        @%p0 bra EVEN;
        { .param .b32 in; .param .b32 out;
          st.param.b32 [in], %r0; call (out), twice, (in); ld.param.b32 %r2, [out]; }
        bra.uni DONE;
        EVEN:
        { .param .b32 in; .param .b32 out;
          st.param.b32 [in], %r0; call (out), four_times, (in); ld.param.b32 %r2, [out]; }
        DONE:
        shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1;
        st.global.u32 [%a], %r3;";
    let data: Vec<u32> = (0..32).collect();
    let (out, _) = run(&kernel(declarations, body), block(32), &data).unwrap();
    let value = |i: u32| (4 - 2 * (i % 2)) * i;
    let expected: Vec<u32> = (0..32).map(|i| value(i ^ 1)).collect();
    assert_eq!(out, expected);
}
