//! Scores and gradients of whole images.

use msssim_core::{MAX_SCALES, MsSsim, PlaneMut, Sample, Score, Size};

use crate::image::{Channels, MSSSIM_MAX_CHANNELS, MsssimImage, Pair};
use crate::memory::{Region, cleared, disjoint, read, write};
use crate::params::{MSSSIM_MAX_SCALES, MsssimParams};
use crate::status::MsssimStatus;

/// The means of one scale, over its map and over the channels; NaN where the convention has no such mean.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsssimMeans {
    /// Contrast times structure.
    pub cs: f64,
    /// On the coarsest scale, luminance times contrast times structure.
    pub ssim: f64,
    /// Luminance, where terms are apart.
    pub luminance: f64,
    /// Contrast, where terms are apart.
    pub contrast: f64,
    /// Structure, where terms are apart.
    pub structure: f64,
}

/// What comparing two images gives.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MsssimScore {
    /// MS-SSIM, at most 1, and exactly 1 for identical images; NaN where a sample is.
    pub value: f64,
    /// Number of scales.
    pub scales: u32,
    /// Their means, the finest first.
    pub means: [MsssimMeans; MSSSIM_MAX_SCALES],
}

impl MsssimScore {
    pub(crate) fn of(score: &Score) -> Self {
        let nan = f64::NAN;
        let none = MsssimMeans {
            cs: nan,
            ssim: nan,
            luminance: nan,
            contrast: nan,
            structure: nan,
        };
        let mut means = [none; MAX_SCALES];
        for (means, scale) in means.iter_mut().zip(score.scales()) {
            if let Some(apart) = scale.apart {
                means.luminance = apart.luminance;
                means.contrast = apart.contrast;
                means.structure = apart.structure;
            } else {
                means.cs = scale.cs;
                means.ssim = scale.ssim.unwrap_or(nan);
            }
        }
        Self {
            value: score.value,
            scales: score.scales().len() as u32,
            means,
        }
    }
}

/// Writes the number of floats of scratch that msssim_score needs to `*len`.
///
/// # Safety
/// `params` is null or readable; `len` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_scratch_len(
    params: *const MsssimParams,
    width: usize,
    height: usize,
    len: *mut usize,
) -> MsssimStatus {
    // SAFETY: the caller's.
    unsafe { len_of(params, Size { width, height }, MsSsim::scratch_len, len) }
}

/// Writes the number of floats of scratch that msssim_score_and_gradient needs to `*len`.
///
/// # Safety
/// `params` is null or readable; `len` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_gradient_scratch_len(
    params: *const MsssimParams,
    width: usize,
    height: usize,
    len: *mut usize,
) -> MsssimStatus {
    // SAFETY: the caller's.
    unsafe {
        len_of(
            params,
            Size { width, height },
            MsSsim::gradient_scratch_len,
            len,
        )
    }
}

/// # Safety
/// `params` is null or readable; `len` is null or can be written to.
unsafe fn len_of(
    params: *const MsssimParams,
    size: Size,
    of_plan: impl Fn(&MsSsim) -> usize,
    len: *mut usize,
) -> MsssimStatus {
    // SAFETY: the caller knows that it is readable.
    let needed = unsafe { read(params) }.and_then(|params| Ok(of_plan(&params.plan(size, 1)?)));
    match needed {
        // SAFETY: the caller knows that it can be written to.
        Ok(needed) => unsafe { write(len, needed) }.into(),
        Err(status) => status,
    }
}

/// Writes the score of `distorted` against `reference` to `*score`.
///
/// `scratch` is `scratch_len` floats, as many as msssim_scratch_len says or more, for this call alone; what
/// they hold does not matter. Both images have samples of one type.
///
/// # Safety
/// Pointers are null or to what their types say, and so are those of the images. Nothing else writes there
/// meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_score(
    params: *const MsssimParams,
    reference: *const MsssimImage,
    distorted: *const MsssimImage,
    scratch: *mut f32,
    scratch_len: usize,
    score: *mut MsssimScore,
) -> MsssimStatus {
    let call = || {
        // SAFETY: the caller knows that all can be read.
        let (of_params, x, y) = unsafe { (read(params)?, read(reference)?, read(distorted)?) };
        let written = [Region::of(scratch, scratch_len)?, Region::of(score, 1)?];
        let read = [
            Region::of(params, 1)?,
            Region::of(reference, 1)?,
            Region::of(distorted, 1)?,
            x.region()?,
            y.region()?,
        ];
        disjoint(&written, &read)?;
        // SAFETY: the caller knows that samples of that type can be read.
        let pair = unsafe { Pair::of(&x, &y) }?;
        let plan = of_params.plan(x.size(), x.channels)?;
        if scratch_len < plan.scratch_len() {
            return Err(MsssimStatus::ShortMemory);
        }
        // SAFETY: the caller knows that it can be written to, and it overlaps nothing.
        let scratch = unsafe { cleared(scratch, plan.scratch_len()) }?;
        let result = match &pair {
            Pair::U8([x, y]) => plan.score(x.planes(), y.planes(), scratch)?,
            Pair::U16([x, y]) => plan.score(x.planes(), y.planes(), scratch)?,
            Pair::F32([x, y]) => plan.score(x.planes(), y.planes(), scratch)?,
        };
        // SAFETY: the caller knows that it can be written to.
        unsafe { write(score, MsssimScore::of(&result)) }
    };
    call().into()
}

