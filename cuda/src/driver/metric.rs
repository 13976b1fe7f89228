//! The launches of the kernels for training ([`msssim_kernels::Plan`]); see the head of `driver.rs`.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaFunction, DriverError, LaunchConfig, PushKernelArg};
use msssim_kernels::{Image, PRODUCT, Plan, Product, Region, ScalePlan, TERMS, WEIGHTED};

use super::{Addresses, Queue, load, of_formats, threads};
use crate::error::Error;

/// The kernels of products pixel by pixel.
#[derive(Debug)]
pub(super) struct ProductKernels {
    terms: [CudaFunction; 5],
    terms_level: CudaFunction,
    weighted: [CudaFunction; 5],
    weighted_level: CudaFunction,
    rise: CudaFunction,
    total: CudaFunction,
    descend: CudaFunction,
}

impl ProductKernels {
    pub(super) fn load(context: &Arc<CudaContext>) -> Result<Self, Error> {
        let terms = load(context, "terms", TERMS)?;
        let weighted = load(context, "weighted", WEIGHTED)?;
        let product = load(context, "product", PRODUCT)?;
        Ok(Self {
            terms: of_formats(&terms, "terms")?,
            terms_level: terms.load_function("terms_level")?,
            weighted: of_formats(&weighted, "weighted")?,
            weighted_level: weighted.load_function("weighted_level")?,
            rise: product.load_function("rise")?,
            total: product.load_function("total")?,
            descend: product.load_function("descend")?,
        })
    }
}

impl Addresses<'_> {
    /// All launches of a plan for training.
    pub(super) fn training(&self, plan: &Plan, queue: Queue<'_>) -> Result<(), DriverError> {
        let launches = Training { job: self, plan };
        if plan.products.is_empty() {
            launches.by_means(queue)?;
        } else {
            launches.by_products(queue)?;
        }
        match &self.gradient {
            Some(out) => launches.finish(queue, out),
            None => Ok(()),
        }
    }
}

/// A job and its plan.
struct Training<'j> {
    job: &'j Addresses<'j>,
    plan: &'j Plan,
}

