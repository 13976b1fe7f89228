//! Autoencoders on held-out images: what they make of them, how good it is, and which is best on each.

use std::ops::Range;
use std::path::{Path, PathBuf};

use msssim_cpu::{Params, Size};
use rayon::prelude::*;
use serde::Serialize;

use crate::autoencoder::{Shape, reconstruct};
use crate::backend::{self, Backend};
use crate::data::stl10::{self, Stl10};
use crate::dead_leaves::dead_leaves;
use crate::evaluation::{centre, to_levels};
use crate::parameters::Parameters;
use crate::patches::PatchError;
use crate::picture::{Picture, list_images};
use crate::quality::{Quality, ms_ssim, psnr};
use crate::super_resolution::TestSet;

/// The built-in test images: their seed is not one that training draws from, and their number.
const HELD_OUT: (u64, Range<u64>) = (u64::MAX, 0..200);

/// The side of the procedural images that crops are cut from: their leaves are larger than a crop, as
/// things in photographs are.
const BUILT_IN_SIDE: usize = 192;

/// Rows and columns of the procedural images that crops of `side` are cut from.
pub fn built_in_side(side: usize) -> usize {
    side.max(BUILT_IN_SIDE)
}

/// Images to reconstruct, grey, all of one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Rows and columns of each.
    pub side: usize,
    /// What each is called.
    pub names: Vec<String>,
    /// One after another, in 0 to 1.
    pub samples: Vec<f32>,
}

impl Held {
    /// The middle of each image of a set.
    ///
    /// # Errors
    /// [`PatchError`] names an image that cannot be read or is smaller than `side`.
    pub fn of(set: &TestSet, side: usize) -> Result<Self, PatchError> {
        let (names, samples) = match set {
            TestSet::BuiltIn => {
                let (seed, indices) = HELD_OUT;
                let name = |i: u64| format!("procedural image {i}");
                let names = indices.clone().map(name).collect();
                (names, built_in(seed, indices, side))
            }
            TestSet::Folder(folder) => {
                let (names, crops): (Vec<String>, Vec<_>) = match stl10::test_file(folder) {
                    Some(file) => open_stl10(&file, None, side)?.into_iter().unzip(),
                    None => {
                        let crops = open_crops(&list_images(folder)?, side)?;
                        let name = |path: &PathBuf| {
                            let name = path.file_name().unwrap_or_default();
                            name.to_string_lossy().into_owned()
                        };
                        let named = crops.into_iter().map(|(path, crop)| (name(&path), crop));
                        named.unzip()
                    }
                };
                (names, crops.concat())
            }
        };
        Ok(Self {
            side,
            names,
            samples,
        })
    }

    /// The images.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.samples.chunks_exact(self.side * self.side)
    }

    /// Image `index` of `samples`, ours or a reconstruction.
    pub fn picture(&self, samples: &[f32], index: usize) -> Picture {
        let len = self.side * self.side;
        let plane = samples[index * len..][..len].to_vec();
        Picture::grey(self.side, self.side, plane, 1.0)
    }
}

/// The middles of procedural images, one after another.
pub fn built_in(seed: u64, indices: Range<u64>, side: usize) -> Vec<f32> {
    let whole = built_in_side(side);
    let crop = |index: u64| match centre(&dead_leaves(seed, index, whole, whole), side) {
        Some(crop) => crop,
        None => unreachable!("a procedural image is larger than its crop"),
    };
    let crops: Vec<Vec<f32>> = indices.into_par_iter().map(crop).collect();
    crops.concat()
}

/// The middles of image files.
///
/// # Errors
/// [`PatchError`] names a file that is no image or smaller than `side`.
pub fn open_crops(files: &[PathBuf], side: usize) -> Result<Vec<(PathBuf, Vec<f32>)>, PatchError> {
    let open = |path: &PathBuf| {
        let crop = centre(&Picture::open(path)?, side);
        let crop = crop.ok_or_else(|| PatchError::TooSmall {
            path: path.clone(),
            side,
        })?;
        Ok((path.clone(), crop))
    };
    files.par_iter().map(open).collect()
}

/// The middles of the first images of a file of STL-10, or of all, and what each is called.
///
/// # Errors
/// [`PatchError`] names the file when it cannot be read or its images are smaller than `side`.
pub fn open_stl10(
    file: &Path,
    most: Option<usize>,
    side: usize,
) -> Result<Vec<(String, Vec<f32>)>, PatchError> {
    let mut set = Stl10::open(file)?;
    let images = most.map_or(set.len(), |most| set.len().min(most as u64));
    let open = |image: u64| {
        let crop = centre(&set.picture(image)?, side);
        let crop = crop.ok_or_else(|| PatchError::TooSmall {
            path: file.to_owned(),
            side,
        })?;
        Ok((format!("image {image}"), crop))
    };
    (0..images).map(open).collect()
}

/// What several networks make of the same images.
#[derive(Clone, Debug)]
pub struct Reconstructed {
    /// For each network all images, one after another, in 0 to 1.
    pub samples: Vec<Vec<f32>>,
    /// For each network the quality of each image.
    pub qualities: Vec<Vec<Quality>>,
}

