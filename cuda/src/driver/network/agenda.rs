//! The launches that a step begins and ends with.

use cudarc::driver::{CudaStream, DriverError, LaunchConfig, PushKernelArg};

use super::{NetworkKernels, Part};
use crate::driver::threads;

/// The memory of coming steps, and the shape of their batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedAgenda {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) side: usize,
    pub(crate) step: Part,
    pub(crate) crops: Part,
    pub(crate) coefficients: Part,
    pub(crate) noises: Part,
    /// Two doubles a step.
    pub(crate) record: Part,
}

impl NetworkKernels {
    /// The crops of all steps must lie in `images`, which is the agenda's to see to.
    pub(crate) fn begin_step(
        &self,
        stream: &CudaStream,
        agenda: &PlannedAgenda,
        images: [Part; 2],
        batch: [Part; 2],
        [current, noise]: [Part; 2],
    ) -> Result<(), DriverError> {
        let PlannedAgenda {
            side,
            channels,
            images: count,
            ..
        } = *agenda;
        for part in batch {
            part.require("a batch", count * channels * side * side);
        }
        images[1].require("images", images[0].len);
        let (side, coefficients, numbers) = (side as i32, current.len as i32, noise.len as i32);
        let mut arguments = stream.launch_builder(&self.begin_step);
        arguments.arg(&side).arg(&coefficients).arg(&numbers);
        arguments
            .arg(&agenda.step.address)
            .arg(&agenda.crops.address);
        arguments
            .arg(&agenda.coefficients.address)
            .arg(&agenda.noises.address);
        arguments.arg(&images[0].address).arg(&images[1].address);
        arguments.arg(&batch[0].address).arg(&batch[1].address);
        arguments.arg(&current.address).arg(&noise.address);
        let samples = agenda.side * agenda.side;
        let grid = [samples.div_ceil(256), channels, count].map(|n| n as u32);
        // SAFETY: `begin_step`'s arguments; see the head of this file.
        unsafe { arguments.launch(threads(grid)) }.map(drop)
    }

    /// Both are addresses of a double for each image, that of the divergences or 0.
    pub(crate) fn end_step(
        &self,
        stream: &CudaStream,
        agenda: &PlannedAgenda,
        [measures, divergences]: [u64; 2],
    ) -> Result<(), DriverError> {
        let images = agenda.images as i32;
        let mut arguments = stream.launch_builder(&self.end_step);
        arguments.arg(&images).arg(&measures).arg(&divergences);
        arguments
            .arg(&agenda.record.address)
            .arg(&agenda.step.address);
        let config = LaunchConfig {
            grid_dim: (1, 1, 1),
            block_dim: (1, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: `end_step`'s arguments; see the head of this file.
        unsafe { arguments.launch(config) }.map(drop)
    }
}
