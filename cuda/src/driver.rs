//! Everything that the compiler cannot check: the driver library, device memory, and all launches.
//!
//! A launch is right when the argument list is the kernel's and every address it computes lies in
//! memory that is alive. Argument lists are written once, here, one method a kernel, and run under the
//! emulator, which checks both; addresses come from [`msssim_kernels::Plan`], whose layout fits the
//! workspace, and from [`Place`]s, which were checked against the images' memory.

use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{
    CUgraphInstantiate_flags, CUjit_option, CUresult, CUstreamCaptureMode, cuDriverGetVersion,
    cuModuleLoadDataEx, cuModuleUnload, is_culib_present,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, CudaView, DevicePtr, DevicePtrMut,
    DriverError, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;
use msssim_kernels::{COMBINE, FINISH, GRADIENT, Image, Pass, Plan, STATISTICS, ScalePlan};

use crate::error::{Error, ProbeError, Version, is_out_of_memory};
use crate::images::{Batch, Format, Images, ImagesMut, Place, Sample};

/// Threads of a block of `combine` and `finish`.
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
    unsafe { stream.alloc(bytes) }.map_err(|error| {
        if is_out_of_memory(error) {
            let free = stream.context().mem_get_info().map_or(0, |(free, _)| free);
            Error::OutOfMemory { asked: bytes, free }
        } else {
            error.into()
        }
    })
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
}

