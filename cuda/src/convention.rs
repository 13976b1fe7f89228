//! The parameters of the metric as the kernels take them.

use msssim_core::{
    Border, ChannelPooling, Halving, MAX_SCALES, MsSsim, Negative, Params, Pooling, Terms,
};
use msssim_kernels::general::{self, Convention, MAX_TAPS};
use msssim_kernels::{Metric, TAPS};

/// As the kernels for training take them; `None` for what they do not have.
pub(crate) fn of_training(portable: &MsSsim) -> Option<Metric> {
    let params = portable.params();
    let window = &portable.constants(0).window;
    let plain = window.radius + 1 == TAPS
        && params.sigma_growth == 1.0
        && params.border_of(params.scales - 1) == params.border
        && params.channels == ChannelPooling::Scores
        && params.terms == Terms::ContrastStructure
        && params.negative != Negative::ZeroMap
        && matches!(
            params.halving,
            Halving::Symmetric | Halving::Zero | Halving::Floor
        );
    if !plain {
        return None;
    }
    let mut taps = [0.0; TAPS];
    taps.copy_from_slice(&window.taps[..TAPS]);
    Some(Metric {
        scales: params.scales,
        weights: params.weights,
        negative: negative(params),
        valid: match params.border {
            Border::Valid => true,
            Border::Replicate => false,
            Border::Reflect => return None,
        },
        halving: halving(params),
        per_pixel: params.pooling == Pooling::PixelProduct,
        taps,
        c1: portable.constants(0).c1,
        c2: portable.constants(0).c2,
        data_range: params.data_range,
    })
}

/// As the general kernels take them, which have all.
pub(crate) fn of_general(portable: &MsSsim) -> Convention {
    let params = portable.params();
    let mut borders = [general::Border::Valid; MAX_SCALES];
    let mut taps = [[0.0; MAX_TAPS]; MAX_SCALES];
    for scale in 0..params.scales {
        borders[scale] = match params.border_of(scale) {
            Border::Valid => general::Border::Valid,
            Border::Replicate => general::Border::Replicate,
            Border::Reflect => general::Border::Reflect,
        };
        taps[scale] = portable.constants(scale).window.taps;
    }
    Convention {
        scales: params.scales,
        weights: params.weights,
        apart: match params.terms {
            Terms::ContrastStructure => None,
            Terms::Apart { alpha, gamma } => Some([alpha, gamma]),
        },
        negative: negative(params),
        borders,
        radius: params.radius,
        taps,
        halving: halving(params),
        per_pixel: params.pooling == Pooling::PixelProduct,
        joint: params.channels == ChannelPooling::Means,
        c1: portable.constants(0).c1,
        c2: portable.constants(0).c2,
        data_range: params.data_range,
    }
}

fn negative(params: &Params) -> msssim_kernels::Negative {
    use msssim_kernels::Negative as Rule;
    match params.negative {
        Negative::Zero => Rule::Zero,
        Negative::ZeroMap => Rule::ZeroMap,
        Negative::Signed => Rule::Signed,
        Negative::Magnitude => Rule::Magnitude,
        Negative::Shifted => Rule::Shifted,
        Negative::LowerBound(bound) => Rule::LowerBound(bound),
    }
}

fn halving(params: &Params) -> msssim_kernels::Halving {
    use msssim_kernels::Halving as Rule;
    match params.halving {
        Halving::Symmetric => Rule::Symmetric,
        Halving::Zero => Rule::Zero,
        Halving::Floor => Rule::Floor,
        Halving::ReplicateFirst => Rule::ReplicateFirst,
        Halving::LowPass97 => Rule::LowPass97,
        Halving::Keep => Rule::Keep,
    }
}
