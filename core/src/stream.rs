//! The score of images that arrive row by row, in memory for a few rows of each scale.
//!
//! Each scale keeps the last rows of its sums and differences in a ring, as many as a window has (ten at
//! least, which the 9/7 filter reaches over). A new row completes rows of windows, whose terms are summed in
//! the order of the whole-image form, and rows of the next scale, which are new rows there. Every number is
//! made by the same calls from the same samples, so the score is that of [`MsSsim::score`] bit for bit.

use crate::error::Error;
use crate::filter::source_row;
use crate::metric::MsSsim;
use crate::params::{ChannelPooling, MAX_SCALES, Params, Pooling, Terms};
use crate::part::{part, part_mut, split};
use crate::plane::{Plane, Size};
use crate::pyramid::{halve_row_of, last_source, scale_sizes};
use crate::sample::Sample;
use crate::score::Score;
use crate::statistics::{MomentLines, Rows, TermSums, row_sums_of, sum_and_difference};
use crate::window::Window;

/// Scores one channel from rows as they arrive.
///
/// ```
/// use msssim_core::{Params, Size, Stream};
///
/// const SIZE: Size = Size { width: 64, height: 48 };
/// const LEN: usize = Params::SNELL_2017.stream_scratch_len(SIZE.width);
/// let mut scratch = [0.0; LEN];
/// let mut stream = Stream::new(SIZE, &Params::SNELL_2017)?;
/// for i in 0..SIZE.height {
///     let row = [i as u8; 64];
///     stream.push(&row, &row, &mut scratch)?;
/// }
/// assert_eq!(stream.score()?.value, 1.0);
/// # Ok::<(), msssim_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    metric: MsSsim,
    progress: [Progress; MAX_SCALES],
}

/// How far a scale is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Rows that have arrived.
    arrived: usize,
    /// Rows of windows that are summed.
    summed: usize,
    /// Their sums.
    sums: TermSums,
}

impl Params {
    /// Rows that a scale keeps.
    const fn ring_rows(&self) -> usize {
        let window = 2 * self.radius + 1;
        if window > 10 { window } else { 10 }
    }

    /// Samples of scratch that a [`Stream`] of images of `width` needs.
    ///
    /// Constant, so that a static array can have that length. In bytes four times as many: for
    /// [`Params::WANG_2003`], five scales, 129,760 for 640 columns and 388,960 for 1920.
    pub const fn stream_scratch_len(&self, width: usize) -> usize {
        let apart = matches!(self.terms, Terms::Apart { .. });
        let lines = MomentLines::scratch_len(width, self.radius, apart, false);
        lines + 2 * self.ring_rows() * self.widths(width)
    }

    /// The widths of all scales together.
    const fn widths(&self, width: usize) -> usize {
        let size = Size { width, height: 1 };
        let sizes = scale_sizes(size, self);
        let (mut sum, mut scale) = (0, 0);
        while scale < self.scales && scale < MAX_SCALES {
            sum += sizes[scale].width;
            scale += 1;
        }
        sum
    }
}

/// The last rows of a scale.
struct Ring<'s> {
    size: Size,
    rows: usize,
    sum: &'s [f32],
    difference: &'s [f32],
}

impl Ring<'_> {
    fn at<'s>(&self, plane: &'s [f32], row: usize) -> &'s [f32] {
        part(plane, row % self.rows * self.size.width, self.size.width)
    }
}

impl Rows for Ring<'_> {
    fn size(&self) -> Size {
        self.size
    }

    fn sum(&self, row: usize) -> &[f32] {
        self.at(self.sum, row)
    }

    fn difference(&self, row: usize) -> &[f32] {
        self.at(self.difference, row)
    }

    fn mask(&self, _: usize) -> Option<&[f32]> {
        None
    }
}

impl Stream {
    /// Plans for one channel of images of `size`.
    ///
    /// # Errors
    /// Those of [`MsSsim::new`]; [`Error::Parameter`] for products pixel by pixel, and for channels
    /// pooled together.
    pub fn new(size: Size, params: &Params) -> Result<Self, Error> {
        let metric = MsSsim::new(size, 1, params)?;
        if params.pooling == Pooling::PixelProduct {
            return Err(Error::Parameter {
                name: "pooling",
                must: "of means for rows as they arrive",
            });
        }
        if params.channels == ChannelPooling::Means {
            return Err(Error::Parameter {
                name: "channels",
                must: "of scores for rows as they arrive",
            });
        }
        Ok(Self {
            metric,
            progress: Default::default(),
        })
    }

    /// The plan.
    pub fn plan(&self) -> &MsSsim {
        &self.metric
    }

    /// Samples of scratch that [`Stream::push`] needs.
    pub fn scratch_len(&self) -> usize {
        self.metric
            .params()
            .stream_scratch_len(self.metric.size().width)
    }

    /// Rows that have arrived.
    pub fn rows(&self) -> usize {
        self.progress[0].arrived
    }

