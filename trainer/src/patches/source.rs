//! Where training images come from: a folder of files, or the built-in procedural ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::{Block, PatchError, PatchShape};
use crate::data::stl10::{self, Stl10};
use crate::dead_leaves::dead_leaves;
use crate::evaluation::{Pair, prepare};
use crate::picture::{Picture, dimensions, list_images};
use crate::random::Random;

/// Training images, dealt out into blocks that fit in memory.
#[derive(Clone, Debug)]
pub struct Source {
    kind: Kind,
    /// For each image the samples of a plane; 0 for one that is too small.
    areas: Vec<usize>,
    /// For each block the numbers of its images.
    blocks: Vec<Vec<usize>>,
    /// For each block how many steps it serves at a time.
    steps: Vec<u64>,
    /// Images that are too small for a crop.
    pub skipped: usize,
}

/// Images of one size in memory.
#[derive(Clone, Debug)]
pub struct Images {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Planes of each: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Image after image, plane after plane, row after row.
    pub samples: Arc<[u8]>,
}

impl Images {
    /// Samples of one image.
    pub fn image_len(&self) -> usize {
        self.channels * self.width * self.height
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.samples.len() / self.image_len().max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Image `index`, 0 to 255.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn picture(&self, index: usize) -> Picture {
        let (image, plane) = (self.image_len(), self.width * self.height);
        let samples = &self.samples[index * image..][..image];
        let widened = |plane: &[u8]| plane.iter().map(|v| f32::from(*v)).collect();
        Picture {
            width: self.width,
            height: self.height,
            planes: samples.chunks_exact(plane).map(widened).collect(),
            data_range: 255.0,
        }
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Files(Vec<PathBuf>),
    Memory(Images),
    /// The images of a file of STL-10 from number `first` on.
    Stl10 {
        path: PathBuf,
        first: usize,
    },
    /// Procedural images of this seed, each a square of this side.
    DeadLeaves {
        seed: u64,
        side: usize,
    },
}

impl Source {
    /// The images of folders, whose prepared planes take at most about `budget` bytes at a time.
    ///
    /// They are numbered in the order of the folders, by name within each, and the numbers decide what
    /// a seed draws.
    ///
    /// # Errors
    /// [`PatchError`] names a file that is no image, or a folder of which no image is large enough.
    ///
    /// # Panics
    /// If there is no folder.
    pub fn folders(
        folders: &[PathBuf],
        shape: &PatchShape,
        seed: u64,
        budget: usize,
    ) -> Result<Self, PatchError> {
        let lists = folders.iter().map(|folder| {
            let files = list_images(folder)?;
            Ok((folder.clone(), files))
        });
        let lists = lists.collect::<Result<Vec<_>, PatchError>>()?;
        Self::files(lists, shape, seed, budget)
    }

    /// Some images of each folder, as [`Source::folders`].
    ///
    /// # Errors
    /// [`PatchError`] names a file that is no image, or a folder of which no image is large enough.
    ///
    /// # Panics
    /// If there is no folder.
    pub fn files(
        folders: Vec<(PathBuf, Vec<PathBuf>)>,
        shape: &PatchShape,
        seed: u64,
        budget: usize,
    ) -> Result<Self, PatchError> {
        assert!(!folders.is_empty(), "no folder of training images");
        let (mut files, mut areas) = (Vec::new(), Vec::new());
        for (folder, listed) in folders {
            let held = crop_areas(&listed, shape)?;
            if held.iter().all(|area| *area == 0) {
                return Err(PatchError::NoneLargeEnough {
                    folder,
                    images: listed.len(),
                    side: shape.side,
                });
            }
            files.extend(listed);
            areas.extend(held);
        }
        let skipped = areas.iter().filter(|area| **area == 0).count();
        let kind = Kind::Files(files);
        Ok(Self::deal(kind, areas, shape, seed, budget, skipped))
    }

    /// Images in memory, of which prepared planes take at most about `budget` bytes more at a time.
    ///
    /// # Panics
    /// If there is no image, or they are smaller than a crop.
    pub fn images(images: Images, shape: &PatchShape, seed: u64, budget: usize) -> Self {
        let side = images.width.min(images.height);
        assert!(
            !images.is_empty() && side >= shape.side,
            "{} images of {side} for crops of {}",
            images.len(),
            shape.side
        );
        let areas = vec![images.width * images.height; images.len()];
        Self::deal(Kind::Memory(images), areas, shape, seed, budget, 0)
    }

    /// The images of a file of STL-10 from number `first` on, read when their block is due.
    ///
    /// # Errors
    /// [`PatchError`] names the file when it is not one, or has no image of a crop's size.
    pub fn stl10(
        path: PathBuf,
        first: usize,
        shape: &PatchShape,
        seed: u64,
        budget: usize,
    ) -> Result<Self, PatchError> {
        let images = Stl10::open(&path)?.len() as usize;
        let images = images.saturating_sub(first);
        if images == 0 || stl10::SIDE - stl10::SIDE % shape.factor < shape.side {
            return Err(PatchError::NoneLargeEnough {
                folder: path,
                images,
                side: shape.side,
            });
        }
        let areas = vec![stl10::SIDE * stl10::SIDE; images];
        let kind = Kind::Stl10 { path, first };
        Ok(Self::deal(kind, areas, shape, seed, budget, 0))
    }

    /// `count` procedural images of `side` pixels.
    ///
    /// # Panics
    /// If `side` is smaller than a crop.
    pub fn dead_leaves(count: usize, side: usize, shape: &PatchShape, seed: u64) -> Self {
        assert!(
            side >= shape.side,
            "images of {side} for crops of {}",
            shape.side
        );
        let kind = Kind::DeadLeaves { seed, side };
        Self::deal(kind, vec![side * side; count], shape, seed, usize::MAX, 0)
    }

    /// Deals images with at least one crop into blocks of up to `budget` bytes, in random order.
    fn deal(
        kind: Kind,
        areas: Vec<usize>,
        shape: &PatchShape,
        seed: u64,
        budget: usize,
        skipped: usize,
    ) -> Self {
        let mut order: Vec<usize> = (0..areas.len()).filter(|i| areas[*i] > 0).collect();
        Random::new(seed, "order of images", 0).shuffle(&mut order);
        // Input and target, where they differ, each a plane of f32 per channel.
        let planes = shape.channels.count() * if shape.factor == 1 { 1 } else { 2 };
        let bytes = |area: usize| area.saturating_mul(4 * planes);
        let mut blocks: Vec<Vec<usize>> = vec![];
        let mut filled = usize::MAX;
        for image in order {
            filled = filled.saturating_add(bytes(areas[image]));
            if filled > budget || blocks.is_empty() {
                blocks.push(vec![]);
                filled = bytes(areas[image]);
            }
            if let Some(block) = blocks.last_mut() {
                block.push(image);
            }
        }
        let crop = shape.batch * shape.side * shape.side;
        // So many steps that a block is seen about once.
        let steps = |block: &Vec<usize>| {
            let area: usize = block.iter().map(|image| areas[*image]).sum();
            area.div_ceil(crop) as u64
        };
        let steps = blocks.iter().map(steps).collect();
        Self {
            kind,
            areas,
            blocks,
            steps,
            skipped,
        }
    }

    /// The block that serves `step`, and the number of steps until the next one begins.
    pub(super) fn block_of(&self, step: u64) -> (usize, u64) {
        if self.blocks.len() == 1 {
            return (0, u64::MAX);
        }
        let round: u64 = self.steps.iter().sum();
        let mut left = step % round;
        for (block, steps) in self.steps.iter().enumerate() {
            if left < *steps {
                return (block, steps - left);
            }
            left -= steps;
        }
        unreachable!("a step of a round lies in one of its blocks")
    }

    /// The number of blocks.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Samples of a plane of all images of the largest block.
    pub(super) fn most_area(&self) -> usize {
        let area = |block: &Vec<usize>| block.iter().map(|image| self.areas[*image]).sum();
        self.blocks.iter().map(area).max().unwrap_or(0)
    }

    /// Reads and prepares the images of a block, on all threads, unless it is `abandoned`.
    pub(super) fn load(
        &self,
        block: usize,
        shape: &PatchShape,
        abandoned: &AtomicBool,
    ) -> Result<Block, PatchError> {
        if let Kind::Stl10 { path, first } = &self.kind {
            let pairs = load_stl10(path, *first, &self.blocks[block], shape, abandoned)?;
            return Ok(Block::new(pairs, shape.side));
        }
        let load = |image: &usize| {
            check_wanted(abandoned)?;
            let picture = match &self.kind {
                Kind::Files(files) => Picture::open(&files[*image])?,
                Kind::Memory(images) => images.picture(*image),
                Kind::DeadLeaves { seed, side } => dead_leaves(*seed, *image as u64, *side, *side),
                Kind::Stl10 { .. } => unreachable!("loaded above"),
            };
            let pair = prepare(&picture, shape.factor, shape.channels);
            match (pair, &self.kind) {
                (Some(pair), _) if pair.size.area() == self.areas[*image] => Ok(pair),
                (_, Kind::Files(files)) => Err(PatchError::Changed(files[*image].clone())),
                (_, Kind::Memory(_) | Kind::Stl10 { .. } | Kind::DeadLeaves { .. }) => {
                    unreachable!("the sides have been checked")
                }
            }
        };
        let pairs = self.blocks[block]
            .par_iter()
            .map(load)
            .collect::<Result<_, _>>()?;
        Ok(Block::new(pairs, shape.side))
    }
}

/// The pixels of each image that crops are taken from: 0 where none fits.
fn crop_areas(files: &[PathBuf], shape: &PatchShape) -> Result<Vec<usize>, PatchError> {
    let cropped = |side: u32| side as usize - side as usize % shape.factor;
    let area = |path: &PathBuf| {
        let (width, height) = dimensions(path)?;
        let (width, height) = (cropped(width), cropped(height));
        let fits = width.min(height) >= shape.side;
        Ok(if fits { width * height } else { 0 })
    };
    files.par_iter().map(area).collect()
}

fn check_wanted(abandoned: &AtomicBool) -> Result<(), PatchError> {
    if abandoned.load(Ordering::Relaxed) {
        return Err(PatchError::Thread("was told to stop".into()));
    }
    Ok(())
}

/// Images in one task: each opens the file for itself.
const TOGETHER: usize = 256;

/// Reads and prepares images of STL-10, those that follow `first` by the numbers given.
fn load_stl10(
    path: &Path,
    first: usize,
    images: &[usize],
    shape: &PatchShape,
    abandoned: &AtomicBool,
) -> Result<Vec<Pair>, PatchError> {
    let load = |images: &[usize]| {
        check_wanted(abandoned)?;
        let mut file = Stl10::open(path)?;
        let mut pairs = Vec::with_capacity(images.len());
        for image in images {
            let number = (first + image) as u64;
            if number >= file.len() {
                return Err(PatchError::Changed(path.to_owned()));
            }
            let picture = file.picture(number)?;
            match prepare(&picture, shape.factor, shape.channels) {
                Some(pair) if pair.size.width >= shape.side => pairs.push(pair),
                _ => unreachable!("the sides have been checked"),
            }
        }
        Ok(pairs)
    };
    let pairs: Vec<Vec<Pair>> = images
        .par_chunks(TOGETHER)
        .map(load)
        .collect::<Result<_, PatchError>>()?;
    Ok(pairs.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::evaluation::Channels;
    use crate::patches::Symmetries;

    #[test]
    fn stl10_is_read_block_by_block() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("unlabeled_X.bin");
        let levels: Vec<u8> = (0..5)
            .flat_map(|level| vec![level * 10; stl10::IMAGE_BYTES])
            .collect();
        fs::write(&path, levels).unwrap();
        let shape = PatchShape {
            batch: 1,
            side: 96,
            factor: 1,
            channels: Channels::Grey,
            symmetries: Symmetries::None,
        };
        // Room for two images.
        let budget = 2 * 4 * 96 * 96;
        let source = Source::stl10(path.clone(), 1, &shape, 1, budget).unwrap();
        assert_eq!(source.len(), 2);
        let wanted = AtomicBool::new(false);
        let blocks = (0..2).map(|block| source.load(block, &shape, &wanted).unwrap());
        let mut levels: Vec<f32> = blocks
            .flat_map(|block| block.pairs)
            .map(|pair| (pair.truth[0][0] * 255.0).round())
            .collect();
        levels.sort_by(f32::total_cmp);
        assert_eq!(levels, [10.0, 20.0, 30.0, 40.0]);

        let large = PatchShape { side: 97, ..shape };
        let error = Source::stl10(path.clone(), 1, &large, 1, budget).unwrap_err();
        assert!(error.to_string().contains("97 x 97"), "{error}");
        let error = Source::stl10(path.clone(), 5, &shape, 1, budget).unwrap_err();
        assert!(
            error.to_string().contains("none of the 0 images"),
            "{error}"
        );
        fs::write(&path, vec![0; stl10::IMAGE_BYTES]).unwrap();
        let results = (0..2).map(|block| source.load(block, &shape, &wanted).map(drop));
        let error = results.collect::<Result<Vec<()>, _>>().unwrap_err();
        assert!(error.to_string().contains("unlabeled_X.bin"), "{error}");
    }
}
