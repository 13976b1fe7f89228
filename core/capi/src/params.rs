//! Which MS-SSIM: parameters as a C structure.

use core::ffi::{CStr, c_char};
use core::fmt::Display;

use msssim_core::{
    Border, ChannelPooling, Error, Halving, MAX_SCALES, MsSsim, Negative, Params, Pooling, Size,
    Small, Terms,
};

use crate::memory::{Region, disjoint, read, write, write_text};
use crate::status::MsssimStatus;

/// The largest number of scales.
pub const MSSSIM_MAX_SCALES: usize = 8;

/// The largest number of window taps on either side of the centre.
pub const MSSSIM_MAX_RADIUS: usize = 16;

const _: () = assert!(
    MSSSIM_MAX_SCALES == MAX_SCALES && MSSSIM_MAX_RADIUS == msssim_core::MAX_RADIUS,
    "the header states the core's limits"
);

/// What a window sees beyond the image.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimBorder {
    /// Nothing: only windows inside the image count.
    Valid = 0,
    /// The nearest pixel of the image.
    Replicate = 1,
    /// The image mirrored about its outermost pixels, which are not repeated.
    Reflect = 2,
    /// Of the coarsest scale: what the other scales have.
    Same = 3,
}

/// How the next scale is made; the first four take means of 2 x 2 samples and differ on odd sides.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimHalving {
    /// Rounds up; the last row or column is averaged with itself.
    Symmetric = 0,
    /// Rounds up; zeros before the first row or column take part.
    Zero = 1,
    /// Rounds down.
    Floor = 2,
    /// If either side is odd, the first row and column are repeated; then rounds down.
    ReplicateFirst = 3,
    /// The nine-tap low-pass filter of the 9/7 wavelets. Rounds up.
    LowPass97 = 4,
    /// Not at all: sigma_growth widens the windows.
    Keep = 5,
}

/// What becomes of a negative term, whose power is not real.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimNegative {
    /// A negative mean counts as 0.
    Zero = 0,
    /// Each negative term counts as 0 before the mean is taken.
    ZeroMap = 1,
    /// `sign(t) |t|^w`
    Signed = 2,
    /// `|t|^w`
    Magnitude = 3,
    /// `((1 + t) / 2)^w`, for all terms.
    Shifted = 4,
    /// `max(t, lower_bound)^w`
    LowerBound = 5,
}

/// How the terms of all windows of all scales become one number.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimPooling {
    /// The product of the scales' means.
    Means = 0,
    /// The mean of products pixel by pixel.
    PixelProduct = 1,
}

/// What is pooled together.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimTerms {
    /// Contrast times structure, on the coarsest scale times luminance.
    ContrastStructure = 0,
    /// Each by itself: exponents are alpha, weights and gamma.
    Apart = 1,
}

/// When channels become one number.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimChannels {
    /// Each has a score of its own; the mean of those is the image's.
    Scores = 0,
    /// Means are over all channels.
    Means = 1,
}

/// What to do with images that are too small.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsssimSmall {
    /// Fewer scales, whose exponents have the same sum.
    FewerScales = 0,
    /// Windows over the border, which is replicated.
    Replicate = 1,
    /// Windows over the border, which is mirrored.
    Reflect = 2,
}

