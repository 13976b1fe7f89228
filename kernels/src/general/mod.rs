//! Every other convention: any window, border and rule for the next scale, masks, terms apart, channels
//! together. Slower and simpler than the kernels for training, a pixel or window a thread.
//!
//! A score is `load_T`, `halve` from scale to scale, `windows_*` on each, and `pool`; the gradient
//! `slopes_*` and `spread_*`, from the coarsest scale to the finest. Where scales are multiplied pixel by
//! pixel, the kernels of `product.cu` stand between the two.
//!
//! Images are taken a few at a time, as the plan's memory allows, each group from its samples to its
//! gradient; no number depends on that.

mod parameters;

pub use parameters::{Border, GeneralScale, Halved, MAX_TAPS, Pool};

use crate::parameters::{Halving, MAX_SCALES, Negative, Product};
use crate::plan::{Pass, Region, SATURATION, Sides, Workspace, int};

/// The metric by any convention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convention {
    /// Number of scales, 1 to [`MAX_SCALES`].
    pub scales: usize,
    /// Exponents; of contrast where terms are apart.
    pub weights: [f64; MAX_SCALES],
    /// Exponents of luminance and structure, where terms are pooled apart.
    pub apart: Option<[[f64; MAX_SCALES]; 2]>,
    /// What becomes of a negative term.
    pub negative: Negative,
    /// What a window sees beyond the image, scale by scale.
    pub borders: [Border; MAX_SCALES],
    /// Taps on either side of a window's centre, at most 16.
    pub radius: usize,
    /// The windows, scale by scale, the centre first.
    pub taps: [[f32; MAX_TAPS]; MAX_SCALES],
    /// How the next scale is made.
    pub halving: Halving,
    /// Whether scales are multiplied pixel by pixel, and the products averaged. Not with terms apart,
    /// channels together or masks, nor where maps have other sizes than half the finer one's.
    pub per_pixel: bool,
    /// Whether channels have one score together.
    pub joint: bool,
    /// C1 for samples scaled to [0, 1].
    pub c1: f32,
    /// C2 for samples scaled to [0, 1].
    pub c2: f32,
    /// White less black.
    pub data_range: f64,
}

/// Where everything is in the workspace. The workspace must be aligned to 256 bytes; what it holds
/// before does not matter. All but the means and scores is that of the images of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// `double`, five per plane and scale of all images: of cs, l cs, l, c and s.
    pub means: Region,
    /// `double`, per image of all.
    pub scores: Region,
    /// `float2` pixels of each scale's level, plane after plane. Where scales have one size it is one.
    pub levels: [Region; MAX_SCALES],
    /// `float` gradients of each scale but the finest, whose place is the result's. Likewise.
    pub gradients: [Region; MAX_SCALES],
    /// What goes back through a scale's windows: three `float` or four `double` maps a plane.
    pub maps: Region,
    /// `double`, six a tile, scale after scale.
    pub partials: Region,
    /// `double`, six a plane and scale.
    pub sums: Region,
    /// `float`, three a plane and scale.
    pub relative: Region,
    /// `float`, per plane and scale.
    pub factors: Region,
    /// `float` maps of each scale's terms, if scales are multiplied pixel by pixel.
    pub terms: [Region; MAX_SCALES],
    /// `float` sums and products of each scale but the finest, of that purpose.
    pub products: [Region; MAX_SCALES],
    /// Bytes of all of it.
    pub bytes: usize,
}

/// One scale's launches. Grids are without the planes, which are their third number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeneralScalePlan {
    /// The parameter of `windows_*`, `slopes_*` and `spread_*`, whose block is 32 x 8.
    pub parameter: GeneralScale,
    /// Tiles of windows, for the first two.
    pub windows: [u32; 2],
    /// Tiles of pixels, for `spread_*`.
    pub pixels: [u32; 2],
    /// The parameter of `halve` and `spread_*`.
    pub halved: Halved,
    /// Blocks of 256 columns, rows: for `load_*` and, of the next scale, `halve`.
    pub rows: [u32; 2],
    /// Where this scale's weights begin in a mask.
    pub mask: usize,
    /// The parameter of `rise`, `total` and `descend`.
    pub product: Product,
    /// Blocks of 256 columns, rows of the map, for `descend` and, of the next scale, `rise`.
    pub map_rows: [u32; 2],
}

