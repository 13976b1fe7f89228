//! Scores that others have published, or an independent program has computed.

use crate::common::data;
use crate::program::{printed, text};

#[test]
fn known_scores_of_colour_images() {
    let Some(folder) = data("pairs/tensorflow") else {
        return;
    };
    let board = |i: u32| folder.join(format!("checkerboard{i}.png"));
    // tensorflow/python/ops/image_ops_test.py, MultiscaleSSIMTest, "values produced by Matlab".
    // The second is 0.09102547 in float64: on which side of the half its last digit falls is a matter of rounding.
    for (a, b, score) in [(1, 2, 0.091016), (1, 3, 0.091025), (2, 3, 0.999567)] {
        let line = printed(&[
            "score",
            text(&board(a)),
            text(&board(b)),
            "--channels",
            "rgb",
        ]);
        let printed: f64 = line.trim().parse().unwrap();
        assert!((printed - score).abs() < 1.1e-6, "{printed} for {score}");
    }
}

#[test]
fn known_scores_of_grey_images() {
    let Some(folder) = data("pairs/einstein") else {
        return;
    };
    // Wang's msssim.m on the images of Tom Distler's iqa, by an independent program in NumPy.
    for (name, score) in [
        ("blur", "0.926781"),
        ("contrast", "0.973179"),
        ("flipvertical", "0.221853"),
        ("impulse", "0.953926"),
        ("jpg", "0.886196"),
        ("meanshift", "0.999364"),
    ] {
        let distorted = folder.join(format!("{name}.png"));
        let line = printed(&[
            "score",
            text(&folder.join("einstein.png")),
            text(&distorted),
        ]);
        assert_eq!(line.trim(), score, "{name}");
    }
}

/// What iqa's own test expects of its metric, computed there in Octave, to the tolerance stated there.
#[test]
fn published_scores_by_metrix() {
    let Some(folder) = data("pairs/einstein") else {
        return;
    };
    for (name, published) in [
        ("blur", 0.91875),
        ("contrast", 0.97275),
        ("flipvertical", 0.25467),
        ("impulse", 0.95357),
        ("jpg", 0.89226),
        ("meanshift", 0.99938),
    ] {
        let (x, y) = (
            folder.join("einstein.png"),
            folder.join(format!("{name}.png")),
        );
        let line = printed(&["score", text(&x), text(&y), "--preset", "metrix"]);
        let score: f64 = line.trim().parse().unwrap();
        assert!((score - published).abs() < 1e-4, "{name}: {score}");
    }
}

#[test]
fn terms_apart_make_the_score_both_ways_round() {
    let Some(folder) = data("pairs/einstein") else {
        return;
    };
    let [a, b] = ["einstein.png", "jpg.png"].map(|name| folder.join(name));
    let lines = [[&a, &b], [&b, &a]]
        .map(|[x, y]| printed(&["score", text(x), text(y), "--preset", "metrix", "--json"]));
    let numbers = lines.map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let scales = line["scales"].as_array().unwrap().clone();
        let mean = |scale: &serde_json::Value, term: &str| scale[term].as_f64().unwrap();
        let weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
        let product: f64 = scales
            .iter()
            .zip(weights)
            .map(|(scale, w)| (mean(scale, "c") * mean(scale, "s")).abs().powf(w))
            .product();
        let expected = product * mean(&scales[4], "l").powf(0.1333);
        let score = line["ms_ssim"].as_f64().unwrap();
        assert!((score - expected).abs() < 1e-12, "{score} {expected}");
        score
    });
    assert_eq!(numbers[0], numbers[1]);
}
