//! The launches of the general kernels ([`msssim_kernels::general`]); see the head of `driver.rs`.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaFunction, DriverError, LaunchConfig, PushKernelArg};
use msssim_kernels::general::{GeneralPlan, GeneralScale, GeneralScalePlan, Pool};
use msssim_kernels::{Image, POOL, PYRAMID, WINDOWS};

use super::metric::Total;
use super::{Addresses, Queue, load, threads};
use crate::error::Error;

/// The kernels of any convention. Those of windows are two: of terms together and apart.
#[derive(Debug)]
pub(super) struct GeneralKernels {
    load: [CudaFunction; 6],
    halve: CudaFunction,
    windows: [CudaFunction; 2],
    slopes: [CudaFunction; 2],
    spread: [CudaFunction; 2],
    pool: CudaFunction,
}

impl GeneralKernels {
    pub(super) fn load(context: &Arc<CudaContext>) -> Result<Self, Error> {
        let pyramid = load(context, "pyramid", PYRAMID)?;
        let windows = load(context, "windows", WINDOWS)?;
        let pool = load(context, "pool", POOL)?;
        let of_format = |format: &str| pyramid.load_function(&format!("load_{format}"));
        let both = |stem: &str| -> Result<[CudaFunction; 2], DriverError> {
            let of = |terms: &str| windows.load_function(&format!("{stem}_{terms}"));
            Ok([of("together")?, of("apart")?])
        };
        Ok(Self {
            // In the order of `Format`.
            load: [
                of_format("u8")?,
                of_format("f16")?,
                of_format("bf16")?,
                of_format("f32")?,
                of_format("u16")?,
                of_format("f64")?,
            ],
            halve: pyramid.load_function("halve")?,
            windows: both("windows")?,
            slopes: both("slopes")?,
            spread: both("spread")?,
            pool: pool.load_function("pool")?,
        })
    }
}

impl Addresses<'_> {
    /// All launches of a general plan, group after group of images.
    pub(super) fn general(&self, plan: &GeneralPlan, queue: Queue<'_>) -> Result<(), DriverError> {
        for first in (0..self.batch.images).step_by(plan.group) {
            let images = plan.group.min(self.batch.images - first);
            let group = Group {
                job: self,
                plan,
                queue,
                first,
                images,
            };
            group.launch()?;
        }
        Ok(())
    }
}

/// Images that are computed together.
struct Group<'j> {
    job: &'j Addresses<'j>,
    plan: &'j GeneralPlan,
    queue: Queue<'j>,
    first: usize,
    images: usize,
}

