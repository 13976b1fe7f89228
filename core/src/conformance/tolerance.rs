//! How far a backend may be from the float64 reference, and why: one table.

/// An implementation of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The portable form in this crate.
    Core,
    /// Threads and SIMD on the CPU.
    Cpu,
    /// Kernels on a CUDA device, or its emulator.
    Cuda,
}

/// A number that a backend computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// MS-SSIM.
    Score,
    /// The term of a single window.
    Window,
    /// A scale's mean.
    ScaleMean,
    /// A sample of the gradient, relative to the largest of the image.
    Gradient,
}

/// A bound with its reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Largest distance from the reference.
    pub bound: f64,
    /// Where that distance comes from.
    pub reason: &'static str,
}

/// The tolerance of `quantity` as `backend` computes it.
pub fn tolerance(backend: Backend, quantity: Quantity) -> Tolerance {
    let (bound, reason) = match (backend, quantity) {
        (_, Quantity::Score | Quantity::ScaleMean) => (
            1e-6,
            "f32 window sums, whose errors average out over the windows",
        ),
        (_, Quantity::Window) => (
            1e-4,
            "E[s^2] - E[s]^2 in f32 cancels to about 2e-7, divided by no less than 2 C2",
        ),
        (Backend::Core | Backend::Cpu, Quantity::Gradient) => (
            1e-5,
            "f32 partial derivatives, two more filters and up to eight scales of sums",
        ),
        (Backend::Cuda, Quantity::Gradient) => (
            1e-5,
            "the same; products fused with sums round once where the others round twice",
        ),
    };
    Tolerance { bound, reason }
}

/// How far apart results may be of which one class rounds a product and a sum once, the other twice.
pub fn between_classes(quantity: Quantity) -> Tolerance {
    let (bound, reason) = match quantity {
        Quantity::Score | Quantity::ScaleMean => {
            (1e-6, "the roundings of single windows, which average out")
        }
        Quantity::Window => (
            2e-5,
            "a rounding of 2^-24 in sums of squares of up to 1, divided by no less than 2 C2",
        ),
        Quantity::Gradient => (
            1e-5,
            "as far as either may be from the reference: both are of `f32` and not of each other",
        ),
    };
    Tolerance { bound, reason }
}
