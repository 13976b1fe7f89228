//! A score with its gradient by the general kernels, each region of memory an allocation of its own, so that
//! a step beyond one is found.

use msssim_kernels::general::{GeneralPlan, GeneralScale, Pool};
use msssim_kernels::{Image, MAX_SCALES, POOL, PRODUCT, PYRAMID, Pass, Region, WINDOWS};
use msssim_ptx_emulator::{Argument, Device, LaunchError, LoadedModule, Module, Shape};

use crate::case::{Case, bytes, noise};

/// The PTX of the kernels, to be changed by mutation tests.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pub(crate) pyramid: String,
    pub(crate) windows: String,
    pub(crate) pool: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            pyramid: PYRAMID.to_owned(),
            windows: WINDOWS.to_owned(),
            pool: POOL.to_owned(),
        }
    }
}

impl Texts {
    /// The text that a kernel is in.
    pub(crate) fn of(&mut self, kernel: &str) -> &mut String {
        match kernel {
            "load_f32" | "halve" => &mut self.pyramid,
            "pool" => &mut self.pool,
            _ => &mut self.windows,
        }
    }
}

/// What was computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) scores: Vec<f64>,
    pub(crate) gradient: Vec<f32>,
}

impl Output {
    /// For comparisons, in which NaN is equal to itself.
    pub(crate) fn bits(&self) -> Vec<u64> {
        let scores = self.scores.iter().map(|v| v.to_bits());
        let gradient = self.gradient.iter().map(|v| u64::from(v.to_bits()));
        scores.chain(gradient).collect()
    }
}

/// Scores and differentiates.
pub(crate) fn run(
    texts: &Texts,
    case: &Case,
    [x, y]: &[Vec<f32>; 2],
) -> Result<Output, LaunchError> {
    let pass = Pass::Gradient;
    let plan = GeneralPlan::new(&case.convention, pass, case.batch, usize::MAX).expect("a plan");
    assert_eq!(plan.group, case.batch[0]);
    let mut device = Device::new();
    device.limit = 100_000;
    let modules = [&texts.pyramid, &texts.windows, &texts.pool, PRODUCT]
        .map(|text| device.load(Module::parse(text).unwrap_or_else(|e| panic!("{e}"))));
    let layout = plan.layout;
    let mut run = Run {
        case,
        memory: Memory {
            levels: regions(&mut device, layout.levels),
            gradients: regions(&mut device, layout.gradients),
            terms: regions(&mut device, layout.terms),
            products: regions(&mut device, layout.products),
            maps: device.allocate(layout.maps.bytes),
            partials: device.allocate(layout.partials.bytes),
            sums: device.allocate(layout.sums.bytes),
            means: device.allocate(layout.means.bytes),
            scores: device.allocate(layout.scores.bytes),
            relative: device.allocate(layout.relative.bytes),
            factors: device.allocate(layout.factors.bytes),
            result: device.allocate(4 * y.len()),
            images: [x, y].map(|samples| device.upload(&bytes(samples))),
            masks: masks(&mut device, case, &plan),
        },
        plan: &plan,
        modules,
        device,
    };
    run.score()?;
    run.differentiate()?;

    let Memory { scores, result, .. } = run.memory;
    let read = |address, bytes| run.device.read(address, bytes).expect("the region");
    Ok(Output {
        scores: read(scores, layout.scores.bytes)
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
            .collect(),
        gradient: read(result, 4 * y.len())
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
            .collect(),
    })
}

/// An allocation for each region. What is one region of the plan is one allocation.
fn regions(device: &mut Device, regions: [Region; MAX_SCALES]) -> [u64; MAX_SCALES] {
    let mut addresses = [0; MAX_SCALES];
    for (i, region) in regions.iter().enumerate() {
        addresses[i] = match regions[..i].iter().position(|earlier| earlier == region) {
            _ if region.bytes == 0 => 0,
            Some(earlier) => addresses[earlier],
            None => device.allocate(region.bytes),
        };
    }
    addresses
}

/// Weights of the samples of each scale: each scale an allocation, image after image. What they should be
/// is not the kernels' business; some are 0.
fn masks(device: &mut Device, case: &Case, plan: &GeneralPlan) -> Option<[u64; MAX_SCALES]> {
    if case.masks == 0 {
        return None;
    }
    let mut noise = noise();
    let weights: Vec<f32> = (0..case.masks * plan.mask_len)
        .map(|_| (noise() - 0.25).max(0.0))
        .collect();
    let all = device.upload(&bytes(&weights));
    let mut addresses = [0; MAX_SCALES];
    for (address, scale) in addresses.iter_mut().zip(&plan.scales) {
        *address = all + 4 * scale.mask as u64;
    }
    Some(addresses)
}

