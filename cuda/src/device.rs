//! A device, found and tried before anything depends on it.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaStream};
use msssim_core::{Params, Plane, PlaneMut, Size};

use crate::driver::{Kernels, allocate_zeros, new_stream, upload, version};
use crate::error::{Error, ProbeError, Version};
use crate::images::{Images, ImagesMut};
use crate::metric::{MsSsim, Pass};

/// The driver that the bindings are made for; the kernels alone would run with 11.0.
const DRIVER: Version = Version {
    major: 12,
    minor: 0,
};

/// The architecture that the kernels are compiled for; newer devices run it too.
const ARCHITECTURE: Version = Version { major: 8, minor: 0 };

/// A CUDA device with the kernels loaded, which has computed a known answer. Clones are the same device.
#[derive(Clone, Debug)]
pub struct Device {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    context: Arc<CudaContext>,
    kernels: Kernels,
    name: String,
    architecture: Version,
    driver: Version,
}

impl Device {
    /// The first device that the driver shows.
    ///
    /// Never panics, whatever is or is not installed. Takes most of a second where the driver has to
    /// translate the kernels first; it keeps the result.
    ///
    /// # Errors
    /// A [`ProbeError`] that says what is missing.
    pub fn probe() -> Result<Self, ProbeError> {
        Self::open(0)
    }

    /// Device number `ordinal`.
    ///
    /// # Errors
    /// A [`ProbeError`] that says what is missing.
    pub fn open(ordinal: usize) -> Result<Self, ProbeError> {
        let driver = version().ok_or(ProbeError::NoDriver)?;
        if driver < DRIVER {
            return Err(ProbeError::DriverTooOld {
                have: driver,
                need: DRIVER,
            });
        }
        let count = match cudarc::driver::result::init() {
            Ok(()) => CudaContext::device_count()?,
            Err(error) if is_no_device(error) => 0,
            Err(error) => return Err(error.into()),
        };
        let count = usize::try_from(count).unwrap_or(0);
        if ordinal >= count {
            return Err(ProbeError::NoDevice { ordinal, count });
        }
        let context = CudaContext::new(ordinal)?;
        let name = context.name()?;
        let (major, minor) = context.compute_capability()?;
        let architecture = Version {
            major: major.unsigned_abs(),
            minor: minor.unsigned_abs(),
        };
        if architecture < ARCHITECTURE {
            return Err(ProbeError::ArchitectureTooOld {
                name,
                have: architecture,
                need: ARCHITECTURE,
            });
        }
        let kernels = Kernels::load(&context)?;
        let device = Self {
            inner: Arc::new(Inner {
                context,
                kernels,
                name,
                architecture,
                driver,
            }),
        };
        device.compute_known_answer()?;
        Ok(device)
    }

    /// A stream of its own. What is put into one stream runs in order.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn new_stream(&self) -> Result<Arc<CudaStream>, Error> {
        Ok(new_stream(&self.inner.context)?)
    }

    /// The context, for memory and streams through cudarc.
    pub fn context(&self) -> &Arc<CudaContext> {
        &self.inner.context
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its compute capability.
    pub fn architecture(&self) -> Version {
        self.inner.architecture
    }

    /// The CUDA version of its driver.
    pub fn driver(&self) -> Version {
        self.inner.driver
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.inner.kernels
    }

    /// Scores and differentiates a known pair and compares with the portable form: a device that is
    /// broken or runs something else is not trusted with unknown ones.
    fn compute_known_answer(&self) -> Result<(), ProbeError> {
        let size = Size {
            width: 40,
            height: 36,
        };
        let params = Params {
            scales: 2,
            data_range: 1.0,
            ..Params::SNELL_2017
        };
        let reference: Vec<f32> = (0..size.area())
            .map(|i| (i * i % 97) as f32 / 96.0)
            .collect();
        let distorted: Vec<f32> = reference
            .iter()
            .enumerate()
            .map(|(i, x)| 0.75 * x + (i % 5) as f32 / 20.0)
            .collect();

        let portable = msssim_core::MsSsim::new(size, 1, &params).map_err(Error::from)?;
        let mut scratch = vec![0.0; portable.gradient_scratch_len()];
        let mut expected = vec![0.0; size.area()];
        let plane = |samples| Plane::new(samples, size).map_err(Error::from);
        let score = portable
            .score_and_gradient(
                &[plane(&reference)?],
                &[plane(&distorted)?],
                &mut [PlaneMut::new(&mut expected, size).map_err(Error::from)?],
                &mut scratch,
            )
            .map_err(Error::from)?;

        let metric = MsSsim::new(size, 1, &params)?;
        let stream = self.new_stream()?;
        let mut workspace = metric.workspace(self, &stream, 1, Pass::Gradient)?;
        let x = upload(&stream, &reference)?;
        let y = upload(&stream, &distorted)?;
        let mut gradient = allocate_zeros(&stream, size.area())?;
        let images = [&x, &y].map(|samples| Images::planar(samples.as_view()));
        let computed = metric.score_and_gradient(
            &mut workspace,
            &images[0],
            &images[1],
            &mut ImagesMut::planar(gradient.as_view_mut()),
        )?[0];
        let gradient = stream.clone_dtoh(&gradient)?;

        let check = |what, expected: f64, actual: f64, tolerance: f64| {
            if (expected - actual).abs() <= tolerance {
                return Ok(());
            }
            let name = self.name().to_owned();
            Err(ProbeError::WrongAnswer {
                name,
                what,
                expected,
                actual,
            })
        };
        check("score", score.value, computed.value, 1e-5)?;
        let largest = expected.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        let tolerance = 1e-4 * f64::from(largest);
        for (expected, actual) in expected.into_iter().zip(gradient) {
            check("gradient", expected.into(), actual.into(), tolerance)?;
        }
        Ok(())
    }
}

fn is_no_device(error: cudarc::driver::DriverError) -> bool {
    error.0 == cudarc::driver::sys::CUresult::CUDA_ERROR_NO_DEVICE
}