impl Group<'_> {
    fn launch(&self) -> Result<(), DriverError> {
        let scales = self.plan.scales.len();
        self.load()?;
        for j in 0..scales {
            // Scales of one size are one level.
            if j > 0 && self.level(j) != self.level(0) {
                self.halve(j - 1)?;
            }
            self.windows(j)?;
        }
        self.pool()?;
        if self.plan.per_pixel {
            self.rise()?;
        }
        let Some(out) = &self.job.gradient else {
            return Ok(());
        };
        for j in (0..scales).rev() {
            if self.plan.per_pixel {
                self.descend(j)?;
            }
            self.slopes(j)?;
            self.spread(j, &self.out(j, out))?;
        }
        Ok(())
    }

    /// `S` of all scales, and the scores.
    fn rise(&self) -> Result<(), DriverError> {
        let GeneralPlan {
            scales,
            layout,
            pool,
            ..
        } = self.plan;
        let coarsest = scales.len() - 1;
        for (j, scale) in scales[..coarsest].iter().enumerate() {
            let grid = self.grid(scales[j + 1].map_rows);
            let next = self.products(j + 1);
            let addresses = [self.terms(j), self.products(j), next];
            self.queue.rise(&scale.product, grid, addresses)?;
        }
        self.queue.total(&Total {
            parameter: &scales[coarsest].product,
            images: self.images,
            channels: pool.channels,
            scales: pool.scales,
            windows: pool.windows[0],
            data_range: pool.data_range,
            terms: self.terms(coarsest),
            sums: self.products(coarsest),
            scores: self.scores(),
            factors: match self.job.gradient {
                Some(_) => self.job.at(layout.factors),
                None => 0,
            },
            upstream: self.upstream(),
            by_channel: self.job.by_channel,
        })
    }

    fn descend(&self, j: usize) -> Result<(), DriverError> {
        let scale = &self.plan.scales[j];
        let coarser = match j + 1 < self.plan.scales.len() {
            true => self.products(j + 1),
            false => 0,
        };
        let addresses = [self.terms(j), self.products(j), coarser];
        let grid = self.grid(scale.map_rows);
        self.queue.descend(&scale.product, grid, addresses)
    }

    fn planes(&self) -> u32 {
        (self.images * self.job.batch.channels) as u32
    }

    fn grid(&self, [across, down]: [u32; 2]) -> [u32; 3] {
        [across, down, self.planes()]
    }

    /// Blocks of 32 x 8 threads.
    fn tiles(&self, grid: [u32; 2]) -> LaunchConfig {
        LaunchConfig {
            grid_dim: self.grid(grid).into(),
            block_dim: (32, 8, 1),
            shared_mem_bytes: 0,
        }
    }

    /// Which of the kernels of windows.
    fn terms_apart(&self) -> usize {
        usize::from(self.plan.pool.apart)
    }

    /// The group's first image of some.
    fn of_group(&self, images: &Image) -> Image {
        let bytes = self.job.format.bytes();
        let samples = images.samples + (self.first * bytes) as u64 * images.image as u64;
        Image { samples, ..*images }
    }

    fn level(&self, scale: usize) -> u64 {
        self.job.at(self.plan.layout.levels[scale])
    }

    fn terms(&self, scale: usize) -> u64 {
        match self.plan.per_pixel {
            true => self.job.at(self.plan.layout.terms[scale]),
            false => 0,
        }
    }

    /// `S` and `P` of the product's scales; the finest has none.
    fn products(&self, scale: usize) -> u64 {
        match scale {
            0 => 0,
            _ => self.job.at(self.plan.layout.products[scale]),
        }
    }

    /// The weights of a scale's samples, of the group's first image.
    fn mask(&self, scale: usize) -> u64 {
        match self.job.mask {
            0 => 0,
            mask => {
                let weights = self.first * self.job.mask_image + self.plan.scales[scale].mask;
                mask + 4 * weights as u64
            }
        }
    }

    fn mask_image(&self) -> i64 {
        self.job.mask_image as i64
    }

    fn scores(&self) -> u64 {
        self.job.at(self.plan.layout.scores) + 8 * self.first as u64
    }

    fn upstream(&self) -> u64 {
        let an_image = if self.job.by_channel {
            self.job.batch.channels
        } else {
            1
        };
        match self.job.upstream {
            0 => 0,
            weights => weights + 4 * (self.first * an_image) as u64,
        }
    }

    /// Where the sums of a scale's tiles begin.
    fn partials(&self, scale: usize) -> u64 {
        self.job.at(self.plan.layout.partials) + 48 * self.plan.pool.first[scale] as u64
    }

    /// Where a scale's gradient goes: the finest one's to the result.
    fn out(&self, scale: usize, result: &Image) -> Image {
        match scale {
            0 => Image {
                samples: result.samples + (4 * self.first) as u64 * result.image as u64,
                ..*result
            },
            _ => {
                let GeneralScale { width, height, .. } = self.plan.scales[scale].parameter;
                let samples = self.job.at(self.plan.layout.gradients[scale]);
                let channels = self.job.batch.channels;
                Image::planar(samples, channels, height as usize, width as usize)
            }
        }
    }

    fn parameter(&self, scale: &GeneralScalePlan) -> [u8; 128] {
        let parameter = GeneralScale {
            mask_image: self.mask_image(),
            ..scale.parameter
        };
        parameter.to_bytes()
    }

    fn load(&self) -> Result<(), DriverError> {
        let finest = &self.plan.scales[0];
        let [x, y] = [&self.job.x, &self.job.y].map(|images| self.of_group(images).to_bytes());
        let GeneralScale {
            width, channels, ..
        } = finest.parameter;
        let (mask, mask_image, level) = (self.mask(0), self.mask_image(), self.level(0));
        let kernel = &self.queue.kernels.general()?.load[self.job.format as usize];
        let mut launch = self.queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&width).arg(&channels);
        launch.arg(&self.plan.sample_scale).arg(&self.plan.limit);
        launch.arg(&mask).arg(&mask_image).arg(&level);
        // SAFETY: `load_T`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads(self.grid(finest.rows))) }.map(drop)
    }

    /// Makes scale `j + 1`.
    fn halve(&self, j: usize) -> Result<(), DriverError> {
        let [fine, coarse] = [j, j + 1].map(|scale| self.level(scale));
        let [fine_mask, coarse_mask] = [j, j + 1].map(|scale| self.mask(scale));
        let parameter = self.plan.scales[j].halved.to_bytes();
        let (channels, mask_image) = (self.plan.pool.channels, self.mask_image());
        let kernel = &self.queue.kernels.general()?.halve;
        let mut launch = self.queue.stream.launch_builder(kernel);
        launch
            .arg(&parameter)
            .arg(&channels)
            .arg(&fine)
            .arg(&coarse);
        launch.arg(&fine_mask).arg(&coarse_mask).arg(&mask_image);
        let grid = self.grid(self.plan.scales[j + 1].rows);
        // SAFETY: `halve`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads(grid)) }.map(drop)
    }

    fn windows(&self, j: usize) -> Result<(), DriverError> {
        let scale = &self.plan.scales[j];
        let (parameter, level, mask) = (self.parameter(scale), self.level(j), self.mask(j));
        let (terms, partials) = (self.terms(j), self.partials(j));
        let kernel = &self.queue.kernels.general()?.windows[self.terms_apart()];
        let mut launch = self.queue.stream.launch_builder(kernel);
        launch.arg(&parameter).arg(&level).arg(&mask);
        if !self.plan.pool.apart {
            launch.arg(&terms);
        }
        launch.arg(&partials);
        // SAFETY: the arguments of `windows_together` or `windows_apart`; see the head of `driver.rs`.
        unsafe { launch.launch(self.tiles(scale.windows)) }.map(drop)
    }

    fn pool(&self) -> Result<(), DriverError> {
        let GeneralPlan { layout, pool, .. } = self.plan;
        let parameter = Pool {
            masked: self.job.mask != 0,
            ..*pool
        };
        let parameter = parameter.to_bytes();
        let (partials, sums) = (self.partials(0), self.job.at(layout.sums));
        let means = self.first * self.job.batch.channels * self.plan.scales.len();
        let means = self.job.at(layout.means) + 40 * means as u64;
        let (scores, upstream) = (self.scores(), self.upstream());
        // Where scales are multiplied pixel by pixel, for the means alone.
        let [relative, factors] = match self.job.gradient.is_some() && !self.plan.per_pixel {
            true => [layout.relative, layout.factors].map(|region| self.job.at(region)),
            false => [0; 2],
        };
        let by_channel = i32::from(self.job.by_channel);
        let kernel = &self.queue.kernels.general()?.pool;
        let mut launch = self.queue.stream.launch_builder(kernel);
        launch.arg(&parameter).arg(&partials).arg(&sums);
        launch.arg(&means).arg(&scores).arg(&relative).arg(&factors);
        launch.arg(&upstream).arg(&by_channel);
        // SAFETY: `pool`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads([self.images as u32, 1, 1])) }.map(drop)
    }

    fn slopes(&self, j: usize) -> Result<(), DriverError> {
        let scale = &self.plan.scales[j];
        let (parameter, level, mask) = (self.parameter(scale), self.level(j), self.mask(j));
        let layout = &self.plan.layout;
        let (relative, maps) = (self.job.at(layout.relative), self.job.at(layout.maps));
        let weights = self.terms(j);
        let kernel = &self.queue.kernels.general()?.slopes[self.terms_apart()];
        let mut launch = self.queue.stream.launch_builder(kernel);
        launch.arg(&parameter).arg(&level).arg(&mask).arg(&relative);
        if !self.plan.pool.apart {
            launch.arg(&weights);
        }
        launch.arg(&maps);
        // SAFETY: the arguments of `slopes_together` or `slopes_apart`; see the head of `driver.rs`.
        unsafe { launch.launch(self.tiles(scale.windows)) }.map(drop)
    }

    fn spread(&self, j: usize, out: &Image) -> Result<(), DriverError> {
        let scale = &self.plan.scales[j];
        let (parameter, halved) = (self.parameter(scale), scale.halved.to_bytes());
        let layout = &self.plan.layout;
        let (maps, factors) = (self.job.at(layout.maps), self.job.at(layout.factors));
        let (level, mask, out) = (self.level(j), self.mask(j), out.to_bytes());
        let [coarser, coarser_mask] = match j + 1 < self.plan.scales.len() {
            true => [self.job.at(layout.gradients[j + 1]), self.mask(j + 1)],
            false => [0; 2],
        };
        let kernel = &self.queue.kernels.general()?.spread[self.terms_apart()];
        let mut launch = self.queue.stream.launch_builder(kernel);
        launch.arg(&parameter).arg(&halved).arg(&maps).arg(&level);
        launch.arg(&mask).arg(&factors).arg(&coarser);
        launch.arg(&coarser_mask).arg(&out);
        // SAFETY: `spread_together`'s and `spread_apart`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(self.tiles(scale.pixels)) }.map(drop)
    }
}
