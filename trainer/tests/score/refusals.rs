//! What cannot be compared, and where.

use std::fs;

use crate::grey;
use crate::program::{images, printed, refusal, run, text};

#[test]
fn files_that_cannot_be_compared() {
    let folder = images(&[180, 176, 100]);
    let file = |name: &str| folder.path().join(name);
    let (good, smaller, small) = (file("0.png"), file("1.png"), file("2.png"));
    fs::write(file("text.png"), "text").unwrap();
    let whole = fs::read(&good).unwrap();
    fs::write(file("cut.png"), &whole[..whole.len() / 2]).unwrap();

    let sizes = refusal(&["score", text(&good), text(&smaller)]);
    assert!(
        sizes.contains("180 x 180") && sizes.contains("176 x 176"),
        "{sizes}"
    );
    assert!(
        sizes.contains("0.png") && sizes.contains("1.png"),
        "{sizes}"
    );
    let window = refusal(&["score", text(&small), text(&small)]);
    assert!(
        window.contains("at least 161")
            && window.contains("--small")
            && window.contains("snell-2017"),
        "{window}"
    );
    for (name, word) in [
        ("text.png", "not an image"),
        ("cut.png", "damaged"),
        ("none.png", "No such file"),
    ] {
        let line = refusal(&["score", text(&good), text(&file(name))]);
        assert!(line.contains(name) && line.contains(word), "{line}");
    }
}

#[test]
fn devices_are_chosen_in_words() {
    let folder = images(&[40, 40]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let arguments = |device| {
        [
            "score",
            text(&a),
            text(&b),
            "--preset",
            "snell-2017",
            "--device",
            device,
        ]
    };
    let on_cpu = printed(&arguments("cpu"));
    let auto = run(&arguments("auto"));
    assert!(auto.status.success());
    let words = String::from_utf8_lossy(&auto.stderr).into_owned();
    assert!(words.contains("computing on "), "{words}");
    if words.contains("computing on the CPU") {
        assert_eq!(String::from_utf8_lossy(&auto.stdout), on_cpu);
        let words = refusal(&arguments("cuda"));
        assert!(words.contains("--device cuda: no CUDA d"), "{words}");
        let run = folder.path().join("run");
        let words = refusal(&["train", "sr", "--device", "cuda", "--out", text(&run)]);
        assert!(words.contains("--device cuda: no CUDA d"), "{words}");
        assert!(!run.exists(), "a folder for a run that cannot begin");
    }
}

/// That maps are not offered on a CUDA device is known without one.
#[test]
fn what_is_the_cpus_alone_is_said() {
    let folder = images(&[180, 180]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let map = folder.path().join("map.png");
    let with = |device| {
        let map = ["--map", text(&map), "--device", device];
        [&["score", text(&a), text(&b)], &map[..]].concat()
    };
    let refused = refusal(&with("cuda"));
    assert!(
        refused.contains("maps") && refused.contains("use --device cpu or auto"),
        "{refused}"
    );
    assert!(!map.exists(), "nothing is written");
    let auto = run(&with("auto"));
    assert!(auto.status.success());
    let said = String::from_utf8(auto.stderr).unwrap();
    assert!(
        said.contains("computing on the CPU: ") && said.contains("maps"),
        "{said}"
    );
}

#[test]
fn options_that_cannot_be_met_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let a = grey(folder.path(), "a.png", [30, 20], |i, j| (i + j) as u8);
    let deep = folder.path().join("deep.png");
    let image = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(20, 30, vec![9u16; 600]);
    image.unwrap().save(&deep).unwrap();
    let refused = |more: &[&str]| {
        refusal(&[&["score", text(&a), text(&a), "--preset=snell-2017"], more].concat())
    };
    for (more, words) in [
        (
            &["--crop-border=10"][..],
            "--crop-border 10 leaves nothing of 20 x 30",
        ),
        (&["--crop-border=18446744073709551615"], "leaves nothing"),
        (&["--data-range=0"], "--data-range must be"),
        (&["--data-range=nan"], "--data-range must be"),
        (&["--weights=1,1,1,1,1,1,1,1,1"], "8 scales"),
        (&["--weights=nan"], "--weights must be"),
        (&["--sigma=0"], "--sigma must be"),
        (&["--k1=inf"], "--k1 must be"),
        (&["--border=valid"], "each side must be at least 161"),
        (&["--pooling=pixels", "--border=valid"], "same-size windows"),
        (
            &["--map=map.png", "--map-scale=6"],
            "--map-scale must be 1 to 5",
        ),
        (
            &["--map=map.png", "--map-scale=0"],
            "--map-scale must be 1 to 5",
        ),
    ] {
        let line = refused(more);
        assert!(line.contains(words), "{more:?}: {line}");
    }
    let line = refusal(&[
        "score",
        text(&a),
        text(&deep),
        "--preset=snell-2017",
        "--data-range=9",
    ]);
    assert!(line.contains("one depth"), "{line}");
    let line = refusal(&[
        "score",
        text(&a),
        text(&a),
        "--preset=metrix",
        "--weights=1",
    ]);
    assert!(line.contains("metrix"), "{line}");
    let tiny = grey(folder.path(), "tiny.png", [3, 2], |_, _| 0);
    let line = refusal(&["score", text(&tiny), text(&tiny), "--small=fewer-scales"]);
    assert!(
        line.contains("at least 11") && line.contains("replicate"),
        "{line}"
    );
    let line = refused(&[text(&a), "--map=map.png"]);
    assert!(line.contains("of one pair, and here are 2"), "{line}");
    // Of fewer scales than the preset has, the last is another.
    let wang = [
        "score",
        text(&a),
        text(&a),
        "--small=fewer-scales",
        "--map=map.png",
    ];
    let line = refusal(&[&wang[..], &["--map-scale=5"]].concat());
    assert!(line.contains("--map-scale must be 1 to "), "{line}");
}

#[test]
fn command_lines_that_are_wrong() {
    for (arguments, words) in [
        (&["score"][..], "required"),
        (&["score", "a.png"], "required"),
        (&["score", "a.png", "b.png", "--preset=wang"], "wang-2003"),
        (&["score", "a.png", "b.png", "--negative=0"], "zero-map"),
        (&["score", "a.png", "b.png", "--map-scale=2"], "--map"),
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