/// All launches of a score, or of a score and its gradient, for one size and number of images.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneralPlan {
    /// The scales, the finest first.
    pub scales: Vec<GeneralScalePlan>,
    /// The parameter of `pool`, whose grid is the images and whose block has 256 threads; where samples have
    /// weights, to be told so.
    pub pool: Pool,
    /// 1 / data range, for `load_*`.
    pub sample_scale: f32,
    /// Samples beyond this count as this.
    pub limit: f32,
    /// Whether scales are multiplied pixel by pixel.
    pub per_pixel: bool,
    /// Images of a group; the last group may have fewer.
    pub group: usize,
    /// Weights of one mask: samples of all scales.
    pub mask_len: usize,
    /// The workspace.
    pub layout: Layout,
}

impl GeneralPlan {
    /// The plan for `images` images of `channels` planes of `height` rows and `width` columns, in about
    /// `memory` bytes, or what a single image needs.
    ///
    /// `None` where a scale has no window, a number is 0, or a size does not fit a launch: sides must be
    /// below 2^31, rows and planes of an image at most 65535.
    pub fn new(
        convention: &Convention,
        pass: Pass,
        [images, channels, height, width]: [usize; 4],
        memory: usize,
    ) -> Option<Self> {
        let plan =
            |group| Self::of_group(convention, pass, [images, channels, height, width], group);
        let one = plan(1)?;
        // What one image more takes, but for the rounding of regions up to 256 bytes.
        let fixed = one.layout.means.bytes + one.layout.scores.bytes;
        let each = one.layout.bytes.saturating_sub(fixed).max(1);
        let group = (memory.saturating_sub(fixed) / each).min(65535 / channels);
        match group.min(images) {
            0 | 1 => Some(one),
            group => plan(group),
        }
    }

