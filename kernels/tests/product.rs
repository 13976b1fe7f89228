//! The kernels of the product pixel by pixel, each region of memory an allocation of its own, so that a
//! step beyond one is found. That their numbers are right is shown where they are launched, in
//! `msssim-cuda`, against the float64 reference.

#[allow(dead_code, reason = "the other tests use the rest of it")]
mod common;

use common::{Case, metric};
use msssim_kernels::{COMBINE, FINISH, Halving, Image, PRODUCT, Pass, Plan, TERMS, WEIGHTED};
use msssim_ptx_emulator::{Argument, Device, Fault, LaunchError, Module, Shape};

/// Scores and differentiates one `f32` pair; `product` is the text of `product.ptx`.
fn run(product: &str, case: &Case, x: &[f32], y: &[f32]) -> Result<(f64, Vec<f32>), LaunchError> {
    let (height, width) = (case.height, case.width);
    let plan = Plan::new(&case.metric, Pass::Gradient, 1, 1, height, width).expect("a plan");
    let (layout, scales) = (plan.layout, plan.scales.len());
    let mut device = Device::new();
    let [terms, weighted, product, combine, finish] = [TERMS, WEIGHTED, product, COMBINE, FINISH]
        .map(|text| device.load(Module::parse(text).unwrap_or_else(|e| panic!("{e}"))));

    let levels = layout.levels.map(|r| device.allocate(r.bytes));
    let maps = layout.terms.map(|r| device.allocate(r.bytes));
    let mut sums = layout.sums.map(|r| device.allocate(r.bytes));
    // The finest has none.
    sums[0] = 0;
    let own_gradients = device.allocate(layout.gradients.bytes);
    let partials = device.allocate(layout.partials.bytes);
    let means = device.allocate(layout.means.bytes);
    let scores = device.allocate(layout.scores.bytes);
    let factors = device.allocate(layout.factors.bytes);
    let result = device.allocate(4 * y.len());
    let upload = |device: &mut Device, samples: &[f32]| {
        let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
        Argument(
            Image::planar(device.upload(&bytes), 1, height, width)
                .to_bytes()
                .to_vec(),
        )
    };
    let (x, y) = (upload(&mut device, x), upload(&mut device, y));
    let out = Argument(Image::planar(result, 1, height, width).to_bytes().to_vec());

    for (j, of_scale) in plan.scales.iter().enumerate() {
        let next = if j + 1 < scales { levels[j + 1] } else { 0 };
        let parameter = Argument(of_scale.scale.to_bytes().to_vec());
        let first = partials + 16 * plan.combine.first[j] as u64;
        let results = [parameter, next.into(), first.into(), maps[j].into()];
        let (name, images) = match j {
            0 => ("terms_f32", vec![x.clone(), y.clone()]),
            _ => ("terms_level", vec![levels[j].into()]),
        };
        let arguments = [images, results.to_vec()].concat();
        let shape = Shape::new(of_scale.grid, [of_scale.block, 1, 1]);
        device.launch(&terms, name, shape, &arguments)?;
    }
    let block = |grid| Shape::new(grid, [256, 1, 1]);
    let arguments = [
        Argument(plan.combine.to_bytes().to_vec()),
        partials.into(),
        means.into(),
        scores.into(),
        0u64.into(),
        0u64.into(),
        0i32.into(),
    ];
    device.launch(&combine, "combine", block([1, 1, 1]), &arguments)?;
    let parameter = |j: usize| Argument(plan.products[j].parameter.to_bytes().to_vec());
    for j in 0..scales - 1 {
        let arguments = [
            parameter(j),
            maps[j].into(),
            sums[j].into(),
            sums[j + 1].into(),
        ];
        device.launch(
            &product,
            "rise",
            block(plan.products[j].next_grid),
            &arguments,
        )?;
    }
    let last = scales - 1;
    let double = |v: f64| Argument(v.to_le_bytes().to_vec());
    let arguments = [
        parameter(last),
        plan.combine.channels.into(),
        plan.combine.scales.into(),
        double(plan.combine.windows[0]),
        double(plan.combine.data_range),
        maps[last].into(),
        sums[last].into(),
        scores.into(),
        factors.into(),
        0u64.into(),
        0i32.into(),
    ];
    device.launch(&product, "total", block([1, 1, 1]), &arguments)?;
    for j in (0..scales).rev() {
        let coarser = if j < last { sums[j + 1] } else { 0 };
        let arguments = [parameter(j), maps[j].into(), sums[j].into(), coarser.into()];
        device.launch(
            &product,
            "descend",
            block(plan.products[j].grid),
            &arguments,
        )?;
    }
    for (j, of_scale) in plan.products.iter().map(|p| &p.weighted).enumerate() {
        let scale = Argument(of_scale.scale.to_bytes().to_vec());
        let own = own_gradients + 4 * plan.finish.first[j] as u64;
        let (name, arguments) = match j {
            0 => (
                "weighted_f32",
                vec![x.clone(), y.clone(), scale, maps[j].into(), out.clone()],
            ),
            _ => (
                "weighted_level",
                vec![levels[j].into(), scale, maps[j].into(), own.into()],
            ),
        };
        let shape = Shape::new(of_scale.grid, [of_scale.block, 1, 1]);
        device.launch(&weighted, name, shape, &arguments)?;
    }
    let finishing = Argument(plan.finish.to_bytes().to_vec());
    let arguments = [finishing, own_gradients.into(), factors.into(), out];
    device.launch(&finish, "finish", block(plan.finish_grid), &arguments)?;

    let score = device.read(scores, 8).expect("the score");
    let gradient = device
        .read(result, 4 * case.height * case.width)
        .expect("the gradient");
    Ok((
        f64::from_le_bytes(score.try_into().expect("eight bytes")),
        gradient
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
            .collect(),
    ))
}

