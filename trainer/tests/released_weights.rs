//! Dong et al.'s released SRCNN weights on Set5, enlarged four times, against MATLAB's figures.

mod common;

use common::data;
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::checkpoint::{Checkpoint, Provenance};
use msssim_trainer::evaluation::{Channels, measure, prepare};
use msssim_trainer::picture::{Picture, list_images};
use msssim_trainer::srcnn::{TILE, infer};

/// PSNR and SSIM of the images in the order of their names, by the paper's protocol: Dong et al.'s
/// released MATLAB weights in float64 NumPy.
const SET5: [(&str, f64, f64); 5] = [
    ("baby", 33.0755, 0.882543),
    ("bird", 32.6093, 0.910972),
    ("butterfly", 25.6078, 0.854078),
    ("head", 32.3635, 0.780400),
    ("woman", 28.9232, 0.882381),
];

#[test]
fn the_released_weights_give_the_published_figures() {
    let Some((weights, set)) = data("srcnn_released/x4.safetensors").zip(data("Set5")) else {
        return;
    };
    let checkpoint = Checkpoint::load(&weights).unwrap();
    assert_eq!(
        (checkpoint.factor, checkpoint.provenance),
        (None, Provenance::Unknown)
    );
    let images = list_images(&set).unwrap();
    assert_eq!(images.len(), SET5.len());
    for (path, (name, psnr, ssim)) in images.iter().zip(SET5) {
        assert!(path.to_string_lossy().contains(name), "{}", path.display());
        let pair = prepare(&Picture::open(path).unwrap(), 4, Channels::Y).unwrap();
        let parameters = &checkpoint.parameters;
        let restored = infer(&Cpu, parameters, pair.size, &pair.bicubic[0], TILE).unwrap();
        let quality = measure(&pair.truth[0], &restored, pair.size).unwrap();
        assert!((quality.psnr - psnr).abs() < 1e-3, "{name}: {quality:?}");
        assert!((quality.ssim - ssim).abs() < 1e-5, "{name}: {quality:?}");
    }
}