    /// Takes the next row of both images. What the scratch holds before the first row does not matter;
    /// between rows it must be left as it is.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] for a row of another length, or one too many; [`Error::ShortScratch`].
    pub fn push<X: Sample, Y: Sample>(
        &mut self,
        reference: &[X],
        distorted: &[Y],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let row = |width| Size { width, height: 1 };
        let reference = Plane::new(reference, row(reference.len()))?;
        let distorted = Plane::new(distorted, row(distorted.len()))?;
        self.push_rows(&reference, &distorted, scratch)
    }

    /// Takes the next rows of both images, as many as the planes have; see [`Stream::push`].
    ///
    /// # Errors
    /// As of [`Stream::push`]. No row is taken then.
    pub fn push_rows<X: Sample, Y: Sample>(
        &mut self,
        reference: &Plane<'_, X>,
        distorted: &Plane<'_, Y>,
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let (expected, size) = (self.metric.size(), reference.size());
        if distorted.size() != size {
            return Err(Error::SizeMismatch {
                expected: size,
                actual: distorted.size(),
            });
        }
        let actual = Size {
            width: size.width,
            height: self.rows().saturating_add(size.height),
        };
        if actual.width != expected.width || actual.height > expected.height {
            return Err(Error::SizeMismatch { expected, actual });
        }
        if scratch.len() < self.scratch_len() {
            return Err(Error::ShortScratch {
                expected: self.scratch_len(),
                actual: scratch.len(),
            });
        }
        let rows = self.metric.params().ring_rows();
        let data_range = self.metric.params().data_range;
        let widths = self.metric.params().widths(expected.width);
        let (sums, rest) = split(scratch, rows * widths);
        let (differences, lines) = split(rest, rows * widths);
        for row in 0..size.height {
            let slot = self.rows() % rows * expected.width;
            let sum = part_mut(sums, slot, expected.width);
            let difference = part_mut(differences, slot, expected.width);
            sum_and_difference(reference, distorted, row, data_range, sum, difference);
            self.arrive(0, sums, differences, lines);
        }
        Ok(())
    }

    /// A new row of scale `scale` is in its ring; the rings of the finer scales are not in the slices.
    fn arrive(
        &mut self,
        scale: usize,
        sums: &mut [f32],
        differences: &mut [f32],
        lines: &mut [f32],
    ) {
        let ring_rows = self.metric.params().ring_rows();
        let halving = self.metric.params().halving;
        let Some((constants, size)) = self.metric.scale(scale) else {
            return;
        };
        let coarser = self.metric.scale(scale + 1).map(|(_, size)| size);
        let Some([progress, rest @ ..]) = self.progress.get_mut(scale..) else {
            return;
        };
        progress.arrived += 1;
        let (sum, coarser_sums) = split(sums, ring_rows * size.width);
        let (difference, coarser_differences) = split(differences, ring_rows * size.width);
        let ring = Ring {
            size,
            rows: ring_rows,
            sum,
            difference,
        };
        let map_height = constants.map_size(size).height;
        while progress.summed < map_height {
            let row = progress.summed;
            let last = last_row(&constants.window, constants.border, size.height, row);
            if last >= progress.arrived {
                break;
            }
            progress.sums += row_sums_of(constants, &ring, false, row, lines);
            progress.summed += 1;
        }
        let (Some(coarser), Some(next)) = (coarser, rest.first()) else {
            return;
        };
        let (arrived, mut row) = (progress.arrived, next.arrived);
        while row < coarser.height && last_source(halving, size, row) < arrived {
            let slot = row % ring_rows * coarser.width;
            let out = part_mut(coarser_sums, slot, coarser.width);
            halve_row_of(halving, size, |row| ring.sum(row), -1.0, row, out);
            let out = part_mut(coarser_differences, slot, coarser.width);
            halve_row_of(halving, size, |row| ring.difference(row), 0.0, row, out);
            self.arrive(scale + 1, coarser_sums, coarser_differences, lines);
            row += 1;
        }
    }

    /// The score, once all rows have arrived.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] while rows are missing.
    pub fn score(&self) -> Result<Score, Error> {
        let expected = self.metric.size();
        if self.rows() < expected.height {
            let actual = Size {
                height: self.rows(),
                ..expected
            };
            return Err(Error::SizeMismatch { expected, actual });
        }
        let sums = self.progress.map(|progress| progress.sums);
        Ok(self.metric.conclude(&sums, 1, false).0)
    }

    /// Forgets all rows, for the next pair of images.
    pub fn restart(&mut self) {
        self.progress = Default::default();
    }
}

/// The last row under the windows of map row `row`.
fn last_row(window: &Window, border: crate::params::Border, height: usize, row: usize) -> usize {
    let taps = 0..window.len();
    taps.map(|k| source_row(border, window.radius, height, row, k))
        .max()
        .unwrap_or(0)
}
