//! Which instructions run: looked for when the program runs, so that one build serves every machine.

#![allow(
    unsafe_code,
    reason = "one of this crate's two addresses of unsafe code: calls of functions with instructions that were looked for"
)]

use msssim_core::Error;

#[cfg(target_arch = "x86_64")]
use crate::lanes::{Avx2, Avx512};
use crate::lanes::{Lanes, Portable};

/// A set of vector instructions.
///
/// Results come in two classes. In the fused class a product and a sum are rounded once: AVX2, AVX-512, and the
/// portable vectors of targets that always have such instructions (64-bit ARM, or `-C target-feature=+fma`). In the
/// other they are rounded twice, as in `msssim_core`. Within a class all results are the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// What the build's target has: four lanes of SSE2, NEON or wasm's SIMD.
    Portable,
    /// Eight lanes, with AVX2 and FMA.
    Avx2,
    /// Sixteen lanes, with AVX-512 F, VL, DQ and BW.
    Avx512,
}

impl Isa {
    /// All, from the slowest to the fastest.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The fastest that this machine has.
    pub fn best() -> Self {
        let mut available = Self::ALL.into_iter().rev().filter(|isa| isa.is_available());
        available.next().unwrap_or(Self::Portable)
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Whether its results are those of the fused class.
    pub fn is_fused(self) -> bool {
        self != Self::Portable || Portable::FUSED
    }

    /// # Errors
    /// [`Error::Parameter`] where this machine does not have it.
    pub(crate) fn check(self) -> Result<Token, Error> {
        match self.is_available() {
            true => Ok(Token(self)),
            false => Err(Error::Parameter {
                name: "isa",
                must: "one that this machine has",
            }),
        }
    }
}

/// An [`Isa`] that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(Isa);

impl Token {
    /// The fastest that this machine has.
    pub(crate) fn best() -> Self {
        Self(Isa::best())
    }

    pub(crate) fn isa(self) -> Isa {
        self.0
    }

    /// The same class with half the lanes, where there is one.
    pub(crate) fn narrower(self) -> Option<Self> {
        (self.0 == Isa::Avx512).then_some(Self(Isa::Avx2))
    }

    /// Lanes of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self.0 {
            Isa::Portable => 4,
            Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }

    /// Runs `task` with these instructions.
    #[inline]
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            Isa::Portable => task.run::<Portable>(),
            // SAFETY: a token is made only of an `Isa` that `Isa::is_available` has found, or implies.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_avx2(task) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_avx512(task) },
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => task.run::<Portable>(),
        }
    }
}

/// Work that is written once over any vector.
pub(crate) trait Task {
    /// What comes of it.
    type Output;

    /// Does it. Must be `#[inline(always)]`, or it is compiled without the instructions.
    fn run<L: Lanes>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run::<Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run::<Avx512>()
}