impl Training<'_> {
    /// Scores as products of means, and each scale's gradient.
    fn by_means(&self, queue: Queue<'_>) -> Result<(), DriverError> {
        for (j, scale) in self.plan.scales.iter().enumerate() {
            let results = self.results(j);
            match (j, &self.job.gradient) {
                (0, None) => self.statistics(queue, scale, &results)?,
                (0, Some(out)) => self.gradient(queue, scale, &results, out)?,
                (_, None) => self.statistics_level(queue, j, scale, &results)?,
                (_, Some(_)) => self.gradient_level(queue, j, scale, &results)?,
            }
        }
        let factors = match self.job.gradient {
            Some(_) => self.at(self.plan.layout.factors),
            None => 0,
        };
        self.combine(queue, factors, self.job.upstream)
    }

    /// Scores as means of products pixel by pixel, and each scale's gradient.
    fn by_products(&self, queue: Queue<'_>) -> Result<(), DriverError> {
        let Plan {
            scales, products, ..
        } = self.plan;
        for (j, scale) in scales.iter().enumerate() {
            let results = self.results(j);
            match j {
                0 => self.terms(queue, scale, &results)?,
                _ => self.terms_level(queue, j, scale, &results)?,
            }
        }
        // For the means alone: the scores and factors that it writes are overwritten.
        self.combine(queue, 0, 0)?;
        for (j, product) in products[..products.len() - 1].iter().enumerate() {
            let (terms, sums) = (self.terms_of(j), self.product_sums(j));
            let next = self.product_sums(j + 1);
            queue.rise(&product.parameter, product.next_grid, [terms, sums, next])?;
        }
        self.total(queue)?;
        let Some(out) = &self.job.gradient else {
            return Ok(());
        };
        for (j, product) in products.iter().enumerate().rev() {
            let (terms, sums) = (self.terms_of(j), self.product_sums(j));
            let coarser = match j + 1 < products.len() {
                true => self.product_sums(j + 1),
                false => 0,
            };
            queue.descend(&product.parameter, product.grid, [terms, sums, coarser])?;
        }
        for (j, product) in products.iter().enumerate() {
            match j {
                0 => self.weighted(queue, &product.weighted, out)?,
                _ => self.weighted_level(queue, j, &product.weighted)?,
            }
        }
        Ok(())
    }

    /// The address of a part of the workspace.
    fn at(&self, region: Region) -> u64 {
        self.job.at(region)
    }

    fn level(&self, scale: usize) -> u64 {
        self.at(self.plan.layout.levels[scale])
    }

    /// The gradient of a coarser scale.
    fn own_gradient(&self, scale: usize) -> u64 {
        self.at(self.plan.layout.gradients) + 4 * self.plan.finish.first[scale] as u64
    }

    /// The map of a scale's terms.
    fn terms_of(&self, scale: usize) -> u64 {
        self.at(self.plan.layout.terms[scale])
    }

    /// `S` and `P` of the product's scales; the finest has none.
    fn product_sums(&self, scale: usize) -> u64 {
        match scale {
            0 => 0,
            _ => self.at(self.plan.layout.sums[scale]),
        }
    }

    /// Where the results of a scale go.
    fn results(&self, scale: usize) -> Results {
        let Plan { layout, scales, .. } = self.plan;
        let first = 16 * self.plan.combine.first[scale] as u64;
        Results {
            next: if scale + 1 < scales.len() {
                self.level(scale + 1)
            } else {
                0
            },
            partials: self.at(layout.partials) + first,
        }
    }

    fn statistics(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (
            self.job.x.to_bytes(),
            self.job.y.to_bytes(),
            scale.scale.to_bytes(),
        );
        let kernel = &queue.kernels.statistics[self.job.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials);
        // SAFETY: `statistics_T`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn statistics_level(
        &self,
        queue: Queue<'_>,
        j: usize,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (level, parameter) = (self.level(j), scale.scale.to_bytes());
        let mut launch = queue.stream.launch_builder(&queue.kernels.statistics_level);
        launch.arg(&level).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials);
        // SAFETY: `statistics_level`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn gradient(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        results: &Results,
        out: &Image,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (
            self.job.x.to_bytes(),
            self.job.y.to_bytes(),
            scale.scale.to_bytes(),
        );
        let out = out.to_bytes();
        let kernel = &queue.kernels.gradient[self.job.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&out);
        // SAFETY: `gradient_T`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn gradient_level(
        &self,
        queue: Queue<'_>,
        j: usize,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (level, parameter) = (self.level(j), scale.scale.to_bytes());
        let own = self.own_gradient(j);
        let mut launch = queue.stream.launch_builder(&queue.kernels.gradient_level);
        launch.arg(&level).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&own);
        // SAFETY: `gradient_level`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn combine(&self, queue: Queue<'_>, factors: u64, upstream: u64) -> Result<(), DriverError> {
        let layout = &self.plan.layout;
        let parameter = self.plan.combine.to_bytes();
        let (partials, means) = (self.at(layout.partials), self.at(layout.means));
        let (scores, by_channel) = (self.at(layout.scores), i32::from(self.job.by_channel));
        let mut launch = queue.stream.launch_builder(&queue.kernels.combine);
        launch.arg(&parameter).arg(&partials).arg(&means);
        launch.arg(&scores).arg(&factors);
        launch.arg(&upstream).arg(&by_channel);
        // SAFETY: `combine`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads([self.job.batch.images as u32, 1, 1])) }.map(drop)
    }

    fn finish(&self, queue: Queue<'_>, out: &Image) -> Result<(), DriverError> {
        let layout = &self.plan.layout;
        let (parameter, out) = (self.plan.finish.to_bytes(), out.to_bytes());
        let (own_gradients, factors) = (self.at(layout.gradients), self.at(layout.factors));
        let mut launch = queue.stream.launch_builder(&queue.kernels.finish);
        launch
            .arg(&parameter)
            .arg(&own_gradients)
            .arg(&factors)
            .arg(&out);
        // SAFETY: `finish`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads(self.plan.finish_grid)) }.map(drop)
    }

    fn terms(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (
            self.job.x.to_bytes(),
            self.job.y.to_bytes(),
            scale.scale.to_bytes(),
        );
        let map = self.terms_of(0);
        let kernel = &queue.kernels.products()?.terms[self.job.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&map);
        // SAFETY: `terms_T`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn terms_level(
        &self,
        queue: Queue<'_>,
        j: usize,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (level, parameter) = (self.level(j), scale.scale.to_bytes());
        let map = self.terms_of(j);
        let mut launch = queue
            .stream
            .launch_builder(&queue.kernels.products()?.terms_level);
        launch.arg(&level).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&map);
        // SAFETY: `terms_level`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn total(&self, queue: Queue<'_>) -> Result<(), DriverError> {
        let Plan {
            layout,
            combine,
            products,
            ..
        } = self.plan;
        let coarsest = products.len() - 1;
        let total = Total {
            parameter: &products[coarsest].parameter,
            images: self.job.batch.images,
            channels: combine.channels,
            scales: combine.scales,
            windows: combine.windows[0],
            data_range: combine.data_range,
            terms: self.terms_of(coarsest),
            sums: self.product_sums(coarsest),
            scores: self.at(layout.scores),
            factors: match self.job.gradient {
                Some(_) => self.at(layout.factors),
                None => 0,
            },
            upstream: self.job.upstream,
            by_channel: self.job.by_channel,
        };
        queue.total(&total)
    }

    fn weighted(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        out: &Image,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (
            self.job.x.to_bytes(),
            self.job.y.to_bytes(),
            scale.scale.to_bytes(),
        );
        let (weights, out) = (self.terms_of(0), out.to_bytes());
        let kernel = &queue.kernels.products()?.weighted[self.job.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch
            .arg(&x)
            .arg(&y)
            .arg(&parameter)
            .arg(&weights)
            .arg(&out);
        // SAFETY: `weighted_T`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn weighted_level(
        &self,
        queue: Queue<'_>,
        j: usize,
        scale: &ScalePlan,
    ) -> Result<(), DriverError> {
        let (level, parameter) = (self.level(j), scale.scale.to_bytes());
        let (weights, own) = (self.terms_of(j), self.own_gradient(j));
        let mut launch = queue
            .stream
            .launch_builder(&queue.kernels.products()?.weighted_level);
        launch.arg(&level).arg(&parameter).arg(&weights).arg(&own);
        // SAFETY: `weighted_level`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }
}

/// What `total` takes.
pub(super) struct Total<'p> {
    pub(super) parameter: &'p Product,
    pub(super) images: usize,
    pub(super) channels: i32,
    pub(super) scales: i32,
    /// Of the finest scale of a plane.
    pub(super) windows: f64,
    pub(super) data_range: f64,
    pub(super) terms: u64,
    pub(super) sums: u64,
    pub(super) scores: u64,
    pub(super) factors: u64,
    pub(super) upstream: u64,
    pub(super) by_channel: bool,
}