/// The address of each region, and of each scale's; 0 for what a convention does not have.
struct Memory {
    levels: [u64; MAX_SCALES],
    gradients: [u64; MAX_SCALES],
    terms: [u64; MAX_SCALES],
    products: [u64; MAX_SCALES],
    maps: u64,
    partials: u64,
    sums: u64,
    means: u64,
    scores: u64,
    relative: u64,
    factors: u64,
    result: u64,
    images: [u64; 2],
    masks: Option<[u64; MAX_SCALES]>,
}

/// Modules by what is in them.
const PYRAMIDS: usize = 0;
const OF_WINDOWS: usize = 1;
const POOLS: usize = 2;
const PRODUCTS: usize = 3;

struct Run<'r> {
    case: &'r Case,
    plan: &'r GeneralPlan,
    memory: Memory,
    modules: [LoadedModule; 4],
    device: Device,
}

/// A structure as an argument.
fn by_value(bytes: &[u8]) -> Argument {
    Argument(bytes.to_vec())
}

impl Run<'_> {
    fn launch(
        &mut self,
        module: usize,
        kernel: &str,
        (grid, block): ([u32; 3], [u32; 3]),
        arguments: Vec<Argument>,
    ) -> Result<(), LaunchError> {
        let shape = Shape::new(grid, block);
        let module = &self.modules[module];
        self.device
            .launch(module, kernel, shape, &arguments)
            .map(drop)
    }

    fn rows(&self, [across, down]: [u32; 2]) -> ([u32; 3], [u32; 3]) {
        ([across, down, self.planes()], [256, 1, 1])
    }

    fn tiles(&self, [across, down]: [u32; 2]) -> ([u32; 3], [u32; 3]) {
        ([across, down, self.planes()], [32, 8, 1])
    }

    fn an_image(&self) -> ([u32; 3], [u32; 3]) {
        ([self.case.batch[0] as u32, 1, 1], [256, 1, 1])
    }

    fn planes(&self) -> u32 {
        (self.case.batch[0] * self.case.batch[1]) as u32
    }

    /// `windows` and `apart` or `together`.
    fn name(&self, stem: &str) -> String {
        let terms = if self.plan.pool.apart {
            "apart"
        } else {
            "together"
        };
        format!("{stem}_{terms}")
    }

    fn mask(&self, scale: usize) -> Argument {
        self.memory.masks.map_or(0, |masks| masks[scale]).into()
    }

    fn mask_image(&self) -> i64 {
        if self.case.masks > 1 {
            self.plan.mask_len as i64
        } else {
            0
        }
    }

    fn parameter(&self, scale: usize) -> Argument {
        let parameter = GeneralScale {
            mask_image: self.mask_image(),
            ..self.plan.scales[scale].parameter
        };
        by_value(&parameter.to_bytes())
    }

    fn image(&self, samples: u64) -> Argument {
        let [_, channels, height, width] = self.case.batch;
        by_value(&Image::planar(samples, channels, height, width).to_bytes())
    }

    fn score(&mut self) -> Result<(), LaunchError> {
        let plan = self.plan;
        for j in 0..plan.scales.len() {
            if j == 0 {
                self.load()?;
            } else if self.memory.levels[j] != self.memory.levels[0] {
                self.halve(j - 1)?;
            }
            let mut arguments = vec![
                self.parameter(j),
                self.memory.levels[j].into(),
                self.mask(j),
            ];
            if !plan.pool.apart {
                arguments.push(self.memory.terms[j].into());
            }
            let partials = self.memory.partials + 48 * plan.pool.first[j] as u64;
            arguments.push(partials.into());
            let shape = self.tiles(plan.scales[j].windows);
            self.launch(OF_WINDOWS, &self.name("windows"), shape, arguments)?;
        }
        self.pool()?;
        if plan.per_pixel {
            self.rise()?;
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), LaunchError> {
        let finest = &self.plan.scales[0];
        let [x, y] = self.memory.images.map(|samples| self.image(samples));
        let arguments = vec![
            x,
            y,
            finest.parameter.width.into(),
            finest.parameter.channels.into(),
            self.plan.sample_scale.into(),
            self.plan.limit.into(),
            self.mask(0),
            self.mask_image().into(),
            self.memory.levels[0].into(),
        ];
        let shape = self.rows(finest.rows);
        self.launch(PYRAMIDS, "load_f32", shape, arguments)
    }

    fn halve(&mut self, j: usize) -> Result<(), LaunchError> {
        let arguments = vec![
            by_value(&self.plan.scales[j].halved.to_bytes()),
            self.plan.pool.channels.into(),
            self.memory.levels[j].into(),
            self.memory.levels[j + 1].into(),
            self.mask(j),
            self.mask(j + 1),
            self.mask_image().into(),
        ];
        let shape = self.rows(self.plan.scales[j + 1].rows);
        self.launch(PYRAMIDS, "halve", shape, arguments)
    }

    fn pool(&mut self) -> Result<(), LaunchError> {
        let parameter = Pool {
            masked: self.memory.masks.is_some(),
            ..self.plan.pool
        };
        let memory = &self.memory;
        let [relative, factors] = match self.plan.per_pixel {
            true => [0; 2],
            false => [memory.relative, memory.factors],
        };
        let arguments = vec![
            by_value(&parameter.to_bytes()),
            memory.partials.into(),
            memory.sums.into(),
            memory.means.into(),
            memory.scores.into(),
            relative.into(),
            factors.into(),
            0u64.into(),
            0i32.into(),
        ];
        let shape = self.an_image();
        self.launch(POOLS, "pool", shape, arguments)
    }

    fn rise(&mut self) -> Result<(), LaunchError> {
        let plan = self.plan;
        let last = plan.scales.len() - 1;
        for j in 0..last {
            let arguments = vec![
                by_value(&plan.scales[j].product.to_bytes()),
                self.memory.terms[j].into(),
                self.memory.products[j].into(),
                self.memory.products[j + 1].into(),
            ];
            let shape = self.rows(plan.scales[j + 1].map_rows);
            self.launch(PRODUCTS, "rise", shape, arguments)?;
        }
        let arguments = vec![
            by_value(&plan.scales[last].product.to_bytes()),
            plan.pool.channels.into(),
            plan.pool.scales.into(),
            plan.pool.windows[0].into(),
            plan.pool.data_range.into(),
            self.memory.terms[last].into(),
            self.memory.products[last].into(),
            self.memory.scores.into(),
            self.memory.factors.into(),
            0u64.into(),
            0i32.into(),
        ];
        let shape = self.an_image();
        self.launch(PRODUCTS, "total", shape, arguments)
    }

    fn differentiate(&mut self) -> Result<(), LaunchError> {
        for j in (0..self.plan.scales.len()).rev() {
            if self.plan.per_pixel {
                self.descend(j)?;
            }
            self.slopes(j)?;
            self.spread(j)?;
        }
        Ok(())
    }

    fn descend(&mut self, j: usize) -> Result<(), LaunchError> {
        let scales = &self.plan.scales;
        let coarser = match j + 1 < scales.len() {
            true => self.memory.products[j + 1],
            false => 0,
        };
        let arguments = vec![
            by_value(&scales[j].product.to_bytes()),
            self.memory.terms[j].into(),
            self.memory.products[j].into(),
            coarser.into(),
        ];
        let shape = self.rows(scales[j].map_rows);
        self.launch(PRODUCTS, "descend", shape, arguments)
    }

    fn slopes(&mut self, j: usize) -> Result<(), LaunchError> {
        let mut arguments = vec![
            self.parameter(j),
            self.memory.levels[j].into(),
            self.mask(j),
            self.memory.relative.into(),
        ];
        if !self.plan.pool.apart {
            arguments.push(self.memory.terms[j].into());
        }
        arguments.push(self.memory.maps.into());
        let shape = self.tiles(self.plan.scales[j].windows);
        self.launch(OF_WINDOWS, &self.name("slopes"), shape, arguments)
    }

    fn spread(&mut self, j: usize) -> Result<(), LaunchError> {
        let scale = &self.plan.scales[j];
        let [coarser, coarser_mask] = match j + 1 < self.plan.scales.len() {
            true => [self.memory.gradients[j + 1].into(), self.mask(j + 1)],
            false => [0u64.into(), 0u64.into()],
        };
        let out = match j {
            0 => self.image(self.memory.result),
            _ => {
                let GeneralScale { width, height, .. } = scale.parameter;
                let (samples, channels) = (self.memory.gradients[j], self.case.batch[1]);
                let image = Image::planar(samples, channels, height as usize, width as usize);
                by_value(&image.to_bytes())
            }
        };
        let arguments = vec![
            self.parameter(j),
            by_value(&scale.halved.to_bytes()),
            self.memory.maps.into(),
            self.memory.levels[j].into(),
            self.mask(j),
            self.memory.factors.into(),
            coarser,
            coarser_mask,
            out,
        ];
        let shape = self.tiles(scale.pixels);
        self.launch(OF_WINDOWS, &self.name("spread"), shape, arguments)
    }
}
