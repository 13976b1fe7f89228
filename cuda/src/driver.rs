//! Everything that the compiler cannot check: the driver library, device memory, and all launches.
//!
//! A launch is right when the argument list is the kernel's and every address it computes lies in
//! memory that is alive. Argument lists are written once, here and in the files below, one method a kernel,
//! and run under the emulator, which checks both; addresses come from [`msssim_kernels::Plan`] and
//! [`msssim_kernels::general::GeneralPlan`], whose layouts fit the workspace, and from [`Place`]s, which were
//! checked against the images' memory.

mod general;
mod metric;
pub(crate) mod network;
pub(crate) mod pinned;

use std::ffi::{CStr, CString, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cudarc::driver::sys::{
    CUgraphInstantiate_flags, CUjit_option, CUresult, CUstreamCaptureMode, cuDriverGetVersion,
    cuModuleLoadDataEx, cuModuleUnload, is_culib_present,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaModule, CudaSlice, CudaStream, CudaView, CudaViewMut,
    DevicePtr, DevicePtrMut, DeviceRepr, DriverError, LaunchConfig,
};
use cudarc::nvrtc::Ptx;
use msssim_kernels::general::GeneralPlan;
use msssim_kernels::{COMBINE, FINISH, GRADIENT, Image, Plan, Region, STATISTICS};

use crate::error::{Error, Version, is_out_of_memory};
use crate::images::{Batch, Format, Images, ImagesMut, Place, Sample};
use crate::weighting::{Mask, Upstream};
use general::GeneralKernels;
use metric::ProductKernels;

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

/// Device memory that holds `values`.
pub(crate) fn upload<T: DeviceRepr>(
    stream: &Arc<CudaStream>,
    values: &[T],
) -> Result<CudaSlice<T>, Error> {
    let there = stream.clone_htod(values);
    there.map_err(|error| exhausted(stream, size_of_val(values), error))
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

/// The kernels, loaded into a context: those of training at once, the others when they are first planned
/// with.
#[derive(Debug)]
pub(crate) struct Kernels {
    context: Arc<CudaContext>,
    statistics: [CudaFunction; 5],
    statistics_level: CudaFunction,
    gradient: [CudaFunction; 5],
    gradient_level: CudaFunction,
    combine: CudaFunction,
    finish: CudaFunction,
    products: OnceLock<ProductKernels>,
    general: OnceLock<GeneralKernels>,
}

impl Kernels {
    /// Translates the PTX for the device; the driver keeps the result in its cache.
    pub(crate) fn load(context: &Arc<CudaContext>) -> Result<Self, Error> {
        let statistics = load(context, "statistics", STATISTICS)?;
        let gradient = load(context, "gradient", GRADIENT)?;
        let combine = load(context, "combine", COMBINE)?;
        let finish = load(context, "finish", FINISH)?;
        Ok(Self {
            context: Arc::clone(context),
            statistics: of_formats(&statistics, "statistics")?,
            statistics_level: statistics.load_function("statistics_level")?,
            gradient: of_formats(&gradient, "gradient")?,
            gradient_level: gradient.load_function("gradient_level")?,
            combine: combine.load_function("combine")?,
            finish: finish.load_function("finish")?,
            products: OnceLock::new(),
            general: OnceLock::new(),
        })
    }

    /// Loads what `launches` needs.
    pub(crate) fn ready(&self, launches: &Launches) -> Result<(), Error> {
        let (products, general) = match launches {
            Launches::Training(plan) => (!plan.products.is_empty(), false),
            Launches::General(plan) => (plan.per_pixel, true),
        };
        // Loading may synchronise the context.
        let _alone = CAPTURES.lock().unwrap_or_else(PoisonError::into_inner);
        if products && self.products.get().is_none() {
            let _ = self.products.set(ProductKernels::load(&self.context)?);
        }
        if general && self.general.get().is_none() {
            let _ = self.general.set(GeneralKernels::load(&self.context)?);
        }
        Ok(())
    }

    /// The kernels of products pixel by pixel, of a plan that [`Kernels::ready`] has seen.
    fn products(&self) -> Result<&ProductKernels, DriverError> {
        let missing = DriverError(CUresult::CUDA_ERROR_NOT_INITIALIZED);
        self.products.get().ok_or(missing)
    }

    /// The general kernels, likewise.
    fn general(&self) -> Result<&GeneralKernels, DriverError> {
        let missing = DriverError(CUresult::CUDA_ERROR_NOT_INITIALIZED);
        self.general.get().ok_or(missing)
    }
}

/// A kernel for each type of samples that training has, in the order of [`Format`].
fn of_formats(module: &Arc<CudaModule>, stem: &str) -> Result<[CudaFunction; 5], DriverError> {
    let kernel = |format: &str| module.load_function(&format!("{stem}_{format}"));
    Ok([
        kernel("u8")?,
        kernel("f16")?,
        kernel("bf16")?,
        kernel("f32")?,
        kernel("u16")?,
    ])
}

/// Translates a file of kernels for the device.
fn load(
    context: &Arc<CudaContext>,
    module: &'static str,
    ptx: &str,
) -> Result<Arc<CudaModule>, Error> {
    context.load_module(Ptx::from_src(ptx)).map_err(|error| {
        if is_out_of_memory(error) {
            let free = context.mem_get_info().map_or(0, |(free, _)| free);
            return Error::OutOfMemory {
                asked: ptx.len(),
                free,
            };
        }
        let log = refusal(context, ptx).unwrap_or_else(|| Error::from(error).to_string());
        Error::PtxRefused { module, log }
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

/// The launches of a pass over a batch.
#[derive(Debug)]
pub(crate) enum Launches {
    /// By the kernels for training.
    Training(Plan),
    /// By those for everything else.
    General(GeneralPlan),
}

impl Launches {
    /// Bytes of the workspace.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Training(plan) => plan.layout.bytes,
            Self::General(plan) => plan.layout.bytes,
        }
    }

    /// Where means and scores lie in it.
    pub(crate) fn results(&self) -> [Region; 2] {
        match self {
            Self::Training(plan) => [plan.layout.means, plan.layout.scores],
            Self::General(plan) => [plan.layout.means, plan.layout.scores],
        }
    }
}

/// A score, or a score and its gradient, of one batch: what to read, what to write.
#[derive(Debug)]
pub(crate) struct Job<'j, 'a, 'g, T> {
    pub(crate) batch: Batch,
    pub(crate) plan: &'j Launches,
    /// At least as many bytes as are planned.
    pub(crate) memory: &'j mut CudaSlice<u8>,
    pub(crate) reference: &'j Images<'a, T>,
    pub(crate) distorted: &'j Images<'a, T>,
    /// The gradient is that of the sum of scores so weighted.
    pub(crate) upstream: Option<Upstream<&'j CudaView<'a, f32>>>,
    pub(crate) mask: Option<&'j Mask>,
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
        let Batch {
            images, channels, ..
        } = self.batch;
        let x = self.reference.place(&self.batch, "reference")?;
        let y = self.distorted.place(&self.batch, "distorted")?;
        let out = match &self.gradient {
            Some(gradient) => Some(gradient.place(&self.batch, "gradient")?),
            None => None,
        };
        let (weights, by_channel) = match self.upstream {
            None => (None, false),
            Some(Upstream::Images(weights)) => (Some(weights), false),
            Some(Upstream::Channels(weights)) => (Some(weights), true),
        };
        let expected = if by_channel {
            images * channels
        } else {
            images
        };
        if let Some(weights) = weights
            && weights.len() < expected
        {
            return Err(Error::ShortImages {
                what: "upstream",
                expected,
                actual: weights.len(),
            });
        }
        if let Some(mask) = self.mask {
            mask.check(images)?;
        }
        if T::FORMAT == Format::F64 && matches!(self.plan, Launches::Training(_)) {
            return Err(Error::Unsupported {
                what: "f64 samples in a plan for training; MsSsim::general has them",
            });
        }
        assert!(
            self.memory.len() >= self.plan.bytes(),
            "a workspace of {} bytes where {} are planned",
            self.memory.len(),
            self.plan.bytes()
        );
        let (memory, _memory) = self.memory.device_ptr_mut(stream);
        let (reference, _reference) = self.reference.samples.device_ptr(stream);
        let (distorted, _distorted) = self.distorted.samples.device_ptr(stream);
        let upstream = weights.map(|weights| weights.device_ptr(stream));
        let mask = self.mask.map(|mask| mask.weights().device_ptr(stream));
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
            by_channel,
            mask: mask.as_ref().map_or(0, |(address, _)| *address),
            mask_image: self.mask.map_or(0, Mask::stride),
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
    plan: &'j Launches,
    batch: Batch,
    format: Format,
    memory: u64,
    x: Image,
    y: Image,
    /// Weights of the images' scores, or of their channels'; 0 for none.
    upstream: u64,
    by_channel: bool,
    /// The weights of the first image's samples, and how far it is to the next one's; 0 for none.
    mask: u64,
    mask_image: usize,
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
        match self.plan {
            Launches::Training(plan) => self.training(plan, queue),
            Launches::General(plan) => self.general(plan, queue),
        }
    }

    /// The address of a part of the workspace.
    fn at(&self, region: Region) -> u64 {
        self.memory + region.offset as u64
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
