//! Metrics and images from any bytes, and what must hold of them: the bodies of the fuzz targets, which the
//! tests run too.

use std::path::Path;
use std::vec;
use std::vec::Vec;
use std::{fs, io};

use super::{Case, Output};
use crate::metric::{MsSsim, Weighting};
use crate::params::{
    Border, ChannelPooling, Halving, MAX_SCALES, Negative, Params, Pooling, Terms,
};
use crate::plane::{Plane, Size};
use crate::score::Score;
use crate::stream::Stream;

/// Takes bytes from the front; 0 once there are none.
struct Bytes<'d>(&'d [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end
    }

    fn f32(&mut self) -> f32 {
        f32::from_le_bytes([self.next(), self.next(), self.next(), self.next()])
    }
}

/// Parameters, legal or not, and images of any samples whatever, of up to 40 rows and columns.
///
/// Sizes are those asked for, not those allowed.
pub fn case(data: &[u8]) -> Case {
    let mut bytes = Bytes(data);
    let named = Params::NAMED[bytes.below(Params::NAMED.len())].1;
    let borders = [Border::Valid, Border::Replicate, Border::Reflect];
    let halvings = [
        Halving::Symmetric,
        Halving::Zero,
        Halving::Floor,
        Halving::ReplicateFirst,
        Halving::LowPass97,
        Halving::Keep,
    ];
    let negatives = [
        Negative::Zero,
        Negative::ZeroMap,
        Negative::Signed,
        Negative::Magnitude,
        Negative::Shifted,
        Negative::LowerBound(0.01),
    ];
    let mut params = named;
    // Small images need fewer scales than most conventions have.
    params.scales = bytes.below(MAX_SCALES + 2);
    match bytes.below(4) {
        0 => {}
        1 => params = params.with_border(borders[bytes.below(3)]),
        2 => params.halving = halvings[bytes.below(6)],
        _ => {
            params = params.with_border(borders[bytes.below(3)]);
            params.halving = halvings[bytes.below(6)];
            params.negative = negatives[bytes.below(6)];
            params.radius = bytes.below(8);
            if bytes.next() % 2 == 0 {
                params.pooling = Pooling::PixelProduct;
            }
            if bytes.next() % 2 == 0 {
                params.channels = ChannelPooling::Means;
            }
            if bytes.next() % 2 == 0 {
                let (alpha, gamma) = (f64::from(bytes.next()) / 100.0, f64::from(bytes.f32()));
                params.terms = Terms::Apart {
                    alpha: [alpha; MAX_SCALES],
                    gamma: [gamma; MAX_SCALES],
                };
            }
            if bytes.next() % 4 == 0 {
                params.sigma = f64::from(bytes.f32());
            }
        }
    }
    params.data_range = [1.0, 255.0, 65535.0, 1e-20, 1e20][bytes.below(5)];
    let size = Size {
        width: bytes.below(41),
        height: bytes.below(41),
    };
    let channels = 1 + bytes.below(3);
    let style = bytes.below(4);
    let masked = bytes.next() % 4 == 0;
    // Samples follow from a few bytes each, repeated over the image.
    let pattern: Vec<u8> = bytes.0.to_vec();
    let sample = |at: usize| {
        let byte = |k: usize| match pattern.len() {
            0 => at as u8,
            len => pattern[(at * 4 + k) % len],
        };
        let any = f32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]);
        match style {
            // Any bits: NaN, infinities, subnormals.
            0 => any,
            // Finite, of any size.
            1 if !any.is_finite() => f32::MAX.copysign(any),
            1 => any,
            _ => f32::from(byte(0)) / 255.0 * params.data_range as f32,
        }
    };
    let plane = |first: usize| (0..size.area()).map(|at| sample(first + at)).collect();
    let planes = |first: usize| {
        (0..channels)
            .map(|channel| plane(first + channel * 977))
            .collect()
    };
    let weight = |at: usize| {
        if at % 5 < 2 {
            0.0
        } else {
            (at % 7) as f32 / 6.0
        }
    };
    Case {
        name: "any bytes",
        params,
        size,
        reference: planes(0),
        distorted: planes(if style == 3 { 0 } else { 4099 }),
        mask: masked.then(|| (0..size.area()).map(weight).collect()),
    }
}

