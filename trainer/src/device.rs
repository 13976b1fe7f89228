//! Which device computes: what a user may ask for, and what a run was begun on.

use serde::{Deserialize, Serialize};

/// What a user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// The processor's threads
    Cpu,
    /// The first CUDA device, or an error that says what is missing
    Cuda,
    /// The first CUDA device where there is one, else the processor; says which
    Auto,
}

/// What a run computes on; its bits are that device's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceName {
    /// The processor's threads.
    #[default]
    Cpu,
    /// The first CUDA device.
    Cuda,
}

impl DeviceName {
    /// In words, with how it computes.
    pub fn describe(self, precision: Precision) -> String {
        match self {
            Self::Cpu => "the processor's threads".to_owned(),
            Self::Cuda => format!("a CUDA device, in {}", precision.name()),
        }
    }
}

/// How a CUDA device computes layers; everything else is single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In single precision, as the CPU does
    #[default]
    F32,
    /// On tensor cores, factors rounded to 10 bits of fraction
    Tf32,
    /// On tensor cores, factors rounded to 7 bits of fraction
    Bf16,
}

impl Precision {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

impl From<Precision> for msssim_cuda::network::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Tf32 => Self::Tf32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl Choice {
    /// The device to use, and for [`Choice::Auto`], which chooses on its own, words about why.
    pub fn resolve(self) -> (DeviceName, Option<String>) {
        match self {
            Self::Cpu => (DeviceName::Cpu, None),
            Self::Cuda => (DeviceName::Cuda, None),
            Self::Auto => match msssim_cuda::Device::probe() {
                Ok(device) => (
                    DeviceName::Cuda,
                    Some(format!("computing on {}", device.name())),
                ),
                Err(error) => (
                    DeviceName::Cpu,
                    Some(format!(
                        "computing on the CPU, for want of a CUDA device: {error}"
                    )),
                ),
            },
        }
    }
}