impl Kernels {
    /// Translates the PTX for the device; the driver keeps the result in its cache.
    pub(crate) fn load(context: &Arc<CudaContext>) -> Result<Self, ProbeError> {
        let module = |name: &'static str, ptx: &str| {
            context.load_module(Ptx::from_src(ptx)).map_err(|error| {
                if is_out_of_memory(error) {
                    return error.into();
                }
                let log = refusal(context, ptx).unwrap_or_else(|| Error::from(error).to_string());
                ProbeError::PtxRefused { module: name, log }
            })
        };
        let statistics = module("statistics", STATISTICS)?;
        let gradient = module("gradient", GRADIENT)?;
        let combine = module("combine", COMBINE)?;
        let finish = module("finish", FINISH)?;
        Ok(Self {
            // In the order of `Format`.
            statistics: [
                statistics.load_function("statistics_u8")?,
                statistics.load_function("statistics_f16")?,
                statistics.load_function("statistics_bf16")?,
                statistics.load_function("statistics_f32")?,
            ],
            statistics_level: statistics.load_function("statistics_level")?,
            gradient: [
                gradient.load_function("gradient_u8")?,
                gradient.load_function("gradient_f16")?,
                gradient.load_function("gradient_bf16")?,
                gradient.load_function("gradient_f32")?,
            ],
            gradient_level: gradient.load_function("gradient_level")?,
            combine: combine.load_function("combine")?,
            finish: finish.load_function("finish")?,
        })
    }
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
        self.with_addresses(stream, |job| job.launch(kernels, stream))
    }

    /// Makes a graph of the launches.
    pub(crate) fn capture(
        self,
        kernels: &Kernels,
        stream: &Arc<CudaStream>,
    ) -> Result<CudaGraph, Error> {
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let graph = self.with_addresses(stream, |job| {
            stream.begin_capture(mode)?;
            let launched = job.launch(kernels, stream);
            // A capture has to end, whatever became of the launches.
            let graph = stream.end_capture(CUgraphInstantiate_flags(0));
            launched.and(graph)
        })?;
        graph.ok_or(Error::Unsupported {
            what: "a graph on this stream",
        })
    }

    /// Runs a graph that [`Job::capture`] made of a job with the same memory and images.
    pub(crate) fn replay(self, graph: &CudaGraph, stream: &Arc<CudaStream>) -> Result<(), Error> {
        self.with_addresses(stream, |_| graph.launch())
    }

    /// Checks the arguments, and has `stream` wait for their memory, and later users for `stream`.
    fn with_addresses<R>(
        self,
        stream: &Arc<CudaStream>,
        submit: impl FnOnce(Addresses<'_>) -> Result<R, DriverError>,
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
        Ok(submit(addresses)?)
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

impl Addresses<'_> {
    /// All launches, in order, with nothing between them that waits.
    fn launch(&self, kernels: &Kernels, stream: &CudaStream) -> Result<(), DriverError> {
        let Plan { layout, scales, .. } = self.plan;
        let own_gradients = self.memory + layout.gradients.offset as u64;
        let level = |scale: usize| self.memory + layout.levels[scale].offset as u64;
        for (j, scale) in scales.iter().enumerate() {
            let next = if j + 1 < scales.len() {
                level(j + 1)
            } else {
                0
            };
            let first = 16 * self.plan.combine.first[j] as u64;
            let results = Results {
                next,
                partials: self.memory + layout.partials.offset as u64 + first,
            };
            let own = own_gradients + 4 * self.plan.finish.first[j] as u64;
            match (j, &self.gradient) {
                (0, None) => self.statistics(kernels, stream, scale, &results)?,
                (0, Some(out)) => self.gradient(kernels, stream, scale, &results, out)?,
                (_, None) => statistics_level(kernels, stream, level(j), scale, &results)?,
                (_, Some(_)) => gradient_level(kernels, stream, level(j), scale, &results, own)?,
            }
        }
        self.combine(kernels, stream)?;
        match &self.gradient {
            Some(out) => self.finish(kernels, stream, out),
            None => Ok(()),
        }
    }

    fn statistics(
        &self,
        kernels: &Kernels,
        stream: &CudaStream,
        scale: &ScalePlan,
        results: &Results,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (self.x.to_bytes(), self.y.to_bytes(), scale.scale.to_bytes());
        let mut launch = stream.launch_builder(&kernels.statistics[self.format as usize]);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials);
        // SAFETY: `statistics_T`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn gradient(
        &self,
        kernels: &Kernels,
        stream: &CudaStream,
        scale: &ScalePlan,
        results: &Results,
        out: &Image,
    ) -> Result<(), DriverError> {
        let (x, y, parameter) = (self.x.to_bytes(), self.y.to_bytes(), scale.scale.to_bytes());
        let out = out.to_bytes();
        let mut launch = stream.launch_builder(&kernels.gradient[self.format as usize]);
        launch.arg(&x).arg(&y).arg(&parameter);
        launch.arg(&results.next).arg(&results.partials).arg(&out);
        // SAFETY: `gradient_T`'s arguments; see the head of this file.
        unsafe { launch.launch(shape(scale)) }.map(drop)
    }

    fn combine(&self, kernels: &Kernels, stream: &CudaStream) -> Result<(), DriverError> {
        let layout = &self.plan.layout;
        let at = |offset: usize| self.memory + offset as u64;
        let parameter = self.plan.combine.to_bytes();
        let (partials, means) = (at(layout.partials.offset), at(layout.means.offset));
        let (planes, scores) = (at(layout.plane_scores.offset), at(layout.scores.offset));
        let factors = self.gradient.map_or(0, |_| at(layout.factors.offset));
        let mut launch = stream.launch_builder(&kernels.combine);
        launch.arg(&parameter).arg(&partials).arg(&means);
        launch
            .arg(&planes)
            .arg(&scores)
            .arg(&factors)
            .arg(&self.upstream);
        let config = LaunchConfig {
            grid_dim: (self.batch.images as u32, 1, 1),
            block_dim: (BLOCK, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: `combine`'s arguments; see the head of this file.
        unsafe { launch.launch(config) }.map(drop)
    }

    fn finish(
        &self,
        kernels: &Kernels,
        stream: &CudaStream,
        out: &Image,
    ) -> Result<(), DriverError> {
        let layout = &self.plan.layout;
        let (parameter, out) = (self.plan.finish.to_bytes(), out.to_bytes());
        let own_gradients = self.memory + layout.gradients.offset as u64;
        let factors = self.memory + layout.factors.offset as u64;
        let mut launch = stream.launch_builder(&kernels.finish);
        launch
            .arg(&parameter)
            .arg(&own_gradients)
            .arg(&factors)
            .arg(&out);
        let config = LaunchConfig {
            grid_dim: self.plan.finish_grid.into(),
            block_dim: (BLOCK, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: `finish`'s arguments; see the head of this file.
        unsafe { launch.launch(config) }.map(drop)
    }
}

/// Where a scale's results go.
struct Results {
    /// The next level of the pyramid, or 0.
    next: u64,
    partials: u64,
}

fn statistics_level(
    kernels: &Kernels,
    stream: &CudaStream,
    level: u64,
    scale: &ScalePlan,
    results: &Results,
) -> Result<(), DriverError> {
    let parameter = scale.scale.to_bytes();
    let mut launch = stream.launch_builder(&kernels.statistics_level);
    launch.arg(&level).arg(&parameter);
    launch.arg(&results.next).arg(&results.partials);
    // SAFETY: `statistics_level`'s arguments; see the head of this file.
    unsafe { launch.launch(shape(scale)) }.map(drop)
}

fn gradient_level(
    kernels: &Kernels,
    stream: &CudaStream,
    level: u64,
    scale: &ScalePlan,
    results: &Results,
    own: u64,
) -> Result<(), DriverError> {
    let parameter = scale.scale.to_bytes();
    let mut launch = stream.launch_builder(&kernels.gradient_level);
    launch.arg(&level).arg(&parameter);
    launch.arg(&results.next).arg(&results.partials).arg(&own);
    // SAFETY: `gradient_level`'s arguments; see the head of this file.
    unsafe { launch.launch(shape(scale)) }.map(drop)
}

fn shape(scale: &ScalePlan) -> LaunchConfig {
    LaunchConfig {
        grid_dim: scale.grid.into(),
        block_dim: (scale.block, 1, 1),
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
