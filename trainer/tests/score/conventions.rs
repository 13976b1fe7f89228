//! Presets, the switches over them, and what of an image they see.

use msssim_core::{Luma, MsSsim, Params, Plane, Size};
use msssim_trainer::colour::luma;
use msssim_trainer::picture::Picture;
use serde_json::Value;

use crate::program::{images, printed, text};
use crate::{grey, objects, score, texture};

#[test]
fn presets_are_the_named_conventions() {
    let names: Vec<&str> = Params::NAMED.iter().map(|(name, _)| *name).collect();
    let listed = objects(&["score", "--list-presets"]);
    let listed_names: Vec<&str> = listed.iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(listed_names, names);
    for (line, (name, params)) in listed.iter().zip(Params::NAMED) {
        assert_eq!(line["smallest_side"], params.smallest_side(), "{name}");
        let weights: Vec<Value> = params.weights[..params.scales]
            .iter()
            .map(|w| (*w).into())
            .collect();
        assert_eq!(line["weights"], Value::Array(weights), "{name}");
    }
    let table = printed(&["score", "--list-presets"]);
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for (name, params) in Params::NAMED {
        let side = params.smallest_side().to_string();
        let row = table
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(row.split_whitespace().nth(1), Some(&*side), "{name}");
    }
}

#[test]
fn every_preset_scores_as_the_library_does() {
    let folder = images(&[180, 180]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let size = Size {
        width: 180,
        height: 180,
    };
    let [x, y] = [&a, &b].map(|path| luma(&Picture::open(path).unwrap(), Luma::Bt601));
    let [x, y] = [&x, &y].map(|samples| Plane::new(samples, size).unwrap());
    for (name, params) in Params::NAMED {
        let metric = MsSsim::new(size, 1, &params).unwrap();
        let mut scratch = vec![0.0; metric.scratch_len()];
        let expected = metric.score(&[x], &[y], &mut scratch).unwrap().value;
        let printed = score(&["score", text(&a), text(&b), "--preset", name]);
        // The processor's fused instructions round otherwise than the portable form.
        let apart = (printed - expected).abs();
        assert!(apart < 1e-6, "{name}: {printed} {expected}");
    }
}

#[test]
fn switches_make_one_preset_another() {
    let folder = images(&[97, 97]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let with = |more: &[&str]| objects(&[&["score", text(&a), text(&b)], more].concat()).remove(0);
    let switched = with(&[
        "--border=replicate",
        "--weights=1,1,1,1,1",
        "--negative=signed",
    ]);
    let snell = with(&["--preset=snell-2017"]);
    assert_eq!(switched["ms_ssim"], snell["ms_ssim"]);
    let options = [
        "--border replicate",
        "--negative signed",
        "--weights 1,1,1,1,1",
    ];
    assert_eq!(switched["options"], Value::from(&options[..]));
    assert_eq!(snell["options"], Value::Null);
    let pixels = with(&["--preset=snell-2017", "--pooling=pixels"]);
    assert_eq!(
        pixels["ms_ssim"],
        with(&["--preset=snell-2017-pixels"])["ms_ssim"]
    );
    for switch in [
        "--halving=zero",
        "--negative=0.9",
        "--sigma=2",
        "--k1=0.5",
        "--k2=0.5",
        "--border=reflect",
    ] {
        let other = with(&["--preset=snell-2017", switch]);
        assert_ne!(other["ms_ssim"], snell["ms_ssim"], "{switch}");
    }
}

#[test]
fn small_images_follow_the_rule_that_is_asked_for() {
    let folder = images(&[100, 100]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let with = |more: &[&str]| objects(&[&["score", text(&a), text(&b)], more].concat()).remove(0);
    let fewer = with(&["--small=fewer-scales"]);
    assert_eq!(fewer["scales"].as_array().unwrap().len(), 4);
    assert_eq!(fewer["options"][0], "--small fewer-scales");
    let [replicate, border] = ["--small=replicate", "--border=replicate"].map(|o| with(&[o]));
    assert_eq!(replicate["ms_ssim"], border["ms_ssim"]);
    // Images that are large enough are scored by the preset itself.
    let snell = with(&["--preset=snell-2017", "--small=reflect"]);
    assert_eq!(snell["options"], Value::Null);
}

#[test]
fn depths_are_brought_together() {
    let folder = images(&[180]);
    let bytes = Picture::open(&folder.path().join("0.png")).unwrap();
    let words: Vec<u16> = bytes
        .to_bytes()
        .iter()
        .map(|v| u16::from(*v) * 257)
        .collect();
    let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(180, 180, words).unwrap();
    let path = folder.path().join("deep.png");
    deep.save(&path).unwrap();
    let line = printed(&["score", text(&folder.path().join("0.png")), text(&path)]);
    assert_eq!(line.trim(), "1.000000");
}

#[test]
fn a_data_range_is_in_the_files_units() {
    let folder = tempfile::tempdir().unwrap();
    let size = [50, 40];
    let a = grey(folder.path(), "a.png", size, texture);
    let b = grey(folder.path(), "b.png", size, |i, j| texture(i, j) / 2 + 40);
    let ten_bits = [&a, &b].map(|path| {
        let bytes = Picture::open(path).unwrap().to_bytes();
        let words = bytes.iter().map(|v| u16::from(*v) * 4).collect();
        let image = image::ImageBuffer::<image::Luma<u16>, Vec<u16>>::from_raw(40, 50, words);
        let path = path.with_extension("deep.png");
        image.unwrap().save(&path).unwrap();
        path
    });
    let of = |[x, y]: [&str; 2], range: &str| {
        let range = format!("--data-range={range}");
        score(&["score", x, y, "--preset=snell-2017", &range])
    };
    let shallow = of([text(&a), text(&b)], "255");
    let deep = of([text(&ten_bits[0]), text(&ten_bits[1])], "1020");
    assert!((shallow - deep).abs() < 1e-9, "{shallow} {deep}");
    let wrong = of([text(&ten_bits[0]), text(&ten_bits[1])], "65535");
    assert!((shallow - wrong).abs() > 1e-3, "{shallow} {wrong}");
}

#[test]
fn a_border_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let distort = |i: usize, j: usize| texture(i, j) / 2 + 40;
    let a = grey(folder.path(), "a.png", [50, 40], texture);
    let b = grey(folder.path(), "b.png", [50, 40], distort);
    let c = grey(folder.path(), "c.png", [44, 34], |i, j| {
        texture(i + 3, j + 3)
    });
    let d = grey(folder.path(), "d.png", [44, 34], |i, j| {
        distort(i + 3, j + 3)
    });
    let of = |x, y, border| score(&["score", text(x), text(y), "--preset=snell-2017", border]);
    assert_eq!(of(&a, &b, "--crop-border=3"), of(&c, &d, "--crop-border=0"));
    assert_ne!(of(&a, &b, "--crop-border=0"), of(&c, &d, "--crop-border=0"));
}

#[test]
fn channels_have_scores_of_their_own() {
    let folder = images(&[64, 64]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let with = |channels: &str| {
        objects(&["score", text(&a), text(&b), "--preset=snell-2017", channels]).remove(0)
    };
    let rgb = with("--channels=rgb");
    let channels = rgb["channels"].as_array().unwrap();
    let names: Vec<&Value> = channels.iter().map(|channel| &channel["name"]).collect();
    assert_eq!(names, ["red", "green", "blue"]);
    let sum: f64 = channels
        .iter()
        .map(|c| c["ms_ssim"].as_f64().unwrap())
        .sum();
    let mean = rgb["ms_ssim"].as_f64().unwrap();
    assert!((sum / 3.0 - mean).abs() < 1e-12, "{sum} {mean}");
    let mut scores = ["luma", "luma-709", "luma-matlab"].map(|channels| {
        let line = with(&format!("--channels={channels}"));
        assert_eq!(line["channels"], Value::Null, "{channels}");
        if channels != "luma" {
            assert_eq!(line["options"][0], format!("--channels {channels}"));
        }
        line["ms_ssim"].as_f64().unwrap()
    });
    scores.sort_by(f64::total_cmp);
    assert!(scores[0] < scores[1] && scores[1] < scores[2], "{scores:?}");
}

#[test]
fn channels_pooled_together_have_one_score() {
    let folder = images(&[180, 180]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let line = objects(&[
        "score",
        text(&a),
        text(&b),
        "--preset=torchmetrics",
        "--channels=rgb",
        "--per-scale",
    ])
    .remove(0);
    assert_eq!(line["channels"], Value::Null);
    assert!(line["scales"][0]["l"].is_f64(), "{line}");
}

/// A grey file is a colour file whose channels are equal, whatever is compared.
#[test]
fn grey_beside_colour_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let a = grey(folder.path(), "grey.png", [30, 20], texture);
    let mut picture = Picture::open(&a).unwrap();
    picture.planes = vec![picture.planes[0].clone(); 3];
    let b = folder.path().join("colour.png");
    picture.save_png(&b).unwrap();
    for channels in ["luma", "luma-709", "luma-matlab", "rgb"] {
        let channels = format!("--channels={channels}");
        let value = score(&[
            "score",
            text(&a),
            text(&b),
            "--preset=snell-2017",
            &channels,
        ]);
        assert_eq!(value, 1.0, "{channels}");
    }
}

#[test]
fn means_of_all_terms_at_each_scale() {
    let folder = images(&[180, 180]);
    let [a, b] = ["0.png", "1.png"].map(|name| folder.path().join(name));
    let line = objects(&["score", text(&a), text(&b), "--per-scale"]).remove(0);
    let scales = line["scales"].as_array().unwrap();
    let mean = |scale: usize, term: &str| scales[scale][term].as_f64().unwrap();
    let weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
    let product: f64 = (0..5)
        .map(|i| {
            mean(i, if i == 4 { "ssim" } else { "cs" })
                .max(0.0)
                .powf(weights[i])
        })
        .product();
    let value = line["ms_ssim"].as_f64().unwrap();
    assert!((product - value).abs() < 1e-12, "{product} {value}");
    for scale in 0..5 {
        for term in ["l", "c", "s", "cs", "ssim"] {
            assert!((-1.0..=1.0).contains(&mean(scale, term)), "{scale} {term}");
        }
    }
    let table = printed(&["score", text(&a), text(&b), "--per-scale"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], [format!("{value:.6}")]);
    assert_eq!(
        rows[1],
        ["scale", "windows", "weight", "l", "c", "s", "cs", "ssim"]
    );
    assert_eq!(rows[6][..3], ["5", "2x2", "0.1333"]);
    assert_eq!(rows[6][7], format!("{:.6}", mean(4, "ssim")));
    assert_eq!(rows.len(), 7, "{table}");
}
