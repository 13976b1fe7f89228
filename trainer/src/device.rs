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
