//! Super-resolution networks on test images: measured by the paper's protocol, and applied.

use std::path::PathBuf;

use msssim_cpu::Size;

use crate::backend::Backend;
use crate::colour::{rgb_from_studio, studio_ycbcr};
use crate::dead_leaves::dead_leaves;
use crate::evaluation::{Channels, Pair, measure, prepare};
use crate::parameters::Parameters;
use crate::picture::{Picture, PictureError, list_images};
use crate::quality::Quality;
use crate::resize::resize;
use crate::srcnn::{TILE, infer};

/// Why networks could not be measured or applied.
#[derive(Debug, thiserror::Error)]
pub enum SuperResolutionError {
    /// A file or folder cannot be used.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The device failed.
    #[error(transparent)]
    Backend(#[from] crate::backend::Error),
    /// An image has no inner part to measure.
    #[error(
        "{name}: {width} x {height} pixels leave nothing to measure after a border of 8; \
         test on larger images"
    )]
    TooSmall {
        /// The image.
        name: String,
        /// Its columns.
        width: usize,
        /// Its rows.
        height: usize,
    },
}

/// Images to measure on.
#[derive(Clone, Debug, PartialEq)]
pub enum TestSet {
    /// Procedural images that no training run sees.
    BuiltIn,
    /// The images of a folder.
    Folder(PathBuf),
}

/// The built-in test images: their seed is not one that training draws from, their number and side.
const HELD_OUT: (u64, u64, usize) = (u64::MAX, 12, 192);

impl TestSet {
    /// What tables call it.
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn => "built-in".to_owned(),
            Self::Folder(path) => {
                match path.canonicalize().as_deref().unwrap_or(path).file_name() {
                    Some(name) => name.to_string_lossy().into_owned(),
                    None => path.display().to_string(),
                }
            }
        }
    }

    /// The names of the images and how to get each.
    fn images(&self) -> Result<Vec<Image>, PictureError> {
        match self {
            Self::BuiltIn => Ok((0..HELD_OUT.1).map(Image::DeadLeaves).collect()),
            Self::Folder(path) => Ok(list_images(path)?.into_iter().map(Image::File).collect()),
        }
    }
}

enum Image {
    DeadLeaves(u64),
    File(PathBuf),
}

