//! Every named convention against an independent program and against the implementation of that name.

use msssim_core::conformance::images::{waves, with_noise};
use msssim_core::reference::ms_ssim_of_channels;
use msssim_core::{ChannelPooling, MsSsim, Params, Plane, PlaneMut, Size};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    convention: String,
    seed: u64,
    height: usize,
    width: usize,
    channels: u64,
    amp: i64,
    exact: f64,
    peer: Option<f64>,
}

fn cases() -> Vec<Case> {
    let vectors: Vectors =
        serde_json::from_str(include_str!("golden/conventions.json")).expect("vectors");
    vectors.cases
}

impl Case {
    fn size(&self) -> Size {
        Size {
            width: self.width,
            height: self.height,
        }
    }

    fn images(&self) -> [Vec<Vec<u8>>; 2] {
        let seeds = || (0..self.channels).map(|c| self.seed + 10 * c);
        let x: Vec<Vec<u8>> = seeds().map(|seed| waves(seed, self.size())).collect();
        let y = seeds().zip(&x);
        let y = y.map(|(seed, x)| with_noise(seed, x, self.size(), self.amp));
        let y = y.collect();
        [x, y]
    }

    fn params(&self) -> Params {
        let named = Params::NAMED
            .iter()
            .find(|named| named.0 == self.convention);
        named.expect("a named convention").1
    }

    fn score(&self) -> f64 {
        let metric = MsSsim::new(self.size(), self.channels as usize, &self.params()).unwrap();
        let mut scratch = vec![f32::NAN; metric.scratch_len()];
        let [x, y] = self.images();
        let (x, y) = (planes(&x, self.size()), planes(&y, self.size()));
        metric.score(&x, &y, &mut scratch).unwrap().value
    }
}

fn planes(image: &[Vec<u8>], size: Size) -> Vec<Plane<'_, u8>> {
    let planes = image.iter().map(|plane| Plane::new(plane, size));
    planes.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_convention_has_vectors_of_odd_sizes_and_colours() {
    for (name, _) in Params::NAMED {
        let of_name = || {
            cases()
                .into_iter()
                .filter(move |case| case.convention == name)
        };
        assert!(
            of_name().any(|case| case.width % 2 == 1 && case.height % 2 == 1),
            "{name}"
        );
        assert!(of_name().any(|case| case.channels == 3), "{name}");
    }
}

/// The largest error of a score that the documentation states.
const SCORE_ERROR: f64 = 1e-7;

/// The same of a product of five terms in every pixel.
const PRODUCT_ERROR: f64 = 2.5e-7;

/// The same of a sample of the gradient, in largest samples of that gradient.
const GRADIENT_ERROR: f64 = 6e-6;

#[test]
fn scores_are_exact_to_seven_digits() {
    for case in cases() {
        let apart = (case.score() - case.exact).abs();
        let bound = match case.convention.as_str() {
            "zhao-2017" => PRODUCT_ERROR,
            _ => SCORE_ERROR,
        };
        assert!(
            apart < bound,
            "{} at {}: {} where {} is exact",
            case.convention,
            case.size(),
            case.score(),
            case.exact
        );
    }
}

/// The smallest case of each convention: the float64 reference is slow.
fn smallest_cases() -> impl Iterator<Item = Case> {
    Params::NAMED.into_iter().map(|(name, _)| {
        let of_name = cases().into_iter().filter(|case| case.convention == name);
        let smallest = of_name.min_by_key(|case| case.size().area() * case.channels as usize);
        smallest.expect("a case")
    })
}

#[test]
fn gradients_are_exact_to_five_digits() {
    let mut largest = 0.0f64;
    for case in smallest_cases() {
        let params = case.params();
        let [x, y] = case.images();
        let channels = ms_ssim_of_channels(&widen(&x), &widen(&y), None, case.size(), &params);
        let metric = MsSsim::new(case.size(), x.len(), &params).unwrap();
        let mut scratch = vec![f32::NAN; metric.gradient_scratch_len()];
        let mut samples = vec![f32::NAN; case.size().area() * x.len()];
        {
            let mut gradient: Vec<_> = samples
                .chunks_exact_mut(case.size().area())
                .map(|samples| PlaneMut::new(samples, case.size()).unwrap())
                .collect();
            metric
                .score_and_gradient(
                    &planes(&x, case.size()),
                    &planes(&y, case.size()),
                    &mut gradient,
                    &mut scratch,
                )
                .unwrap();
        }
        let share = match params.channels {
            ChannelPooling::Scores => x.len() as f64,
            ChannelPooling::Means => 1.0,
        };
        let exact: Vec<f64> = channels
            .iter()
            .flat_map(|channel| channel.gradient.iter().map(|g| g / share))
            .collect();
        let scale = exact.iter().fold(0.0f64, |scale, g| scale.max(g.abs()));
        for (actual, exact) in samples.iter().zip(&exact) {
            let apart = (f64::from(*actual) - exact).abs() / scale;
            largest = largest.max(apart);
            assert!(
                apart < GRADIENT_ERROR,
                "{}: {actual} where {exact} is exact, {apart:.1e} of the largest",
                case.convention
            );
        }
    }
    assert!(largest > GRADIENT_ERROR / 2.0, "{largest:.1e}: state less");
}

fn widen(image: &[Vec<u8>]) -> Vec<Vec<f64>> {
    let plane = |plane: &Vec<u8>| plane.iter().copied().map(f64::from).collect();
    image.iter().map(plane).collect()
}

#[test]
fn the_float64_reference_agrees_to_eleven_digits() {
    for case in smallest_cases() {
        let name = &case.convention;
        let [x, y] = case.images().map(|image| widen(&image));
        let channels = ms_ssim_of_channels(&x, &y, None, case.size(), &case.params());
        let values = channels.iter().map(|channel| channel.value);
        let value = values.sum::<f64>() / channels.len() as f64;
        assert!(
            (value - case.exact).abs() < 1e-11,
            "{name}: {value} {}",
            case.exact
        );
    }
}

#[test]
fn peers_agree_as_far_as_their_precision_goes() {
    let mut compared = 0;
    for case in cases() {
        let Some(peer) = case.peer else {
            continue;
        };
        // pytorch-msssim keeps its window and weights in float32 in a float64 computation: the taps' sum
        // is off by some 1e-8, and a variance that is small against the mean's square by far more of
        // itself. TensorFlow computes in float32 throughout, and takes variances as differences of large
        // numbers. The others compute in float64, but for weights in float32.
        // libvmaf's tables have six digits and sum to 1.000002, which is as much of a mean's square where a
        // variance is wanted; conventions.py shows that with those tables all printed digits agree.
        let tolerance = match case.convention.as_str() {
            "metrix" => 1e-4,
            "pytorch-msssim" | "tensorflow" => 3e-6,
            _ => 1e-6,
        };
        let apart = (case.score() - peer).abs();
        assert!(
            apart < tolerance,
            "{} at {}: {} where {peer} is the peer's",
            case.convention,
            case.size(),
            case.score()
        );
        compared += 1;
    }
    assert_eq!(compared, 25, "five peers, five pairs each");
}
