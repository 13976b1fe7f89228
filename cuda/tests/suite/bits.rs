//! The same bits: of two runs, of any stream, of any split of a batch, of emulator and card.

use msssim_core::{Border, Halving, Negative};
use msssim_cuda::{Layout, MsSsim, Params, Pass, Plane, Pooling, Size, Weighting};

use crate::support::{Computed, Pair, compute, device, textures};

const SNELL: Params = Params {
    data_range: 1.0,
    ..Params::SNELL_2017
};

fn size(width: usize, height: usize) -> Size {
    Size { width, height }
}

fn same_bits(a: &Computed, b: &Computed) {
    assert_eq!(a.bits(), b.bits());
}

/// FNV-1a over the bits of all scores and then of the gradient.
fn digest(computed: &Computed) -> u64 {
    let bytes = computed.bits().into_iter().flat_map(u64::to_le_bytes);
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
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
/// the same: the kernels use no tensor core, and of approximate functions one alone, from which CUDA's
/// power of a mean begins a reciprocal; that its last bits do not show is tested in `msssim-kernels`.
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

/// The same of the general kernels: conventions that training has too, with masks and pixel by pixel; terms
/// apart, channels together, and the other borders and halvings.
#[test]
fn of_emulator_and_card_by_general_kernels() {
    let small = |params| Params {
        scales: 2,
        ..params
    };
    let cases = [
        (
            small(Params::WANG_2003),
            size(41, 39),
            2,
            true,
            0x25F0_94C9_A7DB_120F,
        ),
        (
            small(Params::SNELL_2017_PIXELS),
            size(35, 18),
            1,
            false,
            0x3BB3_2CC1_7FD5_CF65,
        ),
        (
            small(Params::METRIX),
            size(24, 23),
            2,
            true,
            0xED86_B7CD_3C3A_D128,
        ),
        (
            Params {
                radius: 4,
                ..small(Params::ZHAO_2017)
            },
            size(21, 19),
            1,
            false,
            0x23A3_A55F_2B6E_440B,
        ),
        (
            Params {
                radius: 3,
                halving: Halving::LowPass97,
                negative: Negative::ZeroMap,
                ..small(Params::WANG_2003).with_border(Border::Reflect)
            },
            size(26, 17),
            3,
            false,
            0xC23D_10E7_9906_B25D,
        ),
    ];
    let digests = cases.map(|(params, size, channels, masked, _)| {
        digest(&by_general_kernels(&params, size, channels, masked))
    });
    assert_eq!(digests, cases.map(|case| case.4));
}

/// Two images by the general kernels; where they are masked, each by its own mask.
fn by_general_kernels(params: &Params, size: Size, channels: usize, masked: bool) -> Computed {
    let stream = device().new_stream().expect("a stream");
    let metric = MsSsim::new(size, channels, params).expect("a plan");
    let metric = metric.general();
    let mut workspace = metric
        .workspace(device(), &stream, 2, Pass::Gradient)
        .expect("a workspace");
    let weights = [3, 5].map(|step| -> Vec<f32> {
        let steps = (0..size.area()).map(|at| (at % step) as f32);
        steps.map(|weight| weight / (step - 1) as f32).collect()
    });
    let planes = weights
        .each_ref()
        .map(|weights| Plane::new(weights, size).expect("a plane"));
    let mask = masked.then(|| metric.mask(&stream, &planes).expect("a mask"));
    let weighting = Weighting {
        upstream: None,
        mask: mask.as_ref(),
    };
    let (x, y) = textures(2 * channels, size, params.data_range as f32);
    Pair::<f32>::new(&stream, &x, &y, Layout::Planar).differentiate(
        &metric,
        &mut workspace,
        &weighting,
    )
}
