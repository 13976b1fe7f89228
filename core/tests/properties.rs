//! What must hold of every pair of images: bounds, identity, symmetry, scratch, NaN, extremes.

use msssim_core::conformance::{self, Backend, Output, hostile};
use msssim_core::{
    Border, Error, Halving, MsSsim, Negative, Params, Plane, PlaneMut, Pooling, Score, Size, Terms,
};
use proptest::prelude::*;

fn compare(
    metric: &MsSsim,
    x: &[f32],
    y: &[f32],
    garbage: f32,
) -> Result<(Score, Vec<f32>), Error> {
    let size = metric.size();
    let mut scratch = vec![garbage; metric.gradient_scratch_len()];
    let mut gradient = vec![garbage; size.area()];
    let planes = [Plane::new(x, size)?, Plane::new(y, size)?];
    let mut out = [PlaneMut::new(&mut gradient, size)?];
    let score = metric.score_and_gradient(&planes[..1], &planes[1..], &mut out, &mut scratch)?;
    Ok((score, gradient))
}

#[test]
fn conformance_suite() {
    let ran = conformance::run(Backend::Core, |case| hostile::portable(case, f32::NAN));
    assert_eq!(ran, conformance::cases().len());
}

/// Another digest means that scores or gradients have changed, by an ulp or more. Where that is meant, the new digests
/// go into the constants.
#[test]
fn every_machine_gives_these_bits() {
    let digest = conformance::digest(|case| hostile::portable(case, f32::NAN).unwrap());
    assert_eq!(digest, conformance::UNFUSED, "{digest:#018x}");
}

fn params() -> impl Strategy<Value = Params> {
    let border = prop_oneof![
        Just(Border::Valid),
        Just(Border::Replicate),
        Just(Border::Reflect)
    ];
    let halving = prop_oneof![
        Just(Halving::Symmetric),
        Just(Halving::Zero),
        Just(Halving::Floor),
        Just(Halving::ReplicateFirst),
        Just(Halving::LowPass97),
        Just(Halving::Keep)
    ];
    let negative = prop_oneof![
        Just(Negative::Zero),
        Just(Negative::ZeroMap),
        Just(Negative::Signed),
        Just(Negative::Magnitude),
        Just(Negative::Shifted),
        Just(Negative::LowerBound(0.1))
    ];
    let ones = any::<bool>();
    (border, halving, negative, 1usize..=3, ones, 0..4).prop_map(
        |(border, halving, negative, scales, ones, pooled)| {
            let per_pixel = pooled == 0 && border != Border::Valid;
            // A power of a single term is as steep as its exponent makes it, and cut off at 0 where
            // negative ones count as 0: no tolerance holds there for any image.
            let weights = if ones || per_pixel {
                Params::SNELL_2017.weights
            } else {
                Params::WANG_2003.weights
            };
            let (pooling, negative) = if per_pixel {
                (Pooling::PixelProduct, Negative::Signed)
            } else {
                (Pooling::Means, negative)
            };
            let terms = match pooled {
                1 => Terms::Apart {
                    alpha: weights,
                    gamma: weights,
                },
                _ => Terms::ContrastStructure,
            };
            let keeps = halving == Halving::Keep;
            Params {
                pooling,
                weights,
                scales,
                halving,
                negative,
                terms,
                data_range: 1.0,
                sigma_growth: if keeps { 1.5 } else { 1.0 },
                ..Params::WANG_2003.with_border(border)
            }
        },
    )
}

/// Parameters, a size they allow, and two planes of ordinary or extreme samples.
fn pairs(sample: BoxedStrategy<f32>) -> impl Strategy<Value = (Params, Size, Vec<f32>, Vec<f32>)> {
    (params(), 0usize..9, 0usize..9).prop_flat_map(move |(params, more_width, more_height)| {
        let side = params.smallest_side();
        let size = Size {
            width: side + more_width,
            height: side + more_height,
        };
        let plane = || proptest::collection::vec(sample.clone(), size.area());
        (Just(params), Just(size), plane(), plane())
    })
}

fn ordinary() -> BoxedStrategy<f32> {
    (0u8..=255).prop_map(|v| f32::from(v) / 255.0).boxed()
}

