//! What a metric's launches need: sizes of the scales, shapes of the grids, and one workspace.
//!
//! A block's strip of columns depends on a plane's width alone, and sums are written for every eight
//! rows: the order of every sum, and so every bit, is the same however a batch is split.

use crate::parameters::{Combine, Finish, Halving, MAX_SCALES, Negative, Product, Scale, TAPS};

/// Rows whose sums are written together.
const CHUNK: usize = 8;

/// Taps on either side of the window's centre.
const RADIUS: usize = 5;

/// The metric, as far as the kernels for training have to know it; [`crate::general`] has all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Number of scales, 1 to [`MAX_SCALES`].
    pub scales: usize,
    /// Exponents.
    pub weights: [f64; MAX_SCALES],
    /// What becomes of a negative mean; not [`Negative::ZeroMap`].
    pub negative: Negative,
    /// Whether windows lie inside the image.
    pub valid: bool,
    /// How the next scale is made: [`Halving::Symmetric`], [`Halving::Zero`] or [`Halving::Floor`].
    pub halving: Halving,
    /// Whether scales are multiplied pixel by pixel, and the products averaged; otherwise the scales'
    /// means are multiplied. Not for windows inside the image only.
    pub per_pixel: bool,
    /// The window, the centre first.
    pub taps: [f32; TAPS],
    /// C1 for samples scaled to [0, 1].
    pub c1: f32,
    /// C2 for samples scaled to [0, 1].
    pub c2: f32,
    /// White less black.
    pub data_range: f64,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The score alone.
    Score,
    /// The score and its gradient.
    Gradient,
}

impl Pass {
    /// Columns of a block that lie beyond its strip, on either side.
    fn halo(self) -> usize {
        match self {
            Self::Score => RADIUS,
            Self::Gradient => 2 * RADIUS,
        }
    }
}

/// A part of the workspace, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// From the workspace's beginning.
    pub offset: usize,
    /// Its length.
    pub bytes: usize,
}

/// One scale's launch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScalePlan {
    /// The kernel's parameter.
    pub scale: Scale,
    /// Blocks: strips across, strips down, planes.
    pub grid: [u32; 3],
    /// Threads of a block, along `x`.
    pub block: u32,
}

/// Where everything is in the workspace. The workspace must be aligned to 256 bytes; what it holds
/// before does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// `float2` pixels of each scale's level, plane after plane; none of the finest.
    pub levels: [Region; MAX_SCALES],
    /// `float` gradients of the scales but the finest, whose place is the result's.
    pub gradients: Region,
    /// `double2` sums of blocks, scale after scale.
    pub partials: Region,
    /// `double2` means of cs and of l cs, per plane and scale.
    pub means: Region,
    /// `double`, per image.
    pub scores: Region,
    /// `float`, per plane and scale.
    pub factors: Region,
    /// `float` maps of each scale's terms, plane after plane, if scales are multiplied pixel by pixel.
    pub terms: [Region; MAX_SCALES],
    /// `float` sums and products of each scale but the finest, of that purpose.
    pub sums: [Region; MAX_SCALES],
    /// Bytes of all of it.
    pub bytes: usize,
}

/// One scale of the product pixel by pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductPlan {
    /// The kernels' parameter.
    pub parameter: Product,
    /// The grid of `descend`, whose block has 256 threads.
    pub grid: [u32; 3],
    /// That of `rise`, which writes the next scale.
    pub next_grid: [u32; 3],
    /// The launch of `weighted_*`.
    pub weighted: ScalePlan,
}

/// All launches of a score, or of a score and its gradient, for one size and number of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The scales, the finest first: `statistics_*` or `gradient_*`; `terms_*` if scales are multiplied
    /// pixel by pixel.
    pub scales: Vec<ScalePlan>,
    /// The parameter of `combine`, whose grid is the images and whose block has 256 threads.
    pub combine: Combine,
    /// The parameter of `finish`.
    pub finish: Finish,
    /// The grid of `finish`, whose block has 256 threads.
    pub finish_grid: [u32; 3],
    /// The scales' products, if they are multiplied pixel by pixel; otherwise none.
    pub products: Vec<ProductPlan>,
    /// The workspace.
    pub layout: Layout,
}