impl Reconstructed {
    /// Runs networks of one shape on all images and measures what comes out, rounded to 8 bits.
    ///
    /// # Errors
    /// Those of the device.
    pub fn by<B: Backend>(
        backend: &B,
        shape: Shape,
        networks: &[&Parameters],
        held: &Held,
    ) -> Result<Self, backend::Error> {
        let mut all = Self {
            samples: Vec::new(),
            qualities: Vec::new(),
        };
        for parameters in networks {
            let samples = reconstruct(backend, shape, parameters, &held.samples)?;
            let pairs = held.samples.par_chunks_exact(held.side * held.side);
            let pairs = pairs.zip(samples.par_chunks_exact(held.side * held.side));
            let qualities = pairs
                .map(|(truth, made)| quality(truth, made, held.side))
                .collect();
            all.samples.push(samples);
            all.qualities.push(qualities);
        }
        Ok(all)
    }

    /// The mean quality of each network.
    pub fn means(&self) -> Vec<Quality> {
        let means = self.qualities.iter().map(|images| Quality::mean(images));
        means.flatten().collect()
    }

    /// For each measure and each image, every network's rank, 1 for the best; equals share the better
    /// rank.
    pub fn ranks(&self, measure: Measure) -> Vec<Vec<usize>> {
        let images = self.qualities.first().map_or(0, Vec::len);
        let of_image = |image: usize| {
            let values: Vec<f64> = self
                .qualities
                .iter()
                .map(|q| measure.of(&q[image]))
                .collect();
            let rank = |value: &f64| 1 + values.iter().filter(|other| *other > value).count();
            values.iter().map(rank).collect()
        };
        (0..images).map(of_image).collect()
    }

    /// How often each network has each rank: `[network][rank - 1]`.
    pub fn histogram(&self, measure: Measure) -> Vec<Vec<usize>> {
        let networks = self.qualities.len();
        let mut counts = vec![vec![0; networks]; networks];
        for ranks in self.ranks(measure) {
            for (counts, rank) in counts.iter_mut().zip(ranks) {
                counts[rank - 1] += 1;
            }
        }
        counts
    }

    /// The images on which the last network does worst: by SSIM, against the best of the others.
    pub fn worst_of_last(&self, count: usize) -> Vec<usize> {
        let Some((last, others)) = self.qualities.split_last() else {
            return Vec::new();
        };
        let lead = |image: usize| {
            let of_others = others.iter().map(|q| q[image].ssim);
            last[image].ssim - of_others.fold(f64::NEG_INFINITY, f64::max)
        };
        let mut images: Vec<usize> = (0..last.len()).collect();
        images.sort_by(|a, b| lead(*a).total_cmp(&lead(*b)));
        images.truncate(count);
        images
    }
}

/// What images are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Peak signal-to-noise ratio.
    Psnr,
    /// Single-scale SSIM with windows over the border.
    Ssim,
    /// MS-SSIM as the paper's loss has it.
    MsSsim,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Psnr, Self::Ssim, Self::MsSsim];

    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psnr => "PSNR",
            Self::Ssim => "SSIM",
            Self::MsSsim => "MS-SSIM",
        }
    }

    /// Its value.
    pub fn of(self, quality: &Quality) -> f64 {
        match self {
            Self::Psnr => quality.psnr,
            Self::Ssim => quality.ssim,
            Self::MsSsim => quality.ms_ssim.unwrap_or(f64::NAN),
        }
    }
}

/// The quality of one reconstruction as 8-bit levels. Its MS-SSIM is that of the paper's loss, which
/// images of any size have.
fn quality(truth: &[f32], made: &[f32], side: usize) -> Quality {
    let (truth, made) = (to_levels(truth), to_levels(made));
    let size = Size {
        width: side,
        height: side,
    };
    let score = |params: &Params| match ms_ssim(&truth, &made, size, params) {
        Ok(score) => score.value,
        Err(error) => unreachable!("windows over the border fit any image: {error}"),
    };
    Quality {
        psnr: psnr(&truth, &made, 255.0),
        ssim: score(&Params::MATLAB_SSIM),
        ms_ssim: Some(score(&Params::SNELL_2017)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconstructed(ssim: [[f64; 3]; 2]) -> Reconstructed {
        let quality = |ssim: f64| Quality {
            psnr: -ssim,
            ssim,
            ms_ssim: Some(0.5),
        };
        Reconstructed {
            samples: Vec::new(),
            qualities: (0..3)
                .map(|n| ssim.iter().map(|image| quality(image[n])).collect())
                .collect(),
        }
    }

    #[test]
    fn ranks_by_hand() {
        let all = reconstructed([[0.1, 0.3, 0.2], [0.4, 0.4, 0.9]]);
        assert_eq!(all.ranks(Measure::Ssim), [[3, 1, 2], [2, 2, 1]]);
        assert_eq!(all.ranks(Measure::Psnr), [[1, 3, 2], [1, 1, 3]]);
        assert_eq!(
            all.histogram(Measure::Ssim),
            [[0, 1, 1], [1, 1, 0], [1, 1, 0]]
        );
        // Equal everywhere: all are first.
        assert_eq!(all.histogram(Measure::MsSsim), [[2, 0, 0]; 3]);
        assert_eq!(all.worst_of_last(5), [0, 1]);
        assert_eq!(all.worst_of_last(1), [0]);
    }

    #[test]
    fn built_in_images_are_theirs_alone() {
        let held = Held::of(&TestSet::BuiltIn, 16).unwrap();
        assert_eq!(held.images().len(), 200);
        assert_eq!(held.names.len(), 200);
        let again = built_in(u64::MAX, 3..5, 16);
        assert_eq!(held.samples[3 * 256..5 * 256], again);
        assert_ne!(built_in(1, 3..5, 16), again);
    }
}