fn case(halving: Halving, height: usize, width: usize) -> Case {
    let mut metric = metric(4, false, halving);
    metric.per_pixel = true;
    Case::new(metric, height, width)
}

#[test]
fn every_size_stays_within_its_memory() {
    for halving in [Halving::Symmetric, Halving::Zero, Halving::Floor] {
        for (height, width) in [(33, 47), (40, 32), (15, 63), (8, 300)] {
            let case = case(halving, height, width);
            let (x, y) = case.pair();
            let (score, gradient) = run(PRODUCT, &case, &x, &y).unwrap_or_else(|e| panic!("{e}"));
            assert!(score > 0.0 && score < 1.0, "{score}");
            assert!(gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|g| *g != 0.0));
            let (score, gradient) = run(PRODUCT, &case, &x, &x).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(score, 1.0);
            assert!(gradient.iter().all(|g| *g == 0.0));
        }
    }
}

#[test]
fn a_parent_that_is_not_there_is_found() {
    // Where sides are rounded down, the last place of an odd side has no parent of its own.
    let case = case(Halving::Floor, 31, 31);
    let (x, y) = case.pair();
    let start = PRODUCT.find(".entry descend(").expect("the kernel");
    let clamps: Vec<&str> = PRODUCT[start..]
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("min.s32"))
        .collect();
    assert_eq!(clamps.len(), 2);
    for clamp in clamps {
        let operands: Vec<&str> = clamp.trim_start_matches("min.s32").split(',').collect();
        let unclamped = format!("mov.u32 {}, {};", operands[0].trim(), operands[1].trim());
        let text = format!(
            "{}{}",
            &PRODUCT[..start],
            PRODUCT[start..].replacen(clamp, &unclamped, 1)
        );
        match run(&text, &case, &x, &y) {
            Err(LaunchError::Finding(found)) => {
                assert_eq!(found.kernel, "descend");
                assert!(matches!(found.fault, Fault::OutOfBounds { .. }), "{found}");
            }
            // A column too far is the next row's first: only the numbers tell.
            other => {
                let (right, wrong) = (run(PRODUCT, &case, &x, &y), other);
                assert_ne!(right.expect("a run"), wrong.expect("a run"));
            }
        }
    }
}
