//! The metric on threads: the suite that every backend runs, and equality with the portable form.

use msssim_core::conformance::images::texture_pair;
use msssim_core::conformance::{self, Backend, Case, Output, Quantity, hostile};
use msssim_cpu::{
    Border, Error, Halving, Isa, Mask, MsSsim, Negative, Params, Plane, PlaneMut, Size, Weighting,
    Workspace,
};

/// What this machine has.
#[allow(clippy::print_stdout, reason = "what was not tested is said")]
fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| {
        let is_available = isa.is_available();
        if !is_available {
            println!("skipped: this machine has no {isa:?}");
        }
        is_available
    })
}

/// What the kernels make of a case.
fn on(case: &Case, isa: Isa) -> Result<Output, Error> {
    let metric = MsSsim::with_isa(case.size, case.reference.len(), &case.params, isa)?;
    let mut workspace = metric.workspace();
    let mut memory = vec![f32::NAN; metric.plan().mask_len()];
    let mask = mask_of(case, metric.plan(), &mut memory)?;
    differentiate(case, &metric, &mut workspace, mask, false)
}

/// The same on threads of its own, and again after other images, and the score alone.
fn on_threads(case: &Case, isa: Isa, threads: usize) -> Output {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let run = || -> Result<Output, Error> {
        let metric = MsSsim::with_isa(case.size, case.reference.len(), &case.params, isa)?;
        let mut workspace = metric.workspace();
        let mut memory = vec![f32::NAN; metric.plan().mask_len()];
        let mask = mask_of(case, metric.plan(), &mut memory)?;
        // What an earlier image left in the workspace must not matter.
        differentiate(case, &metric, &mut workspace, mask, true)?;
        let output = differentiate(case, &metric, &mut workspace, mask, false)?;
        let alone = case.run(|x, y, _| match &mask {
            None => metric.score(&mut workspace, x, y),
            Some(mask) => metric.score_region(&mut workspace, x, y, mask),
        })?;
        // In words, in which NaN equals NaN.
        let words = |score| format!("{score:?}");
        assert_eq!(
            words(alone.score),
            words(output.score),
            "{}: with and without gradient",
            case.name
        );
        Ok(output)
    };
    pool.install(run).unwrap()
}

fn mask_of<'m>(
    case: &Case,
    plan: &msssim_core::MsSsim,
    memory: &'m mut [f32],
) -> Result<Option<Mask<'m>>, Error> {
    match &case.mask {
        Some(mask) => Ok(Some(plan.mask(&Plane::new(mask, case.size)?, memory)?)),
        None => Ok(None),
    }
}

fn differentiate(
    case: &Case,
    metric: &MsSsim,
    workspace: &mut Workspace,
    mask: Option<Mask<'_>>,
    exchanged: bool,
) -> Result<Output, Error> {
    let weighting = Weighting {
        mask,
        ..Weighting::default()
    };
    case.run(|x, y, gradient| {
        let (x, y) = if exchanged { (y, x) } else { (x, y) };
        match mask {
            None => metric.score_and_gradient(workspace, x, y, gradient),
            Some(_) => metric.differentiate(workspace, x, y, &weighting, gradient),
        }
    })
}

fn portable(case: &Case) -> Output {
    hostile::portable(case, f32::NAN).unwrap()
}

/// Images that are large enough for several bands of rows, by every rule that the kernels know.
fn large_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for border in [Border::Valid, Border::Replicate, Border::Reflect] {
        for halving in [
            Halving::Symmetric,
            Halving::Zero,
            Halving::Floor,
            Halving::ReplicateFirst,
        ] {
            for (width, height) in [(401, 333), (212, 400)] {
                let size = Size { width, height };
                let params = Params {
                    halving,
                    scales: 3,
                    negative: Negative::Signed,
                    ..Params::WANG_2003.with_border(border)
                };
                let (x, y) = texture_pair(false, size);
                let plane = |samples: Vec<u8>| vec![samples.into_iter().map(f32::from).collect()];
                cases.push(Case {
                    name: "several bands",
                    params,
                    size,
                    reference: plane(x),
                    distorted: plane(y),
                    mask: None,
                });
            }
        }
    }
    cases
}