impl Plan {
    /// The plan for `images` images of `channels` planes of `height` rows and `width` columns.
    ///
    /// `None` where a scale has no window, a number is 0, or a size does not fit a launch: sides must
    /// be below 2^31, planes and rows at most 65535.
    pub fn new(
        metric: &Metric,
        pass: Pass,
        images: usize,
        channels: usize,
        height: usize,
        width: usize,
    ) -> Option<Self> {
        let planes = images
            .checked_mul(channels)
            .filter(|&n| n > 0 && n <= 65535)?;
        if metric.scales == 0
            || metric.scales > MAX_SCALES
            || height > 65535
            || (metric.per_pixel && metric.valid)
            || metric.negative == Negative::ZeroMap
            || metric.halving as i32 > Halving::Floor as i32
        {
            return None;
        }
        // Terms are made without a gradient, and weighted with one.
        let of_sums = if metric.per_pixel { Pass::Score } else { pass };
        let mut workspace = Workspace::default();
        let mut layout = Layout::default();
        let (mut scales, mut products) = (Vec::new(), Vec::new());
        let mut combine = Combine {
            scales: int(metric.scales)?,
            channels: int(channels)?,
            negative: metric.negative,
            partials: [0; MAX_SCALES],
            first: [0; MAX_SCALES],
            windows: [0.0; MAX_SCALES],
            weights: metric.weights,
            data_range: metric.data_range,
        };
        let mut finish = Finish {
            channels: int(channels)?,
            scales: int(metric.scales)?,
            halving: metric.halving,
            width: [0; MAX_SCALES],
            height: [0; MAX_SCALES],
            first: [0; MAX_SCALES],
        };
        let (mut partials, mut gradients) = (0usize, 0usize);
        let mut side = Sides { height, width };
        for j in 0..metric.scales {
            let border = if metric.valid { 2 * RADIUS } else { 0 };
            let windows = side
                .height
                .checked_sub(border)?
                .checked_mul(side.width.checked_sub(border)?)?;
            let area = side.height.checked_mul(side.width)?;
            if windows == 0 || area >= 1 << 31 {
                return None;
            }
            let pixels = planes.checked_mul(area)?;
            let scale = |pass| ScalePlan::new(metric, pass, j, planes, channels, side);
            let of_scale = scale(of_sums)?;
            let chunks = of_scale.grid[0] as usize * side.height.div_ceil(CHUNK);
            (finish.width[j], finish.height[j]) = (int(side.width)?, int(side.height)?);
            combine.partials[j] = int(chunks)?;
            combine.first[j] = partials as i64;
            combine.windows[j] = windows as f64;
            partials = partials.checked_add(planes.checked_mul(chunks)?)?;
            if j > 0 {
                layout.levels[j] = workspace.take(pixels, 8)?;
                finish.first[j] = gradients as i64;
                gradients = gradients.checked_add(pixels)?;
            }
            scales.push(of_scale);
            let next = side.halved(metric.halving);
            if metric.per_pixel {
                layout.terms[j] = workspace.take(pixels, 4)?;
                if j > 0 {
                    layout.sums[j] = workspace.take(pixels, 4)?;
                }
                products.push(ProductPlan {
                    parameter: Product {
                        width: int(side.width)?,
                        height: int(side.height)?,
                        next_width: int(next.width)?,
                        next_height: int(next.height)?,
                        halves: true,
                        negative: metric.negative,
                        weight: metric.weights[j],
                    },
                    grid: side.grid(planes),
                    next_grid: next.grid(planes),
                    weighted: scale(Pass::Gradient)?,
                });
            }
            side = next;
        }
        layout.partials = workspace.take(partials, 16)?;
        layout.means = workspace.take(planes * metric.scales, 16)?;
        layout.scores = workspace.take(images, 8)?;
        if pass == Pass::Gradient {
            layout.gradients = workspace.take(gradients, 4)?;
            layout.factors = workspace.take(planes * metric.scales, 4)?;
        }
        layout.bytes = workspace.end;
        Some(Self {
            scales,
            combine,
            finish,
            finish_grid: Sides { height, width }.grid(planes),
            products,
            layout,
        })
    }
}

impl ScalePlan {
    fn new(
        metric: &Metric,
        pass: Pass,
        scale: usize,
        planes: usize,
        channels: usize,
        Sides { height, width }: Sides,
    ) -> Option<Self> {
        let block = block_width(width, pass);
        let across = width.div_ceil(block - 2 * pass.halo());
        let rows = strip_rows(height, across * planes);
        Some(Self {
            scale: Scale {
                width: int(width)?,
                height: int(height)?,
                channels: int(channels)?,
                rows: int(rows)?,
                halving: metric.halving,
                valid: metric.valid,
                coarsest: scale + 1 == metric.scales,
                taps: metric.taps,
                c1: metric.c1,
                c2: metric.c2,
                sample_scale: (1.0 / metric.data_range) as f32,
                limit: (metric.data_range * SATURATION) as f32,
            },
            grid: [across as u32, height.div_ceil(rows) as u32, planes as u32],
            block: block as u32,
        })
    }
}