/// Everything that decides the number, beside the images.
///
/// Let msssim_params_named fill it in and change what differs, data_range for instance. All zeros is not
/// a setting.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsssimParams {
    /// Exponents of the scales, the finest first, 0 to 1000; those beyond `scales` are ignored.
    pub weights: [f64; MSSSIM_MAX_SCALES],
    /// Exponents of luminance where terms are apart, 0 to 1000.
    pub alpha: [f64; MSSSIM_MAX_SCALES],
    /// Exponents of structure where terms are apart, 0 to 1000.
    pub gamma: [f64; MSSSIM_MAX_SCALES],
    /// Standard deviation of the window in pixels, above 0 and at most 1000.
    pub sigma: f64,
    /// How much larger it is from scale to scale, 1 to 16.
    pub sigma_growth: f64,
    /// C1 = (k1 data_range)^2; 1e-4 to 1e4.
    pub k1: f64,
    /// C2 = (k2 data_range)^2; 1e-4 to 1e4.
    pub k2: f64,
    /// The value of white less that of black: 255 for 8-bit samples. 1e-20 to 1e20.
    pub data_range: f64,
    /// The bound of MSSSIM_NEGATIVE_LOWER_BOUND, above 0 and at most 1.
    pub lower_bound: f64,
    /// Number of scales, 1 to MSSSIM_MAX_SCALES.
    pub scales: u32,
    /// Taps on either side of the window's centre, 1 to MSSSIM_MAX_RADIUS.
    pub radius: u32,
    /// One of MsssimBorder.
    pub border: u32,
    /// One of MsssimBorder, on the coarsest scale.
    pub coarsest_border: u32,
    /// One of MsssimHalving.
    pub halving: u32,
    /// One of MsssimNegative.
    pub negative: u32,
    /// One of MsssimPooling.
    pub pooling: u32,
    /// One of MsssimTerms.
    pub terms: u32,
    /// One of MsssimChannels.
    pub channels: u32,
}

const BORDERS: [(u32, Border); 3] = [
    (MsssimBorder::Valid as u32, Border::Valid),
    (MsssimBorder::Replicate as u32, Border::Replicate),
    (MsssimBorder::Reflect as u32, Border::Reflect),
];

const HALVINGS: [(u32, Halving); 6] = [
    (MsssimHalving::Symmetric as u32, Halving::Symmetric),
    (MsssimHalving::Zero as u32, Halving::Zero),
    (MsssimHalving::Floor as u32, Halving::Floor),
    (
        MsssimHalving::ReplicateFirst as u32,
        Halving::ReplicateFirst,
    ),
    (MsssimHalving::LowPass97 as u32, Halving::LowPass97),
    (MsssimHalving::Keep as u32, Halving::Keep),
];

/// Those without a number of their own.
const NEGATIVES: [(u32, Negative); 5] = [
    (MsssimNegative::Zero as u32, Negative::Zero),
    (MsssimNegative::ZeroMap as u32, Negative::ZeroMap),
    (MsssimNegative::Signed as u32, Negative::Signed),
    (MsssimNegative::Magnitude as u32, Negative::Magnitude),
    (MsssimNegative::Shifted as u32, Negative::Shifted),
];

const POOLINGS: [(u32, Pooling); 2] = [
    (MsssimPooling::Means as u32, Pooling::Means),
    (MsssimPooling::PixelProduct as u32, Pooling::PixelProduct),
];

const CHANNELS: [(u32, ChannelPooling); 2] = [
    (MsssimChannels::Scores as u32, ChannelPooling::Scores),
    (MsssimChannels::Means as u32, ChannelPooling::Means),
];

const SMALLS: [(u32, Small); 3] = [
    (MsssimSmall::FewerScales as u32, Small::FewerScales),
    (
        MsssimSmall::Replicate as u32,
        Small::Extend(Border::Replicate),
    ),
    (MsssimSmall::Reflect as u32, Small::Extend(Border::Reflect)),
];

/// What a number from C stands for.
fn decode<T: Copy>(
    table: &[(u32, T)],
    number: u32,
    name: &'static str,
    must: &'static str,
) -> Result<T, Error> {
    let entry = table.iter().find(|(of_entry, _)| *of_entry == number);
    entry
        .map(|(_, value)| *value)
        .ok_or(Error::Parameter { name, must })
}

/// The number of a value that is in the table.
fn encode<T: PartialEq>(table: &[(u32, T)], value: &T) -> Option<u32> {
    let entry = table.iter().find(|(_, of_entry)| of_entry == value);
    entry.map(|(number, _)| *number)
}