#[test]
fn bands_give_the_same_bits() {
    for case in large_cases() {
        let expected = portable(&case);
        let what = format!("{} of {}", case.name, case.size);
        for isa in isas() {
            let one = on_threads(&case, isa, 1);
            for threads in [2, 5] {
                let several = on_threads(&case, isa, threads);
                assert_eq!(
                    several.score, one.score,
                    "{what}, {isa:?}, {threads} threads"
                );
                assert!(
                    several.gradient == one.gradient,
                    "{what}, {isa:?}, {threads} threads"
                );
            }
            if !isa.is_fused() {
                assert_eq!(one.score, expected.score, "{what}, {:?}", case.params);
                assert!(
                    one.gradient == expected.gradient,
                    "{what}, {:?}",
                    case.params
                );
            }
        }
    }
}

#[test]
fn parity_of_any_bytes() {
    let unfused: Vec<Isa> = isas().filter(|isa| !isa.is_fused()).collect();
    let fused: Vec<Isa> = isas().filter(|isa| isa.is_fused()).collect();
    let generated = (0..1500).map(|seed| hostile::bytes(seed, 20 + seed as usize % 200));
    for data in generated.chain(hostile::corpus("parity")) {
        let on = |case: &Case, isa: Isa| {
            let metric = MsSsim::new(case.size, case.reference.len(), &case.params).ok()?;
            // The portable form says which masks are refused.
            if let Some(mask) = &case.mask {
                let mut memory = vec![f32::NAN; metric.plan().mask_len()];
                let plane = Plane::new(mask, case.size).ok()?;
                metric.plan().mask(&plane, &mut memory).ok()?;
            }
            Some(on_threads(case, isa, 2))
        };
        for isa in &unfused {
            hostile::parity(&data, |case| on(case, *isa));
        }
        let case = hostile::case(&data);
        let outputs: Vec<_> = fused.iter().filter_map(|isa| on(&case, *isa)).collect();
        for pair in outputs.windows(2) {
            assert_eq!(
                hostile::bits(&pair[0]),
                hostile::bits(&pair[1]),
                "{fused:?} of {case:?}"
            );
        }
        for output in &outputs {
            hostile::sound(&case, output);
        }
    }
}

#[test]
fn the_classes_agree_within_their_tolerance() {
    let bound = |quantity| conformance::between_classes(quantity).bound;
    let Some(isa) = isas().find(|isa| isa.is_fused()) else {
        return;
    };
    for case in conformance::cases() {
        let (plain, fused) = (portable(&case), on_threads(&case, isa, 1));
        let metric = MsSsim::new(case.size, case.reference.len(), &case.params).unwrap();
        let name = case.name;
        // Errors of single windows average out, unless there are few.
        let fewest = (0..case.params.scales).map(|scale| metric.plan().map_size(scale).area());
        let few = bound(Quantity::Window) / (fewest.min().unwrap() as f64).sqrt();
        let apart = (plain.score.value - fused.score.value).abs();
        assert!(
            apart <= bound(Quantity::Score) + few,
            "{name}: scores {apart:e} apart"
        );
        let planes = plain.gradient.iter().flatten();
        let largest = planes
            .clone()
            .fold(0.0f32, |largest, g| largest.max(g.abs()));
        let apart = planes
            .zip(fused.gradient.iter().flatten())
            .fold(0.0f32, |apart, (a, b)| apart.max((a - b).abs()));
        let allowed = (bound(Quantity::Gradient) + few) * f64::from(largest);
        assert!(
            f64::from(apart) <= allowed + conformance::gradient_floor(&case),
            "{name}: gradients {apart:e} apart, the largest {largest:e}"
        );
    }
}

#[test]
fn conformance_suite() {
    let isas: Vec<Isa> = isas().collect();
    let ran = conformance::run(Backend::Cpu, |case| {
        let outputs = isas.iter().map(|isa| on_threads(case, *isa, 2));
        outputs.collect::<Vec<_>>()
    });
    assert_eq!(ran, conformance::cases().len());
}