    fn of_group(
        convention: &Convention,
        pass: Pass,
        [images, channels, height, width]: [usize; 4],
        group: usize,
    ) -> Option<Self> {
        let Convention {
            scales,
            radius,
            halving,
            per_pixel,
            ..
        } = *convention;
        let planes = group.checked_mul(channels).filter(|&n| n <= 65535)?;
        let all = images.checked_mul(channels).filter(|&n| n > 0)?;
        if scales == 0 || scales > MAX_SCALES || height > 65535 || radius + 1 > MAX_TAPS {
            return None;
        }
        let apart = convention.apart.is_some();
        let mut pool = Pool {
            scales: int(scales)?,
            channels: int(channels)?,
            apart,
            joint: convention.joint,
            masked: false,
            negative: convention.negative,
            tiles: [0; MAX_SCALES],
            first: [0; MAX_SCALES],
            windows: [0.0; MAX_SCALES],
            weights: convention.weights,
            alpha: convention
                .apart
                .map_or([0.0; MAX_SCALES], |[alpha, _]| alpha),
            gamma: convention
                .apart
                .map_or([0.0; MAX_SCALES], |[_, gamma]| gamma),
            data_range: convention.data_range,
        };
        let sides = |scale: usize| {
            let first = Sides { height, width };
            (0..scale).fold(first, |side, _| side.halved(halving))
        };
        let map = |scale: usize| {
            let (side, border) = (sides(scale), convention.borders[scale]);
            let less = if border == Border::Valid {
                2 * radius
            } else {
                0
            };
            Some(Sides {
                height: side.height.checked_sub(less).filter(|&n| n > 0)?,
                width: side.width.checked_sub(less).filter(|&n| n > 0)?,
            })
        };
        let mut workspace = Workspace::default();
        let mut layout = Layout {
            means: workspace.take(all.checked_mul(scales)?, 40)?,
            scores: workspace.take(images, 8)?,
            ..Layout::default()
        };
        let (mut tiles, mut mask_len, mut largest_map) = (0usize, 0usize, 0usize);
        let mut plans = Vec::new();
        for scale in 0..scales {
            let (side, next, of_map) = (sides(scale), sides(scale + 1), map(scale)?);
            let next_map = if scale + 1 < scales {
                map(scale + 1)?
            } else {
                of_map
            };
            let area = side
                .height
                .checked_mul(side.width)
                .filter(|&n| n < 1 << 31)?;
            let windows = of_map.height * of_map.width;
            let pixels = planes.checked_mul(area)?;
            let grid = of_map.tiles();
            pool.tiles[scale] = int(grid[0] as usize * grid[1] as usize)?;
            pool.first[scale] = tiles as i64;
            pool.windows[scale] = windows as f64;
            tiles = tiles.checked_add(planes.checked_mul(pool.tiles[scale] as usize)?)?;
            largest_map = largest_map.max(windows);
            let shared = halving == Halving::Keep;
            layout.levels[scale] = match scale {
                0 => workspace.take(pixels, 8)?,
                _ if shared => layout.levels[0],
                _ => workspace.take(pixels, 8)?,
            };
            if pass == Pass::Gradient && scale > 0 {
                layout.gradients[scale] = match scale {
                    2.. if shared => layout.gradients[1],
                    _ => workspace.take(pixels, 4)?,
                };
            }
            if per_pixel {
                layout.terms[scale] = workspace.take(planes.checked_mul(windows)?, 4)?;
                if scale > 0 {
                    layout.products[scale] = workspace.take(planes.checked_mul(windows)?, 4)?;
                }
            }
            let [sizes, next_sizes] = [side, next].map(|side| (int(side.width), int(side.height)));
            let [maps, next_maps] =
                [of_map, next_map].map(|side| (int(side.width), int(side.height)));
            plans.push(GeneralScalePlan {
                parameter: GeneralScale {
                    width: sizes.0?,
                    height: sizes.1?,
                    channels: int(channels)?,
                    border: convention.borders[scale],
                    radius: int(radius)?,
                    coarsest: !apart && scale + 1 == scales,
                    clamped: convention.negative == Negative::ZeroMap,
                    taps: convention.taps[scale],
                    c1: convention.c1,
                    c2: convention.c2,
                    scale: int(scale)?,
                    scales: int(scales)?,
                    mask_image: 0,
                },
                windows: grid,
                pixels: side.tiles(),
                halved: Halved {
                    halving,
                    width: sizes.0?,
                    height: sizes.1?,
                    next_width: next_sizes.0?,
                    next_height: next_sizes.1?,
                },
                rows: side.rows(),
                mask: mask_len,
                product: Product {
                    width: maps.0?,
                    height: maps.1?,
                    next_width: next_maps.0?,
                    next_height: next_maps.1?,
                    halves: !shared,
                    negative: convention.negative,
                    weight: convention.weights[scale],
                },
                map_rows: of_map.rows(),
            });
            mask_len = mask_len.checked_add(area)?;
        }
        layout.partials = workspace.take(tiles, 48)?;
        layout.sums = workspace.take(planes * scales, 48)?;
        if pass == Pass::Gradient {
            let maps = planes.checked_mul(largest_map)?;
            layout.maps = if apart {
                workspace.take(maps, 4 * 8)?
            } else {
                workspace.take(maps, 3 * 4)?
            };
            layout.relative = workspace.take(planes * scales, 12)?;
            layout.factors = workspace.take(planes * scales, 4)?;
        }
        layout.bytes = workspace.end;
        Some(Self {
            scales: plans,
            pool,
            sample_scale: (1.0 / convention.data_range) as f32,
            limit: (convention.data_range * SATURATION) as f32,
            per_pixel,
            group,
            mask_len,
            layout,
        })
    }
}

impl Sides {
    /// Tiles of 32 columns and 8 rows.
    fn tiles(self) -> [u32; 2] {
        [
            self.width.div_ceil(32) as u32,
            self.height.div_ceil(8) as u32,
        ]
    }

    /// Blocks of 256 columns, rows.
    fn rows(self) -> [u32; 2] {
        [self.width.div_ceil(256) as u32, self.height as u32]
    }
}