impl MsssimParams {
    /// The core's parameters.
    pub(crate) fn decoded(&self) -> Result<Params, Error> {
        let coarsest_border = match self.coarsest_border {
            same if same == MsssimBorder::Same as u32 => None,
            other => Some(decode(
                &BORDERS,
                other,
                "coarsest_border",
                "of MsssimBorder",
            )?),
        };
        let negative = match self.negative {
            bound if bound == MsssimNegative::LowerBound as u32 => {
                Negative::LowerBound(self.lower_bound)
            }
            other => decode(&NEGATIVES, other, "negative", "of MsssimNegative")?,
        };
        let terms = match self.terms {
            t if t == MsssimTerms::ContrastStructure as u32 => Terms::ContrastStructure,
            t if t == MsssimTerms::Apart as u32 => Terms::Apart {
                alpha: self.alpha,
                gamma: self.gamma,
            },
            _ => {
                return Err(Error::Parameter {
                    name: "terms",
                    must: "of MsssimTerms",
                });
            }
        };
        Ok(Params {
            weights: self.weights,
            scales: self.scales as usize,
            sigma: self.sigma,
            sigma_growth: self.sigma_growth,
            radius: self.radius as usize,
            k1: self.k1,
            k2: self.k2,
            data_range: self.data_range,
            border: decode(
                &BORDERS,
                self.border,
                "border",
                "of MsssimBorder, not the same",
            )?,
            coarsest_border,
            halving: decode(&HALVINGS, self.halving, "halving", "of MsssimHalving")?,
            negative,
            pooling: decode(&POOLINGS, self.pooling, "pooling", "of MsssimPooling")?,
            terms,
            channels: decode(&CHANNELS, self.channels, "channels", "of MsssimChannels")?,
        })
    }

    /// The core's parameters as C has them; `None` of those that it has not.
    pub(crate) fn encoded(params: &Params) -> Option<Self> {
        let lower_bound = match params.negative {
            Negative::LowerBound(bound) => Some(bound),
            _ => None,
        };
        let (terms, alpha, gamma) = match params.terms {
            Terms::ContrastStructure => {
                let none = [0.0; MSSSIM_MAX_SCALES];
                (MsssimTerms::ContrastStructure, none, none)
            }
            Terms::Apart { alpha, gamma } => (MsssimTerms::Apart, alpha, gamma),
        };
        Some(Self {
            weights: params.weights,
            alpha,
            gamma,
            sigma: params.sigma,
            sigma_growth: params.sigma_growth,
            k1: params.k1,
            k2: params.k2,
            data_range: params.data_range,
            lower_bound: lower_bound.unwrap_or(0.0),
            scales: params.scales as u32,
            radius: params.radius as u32,
            border: encode(&BORDERS, &params.border)?,
            coarsest_border: match &params.coarsest_border {
                None => MsssimBorder::Same as u32,
                Some(border) => encode(&BORDERS, border)?,
            },
            halving: encode(&HALVINGS, &params.halving)?,
            negative: match lower_bound {
                Some(_) => MsssimNegative::LowerBound as u32,
                None => encode(&NEGATIVES, &params.negative)?,
            },
            pooling: encode(&POOLINGS, &params.pooling)?,
            terms: terms as u32,
            channels: encode(&CHANNELS, &params.channels)?,
        })
    }

    /// The plan for images of `size`.
    pub(crate) fn plan(&self, size: Size, channels: usize) -> Result<MsSsim, Error> {
        MsSsim::new(size, channels, &self.decoded()?)
    }
}

/// The smallest legal side by parameters that are legal themselves.
fn smallest_side(params: &MsssimParams) -> Result<usize, Error> {
    // No image has no pixels: the plan fails for that if for nothing else.
    match params.plan(Size::default(), 1) {
        Err(Error::TooSmall { smallest, .. }) => Ok(smallest),
        Err(error) => Err(error),
        Ok(_) => Ok(0),
    }
}

/// The name of a convention, counted from 0; null beyond the last.
#[unsafe(no_mangle)]
pub extern "C" fn msssim_params_name(index: usize) -> *const c_char {
    NAMES
        .get(index)
        .map_or(core::ptr::null(), |name| name.as_ptr())
}

/// [`Params::NAMED`] in C's strings.
const NAMES: [&CStr; 12] = [
    c"wang-2003",
    c"tensorflow",
    c"pytorch-msssim",
    c"piq",
    c"torchmetrics",
    c"floor",
    c"matlab-ssim",
    c"matlab-multissim",
    c"metrix",
    c"zhao-2017",
    c"snell-2017",
    c"snell-2017-pixels",
];

