//! Any size, any convention, any type and order of samples, any batch: the portable form's numbers.

use cudarc::driver::DeviceRepr;
use msssim_core::conformance::{self, Backend, Case, Output};
use msssim_core::{Border, Halving, Negative};
use msssim_cuda::{Layout, MsSsim, Params, Pass, Pooling, Size, bf16, cudarc, f16};
use proptest::prelude::*;

use crate::support::{Exact, Pair, device};

fn params() -> impl Strategy<Value = Params> {
    let border = prop_oneof![Just(Border::Valid), Just(Border::Replicate)];
    let halving = prop_oneof![
        Just(Halving::Symmetric),
        Just(Halving::Zero),
        Just(Halving::Floor)
    ];
    let negative = prop_oneof![Just(Negative::Zero), Just(Negative::Signed)];
    let weights = prop_oneof![
        Just(Params::SNELL_2017.weights),
        Just(Params::WANG_2003.weights)
    ];
    let rest = (1usize..=3, weights, 0.6f64..3.0, any::<bool>());
    (border, halving, negative, rest).prop_map(
        |(border, halving, negative, (scales, weights, sigma, per_pixel))| Params {
            pooling: match border {
                Border::Replicate if per_pixel => Pooling::PixelProduct,
                _ => Pooling::Means,
            },
            weights,
            scales,
            sigma,
            border,
            halving,
            negative,
            ..Params::WANG_2003
        },
    )
}

/// What one test batch consists of.
#[derive(Clone, Debug)]
struct Batch {
    params: Params,
    size: Size,
    images: usize,
    channels: usize,
    interleaved: bool,
    x: Vec<u8>,
    y: Vec<u8>,
}

fn batches() -> impl Strategy<Value = Batch> {
    let shape = (params(), 0usize..40, 0usize..20, 1usize..=3, 1usize..=3);
    (shape, any::<bool>()).prop_flat_map(
        |((params, more_width, more_height, images, channels), interleaved)| {
            let side = params.smallest_side();
            let size = Size {
                width: side + more_width,
                height: side + more_height,
            };
            let len = images * channels * size.area();
            let samples = || proptest::collection::vec(any::<u8>(), len);
            let build = move |(x, y)| Batch {
                params,
                size,
                images,
                channels,
                interleaved,
                x,
                y,
            };
            (samples(), samples()).prop_map(build)
        },
    )
}

impl Batch {
    /// Scores it on the device with samples of type `T`, in memory that another batch has used.
    fn check<T: Exact + DeviceRepr>(&self) {
        // bf16 has 8 bits, f16 has 11: 128 levels are exact in all four.
        let level = |v: &u8| f32::from(v / 2);
        let (x, y): (Vec<f32>, Vec<f32>) = self
            .x
            .iter()
            .zip(&self.y)
            .map(|(x, y)| (level(x), level(y)))
            .unzip();
        let params = Params {
            data_range: 127.0,
            ..self.params
        };
        let layout = match self.interleaved {
            true => Layout::Interleaved,
            false => Layout::Planar,
        };
        let stream = device().new_stream().expect("a stream");
        let metric = MsSsim::new(self.size, self.channels, &params).expect("a plan");
        let mut workspace = metric
            .workspace(device(), &stream, self.images, Pass::Gradient)
            .expect("a workspace");
        let mut pair = Pair::<T>::new(&stream, &x, &y, layout);
        let fresh = pair.run(&metric, &mut workspace);
        // Identical images leave other numbers behind.
        Pair::<T>::new(&stream, &x, &x, layout).run(&metric, &mut workspace);
        let again = pair.run(&metric, &mut workspace);
        assert_eq!(bits(&fresh.gradient), bits(&again.gradient));
        assert_eq!(fresh.scores, again.scores);
        let alone = pair.score(&metric, &mut workspace);

        let image = self.channels * self.size.area();
        for i in 0..self.images {
            let of_image = |samples: &[f32]| self.planes(&samples[i * image..][..image]);
            let case = Case {
                name: "a random batch",
                params,
                size: self.size,
                reference: of_image(&x),
                distorted: of_image(&y),
            };
            let output = Output {
                score: fresh.scores[i],
                gradient: of_image(&fresh.gradient),
            };
            conformance::check(Backend::Cuda, &case, &output);
            let output = Output {
                score: alone[i],
                gradient: of_image(&fresh.gradient),
            };
            conformance::check(Backend::Cuda, &case, &output);
        }
    }

    /// The channels of one image.
    fn planes(&self, samples: &[f32]) -> Vec<Vec<f32>> {
        let (area, channels) = (self.size.area(), self.channels);
        let place = |channel: usize, pixel: usize| match self.interleaved {
            true => pixel * channels + channel,
            false => channel * area + pixel,
        };
        (0..channels)
            .map(|channel| {
                (0..area)
                    .map(|pixel| samples[place(channel, pixel)])
                    .collect()
            })
            .collect()
    }
}

fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|sample| sample.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes(batch in batches()) {
        batch.check::<u8>();
    }

    #[test]
    fn halves(batch in batches()) {
        batch.check::<f16>();
    }

    #[test]
    fn brain_floats(batch in batches()) {
        batch.check::<bf16>();
    }

    #[test]
    fn floats(batch in batches()) {
        batch.check::<f32>();
    }
}