impl Queue<'_> {
    /// `[terms, sums, next]`: `S` of the next scale.
    pub(super) fn rise(
        self,
        product: &Product,
        grid: [u32; 3],
        [terms, sums, next]: [u64; 3],
    ) -> Result<(), DriverError> {
        let parameter = product.to_bytes();
        let mut launch = self.stream.launch_builder(&self.kernels.products()?.rise);
        launch.arg(&parameter).arg(&terms).arg(&sums).arg(&next);
        // SAFETY: `rise`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads(grid)) }.map(drop)
    }

    pub(super) fn total(self, total: &Total<'_>) -> Result<(), DriverError> {
        let parameter = total.parameter.to_bytes();
        let by_channel = i32::from(total.by_channel);
        let mut launch = self.stream.launch_builder(&self.kernels.products()?.total);
        launch.arg(&parameter).arg(&total.channels);
        launch.arg(&total.scales).arg(&total.windows);
        launch.arg(&total.data_range);
        launch.arg(&total.terms).arg(&total.sums).arg(&total.scores);
        launch.arg(&total.factors).arg(&total.upstream);
        launch.arg(&by_channel);
        // SAFETY: `total`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads([total.images as u32, 1, 1])) }.map(drop)
    }

    /// `[terms, sums, coarser]`: the derivatives over the terms, `P` over `S`.
    pub(super) fn descend(
        self,
        product: &Product,
        grid: [u32; 3],
        [terms, sums, coarser]: [u64; 3],
    ) -> Result<(), DriverError> {
        let parameter = product.to_bytes();
        let mut launch = self
            .stream
            .launch_builder(&self.kernels.products()?.descend);
        launch.arg(&parameter).arg(&terms).arg(&sums).arg(&coarser);
        // SAFETY: `descend`'s arguments; see the head of `driver.rs`.
        unsafe { launch.launch(threads(grid)) }.map(drop)
    }
}

/// Where a scale's results go.
struct Results {
    /// The next level of the pyramid, or 0.
    next: u64,
    partials: u64,
}

fn shape(scale: &ScalePlan) -> LaunchConfig {
    LaunchConfig {
        grid_dim: scale.grid.into(),
        block_dim: (scale.block, 1, 1),
        shared_mem_bytes: 0,
    }
}
