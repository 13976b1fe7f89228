//! What lanes, warps and blocks do together.

mod common;

use common::{block, kernel, run};
use msssim_ptx_emulator::Shape;

/// `%d0` becomes the address of this thread's element.
const OWN: &str = "mul.wide.u32 %d0, %t, 4; add.s64 %d0, %a, %d0;\n";

/// Runs `body`, which leaves a number in `%r9`, on a warp, and returns the lanes' numbers.
fn lanes(body: &str) -> Vec<u32> {
    let text = kernel("", &format!("{OWN}{body}\nst.global.u32 [%d0], %r9;"));
    run(&text, block(32), &[0; 32]).unwrap().0
}

fn expect(body: &str, f: impl Fn(u32) -> u32) {
    assert_eq!(lanes(body), (0..32).map(f).collect::<Vec<_>>(), "{body}");
}

#[test]
fn shuffles() {
    expect("shfl.sync.down.b32 %r9, %t, 3, 31, -1;", |l| {
        if l < 29 { l + 3 } else { l }
    });
    // Width 8: the segment mask is 24.
    expect("shfl.sync.down.b32 %r9, %t, 3, 6175, -1;", |l| {
        if l % 8 < 5 { l + 3 } else { l }
    });
    expect("shfl.sync.up.b32 %r9, %t, 2, 0, -1;", |l| {
        if l < 2 { l } else { l - 2 }
    });
    expect("shfl.sync.bfly.b32 %r9, %t, 5, 31, -1;", |l| l ^ 5);
    expect("shfl.sync.idx.b32 %r9, %t, 7, 31, -1;", |_| 7);
    expect(
        "shfl.sync.up.b32 %r1|%p0, %t, 2, 0, -1; selp.u32 %r9, 1, 0, %p0;",
        |l| u32::from(l >= 2),
    );
}

#[test]
fn votes() {
    let odd = "and.b32 %r0, %t, 1; setp.eq.u32 %p0, %r0, 1;";
    expect(&format!("{odd} vote.sync.ballot.b32 %r9, %p0, -1;"), |_| {
        0xaaaa_aaaa
    });
    expect(
        &format!("{odd} vote.sync.ballot.b32 %r9, !%p0, -1;"),
        |_| 0x5555_5555,
    );
    expect(
        &format!(
            "{odd} vote.sync.any.pred %p1, %p0, -1; vote.sync.all.pred %p2, %p0, -1; selp.u32 %r9, 1, 0, %p1; @%p2 mov.u32 %r9, 7;"
        ),
        |_| 1,
    );
}

#[test]
fn lanes_wait_for_each_other_at_a_shuffle() {
    // The shuffle lies before the detour of the odd lanes in the text, so they come late.
    let body = "
        and.b32 %r0, %t, 1; setp.eq.u32 %p0, %r0, 1; mov.u32 %r1, %t;
        @%p0 bra DETOUR;
        MEET: shfl.sync.bfly.b32 %r9, %r1, 1, 31, -1;
        bra.uni DONE;
        DETOUR: add.u32 %r1, %r1, 100;
        bra.uni MEET;
        DONE:";
    expect(body, |l| if l % 2 == 0 { l + 101 } else { l - 1 });
}

#[test]
fn loops_diverge_and_come_back() {
    let body = "
        mov.u32 %r9, 0; mov.u32 %r1, 0;
        LOOP: add.u32 %r9, %r9, %r1; add.u32 %r1, %r1, 1;
        setp.le.u32 %p0, %r1, %t;
        @%p0 bra LOOP;
        activemask.b32 %r2;
        setp.ne.u32 %p1, %r2, -1;
        @%p1 trap;";
    expect(body, |l| l * (l + 1) / 2);
}

#[test]
fn special_registers() {
    let body = "
        mov.u32 %r0, %tid.y; mov.u32 %r1, %ntid.x; mad.lo.u32 %t, %r0, %r1, %t;
        mov.u32 %r2, %ctaid.x; mov.u32 %r3, %nctaid.y; mov.u32 %r4, %ctaid.y;
        mad.lo.u32 %r5, %r2, %r3, %r4;
        shl.b32 %r6, %r5, 3; add.u32 %t, %t, %r6;
        mul.wide.u32 %d0, %t, 4; add.s64 %d0, %a, %d0;
        mov.u32 %r7, %laneid;
        st.global.u32 [%d0], %r7;";
    let shape = Shape::new([2, 3, 1], [4, 2, 1]);
    let (out, _) = run(&kernel("", body), shape, &[99; 48]).unwrap();
    assert_eq!(out, (0..48).map(|i| i % 8).collect::<Vec<_>>());
}

#[test]
fn barriers_and_dynamic_shared_memory() {
    let declarations = ".extern .shared .align 16 .b8 dynamic[];";
    let body = format!(
        "{OWN}
        .shared .align 4 .b8 fixed[4];
        mov.u32 %r0, dynamic; shl.b32 %r1, %t, 2; add.u32 %r1, %r0, %r1;
        st.shared.u32 [%r1], %t;
        setp.eq.u32 %p0, %t, 0;
        @%p0 st.shared.u32 [fixed], 1000;
        bar.sync 0;
        sub.u32 %r2, 95, %t; shl.b32 %r2, %r2, 2; add.u32 %r2, %r0, %r2;
        ld.shared.u32 %r3, [%r2]; ld.shared.u32 %r4, [fixed];
        add.u32 %r3, %r3, %r4;
        st.global.u32 [%d0], %r3;"
    );
    let shape = Shape {
        dynamic_shared: 4 * 96,
        ..block(96)
    };
    let (out, _) = run(&kernel(declarations, &body), shape, &[0; 96]).unwrap();
    assert_eq!(out, (0..96).map(|t| 1095 - t).collect::<Vec<_>>());
}