/// What the portable form makes of a case; `None` where the plan, the images or the mask are refused.
pub fn portable(case: &Case, garbage: f32) -> Option<Output> {
    let metric = MsSsim::new(case.size, case.reference.len(), &case.params).ok()?;
    let mut memory = vec![garbage; metric.mask_len()];
    let mask = match &case.mask {
        Some(mask) => {
            let plane = Plane::new(mask, case.size).ok()?;
            Some(metric.mask(&plane, &mut memory).ok()?)
        }
        None => None,
    };
    let weighting = Weighting {
        mask,
        ..Weighting::default()
    };
    let mut scratch = vec![garbage; metric.gradient_scratch_len()];
    case.run(|x, y, gradient| metric.differentiate(x, y, &weighting, gradient, &mut scratch))
        .ok()
}

/// A score is at most 1 and finite where samples are finite, symmetric, blind to scratch, and 1 of equal
/// images.
///
/// # Panics
/// If it is not.
pub fn score(data: &[u8]) {
    let case = case(data);
    let Ok(metric) = MsSsim::new(case.size, case.reference.len(), &case.params) else {
        return;
    };
    let mut scratch = vec![f32::NAN; metric.scratch_len()];
    let mut score = |x: &[Vec<f32>], y: &[Vec<f32>]| -> Option<Score> {
        let (x, y) = (planes(x, case.size)?, planes(y, case.size)?);
        let score = metric.score(&x, &y, &mut scratch).ok();
        scratch.fill(f32::INFINITY);
        score
    };
    let Some(value) = score(&case.reference, &case.distorted).map(|score| score.value) else {
        return;
    };
    assert!(value <= 1.0 || value.is_nan(), "{value} of {case:?}");
    let exchanged = score(&case.distorted, &case.reference).map(|score| score.value);
    assert!(
        exchanged.is_some_and(|other| other == value || (other.is_nan() && value.is_nan())),
        "{value}, exchanged {exchanged:?}, of {case:?}"
    );
    if is_finite(&case) {
        assert!(value.is_finite(), "{value} of {case:?}");
        let same = score(&case.reference, &case.reference).map(|score| score.value);
        assert!(same == Some(1.0), "{same:?} of equal images in {case:?}");
    }
}

/// A gradient is finite where samples are finite, its score is the score, and both are blind to scratch.
///
/// # Panics
/// If it is not.
pub fn gradient(data: &[u8]) {
    let case = case(data);
    let (Some(first), Some(second)) = (portable(&case, f32::NAN), portable(&case, 1e30)) else {
        return;
    };
    assert!(bits(&first) == bits(&second), "scratch shows in {case:?}");
    if is_finite(&case) {
        let finite = first.gradient.iter().flatten().all(|g| g.is_finite());
        assert!(
            finite && first.score.value.is_finite(),
            "{first:?} of {case:?}"
        );
    }
}

