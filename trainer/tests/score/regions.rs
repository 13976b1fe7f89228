//! Masks and maps.

use std::path::PathBuf;

use msssim_core::{Map, MsSsim, Params, Plane, PlaneMut, Size};
use msssim_trainer::picture::Picture;

use crate::program::{refusal, text};
use crate::{grey, objects, score, texture};

const SNELL: &str = "--preset=snell-2017";

/// A pair whose left half differs, 60 columns and 50 rows.
fn pair() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let a = grey(folder.path(), "a.png", [50, 60], texture);
    let b = grey(folder.path(), "b.png", [50, 60], |i, j| match j < 30 {
        true => 255 - texture(j, i),
        false => texture(i, j),
    });
    (folder, a, b)
}

#[test]
fn a_mask_is_what_is_seen() {
    let (folder, a, b) = pair();
    let masked = |name: &str, weight: fn(usize) -> u8| {
        let mask = grey(folder.path(), name, [50, 60], |_, j| weight(j));
        score(&["score", text(&a), text(&b), SNELL, "--mask", text(&mask)])
    };
    let all = score(&["score", text(&a), text(&b), SNELL]);
    assert!(all < 0.9, "{all}");
    let right = masked("right.png", |j| if j < 30 { 0 } else { 255 });
    assert_eq!(right, 1.0, "what lies outside is never seen");
    let white = masked("white.png", |_| 255);
    assert!((white - all).abs() < 1e-6, "{white} {all}");
    let half = masked("half.png", |j| if j < 30 { 100 } else { 255 });
    assert!(all < half && half < 1.0, "{all} {half}");
    // Only ratios count, and 16 bits are as good as 8.
    let words = (0..50 * 60).map(|at| if at % 60 < 30 { 20_000 } else { 51_000 });
    let deep = image::ImageBuffer::<image::Luma<u16>, Vec<u16>>::from_raw(60, 50, words.collect());
    let path = folder.path().join("deep.png");
    deep.unwrap().save(&path).unwrap();
    let deep = score(&["score", text(&a), text(&b), SNELL, "--mask", text(&path)]);
    assert!((deep - half).abs() < 1e-6, "{deep} {half}");
    let line = objects(&["score", text(&a), text(&b), SNELL, "--mask", text(&path)]).remove(0);
    assert_eq!(line["options"][0], format!("--mask {}", text(&path)));
}

#[test]
fn a_mask_is_cropped_with_the_images() {
    let (folder, a, b) = pair();
    let border = |i: usize, j: usize| i == 0 || j == 0 || i == 49 || j == 59;
    let outside = |i, j| if border(i, j) { 255 } else { 0 };
    let mask = grey(folder.path(), "mask.png", [50, 60], outside);
    let arguments = ["score", text(&a), text(&b), SNELL, "--mask", text(&mask)];
    score(&arguments);
    let words = refusal(&[&arguments[..], &["--crop-border=1"]].concat());
    assert!(
        words.contains("mask.png") && words.contains("black throughout"),
        "{words}"
    );
}

#[test]
fn masks_that_cannot_be_used() {
    let (folder, a, b) = pair();
    let refused =
        |mask: &PathBuf| refusal(&["score", text(&a), text(&b), SNELL, "--mask", text(mask)]);
    let small = grey(folder.path(), "small.png", [50, 59], |_, _| 255);
    let words = refused(&small);
    assert!(
        words.contains("small.png") && words.contains("59 x 50") && words.contains("60 x 50"),
        "{words}"
    );
    let black = grey(folder.path(), "black.png", [50, 60], |_, _| 0);
    let words = refused(&black);
    assert!(
        words.contains("black.png") && words.contains("white"),
        "{words}"
    );
    let mut colour = Picture::open(&black).unwrap();
    colour.planes = [0.0, 9.0, 0.0].map(|v| vec![v; 3000]).to_vec();
    let path = folder.path().join("colour.png");
    colour.save_png(&path).unwrap();
    let words = refused(&path);
    assert!(words.contains("convert it to grey"), "{words}");
    let words = refused(&folder.path().join("none.png"));
    assert!(words.contains("none.png: cannot be read"), "{words}");
    let pixels = [
        "score",
        text(&a),
        text(&b),
        "--preset=snell-2017-pixels",
        "--mask",
        text(&small),
    ];
    let words = refusal(&pixels);
    assert!(
        words.contains("--mask") && words.contains("snell-2017-pixels"),
        "{words}"
    );
}

#[test]
fn a_map_holds_the_terms_of_its_windows() {
    let (folder, a, b) = pair();
    let size = Size {
        width: 60,
        height: 50,
    };
    let metric = MsSsim::new(size, 1, &Params::SNELL_2017).unwrap();
    let [x, y] = [&a, &b].map(|path| Picture::open(path).unwrap().planes.remove(0));
    let [x, y] = [&x, &y].map(|samples| Plane::new(samples, size).unwrap());
    let mut scratch = vec![0.0; metric.scratch_len()];
    for (term, map, scale) in [
        ("ssim", Map::Ssim, 1),
        ("l", Map::Luminance, 1),
        ("c", Map::Contrast, 2),
        ("s", Map::Structure, 3),
        ("cs", Map::ContrastStructure, 5),
    ] {
        let path = folder.path().join(format!("{term}.png"));
        let [term_option, scale_option] =
            [format!("--map-term={term}"), format!("--map-scale={scale}")];
        score(&[
            "score",
            text(&a),
            text(&b),
            SNELL,
            "--map",
            text(&path),
            &term_option,
            &scale_option,
        ]);
        let size = metric.map_size(scale - 1);
        let mut terms = vec![f32::NAN; size.area()];
        let mut out = PlaneMut::new(&mut terms, size).unwrap();
        metric
            .map(&x, &y, scale - 1, map, &mut out, &mut scratch)
            .unwrap();
        let picture = Picture::open(&path).unwrap();
        assert_eq!((picture.width, picture.height), (size.width, size.height));
        assert!(picture.is_grey(), "{term}");
        for (grey, value) in picture.planes[0].iter().zip(&terms) {
            let expected = (255.0 * value).round().clamp(0.0, 255.0);
            assert_eq!(*grey, expected, "{term}: {value}");
        }
    }
    // Where nothing differs it is white.
    let ssim = Picture::open(&folder.path().join("ssim.png")).unwrap();
    for row in ssim.planes[0].chunks(60) {
        assert!(row[35..].iter().all(|v| *v == 255.0), "{row:?}");
        assert!(row[..25].iter().any(|v| *v < 128.0), "{row:?}");
    }
}

#[test]
fn a_map_of_windows_inside_the_image_is_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let a = grey(folder.path(), "a.png", [180, 170], texture);
    let map = folder.path().join("map.png");
    score(&["score", text(&a), text(&a), "--map", text(&map)]);
    let picture = Picture::open(&map).unwrap();
    assert_eq!((picture.width, picture.height), (160, 170));
    assert!(
        picture.planes[0].iter().all(|v| *v == 255.0),
        "white is equal"
    );
}