#[test]
fn every_machine_gives_these_bits() {
    for isa in isas() {
        let actual = conformance::digest(|case| on(case, isa).unwrap());
        let expected = match isa.is_fused() {
            true => conformance::FUSED,
            false => conformance::UNFUSED,
        };
        assert_eq!(actual, expected, "{isa:?}: {actual:#018x}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for case in conformance::cases() {
        let expected = portable(&case);
        let mut fused: Option<Output> = None;
        for isa in isas() {
            for threads in [1, 3] {
                let actual = on_threads(&case, isa, threads);
                let expected = match isa.is_fused() {
                    false => &expected,
                    true => fused.get_or_insert_with(|| actual.clone()),
                };
                let name = case.name;
                assert_eq!(
                    actual.score, expected.score,
                    "{name}, {isa:?}, {threads} threads"
                );
                assert!(
                    actual.gradient == expected.gradient,
                    "{name}, {isa:?}, {threads} threads"
                );
            }
        }
    }
}

#[test]
fn a_batch_is_its_images() {
    let cases = conformance::cases();
    for name in [
        "three channels",
        "a training patch of 33",
        "products pixel by pixel",
    ] {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let channels = case.reference.len();
        for isa in isas() {
            let metric = MsSsim::with_isa(case.size, channels, &case.params, isa).unwrap();
            let [x, y] = [&case.reference, &case.distorted].map(|planes| planes.concat());
            let expected = on_threads(case, isa, 1);
            // One image differs, the others are their own references; as many as leave a vector partly empty.
            for (images, distorted) in [(1, 0), (2, 1), (19, 17)] {
                let mut samples = vec![y.clone(); images];
                let other = samples.concat();
                samples[distorted] = x.clone();
                let mut workspace = metric.batch_workspace(images + 1);
                let mut gradient = vec![f32::NAN; other.len()];
                let mut scores = vec![f64::NAN; images];
                metric.score_and_gradient_batch(
                    &mut workspace,
                    &samples.concat(),
                    &other,
                    &mut gradient,
                    &mut scores,
                );
                for (image, gradient) in gradient.chunks_exact(x.len()).enumerate() {
                    let what = format!("{name}, {isa:?}, image {image} of {images}");
                    if image == distorted {
                        assert_eq!(scores[image], expected.score.value, "{what}");
                        assert!(gradient == expected.gradient.concat(), "{what}");
                    } else {
                        assert_eq!(scores[image], 1.0, "{what}");
                        assert!(gradient.iter().all(|&g| g == 0.0), "{what}");
                    }
                }
            }
        }
    }
}

/// Samples between 0 and 255 that are no pattern.
fn noise(seed: usize, len: usize) -> Vec<f32> {
    let at = |i: usize| ((i + seed) * 7919 % 65_537 * 31 % 1021) as f32 / 4.0;
    (0..len).map(at).collect()
}

/// Batches of every number of images that leaves vectors partly empty, of every border and halving.
#[test]
fn a_batch_of_any_number_is_its_images() {
    let small = |params: Params| (33, 35, params);
    for (width, height, params) in [
        small(Params::SNELL_2017),
        small(Params {
            halving: Halving::Zero,
            ..Params::SNELL_2017.with_border(Border::Reflect)
        }),
        small(Params {
            halving: Halving::ReplicateFirst,
            ..Params::SNELL_2017
        }),
        (176, 181, Params::WANG_2003),
    ] {
        let size = Size { width, height };
        let area = size.area();
        for isa in isas() {
            let metric = MsSsim::with_isa(size, 1, &params, isa).unwrap();
            for images in [3, 6, 9, 17, 35] {
                let (x, y) = (noise(1, images * area), noise(5, images * area));
                let mut workspace = metric.batch_workspace(images);
                let mut gradient = vec![f32::NAN; images * area];
                let mut scores = vec![f64::NAN; images];
                metric.score_and_gradient_batch(&mut workspace, &x, &y, &mut gradient, &mut scores);
                let mut workspace = metric.workspace();
                let mut alone = vec![f32::NAN; area];
                for (image, score) in scores.into_iter().enumerate() {
                    let at = image * area..(image + 1) * area;
                    let what = format!("{size}, {params:?}, {isa:?}, image {image} of {images}");
                    let planes = [&x, &y].map(|of| [Plane::new(&of[at.clone()], size).unwrap()]);
                    let target = PlaneMut::new(&mut alone, size).unwrap();
                    let expected = metric
                        .score_and_gradient(&mut workspace, &planes[0], &planes[1], &mut [target])
                        .unwrap();
                    assert_eq!(score, expected.value, "{what}");
                    assert!(gradient[at] == alone, "{what}");
                }
            }
        }
    }
}

/// Rows are read and written where they lie; what lies between and after them is none of theirs.
#[test]
fn what_lies_between_rows_is_left_alone() {
    for (width, height, params) in [
        (200, 178, Params::WANG_2003),
        (201, 179, Params::WANG_2003),
        (
            201,
            179,
            Params {
                halving: Halving::Floor,
                ..Params::WANG_2003
            },
        ),
    ] {
        let size = Size { width, height };
        let (x, y) = (noise(1, size.area()), noise(5, size.area()));
        for isa in isas() {
            let metric = MsSsim::with_isa(size, 1, &params, isa).unwrap();
            let mut workspace = metric.workspace();
            let mut packed = vec![f32::NAN; size.area()];
            let planes = [&x, &y].map(|of| [Plane::new(&of[..], size).unwrap()]);
            let target = PlaneMut::new(&mut packed, size).unwrap();
            let expected = metric
                .score_and_gradient(&mut workspace, &planes[0], &planes[1], &mut [target])
                .unwrap();
            for (gap, slack) in [(0, 500), (1, 0), (37, 0), (37, 500)] {
                let stride = width + gap;
                let loose = |samples: &[f32]| {
                    let mut loose = vec![f32::NAN; stride * height + slack];
                    for (to, from) in loose.chunks_mut(stride).zip(samples.chunks(width)) {
                        to[..width].copy_from_slice(from);
                    }
                    loose
                };
                let (x, y) = (loose(&x), loose(&y));
                let planes = [&x, &y].map(|of| [Plane::with_stride(of, size, stride).unwrap()]);
                let mut gradient = vec![f32::NAN; stride * height + slack];
                let target = PlaneMut::with_stride(&mut gradient, size, stride).unwrap();
                let score = metric
                    .score_and_gradient(&mut workspace, &planes[0], &planes[1], &mut [target])
                    .unwrap();
                let what = format!("{size}, {isa:?}, gaps of {gap} and {slack} more");
                assert_eq!(score.value, expected.value, "{what}");
                let same = gradient.iter().zip(loose(&packed));
                assert!(
                    same.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{what}"
                );
            }
        }
    }
}

/// However bytes are read, they are the numbers that they stand for.
#[test]
fn bytes_are_their_numbers() {
    for (width, height, gap) in [(200, 178, 0), (200, 178, 3), (203, 177, 0)] {
        let size = Size { width, height };
        let stride = width + gap;
        let bytes = |seed| {
            let noise = noise(seed, stride * height);
            noise.into_iter().map(|v| v as u8).collect::<Vec<u8>>()
        };
        let (x, y) = (bytes(1), bytes(5));
        let floats = |bytes: &[u8]| bytes.iter().map(|&v| f32::from(v)).collect::<Vec<f32>>();
        let (fx, fy) = (floats(&x), floats(&y));
        for isa in isas() {
            let metric = MsSsim::with_isa(size, 1, &Params::WANG_2003, isa).unwrap();
            let mut workspace = metric.workspace();
            let mut gradients = [vec![0.0; size.area()], vec![0.0; size.area()]];
            let [of_bytes, of_floats] = &mut gradients;
            let planes = [&x, &y].map(|of| [Plane::with_stride(of, size, stride).unwrap()]);
            let target = PlaneMut::new(of_bytes, size).unwrap();
            let score = metric
                .score_and_gradient(&mut workspace, &planes[0], &planes[1], &mut [target])
                .unwrap();
            let planes = [&fx, &fy].map(|of| [Plane::with_stride(of, size, stride).unwrap()]);
            let target = PlaneMut::new(of_floats, size).unwrap();
            let expected = metric
                .score_and_gradient(&mut workspace, &planes[0], &planes[1], &mut [target])
                .unwrap();
            let what = format!("{size}, {isa:?}, gaps of {gap}");
            assert_eq!(score.value, expected.value, "{what}");
            assert!(of_bytes == of_floats, "{what}");
        }
    }
}

#[test]
#[should_panic(expected = "made for another plan")]
fn a_foreign_workspace_is_refused() {
    let cases = conformance::cases();
    let metric = |case: &Case| MsSsim::new(case.size, 1, &case.params).unwrap();
    let mut workspace = metric(&cases[0]).workspace();
    let _ = cases[1].run(|x, y, _| metric(&cases[1]).score(&mut workspace, x, y));
}
