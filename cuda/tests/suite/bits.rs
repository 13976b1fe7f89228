//! The same bits: of two runs, of any stream, of any split of a batch, of emulator and card.

use msssim_core::{Halving, Negative};
use msssim_cuda::{Layout, MsSsim, Params, Pass, Pooling, Size};

use crate::support::{Computed, Pair, compute, device, textures};

const SNELL: Params = Params {
    data_range: 1.0,
    ..Params::SNELL_2017
};

fn size(width: usize, height: usize) -> Size {
    Size { width, height }
}

fn same_bits(a: &Computed, b: &Computed) {
    assert_eq!(digest(a), digest(b));
}

/// FNV-1a over the bits of all scores and then of the gradient.
fn digest(computed: &Computed) -> u64 {
    let scores = computed.scores.iter().map(|score| score.value.to_bits());
    let samples = computed.gradient.iter().map(|v| u64::from(v.to_bits()));
    scores
        .chain(samples)
        .fold(0xCBF2_9CE4_8422_2325, |hash, v| {
            v.to_le_bytes().into_iter().fold(hash, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
            })
        })
}

#[test]
fn of_any_split_of_a_batch() {
    let size = size(45, 38);
    let (x, y) = textures(3 * 4, size, 1.0);
    let image = 3 * size.area();
    let whole = compute(&SNELL, size, 3, &x, &y);
    for (from, images) in [(0, 1), (1, 3), (3, 1)] {
        let part = |samples: &[f32]| samples[from * image..][..images * image].to_vec();
        let split = compute(&SNELL, size, 3, &part(&x), &part(&y));
        assert_eq!(split.scores, whole.scores[from..][..images]);
        same_bits(
            &split,
            &Computed {
                scores: whole.scores[from..][..images].to_vec(),
                gradient: part(&whole.gradient),
            },
        );
    }
}

#[test]
fn of_two_streams_at_once() {
    let size = size(33, 33);
    let metric = MsSsim::new(size, 1, &SNELL).expect("a plan");
    let batches = [textures(8, size, 1.0), {
        let (x, y) = textures(8, size, 1.0);
        (y, x)
    }];
    let mut there: Vec<_> = batches
        .iter()
        .map(|(x, y)| {
            let stream = device().new_stream().expect("a stream");
            let workspace = metric
                .workspace(device(), &stream, 8, Pass::Gradient)
                .expect("a workspace");
            (Pair::<f32>::new(&stream, x, y, Layout::Planar), workspace)
        })
        .collect();
    // Both before either is waited for.
    let at_once: Vec<Computed> = std::thread::scope(|scope| {
        let runs: Vec<_> = there
            .iter_mut()
            .map(|(pair, workspace)| scope.spawn(|| pair.run(&metric, workspace)))
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("a run"))
            .collect()
    });
    for ((x, y), at_once) in batches.iter().zip(&at_once) {
        same_bits(&compute(&SNELL, size, 1, x, y), at_once);
    }
}

/// Digests that the emulator computed. A card that rounds as CUDA's arithmetic is defined computes
/// the same: the kernels use no approximate function and no tensor core.
#[test]
fn of_emulator_and_card() {
    let wang = Params::WANG_2003;
    let cases = [
        (SNELL, size(33, 33), 2, 1.0, 0x06E5_E090_491B_0BA4),
        (SNELL, size(96, 96), 1, 1.0, 0xEEAF_BA8C_390B_78FF),
        (
            Params {
                pooling: Pooling::PixelProduct,
                ..SNELL
            },
            size(45, 38),
            1,
            1.0,
            0x22D1_E59F_9A8F_F76B,
        ),
        (wang, size(177, 162), 1, 255.0, 0x022D_0414_6224_503A),
        (
            Params {
                halving: Halving::Zero,
                negative: Negative::Signed,
                scales: 4,
                ..wang
            },
            size(101, 99),
            3,
            255.0,
            0xEBD5_6DF8_6F78_DCCF,
        ),
    ];
    let digests = cases.map(|(params, size, channels, range, _)| {
        let (x, y) = textures(channels, size, range);
        digest(&compute(&params, size, channels, &x, &y))
    });
    assert_eq!(digests, cases.map(|case| case.4));
}