fn extreme() -> BoxedStrategy<f32> {
    let finite = any::<f32>().prop_filter("finite", |v| v.is_finite());
    prop_oneof![
        ordinary(),
        finite,
        Just(f32::MAX),
        Just(f32::MIN),
        Just(0.0)
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn agrees_with_the_reference((params, size, x, y) in pairs(ordinary())) {
        // Alike enough for means well above 0, where the powers have no bounded slope.
        let y: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 0.8 * x + 0.2 * y).collect();
        let metric = MsSsim::new(size, 1, &params)?;
        let (score, gradient) = compare(&metric, &x, &y, f32::NAN)?;
        let case = conformance::Case {
            name: "a random pair", params, size, reference: vec![x], distorted: vec![y],
            mask: None,
        };
        conformance::check(Backend::Core, &case, &Output { score, gradient: vec![gradient] });
    }

    #[test]
    fn finite_input_gives_finite_output((params, size, x, y) in pairs(extreme())) {
        let metric = MsSsim::new(size, 1, &params)?;
        let (score, gradient) = compare(&metric, &x, &y, f32::INFINITY)?;
        prop_assert!(score.value.is_finite() && score.value <= 1.0, "{score:?}");
        prop_assert!(gradient.iter().all(|g| g.is_finite()));
        let (same, zero) = compare(&metric, &x, &x, 7.0)?;
        prop_assert_eq!(same.value, 1.0);
        prop_assert!(zero.iter().all(|&g| g == 0.0));
    }

    #[test]
    fn symmetric_and_blind_to_scratch((params, size, x, y) in pairs(ordinary())) {
        let metric = MsSsim::new(size, 1, &params)?;
        let (score, gradient) = compare(&metric, &x, &y, f32::NAN)?;
        let again = compare(&metric, &x, &y, 1e30)?;
        prop_assert_eq!((score, &gradient), (again.0, &again.1));
        prop_assert_eq!(score, compare(&metric, &y, &x, 0.0)?.0);
    }

    #[test]
    fn a_nan_is_never_hidden((params, size, mut x, y) in pairs(ordinary()), at in any::<prop::sample::Index>()) {
        let metric = MsSsim::new(size, 1, &params)?;
        let dropped = params.halving == Halving::Floor && params.scales > 1;
        let at = at.index(x.len());
        x[at] = f32::NAN;
        let (score, gradient) = compare(&metric, &x, &y, 0.0)?;
        prop_assert!(score.value.is_nan() || dropped, "{score:?}");
        prop_assert!(gradient.iter().all(|g| g.is_nan()) || dropped);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn where_samples_lie_and_of_what_type_does_not_matter(
        (params, size, x, y) in pairs(ordinary()), step in 1usize..4, gap in 0usize..5, u16s in any::<bool>(),
    ) {
        let params = Params { data_range: 255.0, ..params };
        let metric = MsSsim::new(size, 1, &params)?;
        let mut scratch = vec![f32::NAN; metric.scratch_len()];
        let score = |x: &[Plane<'_, u8>], y: &[f64], scratch: &mut [f32]| {
            metric.score(x, &[Plane::new(y, size)?], scratch)
        };
        let bytes: Vec<u8> = x.iter().map(|v| (v * 255.0).round() as u8).collect();
        let exact: Vec<f64> = y.iter().map(|v| f64::from((v * 255.0).round())).collect();
        let expected = score(&[Plane::new(&bytes, size)?], &exact, &mut scratch)?;
        // The same among others: samples apart, rows apart.
        let stride = size.width * step + gap;
        let spread = |planted: &[u8]| -> Vec<u8> {
            let mut all = vec![0xA5; stride * size.height];
            for (at, v) in planted.iter().enumerate() {
                all[at / size.width * stride + at % size.width * step] = *v;
            }
            all
        };
        let samples = spread(&bytes);
        let plane = Plane::with_steps(&samples, size, stride, step)?;
        prop_assert_eq!(score(&[plane], &exact, &mut scratch)?, expected);
        if u16s {
            let wide: Vec<u16> = samples.iter().copied().map(u16::from).collect();
            let plane = Plane::with_steps(&wide, size, stride, step)?;
            let floats: Vec<f32> = exact.iter().map(|v| *v as f32).collect();
            let again = metric.score(&[plane], &[Plane::new(&floats, size)?], &mut scratch)?;
            prop_assert_eq!(again, expected);
        }
    }
}

#[test]
fn images_that_do_not_fit_are_refused_by_name() {
    let size = Size {
        width: 12,
        height: 12,
    };
    let metric = MsSsim::new(size, 1, &Params::SNELL_2017).unwrap();
    let samples = [0.0f32; 200];
    let other = Size {
        width: 12,
        height: 13,
    };
    let (fits, differs) = (
        Plane::new(&samples, size).unwrap(),
        Plane::new(&samples, other).unwrap(),
    );
    let mut scratch = vec![0.0; metric.scratch_len()];
    assert_eq!(
        metric.score(&[fits], &[differs], &mut scratch),
        Err(Error::SizeMismatch {
            expected: size,
            actual: other
        })
    );
    assert_eq!(
        metric.score(&[fits, fits], &[fits], &mut scratch),
        Err(Error::ChannelMismatch {
            expected: 1,
            actual: 2
        })
    );
    let small = MsSsim::new(
        Size {
            width: 160,
            height: 400,
        },
        1,
        &Params::WANG_2003,
    );
    let message = small.unwrap_err().to_string();
    assert!(
        message.contains("160 x 400") && message.contains("at least 161"),
        "{message}"
    );
}

#[test]
#[should_panic(expected = "scratch holds 3 samples where")]
fn short_scratch_panics_with_both_numbers() {
    let size = Size {
        width: 12,
        height: 12,
    };
    let metric = MsSsim::new(size, 1, &Params::SNELL_2017).unwrap();
    let samples = [0.0f32; 144];
    let plane = [Plane::new(&samples, size).unwrap()];
    let _ = metric.score(&plane, &plane, &mut [0.0; 3]);
}