const _: () = {
    let mut i = 0;
    while i < Params::NAMED.len() {
        let (name, expected) = (NAMES[i].to_bytes(), Params::NAMED[i].0.as_bytes());
        assert!(name.len() == expected.len(), "a name of the core");
        let mut k = 0;
        while k < name.len() {
            assert!(name[k] == expected[k], "a name of the core");
            k += 1;
        }
        i += 1;
    }
    assert!(NAMES.len() == Params::NAMED.len(), "all names of the core");
};

/// Writes the convention of a name, such as "wang-2003", to `*params`.
///
/// MSSSIM_STATUS_UNKNOWN_NAME where there is none.
///
/// # Safety
/// `name` is null or a string; `params` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_params_named(
    name: *const c_char,
    params: *mut MsssimParams,
) -> MsssimStatus {
    if name.is_null() {
        return MsssimStatus::Null;
    }
    // SAFETY: not null; the caller knows that it ends with a zero.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let mut all = Params::NAMED.iter();
    let found = all.find(|(other, _)| other.as_bytes() == name);
    let Some(found) = found.and_then(|(_, found)| MsssimParams::encoded(found)) else {
        return MsssimStatus::UnknownName;
    };
    // SAFETY: the caller knows that it can be written to.
    unsafe { write(params, found) }.into()
}

/// Checks parameters for images of a size, and says in words what is wrong.
///
/// `message` receives at most `len` bytes, the last of them 0: "ok", or the fault and what it must be. It
/// may be null where `len` is 0.
///
/// # Safety
/// `params` is null or readable; `len` bytes from `message` on can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_params_check(
    params: *const MsssimParams,
    width: usize,
    height: usize,
    message: *mut c_char,
    len: usize,
) -> MsssimStatus {
    let check = || {
        let written = Region::of(message, len)?;
        disjoint(&[written], &[Region::of(params, 1)?])?;
        // SAFETY: the caller knows that it is readable.
        unsafe { read(params) }
    };
    let params = match check() {
        Ok(params) => params,
        Err(status) => return status,
    };
    let result = params.plan(Size { width, height }, 1);
    let words: &dyn Display = match &result {
        Ok(_) => &"ok",
        Err(error) => error,
    };
    // SAFETY: the caller knows that so many bytes can be written to.
    unsafe { write_text(message, len, words) };
    result.map(|_| ()).map_err(MsssimStatus::from).into()
}

/// Writes the smallest side that images may have to `*side`.
///
/// # Safety
/// `params` is null or readable; `side` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_params_smallest_side(
    params: *const MsssimParams,
    side: *mut usize,
) -> MsssimStatus {
    // SAFETY: the caller knows that it is readable.
    let smallest = unsafe { read(params) }.and_then(|params| Ok(smallest_side(&params)?));
    match smallest {
        // SAFETY: the caller knows that it can be written to.
        Ok(smallest) => unsafe { write(side, smallest) }.into(),
        Err(status) => status,
    }
}

/// Changes parameters by a rule, one of MsssimSmall, where images of this size are too small for them.
///
/// # Safety
/// `params` is null or can be read and written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_params_fit(
    params: *mut MsssimParams,
    width: usize,
    height: usize,
    rule: u32,
) -> MsssimStatus {
    // SAFETY: the caller knows that it is readable.
    let known = match unsafe { read(params.cast_const()) } {
        Ok(known) => known,
        Err(status) => return status,
    };
    let fit = || {
        smallest_side(&known)?;
        let rule = decode(&SMALLS, rule, "rule", "of MsssimSmall")?;
        known.decoded()?.fitted(Size { width, height }, rule)
    };
    match fit().map(|fitted| MsssimParams::encoded(&fitted)) {
        // SAFETY: the caller knows that it can be written to.
        Ok(Some(fitted)) => unsafe { write(params, fitted) }.into(),
        Ok(None) => MsssimStatus::Other,
        Err(error) => error.into(),
    }
}
