//! The evaluation protocol against the digits that the paper prints.

mod common;

use common::data;
use msssim_trainer::evaluation::{Channels, measure, prepare};
use msssim_trainer::picture::{Picture, list_images};
use msssim_trainer::quality::Quality;

/// Bicubic enlargement by 4: the paper's "Bicubic" column, and two more digits of an independent
/// program in NumPy.
#[test]
fn bicubic_gives_the_printed_digits() {
    for (set, psnr, ssim) in [
        ("Set5", 28.4365, 0.80973),
        ("Set14", 26.0121, 0.70183),
        ("BSD200", 25.9168, 0.69523),
    ] {
        let Some(folder) = data(set) else { continue };
        let images = list_images(&folder).unwrap();
        let measured: Vec<Quality> = images
            .iter()
            .map(|path| {
                let pair = prepare(&Picture::open(path).unwrap(), 4, Channels::Y).unwrap();
                measure(&pair.truth[0], &pair.bicubic[0], pair.size).unwrap()
            })
            .collect();
        let mean = Quality::mean(&measured).unwrap();
        assert!(
            (mean.psnr - psnr).abs() < 1e-4,
            "{set}: PSNR {}, not {psnr}",
            mean.psnr
        );
        assert!(
            (mean.ssim - ssim).abs() < 1e-5,
            "{set}: SSIM {}, not {ssim}",
            mean.ssim
        );
    }
}