/// Rows as they arrive give the score of the whole image, bit for bit.
///
/// # Panics
/// If they do not.
pub fn stream(data: &[u8]) {
    let case = Case {
        mask: None,
        ..case(data)
    };
    let Ok(mut stream) = Stream::new(case.size, &case.params) else {
        return;
    };
    let mut scratch = vec![f32::NAN; stream.scratch_len()];
    let rows = |plane: &'_ Vec<f32>| -> Vec<Vec<f32>> {
        plane
            .chunks_exact(case.size.width)
            .map(<[f32]>::to_vec)
            .collect()
    };
    let (x, y) = (rows(&case.reference[0]), rows(&case.distorted[0]));
    for (x, y) in x.iter().zip(&y) {
        assert!(stream.score().is_err(), "a score before the last row");
        let pushed = stream.push(x, y, &mut scratch);
        assert!(pushed.is_ok(), "{pushed:?} in {case:?}");
    }
    let metric = MsSsim::new(case.size, 1, &case.params);
    let (Ok(metric), Ok(streamed)) = (metric, stream.score()) else {
        panic!("no score after the last row of {case:?}");
    };
    let mut scratch = vec![f32::NAN; metric.scratch_len()];
    let planes = [&case.reference[0], &case.distorted[0]].map(|p| Plane::new(p, case.size));
    let [Ok(x), Ok(y)] = planes else {
        panic!("planes of another size in {case:?}");
    };
    let whole = metric.score(&[x], &[y], &mut scratch);
    assert!(
        whole.is_ok_and(|whole| score_bits(&whole) == score_bits(&streamed)),
        "{whole:?} of the whole, {streamed:?} of rows, of {case:?}"
    );
    assert!(
        stream
            .push(&x_row(&case), &x_row(&case), &mut scratch)
            .is_err()
    );
}

/// A backend gives the portable form's bits: `other` computes what it makes of a case, with its gradient.
///
/// # Panics
/// If it does not.
pub fn parity(data: &[u8], other: impl FnOnce(&Case) -> Option<Output>) {
    let case = case(data);
    let (expected, actual) = (portable(&case, f32::NAN), other(&case));
    assert!(
        expected.as_ref().map(bits) == actual.as_ref().map(bits),
        "{expected:?} of the portable form, {actual:?} of the other, of {case:?}"
    );
}

/// The bits of a score and its gradient, the same for every NaN: which it is depends on the order of operands, and
/// that the compiler may choose.
pub fn bits(output: &Output) -> (u64, Vec<u32>) {
    let samples = output.gradient.iter().flatten();
    let gradient = samples.map(|g| if g.is_nan() { !0 } else { g.to_bits() });
    (score_bits(&output.score), gradient.collect())
}

fn score_bits(score: &Score) -> u64 {
    if score.value.is_nan() {
        !0
    } else {
        score.value.to_bits()
    }
}

/// Of any images, a score is at most 1, and finite where samples are finite, as the gradient is.
///
/// # Panics
/// If it is not.
pub fn sound(case: &Case, output: &Output) {
    let value = output.score.value;
    assert!(value <= 1.0 || value.is_nan(), "{value} of {case:?}");
    if is_finite(case) {
        let finite = output.gradient.iter().flatten().all(|g| g.is_finite());
        assert!(finite && value.is_finite(), "{output:?} of {case:?}");
    }
}

fn planes(all: &[Vec<f32>], size: Size) -> Option<Vec<Plane<'_>>> {
    all.iter()
        .map(|samples| Plane::new(samples, size).ok())
        .collect()
}

fn x_row(case: &Case) -> Vec<f32> {
    vec![0.0; case.size.width]
}

fn is_finite(case: &Case) -> bool {
    let samples = case.reference.iter().chain(&case.distorted).flatten();
    samples.clone().all(|v| !v.is_nan())
}

/// Bytes of every kind for tests: each `seed` gives others.
pub fn bytes(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The inputs that a fuzzer has kept for a target; none outside this repository.
///
/// # Panics
/// If the repository has no corpus of that name, or a file of it cannot be read.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let fuzz = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"));
    if !fuzz.exists() {
        return Vec::new();
    }
    let read = || -> io::Result<Vec<Vec<u8>>> {
        let files = fs::read_dir(fuzz.join("corpus").join(target))?;
        files.map(|file| fs::read(file?.path())).collect()
    };
    match read() {
        Ok(inputs) => inputs,
        Err(error) => panic!("the corpus of {target}: {error}"),
    }
}
