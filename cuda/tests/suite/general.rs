//! Every convention by the general kernels: any switch, mask, type and order of samples, and group of images,
//! against the float64 reference.

use cudarc::driver::DeviceRepr;
use msssim_core::conformance::{self, Backend, Case, Output};
use msssim_core::{Border, ChannelPooling, Halving, MAX_SCALES, Negative, Terms};
use msssim_cuda::{
    Layout, MsSsim, Params, Pass, Plane, Pooling, Size, Weighting, bf16, cudarc, f16,
};
use proptest::prelude::*;

use crate::support::{Exact, Pair, compute, device, textures};

/// Conventions of every combination of switches that is one, of few scales.
fn params() -> impl Strategy<Value = Params> {
    let border = || {
        prop_oneof![
            Just(Border::Valid),
            Just(Border::Replicate),
            Just(Border::Reflect)
        ]
    };
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
    let window = (1usize..=4, prop_oneof![4 => 2usize..=5, 1 => Just(16)]);
    let pooled = (0..5, any::<bool>(), any::<bool>());
    let switches = (border(), border(), halving, negative);
    (switches, window, pooled).prop_map(
        |((border, coarsest, halving, negative), (scales, radius), (pooled, ones, joint))| {
            let keeps = halving == Halving::Keep;
            let per_pixel = pooled == 0 && (border != Border::Valid || keeps);
            // Windows of 33 taps inside the image at all of four scales need large images.
            let scales = match border {
                Border::Valid if !keeps => scales.min(if radius > 5 { 1 } else { 2 }),
                _ => scales,
            };
            // A power of a single term is as steep as its exponent makes it, and cut off at 0 where
            // negative ones count as 0: no tolerance holds there for any image.
            let weights = match ones || per_pixel {
                true => Params::SNELL_2017.weights,
                false => Params::WANG_2003.weights,
            };
            let (pooling, negative, coarsest) = match per_pixel {
                true => (Pooling::PixelProduct, Negative::Signed, border),
                false => (Pooling::Means, negative, coarsest),
            };
            let coarsest = match (coarsest, keeps || scales == 1) {
                (Border::Valid, false) => border,
                _ => coarsest,
            };
            let terms = match pooled {
                1 => Terms::Apart {
                    alpha: weights,
                    gamma: [0.5; MAX_SCALES],
                },
                _ => Terms::ContrastStructure,
            };
            let channels = match joint && !per_pixel {
                true => ChannelPooling::Means,
                false => ChannelPooling::Scores,
            };
            Params {
                scales,
                weights,
                radius,
                sigma: radius as f64 / 3.0,
                sigma_growth: if keeps { 1.5 } else { 1.0 },
                border,
                coarsest_border: Some(coarsest),
                halving,
                negative,
                pooling,
                terms,
                channels,
                data_range: 127.0,
                ..Params::WANG_2003
            }
        },
    )
}

/// A batch of images that resemble each other.
#[derive(Clone, Debug)]
struct Batch {
    params: Params,
    size: Size,
    images: usize,
    channels: usize,
    interleaved: bool,
    /// No mask, one for all, or one for each.
    masks: usize,
    x: Vec<u8>,
    y: Vec<u8>,
}

fn batches() -> impl Strategy<Value = Batch> {
    let shape = (1usize..=2, 1usize..=3, any::<bool>(), 0usize..=2);
    (params(), 0usize..14, 0usize..10, shape).prop_flat_map(
        |(params, more_width, more_height, (images, channels, interleaved, masks))| {
            // Rounding averages out over some windows, also where a mask leaves a part of them.
            let side = params.smallest_side().max(8);
            let size = Size {
                width: side + more_width,
                height: side + more_height,
            };
            let masks = match params.pooling {
                Pooling::PixelProduct => 0,
                Pooling::Means => masks,
            };
            let len = images * channels * size.area();
            let samples = || proptest::collection::vec(any::<u8>(), len);
            (samples(), samples()).prop_map(move |(x, y)| Batch {
                params,
                size,
                images,
                channels,
                interleaved,
                masks: [0, 1, images][masks],
                x,
                y,
            })
        },
    )
}

