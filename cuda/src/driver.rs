//! Everything that the compiler cannot check: the driver library, device memory, and all launches.
//!
//! A launch is right when the argument list is the kernel's and every address it computes lies in
//! memory that is alive. Argument lists are written once, here, one method a kernel, and run under the
//! emulator, which checks both; addresses come from [`msssim_kernels::Plan`], whose layout fits the
//! workspace, and from [`Place`]s, which were checked against the images' memory.

pub(crate) mod network;

use std::ffi::{CStr, CString, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{
    CUgraphInstantiate_flags, CUjit_option, CUresult, CUstreamCaptureMode, cuDriverGetVersion,
    cuModuleLoadDataEx, cuModuleUnload, is_culib_present,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaModule, CudaSlice, CudaStream, CudaView, CudaViewMut,
    DevicePtr, DevicePtrMut, DriverError, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;
use msssim_kernels::{
    COMBINE, FINISH, GRADIENT, Image, PRODUCT, Pass, Plan, ProductPlan, Region, STATISTICS,
    ScalePlan, TERMS, WEIGHTED,
};

use crate::error::{Error, ProbeError, Version, is_out_of_memory};
use crate::images::{Batch, Format, Images, ImagesMut, Place, Sample};

/// Threads of a block of the kernels that do not march.
const BLOCK: u32 = 256;

/// The CUDA version of the installed driver, if one is installed.
pub(crate) fn version() -> Option<Version> {
    // SAFETY: opens the library, which has nothing to say about this process yet.
    if !unsafe { is_culib_present() } {
        return None;
    }
    let mut version = 0;
    // SAFETY: writes one integer, and may be called before anything else.
    let result = unsafe { cuDriverGetVersion(&raw mut version) };
    let version = if result == CUresult::CUDA_SUCCESS {
        u32::try_from(version).unwrap_or(0)
    } else {
        0
    };
    Some(Version {
        major: version / 1000,
        minor: version % 1000 / 10,
    })
}

/// Device memory whose content does not matter.
pub(crate) fn allocate(stream: &Arc<CudaStream>, bytes: usize) -> Result<CudaSlice<u8>, Error> {
    // SAFETY: any byte is a `u8`; kernels write every part of a workspace before they read it.
    unsafe { stream.alloc(bytes) }.map_err(|error| exhausted(stream, bytes, error))
}

/// Device memory for `len` numbers, all 0.
pub(crate) fn allocate_zeros(
    stream: &Arc<CudaStream>,
    len: usize,
) -> Result<CudaSlice<f32>, Error> {
    let zeros = stream.alloc_zeros(len);
    zeros.map_err(|error| exhausted(stream, len.saturating_mul(4), error))
}

/// The error of an allocation.
fn exhausted(stream: &CudaStream, asked: usize, error: DriverError) -> Error {
    if is_out_of_memory(error) {
        let free = stream.context().mem_get_info().map_or(0, |(free, _)| free);
        Error::OutOfMemory { asked, free }
    } else {
        error.into()
    }
}

/// Makes slices of a context carry no events: for a context whose memory one stream alone ever sees.
pub(crate) fn forgo_events(context: &CudaContext) {
    // SAFETY: events order what several streams do with one slice.
    unsafe { context.disable_event_tracking() };
}

/// What buffers hold: four bytes that may be anything.
pub(crate) trait Word {}
impl Word for f32 {}
impl Word for i32 {}

/// Runs `run` on memory that is part of a buffer. What `run` puts into `stream` is ordered there.
pub(crate) fn with_view<T: Word, R>(
    stream: &Arc<CudaStream>,
    part: network::Part,
    run: impl FnOnce(CudaViewMut<'_, T>) -> R,
) -> R {
    // SAFETY: parts are made of living buffers and lie inside them; the slice is never dropped, so
    // that the memory stays the buffer's.
    let slice = unsafe { stream.upgrade_device_ptr::<T>(part.address, part.len) };
    let mut slice = ManuallyDrop::new(slice);
    let result = run(slice.as_view_mut());
    ManuallyDrop::into_inner(slice).leak();
    result
}

/// Held by captures, and by what may synchronise a whole context, which spoils every capture in it.
static CAPTURES: Mutex<()> = Mutex::new(());

/// A new stream, once no stream is being captured: the first of a context synchronises it.
pub(crate) fn new_stream(context: &Arc<CudaContext>) -> Result<Arc<CudaStream>, DriverError> {
    let _alone = CAPTURES.lock().unwrap_or_else(PoisonError::into_inner);
    context.new_stream()
}

/// Makes a graph of what `calls` put into the stream.
pub(crate) fn capture<E: From<Error>>(
    stream: &Arc<CudaStream>,
    calls: impl FnOnce() -> Result<(), E>,
) -> Result<CudaGraph, E> {
    let _alone = CAPTURES.lock().unwrap_or_else(PoisonError::into_inner);
    let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    stream.begin_capture(mode).map_err(Error::from)?;
    let called = calls();
    // A capture has to end, whatever became of the calls.
    let graph = stream.end_capture(CUgraphInstantiate_flags(0));
    called?;
    let graph = graph.map_err(Error::from)?;
    Ok(graph.ok_or(Error::Unsupported {
        what: "a graph of nothing",
    })?)
}

/// The kernels, loaded into a context.
#[derive(Debug)]
pub(crate) struct Kernels {
    statistics: [CudaFunction; 4],
    statistics_level: CudaFunction,
    gradient: [CudaFunction; 4],
    gradient_level: CudaFunction,
    combine: CudaFunction,
    finish: CudaFunction,
    terms: [CudaFunction; 4],
    terms_level: CudaFunction,
    weighted: [CudaFunction; 4],
    weighted_level: CudaFunction,
    rise: CudaFunction,
    total: CudaFunction,
    descend: CudaFunction,
}

impl Kernels {
    /// Translates the PTX for the device; the driver keeps the result in its cache.
    pub(crate) fn load(context: &Arc<CudaContext>) -> Result<Self, ProbeError> {
        let module = |name, ptx| load(context, name, ptx);
        let finest = |module: &Arc<CudaModule>, stem: &str| -> Result<_, DriverError> {
            let kernel = |format: &str| module.load_function(&format!("{stem}_{format}"));
            // In the order of `Format`.
            Ok([
                kernel("u8")?,
                kernel("f16")?,
                kernel("bf16")?,
                kernel("f32")?,
            ])
        };
        let statistics = module("statistics", STATISTICS)?;
        let gradient = module("gradient", GRADIENT)?;
        let combine = module("combine", COMBINE)?;
        let finish = module("finish", FINISH)?;
        let terms = module("terms", TERMS)?;
        let weighted = module("weighted", WEIGHTED)?;
        let product = module("product", PRODUCT)?;
        Ok(Self {
            statistics: finest(&statistics, "statistics")?,
            statistics_level: statistics.load_function("statistics_level")?,
            gradient: finest(&gradient, "gradient")?,
            gradient_level: gradient.load_function("gradient_level")?,
            combine: combine.load_function("combine")?,
            finish: finish.load_function("finish")?,
            terms: finest(&terms, "terms")?,
            terms_level: terms.load_function("terms_level")?,
            weighted: finest(&weighted, "weighted")?,
            weighted_level: weighted.load_function("weighted_level")?,
            rise: product.load_function("rise")?,
            total: product.load_function("total")?,
            descend: product.load_function("descend")?,
        })
    }
}

/// Translates a file of kernels for the device.
fn load(
    context: &Arc<CudaContext>,
    module: &'static str,
    ptx: &str,
) -> Result<Arc<CudaModule>, ProbeError> {
    context.load_module(Ptx::from_src(ptx)).map_err(|error| {
        if is_out_of_memory(error) {
            return error.into();
        }
        let log = refusal(context, ptx).unwrap_or_else(|| Error::from(error).to_string());
        ProbeError::PtxRefused { module, log }
    })
}

/// Why the driver's compiler refuses `ptx`, in its own words.
fn refusal(context: &Arc<CudaContext>, ptx: &str) -> Option<String> {
    context.bind_to_thread().ok()?;
    let source = CString::new(ptx).ok()?;
    let mut log = [0u8; 4096];
    let mut options = [
        CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
        CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    let mut values: [*mut c_void; 2] = [
        log.as_mut_ptr().cast(),
        // The size itself goes where a pointer would.
        ptr::without_provenance_mut(log.len()),
    ];
    let mut module = ptr::null_mut();
    // SAFETY: the source ends with a zero byte, and the options are a buffer and its length.
    let result = unsafe {
        cuModuleLoadDataEx(
            &raw mut module,
            source.as_ptr().cast(),
            options.len() as u32,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    if result == CUresult::CUDA_SUCCESS {
        // SAFETY: the module was just loaded, and nothing of it is in use.
        unsafe { cuModuleUnload(module) };
    }
    let words = CStr::from_bytes_until_nul(&log).ok()?.to_string_lossy();
    (!words.is_empty()).then(|| words.trim().to_owned())
}

/// A score, or a score and its gradient, of one batch: what to read, what to write.
#[derive(Debug)]
pub(crate) struct Job<'j, 'a, 'g, T> {
    pub(crate) batch: Batch,
    pub(crate) plan: &'j Plan,
    /// At least `plan.layout.bytes`.
    pub(crate) memory: &'j mut CudaSlice<u8>,
    pub(crate) reference: &'j Images<'a, T>,
    pub(crate) distorted: &'j Images<'a, T>,
    /// The gradient of the sum of the images' scores so weighted.
    pub(crate) upstream: Option<&'j CudaView<'a, f32>>,
    pub(crate) gradient: Option<&'j mut ImagesMut<'g>>,
}

impl<T: Sample> Job<'_, '_, '_, T> {
    /// Puts the launches into the stream.
    pub(crate) fn enqueue(self, kernels: &Kernels, stream: &Arc<CudaStream>) -> Result<(), Error> {
        self.with_addresses(stream, |job| Ok(job.launch(kernels, stream)?))
    }

    /// Makes a graph of the launches.
    pub(crate) fn capture(
        self,
        kernels: &Kernels,
        stream: &Arc<CudaStream>,
    ) -> Result<CudaGraph, Error> {
        self.with_addresses(stream, |job| {
            capture(stream, || Ok(job.launch(kernels, stream)?))
        })
    }

    /// Runs a graph that [`Job::capture`] made of a job with the same memory and images.
    pub(crate) fn replay(self, graph: &CudaGraph, stream: &Arc<CudaStream>) -> Result<(), Error> {
        self.with_addresses(stream, |_| Ok(graph.launch()?))
    }

    /// Checks the arguments, and has `stream` wait for their memory, and later users for `stream`.
    fn with_addresses<R>(
        self,
        stream: &Arc<CudaStream>,
        submit: impl FnOnce(Addresses<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let Batch { images, .. } = self.batch;
        let x = self.reference.place(&self.batch, "reference")?;
        let y = self.distorted.place(&self.batch, "distorted")?;
        let out = match &self.gradient {
            Some(gradient) => Some(gradient.place(&self.batch, "gradient")?),
            None => None,
        };
        if let Some(upstream) = self.upstream
            && upstream.len() < images
        {
            return Err(Error::ShortImages {
                what: "upstream",
                expected: images,
                actual: upstream.len(),
            });
        }
        assert!(
            self.memory.len() >= self.plan.layout.bytes,
            "a workspace of {} bytes where {} are planned",
            self.memory.len(),
            self.plan.layout.bytes
        );
        let (memory, _memory) = self.memory.device_ptr_mut(stream);
        let (reference, _reference) = self.reference.samples.device_ptr(stream);
        let (distorted, _distorted) = self.distorted.samples.device_ptr(stream);
        let upstream = self.upstream.map(|weights| weights.device_ptr(stream));
        let gradient = match self.gradient {
            Some(gradient) => Some(gradient.samples.device_ptr_mut(stream)),
            None => None,
        };
        let addresses = Addresses {
            plan: self.plan,
            batch: self.batch,
            format: T::FORMAT,
            memory,
            x: x.at(reference),
            y: y.at(distorted),
            upstream: upstream.as_ref().map_or(0, |(address, _)| *address),
            gradient: gradient
                .as_ref()
                .zip(out)
                .map(|((address, _), place): (_, Place)| place.at(*address)),
        };
        submit(addresses)
    }
}

/// A job's memory, checked and alive. Made by [`Job::with_addresses`] alone.
struct Addresses<'j> {
    plan: &'j Plan,
    batch: Batch,
    format: Format,
    memory: u64,
    x: Image,
    y: Image,
    upstream: u64,
    gradient: Option<Image>,
}

/// A stream, and the kernels to put into it.
#[derive(Clone, Copy)]
struct Queue<'q> {
    stream: &'q CudaStream,
    kernels: &'q Kernels,
}

impl Addresses<'_> {
    /// All launches, in order, with nothing between them that waits.
    fn launch(&self, kernels: &Kernels, stream: &CudaStream) -> Result<(), DriverError> {
        let queue = Queue { stream, kernels };
        if self.plan.products.is_empty() {
            self.by_means(queue)?;
        } else {
            self.by_products(queue)?;
        }
        match &self.gradient {
            Some(out) => self.finish(queue, out),
            None => Ok(()),
        }
    }

    /// Scores as products of means, and each scale's gradient.
    fn by_means(&self, queue: Queue<'_>) -> Result<(), DriverError> {
        for (j, scale) in self.plan.scales.iter().enumerate() {
            let results = self.results(j);
            match (j, &self.gradient) {
                (0, None) => self.statistics(queue, scale, &results)?,
                (0, Some(out)) => self.gradient(queue, scale, &results, out)?,
                (_, None) => self.statistics_level(queue, j, scale, &results)?,
                (_, Some(_)) => self.gradient_level(queue, j, scale, &results)?,
            }
        }
        let factors = match self.gradient {
            Some(_) => self.at(self.plan.layout.factors),
            None => 0,
        };
        self.combine(queue, factors, self.upstream)
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
            self.rise(queue, j, product)?;
        }
        self.total(queue)?;
        let Some(out) = &self.gradient else {
            return Ok(());
        };
        for (j, product) in products.iter().enumerate().rev() {
            self.descend(queue, j, product)?;
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
        self.memory + region.offset as u64
    }

    fn level(&self, scale: usize) -> u64 {
        self.at(self.plan.layout.levels[scale])
    }

    /// The gradient of a coarser scale.
    fn own_gradient(&self, scale: usize) -> u64 {
        self.at(self.plan.layout.gradients) + 4 * self.plan.finish.first[scale] as u64
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
        let (x, y, parameter) = (self.x.to_bytes(), self.y.to_bytes(), scale.scale.to_bytes());
        let kernel = &queue.kernels.statistics[self.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials);
        // SAFETY: `statistics_T`'s arguments; see the head of this file.
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
        // SAFETY: `statistics_level`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn gradient(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        results: &Results,
        out: &Image,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (self.x.to_bytes(), self.y.to_bytes(), scale.scale.to_bytes());
        let out = out.to_bytes();
        let kernel = &queue.kernels.gradient[self.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&out);
        // SAFETY: `gradient_T`'s arguments; see the head of this file.
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
        // SAFETY: `gradient_level`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn combine(&self, queue: Queue<'_>, factors: u64, upstream: u64) -> Result<(), DriverError> {
        let layout = &self.plan.layout;
        let parameter = self.plan.combine.to_bytes();
        let (partials, means) = (self.at(layout.partials), self.at(layout.means));
        let (planes, scores) = (self.at(layout.plane_scores), self.at(layout.scores));
        let mut launch = queue.stream.launch_builder(&queue.kernels.combine);
        launch.arg(&parameter).arg(&partials).arg(&means);
        launch
            .arg(&planes)
            .arg(&scores)
            .arg(&factors)
            .arg(&upstream);
        // SAFETY: `combine`'s arguments; see the head of this file.
        unsafe { launch.launch(threads([self.batch.images as u32, 1, 1])) }.map(drop)
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
        // SAFETY: `finish`'s arguments; see the head of this file.
        unsafe { launch.launch(threads(self.plan.finish_grid)) }.map(drop)
    }

    fn terms(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (self.x.to_bytes(), self.y.to_bytes(), scale.scale.to_bytes());
        let map = self.at(self.plan.layout.terms[0]);
        let kernel = &queue.kernels.terms[self.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&map);
        // SAFETY: `terms_T`'s arguments; see the head of this file.
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
        let map = self.at(self.plan.layout.terms[j]);
        let mut launch = queue.stream.launch_builder(&queue.kernels.terms_level);
        launch.arg(&level).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&map);
        // SAFETY: `terms_level`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn rise(&self, queue: Queue<'_>, j: usize, product: &ProductPlan) -> Result<(), DriverError> {
        let parameter = product.parameter.to_bytes();
        let terms = self.at(self.plan.layout.terms[j]);
        let (sums, next) = (self.product_sums(j), self.product_sums(j + 1));
        let mut launch = queue.stream.launch_builder(&queue.kernels.rise);
        launch.arg(&parameter).arg(&terms).arg(&sums).arg(&next);
        // SAFETY: `rise`'s arguments; see the head of this file.
        unsafe { launch.launch(threads(product.next_grid)) }.map(drop)
    }

    fn total(&self, queue: Queue<'_>) -> Result<(), DriverError> {
        let Plan {
            layout,
            combine,
            products,
            ..
        } = self.plan;
        let coarsest = products.len() - 1;
        let parameter = products[coarsest].parameter.to_bytes();
        let (terms, sums) = (self.at(layout.terms[coarsest]), self.product_sums(coarsest));
        let (scores, area) = (self.at(layout.scores), combine.windows[0]);
        let factors = match self.gradient {
            Some(_) => self.at(layout.factors),
            None => 0,
        };
        let mut launch = queue.stream.launch_builder(&queue.kernels.total);
        launch.arg(&parameter).arg(&combine.channels);
        launch
            .arg(&combine.scales)
            .arg(&area)
            .arg(&combine.data_range);
        launch.arg(&terms).arg(&sums).arg(&scores);
        launch.arg(&factors).arg(&self.upstream);
        // SAFETY: `total`'s arguments; see the head of this file.
        unsafe { launch.launch(threads([self.batch.images as u32, 1, 1])) }.map(drop)
    }

    fn descend(
        &self,
        queue: Queue<'_>,
        j: usize,
        product: &ProductPlan,
    ) -> Result<(), DriverError> {
        let parameter = product.parameter.to_bytes();
        let terms = self.at(self.plan.layout.terms[j]);
        let sums = self.product_sums(j);
        let coarser = if j + 1 < self.plan.products.len() {
            self.product_sums(j + 1)
        } else {
            0
        };
        let mut launch = queue.stream.launch_builder(&queue.kernels.descend);
        launch.arg(&parameter).arg(&terms).arg(&sums).arg(&coarser);
        // SAFETY: `descend`'s arguments; see the head of this file.
        unsafe { launch.launch(threads(product.grid)) }.map(drop)
    }

    fn weighted(
        &self,
        queue: Queue<'_>,
        scale: &ScalePlan,
        out: &Image,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (self.x.to_bytes(), self.y.to_bytes(), scale.scale.to_bytes());
        let (weights, out) = (self.at(self.plan.layout.terms[0]), out.to_bytes());
        let kernel = &queue.kernels.weighted[self.format as usize];
        let mut launch = queue.stream.launch_builder(kernel);
        launch
            .arg(&x)
            .arg(&y)
            .arg(&parameter)
            .arg(&weights)
            .arg(&out);
        // SAFETY: `weighted_T`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn weighted_level(
        &self,
        queue: Queue<'_>,
        j: usize,
        scale: &ScalePlan,
    ) -> Result<(), DriverError> {
        let (level, parameter) = (self.level(j), scale.scale.to_bytes());
        let (weights, own) = (self.at(self.plan.layout.terms[j]), self.own_gradient(j));
        let mut launch = queue.stream.launch_builder(&queue.kernels.weighted_level);
        launch.arg(&level).arg(&parameter).arg(&weights).arg(&own);
        // SAFETY: `weighted_level`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
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

/// Blocks of [`BLOCK`] threads.
fn threads(grid: [u32; 3]) -> LaunchConfig {
    LaunchConfig {
        grid_dim: grid.into(),
        block_dim: (BLOCK, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// The launches of a pass over a batch.
pub(crate) fn plan(
    metric: &msssim_kernels::Metric,
    pass: Pass,
    batch: &Batch,
) -> Result<Plan, Error> {
    let Batch {
        images,
        channels,
        size,
    } = *batch;
    Plan::new(metric, pass, images, channels, size.height, size.width).ok_or(Error::TooLarge {
        images,
        channels,
        size,
    })
}
