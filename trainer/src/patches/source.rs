//! Where training images come from: a folder of files, or the built-in procedural ones.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use super::{Block, PatchError, PatchShape};
use crate::dead_leaves::dead_leaves;
use crate::evaluation::prepare;
use crate::picture::{Picture, dimensions, list_images};
use crate::random::Random;

/// Training images, dealt out into blocks that fit in memory.
#[derive(Clone, Debug)]
pub struct Source {
    kind: Kind,
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
    /// Procedural images of this seed, each a square of this side.
    DeadLeaves {
        seed: u64,
        side: usize,
    },
}

impl Source {
    /// The images of a folder, whose prepared planes take at most about `budget` bytes at a time.
    ///
    /// # Errors
    /// [`PatchError`] names a file that is no image, or the folder when no image is large enough.
    pub fn folder(
        folder: PathBuf,
        shape: &PatchShape,
        seed: u64,
        budget: usize,
    ) -> Result<Self, PatchError> {
        let files = list_images(&folder)?;
        Self::files(folder, files, shape, seed, budget)
    }

    /// Some images of a folder, as [`Source::folder`].
    ///
    /// # Errors
    /// [`PatchError`] names a file that is no image, or the folder when no image is large enough.
    pub fn files(
        folder: PathBuf,
        files: Vec<PathBuf>,
        shape: &PatchShape,
        seed: u64,
        budget: usize,
    ) -> Result<Self, PatchError> {
        let sizes: Vec<(u32, u32)> = files
            .par_iter()
            .map(|path| dimensions(path))
            .collect::<Result<_, _>>()?;
        let cropped = |side: u32| side as usize - side as usize % shape.factor;
        let areas: Vec<usize> = sizes
            .iter()
            .map(|&(width, height)| {
                let (width, height) = (cropped(width), cropped(height));
                if width.min(height) < shape.side {
                    0
                } else {
                    width * height
                }
            })
            .collect();
        let skipped = areas.iter().filter(|area| **area == 0).count();
        if skipped == files.len() {
            return Err(PatchError::NoneLargeEnough {
                folder,
                images: skipped,
                side: shape.side,
            });
        }
        Ok(Self::deal(
            Kind::Files(files),
            &areas,
            shape,
            seed,
            budget,
            skipped,
        ))
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
        Self::deal(Kind::Memory(images), &areas, shape, seed, budget, 0)
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
        Self::deal(kind, &vec![side * side; count], shape, seed, usize::MAX, 0)
    }

    /// Deals images with at least one crop into blocks of up to `budget` bytes, in random order.
    fn deal(
        kind: Kind,
        areas: &[usize],
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

    /// Reads and prepares the images of a block, on all threads.
    pub(super) fn load(&self, block: usize, shape: &PatchShape) -> Result<Block, PatchError> {
        let load = |image: &usize| {
            let picture = match &self.kind {
                Kind::Files(files) => Picture::open(&files[*image])?,
                Kind::Memory(images) => images.picture(*image),
                Kind::DeadLeaves { seed, side } => dead_leaves(*seed, *image as u64, *side, *side),
            };
            let pair = prepare(&picture, shape.factor, shape.channels);
            match (pair, &self.kind) {
                (Some(pair), _) if pair.size.width.min(pair.size.height) >= shape.side => Ok(pair),
                (_, Kind::Files(files)) => Err(PatchError::Changed(files[*image].clone())),
                (_, Kind::Memory(_) | Kind::DeadLeaves { .. }) => {
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