/// The weights of image `i`'s samples: a part hidden, the rest of many sizes up to 1.
fn weights(size: Size, i: usize) -> Vec<f32> {
    let weight = |at: usize| {
        let (row, column) = (at / size.width, at % size.width);
        match (row + i).is_multiple_of(5) || column < size.width / 4 {
            true => 0.0,
            false => 1.0 - ((row + 3 * column + i) % 4) as f32 / 8.0,
        }
    };
    let mut weights: Vec<f32> = (0..size.area()).map(weight).collect();
    // The largest is 1, as the reference takes it; there is one in any image.
    weights[size.area() - 1] = 1.0;
    weights
}

impl Batch {
    fn check<T: Exact + DeviceRepr>(&self) {
        let Self {
            params,
            size,
            images,
            channels,
            ..
        } = *self;
        // bf16 has 8 bits: 128 levels are exact in all types. Alike enough for means well above 0, where
        // powers have no bounded slope.
        let x: Vec<f32> = self.x.iter().map(|v| f32::from(v / 2)).collect();
        let y: Vec<f32> = x
            .iter()
            .zip(&self.y)
            .map(|(x, y)| (0.8 * x + 0.1 * f32::from(*y)).round())
            .collect();
        let layout = match self.interleaved {
            true => Layout::Interleaved,
            false => Layout::Planar,
        };
        let stream = device().new_stream().expect("a stream");
        let metric = MsSsim::new(size, channels, &params).expect("a plan");
        let metric = metric.general();
        let of_image: Vec<Vec<f32>> = (0..self.masks).map(|i| weights(size, i)).collect();
        let planes: Vec<Plane<'_>> = of_image
            .iter()
            .map(|weights| Plane::new(weights, size).expect("a plane"))
            .collect();
        let mask = (self.masks > 0).then(|| metric.mask(&stream, &planes).expect("a mask"));
        let weighting = Weighting {
            upstream: None,
            mask: mask.as_ref(),
        };
        let mut pair = Pair::<T>::new(&stream, &x, &y, layout);
        let workspace = |metric: &MsSsim| {
            let made = metric.workspace(device(), &stream, images, Pass::Gradient);
            made.expect("a workspace")
        };
        let mut fresh = workspace(&metric);
        let computed = pair.differentiate(&metric, &mut fresh, &weighting);
        assert_eq!(
            pair.score_region(&metric, &mut fresh, mask.as_ref()),
            computed.scores
        );
        // Image after image, where other images have been.
        let alone = metric.within(0);
        let mut used = workspace(&alone);
        Pair::<T>::new(&stream, &y, &x, layout).run(&alone, &mut used);
        let again = pair.differentiate(&alone, &mut used, &weighting);
        assert_eq!(computed.bits(), again.bits());

        let image = channels * size.area();
        for i in 0..images {
            let planes = |samples: &[f32]| self.planes(&samples[i * image..][..image]);
            let case = Case {
                name: "a random batch",
                params,
                size,
                reference: planes(&x),
                distorted: planes(&y),
                mask: (self.masks > 0).then(|| of_image[i % self.masks].clone()),
            };
            let output = Output {
                score: computed.scores[i],
                gradient: planes(&computed.gradient),
            };
            conformance::check(Backend::Cuda, &case, &output);
        }
    }