#[test]
fn asynchronous_copies_land_at_their_wait() {
    // Two groups; only the first is waited for before it is read.
    let body = format!(
        "{OWN}
        .shared .align 16 .b8 tile[1024];
        mov.u32 %r0, tile; shl.b32 %r1, %t, 4; add.u32 %r1, %r0, %r1;
        shl.b32 %r2, %t, 4; cvt.u64.u32 %d1, %r2; add.s64 %d1, %a, %d1;
        cp.async.cg.shared.global [%r1], [%d1], 16;
        cp.async.commit_group;
        cp.async.ca.shared.global [%r1+512], [%d1+4], 4, 0;
        cp.async.commit_group;
        cp.async.wait_group 1;
        bar.sync 0;
        ld.shared.u32 %r3, [%r1+12];
        cp.async.wait_all;
        ld.shared.u32 %r4, [%r1+512];
        add.u32 %r3, %r3, %r4;
        st.global.u32 [%d0+512], %r3;"
    );
    let data: Vec<u32> = (0..160).collect();
    let (out, _) = run(&kernel("", &body), block(32), &data).unwrap();
    assert_eq!(out[128..], (0..32).map(|t| 4 * t + 3).collect::<Vec<_>>());
}

#[test]
fn matrices_load_and_multiply() {
    // A is 16 x 16, A[i][j] = i + 16 j in bf16 (exact below 256), by rows; B is the identity's
    // first eight columns, so that the product is A's first eight columns.
    let bf16 = |v: f32| (v.to_bits() >> 16) as u16;
    let mut halves = vec![0u16; 16 * 16 + 16 * 8];
    for i in 0..16 {
        for j in 0..16 {
            halves[16 * i + j] = bf16((i + 16 * j) as f32);
        }
    }
    for k in 0..8 {
        halves[256 + 8 * k + k] = bf16(1.0);
    }
    let mut data: Vec<u32> = halves
        .chunks(2)
        .map(|h| u32::from(h[1]) << 16 | u32::from(h[0]))
        .collect();
    data.extend([0; 128]);
    // Lane l loads row l mod 16, half l / 16 of A, and row l mod 16 of B, transposed.
    let body = "
        .shared .align 16 .b8 tile[768];
        mov.u32 %r0, tile;
        shl.b32 %r1, %t, 4;
        cvt.u64.u32 %d0, %r1; add.s64 %d0, %a, %d0; add.u32 %r1, %r0, %r1;
        ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d0];
        st.shared.v4.u32 [%r1], {%r2, %r3, %r4, %r5};
        setp.lt.u32 %p0, %t, 16;
        @%p0 ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d0+512];
        @%p0 st.shared.v4.u32 [%r1+512], {%r2, %r3, %r4, %r5};
        bar.warp.sync -1;
        and.b32 %r6, %t, 15; shl.b32 %r7, %r6, 5; shr.u32 %r8, %t, 4; shl.b32 %r8, %r8, 4;
        add.u32 %r7, %r7, %r8; add.u32 %r7, %r7, %r0;
        ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r7];
        shl.b32 %r6, %r6, 4; add.u32 %r6, %r6, %r0;
        ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r14, %r15}, [%r6+512];
        mov.f32 %f0, 0f3F000000;
        mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
            {%f1, %f2, %f3, %f4}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%f0, %f0, %f0, %f0};
        shr.u32 %r20, %t, 2; and.b32 %r21, %t, 3; shl.b32 %r20, %r20, 3; shl.b32 %r21, %r21, 1;
        add.u32 %r20, %r20, %r21; mul.wide.u32 %d1, %r20, 4; add.s64 %d1, %a, %d1;
        st.global.v2.f32 [%d1+768], {%f1, %f2};
        st.global.v2.f32 [%d1+1024], {%f3, %f4};";
    let (out, _) = run(&kernel("", body), block(32), &data).unwrap();
    let product: Vec<f32> = out[192..320].iter().map(|&v| f32::from_bits(v)).collect();
    let expected: Vec<f32> = (0..128)
        .map(|n| (n / 8 + 16 * (n % 8)) as f32 + 0.5)
        .collect();
    assert_eq!(product, expected);
}

#[test]
fn a_tf32_product_ignores_the_low_bits() {
    // A and B all ones but for bits that tf32 drops: each sum is the depth.
    let body = "
        mov.b32 %r0, 0x3F801FFF; mov.f32 %f0, 0f00000000;
        mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32
            {%f1, %f2, %f3, %f4}, {%r0, %r0, %r0, %r0}, {%r0, %r0}, {%f0, %f0, %f0, %f0};
        add.f32 %f1, %f1, %f2; add.f32 %f1, %f1, %f3; add.f32 %f1, %f1, %f4;
        mov.b32 %r9, %f1;";
    expect(body, |_| 32f32.to_bits());
}