impl Image {
    fn open(&self) -> Result<Picture, PictureError> {
        match self {
            Self::DeadLeaves(index) => {
                let (seed, _, side) = HELD_OUT;
                Ok(dead_leaves(seed, *index, side, side))
            }
            Self::File(path) => Picture::open(path),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::DeadLeaves(index) => format!("procedural image {index}"),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// What a set's images come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Mean quality of the bicubic images.
    pub bicubic: Quality,
    /// Mean quality of each network's.
    pub networks: Vec<Quality>,
    /// The image that a picture should show: its number in the set.
    pub showpiece: usize,
}

/// An image by bicubic and by each network, as RGB, with the luma quality of each.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The original, cropped to multiples of the factor.
    pub original: Picture,
    /// By bicubic, then by each network.
    pub restored: Vec<(Picture, Quality)>,
}

/// Measures networks that enlarge `factor` times, one image at a time; `on_image` hears of each.
///
/// The showpiece is the image on which the last network gains most SSIM over the bicubic one.
///
/// # Errors
/// [`SuperResolutionError`] names the image or folder.
pub fn measure_set<B: Backend>(
    backend: &B,
    networks: &[&Parameters],
    set: &TestSet,
    factor: usize,
    mut on_image: impl FnMut(usize, usize),
) -> Result<Measured, SuperResolutionError> {
    let images = set.images()?;
    let mut columns = vec![Vec::with_capacity(images.len()); networks.len() + 1];
    let mut showpiece = (f64::NEG_INFINITY, 0);
    for (i, image) in images.iter().enumerate() {
        on_image(i, images.len());
        let picture = image.open()?;
        let qualities = restore_luma(backend, networks, &picture, factor)?
            .and_then(|Restored { pair, lumas }| {
                let bicubic = measure(&pair.truth[0], &pair.bicubic[0], pair.size)?;
                let measured = lumas
                    .iter()
                    .map(|luma| measure(&pair.truth[0], luma, pair.size));
                std::iter::once(Some(bicubic))
                    .chain(measured)
                    .collect::<Option<Vec<Quality>>>()
            })
            .ok_or_else(|| SuperResolutionError::TooSmall {
                name: image.name(),
                width: picture.width,
                height: picture.height,
            })?;
        let gain = qualities[qualities.len() - 1].ssim - qualities[0].ssim;
        if gain > showpiece.0 {
            showpiece = (gain, i);
        }
        for (column, quality) in columns.iter_mut().zip(qualities) {
            column.push(quality);
        }
    }
    let mut means = columns.iter().filter_map(|column| Quality::mean(column));
    match means.next() {
        Some(bicubic) => Ok(Measured {
            bicubic,
            networks: means.collect(),
            showpiece: showpiece.1,
        }),
        None => unreachable!("a set has at least one image"),
    }
}

/// One image of a set by bicubic and every network, in colour.
///
/// # Errors
/// [`SuperResolutionError`] names the image.
pub fn show<B: Backend>(
    backend: &B,
    networks: &[&Parameters],
    set: &TestSet,
    index: usize,
    factor: usize,
) -> Result<Shown, SuperResolutionError> {
    let images = set.images()?;
    let image = &images[index];
    let picture = image.open()?;
    let too_small = || SuperResolutionError::TooSmall {
        name: image.name(),
        width: picture.width,
        height: picture.height,
    };
    let Restored { pair, lumas } =
        restore_luma(backend, networks, &picture, factor)?.ok_or_else(too_small)?;
    let colour = prepare(&picture, factor, Channels::Ycbcr).ok_or_else(too_small)?;
    let in_colour = |luma: &[f32], chroma: &[Vec<f32>]| {
        if picture.is_grey() {
            return Picture::grey(pair.size.width, pair.size.height, luma.to_vec(), 1.0);
        }
        let planes = [luma, &chroma[1], &chroma[2]].map(|plane| scaled(plane, 255.0));
        let planes = [&planes[0][..], &planes[1], &planes[2]];
        rgb_from_studio(pair.size.width, pair.size.height, planes)
    };
    let with_quality = |luma: &[f32]| {
        let quality = measure(&pair.truth[0], luma, pair.size).ok_or_else(too_small)?;
        Ok((in_colour(luma, &colour.bicubic), quality))
    };
    let lumas = std::iter::once(&pair.bicubic[0]).chain(&lumas);
    Ok(Shown {
        original: in_colour(&pair.truth[0], &colour.truth),
        restored: lumas
            .map(|luma| with_quality(luma))
            .collect::<Result<_, SuperResolutionError>>()?,
    })
}

/// An image with what the networks make of it.
struct Restored {
    pair: Pair,
    /// For each network.
    lumas: Vec<Vec<f32>>,
}

/// The luma that each network makes of the bicubic image; `None` for an image smaller than the
/// factor.
fn restore_luma<B: Backend>(
    backend: &B,
    networks: &[&Parameters],
    picture: &Picture,
    factor: usize,
) -> Result<Option<Restored>, SuperResolutionError> {
    let Some(pair) = prepare(picture, factor, Channels::Ycbcr) else {
        return Ok(None);
    };
    let mut restored = Vec::with_capacity(networks.len());
    for parameters in networks {
        let mut planes = run(backend, parameters, &pair.bicubic, pair.size)?;
        restored.push(planes.swap_remove(0));
    }
    Ok(Some(Restored {
        pair,
        lumas: restored,
    }))
}

/// A network on the planes that it takes, 1 or 3 of those given; as many come back.
fn run<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    planes: &[Vec<f32>],
    size: Size,
) -> Result<Vec<Vec<f32>>, crate::backend::Error> {
    let channels = channels(parameters);
    let output = infer(
        backend,
        parameters,
        size,
        &planes[..channels].concat(),
        TILE,
    )?;
    Ok(output
        .chunks_exact(size.area())
        .map(<[f32]>::to_vec)
        .collect())
}

/// The planes that a network sees.
fn channels(parameters: &Parameters) -> usize {
    parameters.layout().tensors()[0].shape[1]
}

/// Enlarges a picture `factor` times: the planes that the network makes by the network, the others
/// by bicubic. Grey stays grey.
///
/// # Errors
/// Those of the device.
pub fn upscale<B: Backend>(
    backend: &B,
    parameters: &Parameters,
    picture: &Picture,
    factor: usize,
) -> Result<Picture, crate::backend::Error> {
    let size = Size {
        width: picture.width * factor,
        height: picture.height * factor,
    };
    let mut planes = studio_ycbcr(picture);
    if picture.is_grey() && channels(parameters) > 1 {
        planes.resize(3, vec![128.0; picture.width * picture.height]);
    }
    let mut planes: Vec<Vec<f32>> = planes
        .iter()
        .map(|plane| {
            let plane = scaled(plane, 1.0 / 255.0);
            resize(
                &plane,
                picture.width,
                picture.height,
                size.width,
                size.height,
            )
        })
        .collect();
    let made = run(backend, parameters, &planes, size)?;
    for (plane, made) in planes.iter_mut().zip(made) {
        *plane = made;
    }
    let levels: Vec<Vec<f32>> = planes.iter().map(|plane| scaled(plane, 255.0)).collect();
    Ok(match &levels[..] {
        [y, cb, cr] if !picture.is_grey() => rgb_from_studio(size.width, size.height, [y, cb, cr]),
        planes => Picture::grey(size.width, size.height, planes[0].clone(), 255.0),
    })
}

fn scaled(plane: &[f32], factor: f32) -> Vec<f32> {
    plane.iter().map(|sample| sample * factor).collect()
}