    /// The channels of one image.
    fn planes(&self, samples: &[f32]) -> Vec<Vec<f32>> {
        let (area, channels) = (self.size.area(), self.channels);
        let of_channel = |channel: usize| -> Vec<f32> {
            let (first, step, len) = match self.interleaved {
                true => (channel, channels, area),
                false => (channel * area, 1, area),
            };
            let samples = samples[first..].iter().step_by(step);
            samples.take(len).copied().collect()
        };
        (0..channels).map(of_channel).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 36, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_convention(batch in batches(), samples in 0..6) {
        match samples {
            0 => batch.check::<u8>(),
            1 => batch.check::<u16>(),
            2 => batch.check::<f16>(),
            3 => batch.check::<bf16>(),
            4 => batch.check::<f32>(),
            _ => batch.check::<f64>(),
        }
    }
}

/// Every named convention with its own kernels and its own number of scales, on images as small as it takes.
#[test]
fn every_named_convention() {
    for (name, params) in Params::NAMED {
        let side = params.smallest_side().max(20);
        let size = Size {
            width: side + 1,
            height: side,
        };
        let (x, y) = textures(1, size, 255.0);
        let computed = compute(&params, size, 1, &x, &y);
        let case = Case {
            name,
            params,
            size,
            reference: vec![x],
            distorted: vec![y],
            mask: None,
        };
        let output = Output {
            score: computed.scores[0],
            gradient: vec![computed.gradient],
        };
        conformance::check(Backend::Cuda, &case, &output);
    }
}

#[test]
fn extremes_stay_finite_identity_is_exact_and_nan_shows() {
    let size = Size {
        width: 17,
        height: 15,
    };
    let small = |params| Params {
        scales: 2,
        data_range: 1.0,
        ..params
    };
    for params in [
        small(Params::SNELL_2017.with_border(Border::Reflect)),
        Params {
            radius: 3,
            ..small(Params::METRIX)
        },
        Params {
            radius: 2,
            ..small(Params::ZHAO_2017)
        },
        Params {
            radius: 2,
            negative: Negative::ZeroMap,
            ..small(Params::TORCHMETRICS)
        },
    ] {
        let stream = device().new_stream().expect("a stream");
        let metric = MsSsim::new(size, 1, &params).expect("a plan");
        let mut workspace = metric
            .workspace(device(), &stream, 1, Pass::Gradient)
            .expect("a workspace");
        let (x, y) = textures(1, size, 1.0);
        let mut run = |x: &[f32], y: &[f32]| {
            Pair::<f32>::new(&stream, x, y, Layout::Planar).run(&metric, &mut workspace)
        };
        let same = run(&x, &x);
        assert_eq!(same.scores[0].value, 1.0, "{params:?}");
        assert!(same.gradient.iter().all(|g| *g == 0.0), "{params:?}");
        for extreme in [f32::INFINITY, f32::MIN, 1e20] {
            let mut y = y.clone();
            y[size.area() / 2] = extreme;
            let computed = run(&x, &y);
            assert!(computed.scores[0].value.is_finite(), "{extreme} {params:?}");
            assert!(computed.gradient.iter().all(|g| g.is_finite()), "{extreme}");
        }
        let mut broken = y.clone();
        broken[7 * size.width + 7] = f32::NAN;
        let computed = run(&x, &broken);
        assert!(computed.scores[0].value.is_nan());
        assert!(
            params.pooling == Pooling::PixelProduct || computed.gradient.iter().all(|g| g.is_nan())
        );
    }
}

#[test]
fn memory_stays_within_what_is_asked_for() {
    let size = Size {
        width: 1920,
        height: 1080,
    };
    for (name, params) in Params::NAMED {
        let metric = MsSsim::new(size, 3, &params).expect("a plan").general();
        let bytes = metric.workspace_bytes(8, Pass::Gradient).expect("bytes");
        assert!(bytes <= 400 << 20, "{name}: {bytes}");
        let one = metric.within(0);
        let least = one.workspace_bytes(8, Pass::Gradient).expect("bytes");
        let more = metric.within(3 << 30);
        let more = more.workspace_bytes(8, Pass::Gradient).expect("bytes");
        assert!(least <= bytes && bytes < more, "{name}: {least} {more}");
        assert!(more <= (3 << 30) + (1 << 20), "{name}: {more}");
    }
}
