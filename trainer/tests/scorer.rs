//! The CPU and a CUDA device, here the emulated one, score alike. In a process of its own: the emulator
//! stays loaded.

use msssim_core::{ChannelPooling, Error, Params, Plane, Size};
use msssim_trainer::device::{Choice, DeviceName};
use msssim_trainer::scorer::{ScoreError, Scorer};

const SIZE: Size = Size {
    width: 61,
    height: 47,
};

fn planes(seed: u32) -> Vec<Vec<f32>> {
    let mut state = seed;
    let mut sample = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32
    };
    (0..3)
        .map(|_| (0..SIZE.area()).map(|_| sample()).collect())
        .collect()
}

fn borrow(planes: &[Vec<f32>]) -> Vec<Plane<'_>> {
    planes
        .iter()
        .map(|plane| Plane::new(plane, SIZE).expect("a plane"))
        .collect()
}

#[test]
fn both_places_give_one_score() {
    msssim_emulated_libcuda::load().expect("the emulator");
    let (device, words) = Choice::Auto.resolve();
    assert_eq!(device, DeviceName::Cuda);
    assert_eq!(words.as_deref(), Some("computing on PTX emulator"));
    let [cpu, cuda] =
        [DeviceName::Cpu, device].map(|device| Scorer::new(device).expect("a device"));

    let (x, y) = (planes(1), planes(2));
    let (x, y) = (borrow(&x), borrow(&y));
    let params = Params::SNELL_2017;
    let [a, b] = [&cpu, &cuda].map(|place| place.score(&params, &x, &y).expect("a score"));
    assert!((a.value - b.value).abs() < 1e-6, "{} {}", a.value, b.value);
    for (a, b) in a.scales().iter().zip(b.scales()) {
        assert!((a.cs - b.cs).abs() < 1e-6);
        assert_eq!(a.ssim.is_some(), b.ssim.is_some());
    }
    let together = Params {
        channels: ChannelPooling::Means,
        scales: 2,
        ..params
    };
    let [a, b] = [&cpu, &cuda].map(|place| place.scores(&together, &x, &y, None).expect("scores"));
    assert_eq!((a.len(), b.len()), (1, 1), "one score of all channels");
    assert!((a[0].value - b[0].value).abs() < 1e-6);
    for place in [&cpu, &cuda] {
        let error = place.score(&params, &x, &y[..2]).unwrap_err();
        assert!(
            matches!(error, ScoreError::Metric(Error::ChannelMismatch { .. })),
            "{error}"
        );
        let error = place.score(&Params::WANG_2003, &x, &y).unwrap_err();
        assert!(
            matches!(error, ScoreError::Metric(Error::TooSmall { .. })),
            "{error}"
        );
    }

    let [a, b] = [&cpu, &cuda].map(|place| place.scores(&params, &x, &y, None).expect("scores"));
    assert_eq!((a.len(), b.len()), (3, 3));
    for (a, b) in a.iter().zip(&b) {
        assert!((a.value - b.value).abs() < 1e-6, "{} {}", a.value, b.value);
    }
    let white = vec![255.0; SIZE.area()];
    let mask = Plane::new(&white, SIZE).expect("a plane");
    let masked = cpu.scores(&params, &x, &y, Some(&mask)).expect("scores");
    for (a, b) in a.iter().zip(&masked) {
        assert!((a.value - b.value).abs() < 1e-6, "{} {}", a.value, b.value);
    }
    let left: Vec<f32> = (0..SIZE.area())
        .map(|at| if at % SIZE.width < 30 { 255.0 } else { 0.0 })
        .collect();
    let mask = Plane::new(&left, SIZE).expect("a plane");
    let [masked, on_device] =
        [&cpu, &cuda].map(|place| place.scores(&params, &x, &y, Some(&mask)).expect("scores"));
    for ((all, masked), on_device) in a.iter().zip(&masked).zip(&on_device) {
        let apart = (masked.value - on_device.value).abs();
        assert!(apart < 1e-6, "{} {}", masked.value, on_device.value);
        assert!((all.value - masked.value).abs() > 1e-6, "the region counts");
    }
}