/// Writes the score to `*score`, and its gradient by the samples of `distorted` to `gradient`: channel after
/// channel, rows without gaps, `width * height * channels` floats of `gradient_len`.
///
/// A float of it is the change of the score per unit of that sample. With the two images exchanged it is
/// the gradient by `reference`. `scratch` is as in msssim_score, by msssim_gradient_scratch_len.
///
/// # Safety
/// Pointers are null or to what their types say, and so are those of the images. Nothing else writes there
/// meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msssim_score_and_gradient(
    params: *const MsssimParams,
    reference: *const MsssimImage,
    distorted: *const MsssimImage,
    gradient: *mut f32,
    gradient_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
    score: *mut MsssimScore,
) -> MsssimStatus {
    let call = || {
        // SAFETY: the caller knows that all can be read.
        let (of_params, x, y) = unsafe { (read(params)?, read(reference)?, read(distorted)?) };
        let written = [
            Region::of(scratch, scratch_len)?,
            Region::of(gradient, gradient_len)?,
            Region::of(score, 1)?,
        ];
        let read = [
            Region::of(params, 1)?,
            Region::of(reference, 1)?,
            Region::of(distorted, 1)?,
            x.region()?,
            y.region()?,
        ];
        disjoint(&written, &read)?;
        // SAFETY: the caller knows that samples of that type can be read.
        let pair = unsafe { Pair::of(&x, &y) }?;
        let plan = of_params.plan(x.size(), x.channels)?;
        let planes_len = x.size().area().checked_mul(x.channels);
        let planes_len = planes_len.ok_or(MsssimStatus::TooLarge)?;
        if scratch_len < plan.gradient_scratch_len() || gradient_len < planes_len {
            return Err(MsssimStatus::ShortMemory);
        }
        // SAFETY: the caller knows that both can be written to, and they overlap nothing.
        let (scratch, gradient) = unsafe {
            let scratch = cleared(scratch, plan.gradient_scratch_len())?;
            (scratch, cleared(gradient, planes_len)?)
        };
        let result = match &pair {
            Pair::U8([x, y]) => differentiate(&plan, x, y, gradient, scratch)?,
            Pair::U16([x, y]) => differentiate(&plan, x, y, gradient, scratch)?,
            Pair::F32([x, y]) => differentiate(&plan, x, y, gradient, scratch)?,
        };
        // SAFETY: the caller knows that it can be written to.
        unsafe { write(score, MsssimScore::of(&result)) }
    };
    call().into()
}

/// The score, and its gradient as planes one after the other.
fn differentiate<T: Sample>(
    plan: &MsSsim,
    x: &Channels<'_, T>,
    y: &Channels<'_, T>,
    gradient: &mut [f32],
    scratch: &mut [f32],
) -> Result<Score, MsssimStatus> {
    let size = plan.size();
    let mut rest = gradient.chunks_exact_mut(size.area());
    let mut next = || PlaneMut::new(rest.next().unwrap_or_default(), size);
    // No more planes than channels: those beyond stay empty.
    let nothing = || PlaneMut::new(&mut [], Size::default());
    let mut planes: [PlaneMut<'_>; MSSSIM_MAX_CHANNELS] =
        [nothing()?, nothing()?, nothing()?, nothing()?];
    let used = planes.get_mut(..plan.channels()).unwrap_or_default();
    for plane in used.iter_mut() {
        *plane = next()?;
    }
    Ok(plan.score_and_gradient(x.planes(), y.planes(), used, scratch)?)
}
