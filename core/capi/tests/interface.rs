//! The C interface as C sees it: `interface.c`, compiled strictly, against the Rust interface bit for bit.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use msssim_core::{MsSsim, Params, Plane, PlaneMut, Sample, Size, Small};

const SIZE: Size = Size {
    width: 173,
    height: 181,
};

/// The images that `interface.c` makes.
fn images() -> [Vec<u8>; 2] {
    let mut state = 1u32;
    let pixels = (0..3 * SIZE.area()).map(|i| {
        let (row, column) = (i / SIZE.width, i % SIZE.width);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let x = ((row * column / 16 + 3 * row + 5 * column) % 251) as u8;
        let y = i32::from(x) + (state >> 27) as i32 - 16;
        (x, y.clamp(0, 255) as u8)
    });
    let (x, y) = pixels.unzip();
    [x, y]
}

fn plane<T: Sample>(samples: &[T]) -> Plane<'_, T> {
    Plane::new(samples, SIZE).unwrap()
}

/// The score of one channel.
fn score<T: Sample>(params: &Params, x: Plane<'_, T>, y: Plane<'_, T>) -> f64 {
    let metric = MsSsim::new(SIZE, 1, params).unwrap();
    let mut scratch = vec![f32::NAN; metric.scratch_len()];
    metric.score(&[x], &[y], &mut scratch).unwrap().value
}

/// What `interface.c` must print.
fn expected() -> String {
    let [x, y] = images();
    let mut lines = String::new();
    let mut show = |name: &str, value: f64| {
        writeln!(lines, "{name} {:016x}", value.to_bits()).unwrap();
    };
    let [x1, y1] = [&x[..SIZE.area()], &y[..SIZE.area()]];
    for (name, params) in Params::NAMED {
        let params = params.fitted(SIZE, Small::FewerScales).unwrap();
        show(name, score(&params, plane(x1), plane(y1)));
    }
    let [xf, yf] =
        [x1, y1].map(|samples| samples.iter().map(|v| f32::from(*v)).collect::<Vec<_>>());
    show("f32", score(&Params::WANG_2003, plane(&xf), plane(&yf)));
    let [x16, y16] = [x1, y1].map(|samples| {
        samples
            .iter()
            .map(|v| u16::from(*v) * 257)
            .collect::<Vec<_>>()
    });
    let wide = Params {
        data_range: 65535.0,
        ..Params::WANG_2003
    };
    show("u16", score(&wide, plane(&x16), plane(&y16)));

    let metric = MsSsim::new(SIZE, 3, &Params::SNELL_2017).unwrap();
    let mut scratch = vec![f32::NAN; metric.gradient_scratch_len()];
    let [xs, ys] = [&x, &y].map(|samples| {
        [0, 1, 2].map(|channel| Plane::interleaved(samples, SIZE, 3, channel).unwrap())
    });
    let mut gradient = vec![0.0; 3 * SIZE.area()];
    let mut planes: Vec<PlaneMut<'_>> = gradient
        .chunks_exact_mut(SIZE.area())
        .map(|plane| PlaneMut::new(plane, SIZE).unwrap())
        .collect();
    let rgb = metric
        .score_and_gradient(&xs, &ys, &mut planes, &mut scratch)
        .unwrap();
    show("rgb", rgb.value);
    let hash = gradient.iter().fold(2_166_136_261u32, |hash, value| {
        (hash ^ value.to_bits()).wrapping_mul(16_777_619)
    });
    writeln!(lines, "rgb-gradient {hash:08x}").unwrap();
    let green = score(&Params::SNELL_2017, xs[1], ys[1]);
    writeln!(lines, "green {:016x}", green.to_bits()).unwrap();
    lines + "0 expectations failed\n"
}

/// The folder where Cargo has put the libraries: that of this test.
fn libraries() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().to_path_buf()
}

#[test]
fn a_c_program_gets_the_scores_of_rust() {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    if !cfg!(unix) || Command::new(&compiler).arg("--version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: no C compiler");
        return;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interface");
    let compiled = Command::new(&compiler)
        .args("-std=c99 -Wall -Wextra -Wpedantic -Werror -O1 -o".split(' '))
        .arg(&program)
        .arg(manifest.join("tests/interface.c"))
        .arg("-I")
        .arg(manifest.join("include"))
        .arg(libraries().join("libmsssim.a"))
        .args(["-lm", "-lpthread", "-ldl"])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{complaints}");
    let ran = Command::new(&program).output().unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(printed, expected());
    assert!(ran.status.success(), "{:?}", ran.status);
}

#[test]
fn a_streams_constant_is_enough() {
    for (name, params) in Params::NAMED {
        let smallest = params.smallest_side();
        for width in (smallest..smallest + 300).chain([1920, 4096, 8191]) {
            let size = Size {
                width,
                height: smallest,
            };
            let Ok(stream) = msssim_core::Stream::new(size, &params) else {
                continue;
            };
            // MSSSIM_STREAM_BYTES of the header; 3072 is what stream.rs allows the stream itself.
            let constant = 4096 + 216 * width;
            let needed = 3072 + 4 * stream.scratch_len();
            assert!(needed <= constant, "{name} {width}: {needed} {constant}");
        }
    }
}
