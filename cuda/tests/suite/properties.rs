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
    let rest = (1usize..=3, weights, 0.6f64..3.0);
    let means = (border, halving.clone(), negative, rest).prop_map(
        |(border, halving, negative, (scales, weights, sigma))| Params {
            weights,
            scales,
            sigma,
            border,
            halving,
            negative,
            ..Params::WANG_2003
        },
    );
    // A power of a single term is as steep as its exponent makes it, and cut off at 0 where negative
    // ones count as 0: no tolerance holds for any image. The paper's own are smooth.
    let products = (halving, 1usize..=3, 0.6f64..3.0).prop_map(|(halving, scales, sigma)| Params {
        scales,
        sigma,
        halving,
        pooling: Pooling::PixelProduct,
        ..Params::SNELL_2017
    });
    prop_oneof![3 => means, 1 => products]
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
    let shape = (params(), 0usize..30, 0usize..12, 1usize..=2, 1usize..=3);
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
                mask: None,
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
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

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

/// Powers of single terms, on images whose terms stay away from 0.
#[test]
fn products_with_exponents() {
    use crate::support::{compute, portable, textures};
    let size = Size {
        width: 61,
        height: 44,
    };
    for negative in [Negative::Zero, Negative::Signed] {
        let params = Params {
            weights: Params::WANG_2003.weights,
            scales: 4,
            negative,
            pooling: Pooling::PixelProduct,
            ..Params::SNELL_2017
        };
        let (x, y) = textures(1, size, 255.0);
        let y: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 0.9 * x + 0.1 * y).collect();
        let (score, gradient) = portable(&params, size, &x, &y);
        let computed = compute(&params, size, 1, &x, &y);
        assert!((computed.scores[0].value - score.value).abs() < 1e-6);
        let largest = gradient[0].iter().fold(0.0f32, |m, g| m.max(g.abs()));
        for (expected, actual) in gradient[0].iter().zip(&computed.gradient) {
            assert!(
                (expected - actual).abs() < 1e-4 * largest,
                "{expected} {actual}"
            );
        }
    }
}
