//! Data sets as they are distributed, where this machine has them.

mod common;

use std::collections::BTreeSet;

use common::data;
use msssim_trainer::data::stl10::{SIDE, Stl10, test_file};
use msssim_trainer::data::yale;

/// The official counts; and what labels mean, from the pictures.
#[test]
fn extended_yale_b_is_read_whole() {
    let Some(folder) = data("faces/CroppedYale") else {
        return;
    };
    let side = 48;
    let faces = yale::load(&folder, side).unwrap();
    assert_eq!(faces.images.len(), 2414);
    let labels = &faces.labels;
    let subjects: BTreeSet<u32> = labels.subject.iter().copied().collect();
    assert_eq!(subjects.len(), 38);
    let lights = labels.azimuth.iter().zip(&labels.elevation);
    let lights: BTreeSet<(i64, i64)> = lights.map(|(a, e)| (*a as i64, *e as i64)).collect();
    assert_eq!(lights.len(), 64);

    let (mut agree, mut lit_from_a_side) = (0, 0);
    for (face, azimuth) in faces
        .images
        .samples
        .chunks_exact(side * side)
        .zip(&labels.azimuth)
    {
        if !(20.0..=85.0).contains(&azimuth.abs()) {
            continue;
        }
        let half = |columns: std::ops::Range<usize>| -> u32 {
            let rows = face.chunks_exact(side);
            rows.flat_map(|row| &row[columns.clone()])
                .map(|level| u32::from(*level))
                .sum()
        };
        lit_from_a_side += 1;
        agree += usize::from((half(0..side / 2) > half(side / 2..side)) == (*azimuth > 0.0));
    }
    // An independent count on the full-size images: 99.8 %.
    assert!(
        agree * 1000 > lit_from_a_side * 990,
        "{agree} of {lit_from_a_side}"
    );
}

#[test]
fn stl10_is_upright() {
    let Some(folder) = data("stl10_binary") else {
        return;
    };
    let path = test_file(&folder).expect("a file of test images");
    let mut set = Stl10::open(&path).unwrap();
    assert!(!set.is_empty());
    // Photographs are brighter above than below far more often than left than right.
    let (mut above, mut left) = (0, 0);
    for index in 0..set.len() {
        let picture = set.picture(index).unwrap();
        let sum = |inside: &dyn Fn(usize, usize) -> bool| -> f32 {
            let green = picture.planes[1].iter().enumerate();
            let inside = green.filter(|(at, _)| inside(at / SIDE, at % SIDE));
            inside.map(|(_, level)| level).sum()
        };
        above += u64::from(sum(&|row, _| row < SIDE / 3) > sum(&|row, _| row >= 2 * SIDE / 3));
        left += u64::from(
            sum(&|_, column| column < SIDE / 3) > sum(&|_, column| column >= 2 * SIDE / 3),
        );
    }
    let n = set.len() as f64;
    let (above, left) = (above as f64 / n, left as f64 / n);
    assert!(above > 0.6 && (0.4..0.6).contains(&left), "{above} {left}");
}
