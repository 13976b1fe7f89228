//! Trained networks on a CUDA device, the emulated one: what they make is what they make on the CPU.

use msssim_cpu::Size;
use msssim_cuda::network::Precision;
use msssim_trainer::autoencoder::{Model, Shape, decode, features, reconstruct};
use msssim_trainer::backend::cpu::Cpu;
use msssim_trainer::backend::cuda::Cuda;
use msssim_trainer::dead_leaves::dead_leaves;
use msssim_trainer::srcnn::{Initialisation, infer};
use msssim_trainer::super_resolution::{TestSet, measure_set, show, upscale};

fn cuda() -> Cuda {
    msssim_emulated_libcuda::load().expect("the emulator");
    Cuda::new(Precision::F32).expect("a device")
}

/// Numbers of about 1, summed in another order.
#[track_caller]
fn check_alike(expected: &[f32], actual: &[f32]) {
    assert_eq!(expected.len(), actual.len());
    let apart = expected.iter().zip(actual).map(|(a, b)| (a - b).abs());
    let apart = apart.fold(0.0, f32::max);
    assert!(apart <= 1e-5, "{apart} apart");
    let first = expected[0];
    assert!(expected.iter().any(|v| *v != first), "nothing was computed");
}

/// In several tiles, of which the last batch is not full.
#[test]
fn super_resolution_in_tiles() {
    let size = Size {
        width: 31,
        height: 22,
    };
    let image: Vec<f32> = (0..size.area())
        .map(|i| (i * 7919 % 1009) as f32 / 1008.0)
        .collect();
    let parameters = Initialisation::PassThrough.parameters(1, 4);
    let expected = infer(&Cpu, &parameters, size, &image, 8).expect("an image");
    let actual = infer(&cuda(), &parameters, size, &image, 8).expect("an image");
    check_alike(&expected, &actual);
}

/// Levels are rounded to 8 bits before they are measured, so that a sample in a hundred may be one level off.
#[test]
fn qualities_and_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = dead_leaves(3, 0, 24, 24);
    image
        .save_png(&folder.path().join("0.png"))
        .expect("a file");
    let set = TestSet::Folder(folder.path().to_owned());
    let parameters = Initialisation::PassThrough.parameters(1, 4);
    let cuda = cuda();
    let here = measure_set(&Cpu, &[&parameters], &set, 4, |_, _| {}).expect("qualities");
    let there = measure_set(&cuda, &[&parameters], &set, 4, |_, _| {}).expect("qualities");
    assert_eq!(here.bicubic, there.bicubic);
    let apart = here.networks[0].psnr - there.networks[0].psnr;
    assert!(apart.abs() < 0.02, "{apart} dB apart");
    assert_ne!(there.networks[0], there.bicubic);

    let shown = show(&cuda, &[&parameters], &set, 0, 4).expect("an image");
    assert_eq!(shown.restored[1].1, there.networks[0]);
    let small = dead_leaves(3, 1, 6, 5);
    let here = upscale(&Cpu, &parameters, &small, 4).expect("an image");
    let there = upscale(&cuda, &parameters, &small, 4).expect("an image");
    for (here, there) in here.planes.iter().zip(&there.planes) {
        let levels = |plane: &[f32]| plane.iter().map(|v| v / 255.0).collect::<Vec<f32>>();
        check_alike(&levels(here), &levels(there));
    }
}

/// More images than go through at a time.
#[test]
fn autoencoders() {
    let cuda = cuda();
    for model in [Model::Conv, Model::Fc, Model::ElVae] {
        let shape = Shape {
            model,
            channels: 1,
            side: 8,
            width: 2,
            bottleneck: 3,
        };
        let parameters = shape.initial(5);
        let images: Vec<f32> = (0..33 * 64)
            .map(|i| (i * 7919 % 1009) as f32 / 1008.0)
            .collect();
        let expected = reconstruct(&Cpu, shape, &parameters, &images).expect("images");
        let actual = reconstruct(&cuda, shape, &parameters, &images).expect("images");
        check_alike(&expected, &actual);
        let codes = features(&Cpu, shape, &parameters, &images).expect("codes");
        let actual = features(&cuda, shape, &parameters, &images).expect("codes");
        check_alike(&codes, &actual);
        let expected = decode(&Cpu, shape, &parameters, &codes).expect("images");
        let actual = decode(&cuda, shape, &parameters, &codes).expect("images");
        check_alike(&expected, &actual);
    }
}
