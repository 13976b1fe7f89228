//! Batches of random crops, reproducible and bounded in memory.
//!
//! A batch is a pure function of the seed and the step: nothing has to be saved to resume, and the
//! number of threads does not matter. A folder that does not fit in memory is dealt out, in an
//! order of its own per seed, into blocks that do; a block serves some steps, then the next one.

mod aside;
mod loader;
mod source;

use std::path::PathBuf;

use msssim_cpu::Size;
use serde::{Deserialize, Serialize};

pub use aside::{Prepared, Preparing, PreparingError};
pub use loader::Loader;
pub use source::{Images, Source};

use crate::data::DataError;
use crate::evaluation::{Channels, Pair};
use crate::picture::PictureError;
use crate::random::Random;

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchShape {
    /// Crops in a batch.
    pub batch: usize,
    /// Rows and columns of a crop.
    pub side: usize,
    /// How many times the network enlarges; 1 for a network that is to give back what it sees.
    pub factor: usize,
    /// Which planes.
    pub channels: Channels,
    /// How crops are turned.
    pub symmetries: Symmetries,
}

/// The ways in which a crop may be turned, each equally likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetries {
    /// All eight of the square.
    All,
    /// As it is, and with left and right exchanged.
    Mirror,
    /// As it is.
    None,
}

impl Symmetries {
    /// One of them; bits flip rows (1), flip columns (2) and transpose (4).
    fn draw(self, random: &mut Random) -> u8 {
        match self {
            Self::All => random.below(8) as u8,
            Self::Mirror => 2 * random.below(2) as u8,
            Self::None => 0,
        }
    }
}

impl PatchShape {
    /// Samples of a batch: `batch x channels x side x side`.
    pub fn batch_len(&self) -> usize {
        self.batch * self.channels.count() * self.side * self.side
    }
}

/// Why there are no batches.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// An image cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No image is as large as a crop.
    #[error(
        "{}: none of the {images} images holds a crop of {side} x {side} pixels; train on larger \
         images or on smaller patches", folder.display()
    )]
    NoneLargeEnough {
        /// The folder.
        folder: PathBuf,
        /// Images in it.
        images: usize,
        /// The side of a crop.
        side: usize,
    },
    /// An image is smaller than a crop.
    #[error("{}: smaller than {side} x {side} pixels; leave it out or choose a smaller --side", path.display())]
    TooSmall {
        /// The image.
        path: PathBuf,
        /// The side of a crop.
        side: usize,
    },
    /// An image changed while it was in use.
    #[error("{}: the image was replaced by another one during training", .0.display())]
    Changed(PathBuf),
    /// A thread could not be started or has died.
    #[error("the thread that loads images {0}; start again with --resume")]
    Thread(String),
}

/// Prepared images, to crop from.
struct Block {
    pairs: Vec<Pair>,
    places: Places,
}

/// The crops of a block's images.
struct Places {
    sizes: Vec<Size>,
    /// For each image the number of crop positions in it and all before it.
    positions: Vec<u64>,
}

impl Places {
    /// Crop `i` of `step`. Every position in the block is equally likely.
    fn place(&self, shape: &PatchShape, seed: u64, step: u64, i: usize) -> Place {
        let mut random = Random::new(seed, "crop", step * shape.batch as u64 + i as u64);
        let total = self.positions.last().copied().unwrap_or(0);
        let position = random.below(total);
        let image = self.positions.partition_point(|end| *end <= position);
        let before = if image == 0 {
            0
        } else {
            self.positions[image - 1]
        };
        let width = self.sizes[image].width;
        let columns = width - shape.side + 1;
        let position = (position - before) as usize;
        Place {
            image,
            first: position / columns * width + position % columns,
            symmetry: shape.symmetries.draw(&mut random),
        }
    }
}

impl Block {
    /// A block of images that each hold at least one crop.
    fn new(pairs: Vec<Pair>, side: usize) -> Self {
        let mut sum = 0;
        let sizes: Vec<Size> = pairs.iter().map(|pair| pair.size).collect();
        let positions = sizes
            .iter()
            .map(|size| {
                sum += ((size.width - side + 1) * (size.height - side + 1)) as u64;
                sum
            })
            .collect();
        Self {
            pairs,
            places: Places { sizes, positions },
        }
    }

    /// Fills `input` (bicubic, or the same) and `target` (truth) with the crops of `step`, in 0 to 1.
    fn crop(
        &self,
        shape: &PatchShape,
        seed: u64,
        step: u64,
        input: &mut [f32],
        target: &mut [f32],
    ) {
        let side = shape.side;
        let crop = shape.channels.count() * side * side;
        let crops = input
            .chunks_exact_mut(crop)
            .zip(target.chunks_exact_mut(crop));
        for (i, (input, target)) in crops.enumerate() {
            let Place {
                image,
                first,
                symmetry,
            } = self.places.place(shape, seed, step, i);
            let pair = &self.pairs[image];
            for (planes, out) in [(pair.seen(), input), (&pair.truth[..], target)] {
                for (plane, out) in planes.iter().zip(out.chunks_exact_mut(side * side)) {
                    copy_crop(&plane[first..], pair.size.width, side, symmetry, out);
                }
            }
        }
    }

    /// Writes all images, one plane after the other, to the start of memory for inputs and targets, or of one for
    /// both where they are alike; and says where each image begins, and the last one ends.
    fn lay_out(&self, memory: &mut [&mut [f32]]) -> (Vec<usize>, usize) {
        let mut begins = Vec::with_capacity(self.pairs.len());
        let mut end = 0;
        for pair in &self.pairs {
            begins.push(end);
            let kinds = match memory.len() {
                1 => vec![&pair.truth[..]],
                _ => vec![pair.seen(), &pair.truth],
            };
            for (planes, memory) in kinds.into_iter().zip(&mut *memory) {
                let rest = memory[end..].chunks_exact_mut(pair.size.area());
                for (plane, to) in planes.iter().zip(rest) {
                    to.copy_from_slice(plane);
                }
            }
            end += pair.truth.len() * pair.size.area();
        }
        (begins, end)
    }
}

/// Where a crop lies: in which image, at which sample of each plane, in which of eight symmetries.
struct Place {
    image: usize,
    first: usize,
    symmetry: u8,
}

/// Copies a square of `side` that begins at `plane[0]`; bits of `symmetry` flip rows, flip columns
/// and transpose.
fn copy_crop(plane: &[f32], stride: usize, side: usize, symmetry: u8, out: &mut [f32]) {
    let flip = |bit: u8, i: usize| if symmetry & bit == 0 { i } else { side - 1 - i };
    for (i, out) in out.chunks_exact_mut(side).enumerate() {
        for (j, out) in out.iter_mut().enumerate() {
            let (row, column) = (flip(1, i), flip(2, j));
            let (row, column) = if symmetry & 4 == 0 {
                (row, column)
            } else {
                (column, row)
            };
            *out = plane[row * stride + column];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_symmetries_are_different_and_complete() {
        let plane = [1.0, 2.0, 3.0, 4.0];
        let mut seen: Vec<[f32; 4]> = Vec::new();
        for symmetry in 0..8 {
            let mut out = [0.0; 4];
            copy_crop(&plane, 2, 2, symmetry, &mut out);
            assert!(!seen.contains(&out), "{symmetry} repeats {out:?}");
            seen.push(out);
        }
        assert_eq!(seen[0], plane);
        assert_eq!(seen[4], [1.0, 3.0, 2.0, 4.0]);
    }
}