/// A scale's size.
#[derive(Clone, Copy)]
pub(crate) struct Sides {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Sides {
    pub(crate) fn halved(self, halving: Halving) -> Self {
        Self {
            height: halving.halved(self.height),
            width: halving.halved(self.width),
        }
    }

    /// A thread a pixel, 256 columns a block.
    pub(crate) fn grid(self, planes: usize) -> [u32; 3] {
        [
            self.width.div_ceil(256) as u32,
            self.height as u32,
            planes as u32,
        ]
    }
}

pub(crate) fn int(v: usize) -> Option<i32> {
    i32::try_from(v).ok()
}

/// How far beyond black and white a sample may lie, in data ranges, before it saturates.
pub(crate) const SATURATION: f64 = 1_048_576.0;

/// Hands out parts of the workspace.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) end: usize,
}

impl Workspace {
    pub(crate) fn take(&mut self, count: usize, size: usize) -> Option<Region> {
        let bytes = count.checked_mul(size)?;
        let offset = self.end;
        // Room for the alignment of the next part.
        self.end = offset
            .checked_add(bytes)
            .filter(|&end| end < isize::MAX as usize)?
            .next_multiple_of(256);
        Some(Region { offset, bytes })
    }
}

/// Rows of a strip, of which there are `columns` side by side. A strip shares 10 or 20 rows with its
/// neighbours, so strips are as long as still leaves enough of them to fill a device.
fn strip_rows(height: usize, columns: usize) -> usize {
    let enough = |rows: &usize| height.div_ceil(*rows) * columns >= ENOUGH_BLOCKS;
    [128, 64, 32, 16].into_iter().find(enough).unwrap_or(CHUNK)
}

/// Blocks that keep a large device busy: two for each of about 128 multiprocessors.
const ENOUGH_BLOCKS: usize = 256;

/// Threads of a block: as few as possible over the whole width.
fn block_width(width: usize, pass: Pass) -> usize {
    let threads = |block: &usize| width.div_ceil(block - 2 * pass.halo()) * block;
    [64, 128, 256]
        .into_iter()
        .min_by_key(threads)
        .unwrap_or(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(scales: usize, valid: bool) -> Metric {
        Metric {
            scales,
            weights: [1.0; MAX_SCALES],
            negative: Negative::Signed,
            valid,
            halving: Halving::Symmetric,
            per_pixel: false,
            taps: [0.0; TAPS],
            c1: 1e-4,
            c2: 9e-4,
            data_range: 1.0,
        }
    }

    #[test]
    fn the_training_benchmark_fits_its_memory() {
        let plan = Plan::new(&metric(5, false), Pass::Gradient, 8, 3, 1080, 1920).unwrap();
        assert!(
            plan.layout.bytes <= 400 << 20,
            "{} bytes",
            plan.layout.bytes
        );
        let parts = plan.layout.levels[1..5]
            .iter()
            .chain([&plan.layout.gradients]);
        // Levels of 8 bytes and gradients of 4, a third of the finest scale's pixels each.
        let third: usize = parts.map(|r| r.bytes).sum();
        assert!(third < 12 * 24 * 1080 * 1920 / 3 + (1 << 20));
    }

    #[test]
    fn sums_do_not_depend_on_the_batch() {
        for (height, width) in [(33, 33), (96, 96), (512, 512), (1080, 1920)] {
            let plan =
                |n| Plan::new(&metric(5, false), Pass::Gradient, n, 3, height, width).unwrap();
            let (one, many) = (plan(1), plan(16));
            assert_eq!(one.combine.partials, many.combine.partials);
            for (a, b) in one.scales.iter().zip(&many.scales) {
                assert_eq!((a.block, a.grid[0]), (b.block, b.grid[0]));
                assert!(a.scale.rows % 8 == 0 && b.scale.rows % 8 == 0);
            }
        }
    }

    #[test]
    fn impossible_sizes_have_no_plan() {
        let plan = |metric: &Metric, n, c, h, w| Plan::new(metric, Pass::Score, n, c, h, w);
        assert!(plan(&metric(5, true), 1, 1, 161, 161).is_some());
        assert!(plan(&metric(5, true), 1, 1, 160, 161).is_none());
        assert!(plan(&metric(9, false), 1, 1, 64, 64).is_none());
        assert!(plan(&metric(1, false), 0, 1, 64, 64).is_none());
        assert!(plan(&metric(1, false), usize::MAX, 3, 64, 64).is_none());
        assert!(plan(&metric(1, false), 1, 1, 1, usize::MAX).is_none());
    }
}
