//! Numbers in device memory, to and from the host.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, DevicePtr};

use super::Network;
use crate::driver::network::Part;
use crate::driver::{allocate_zeros, upload, with_view};
use crate::error::Error;

/// Numbers in device memory.
///
/// Dropping one that a [`Recording`](super::Recording) uses is fine: the recording keeps it.
#[derive(Debug)]
pub struct Buffer {
    pub(super) memory: Arc<CudaSlice<f32>>,
}

impl Buffer {
    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same memory once more.
    pub(super) fn share(&self) -> Self {
        Self {
            memory: Arc::clone(&self.memory),
        }
    }
}

impl Network {
    /// A buffer of `len` zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn zeros(&self, len: usize) -> Result<Buffer, Error> {
        let memory = allocate_zeros(&self.stream, len)?;
        Ok(Buffer {
            memory: Arc::new(memory),
        })
    }

    /// Copies `values` to the start of `buffer`.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the buffer is shorter.
    pub fn upload(&self, values: &[f32], buffer: &mut Buffer) -> Result<(), Error> {
        let part = self.part(buffer, 0..values.len());
        let stream = &self.stream;
        Ok(with_view(stream, part, |mut view| {
            stream.memcpy_htod(values, &mut view)
        })?)
    }

    /// Waits for the device and copies the start of `buffer` to `values`.
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    ///
    /// # Panics
    /// If the buffer is shorter.
    pub fn download(&self, buffer: &Buffer, values: &mut [f32]) -> Result<(), Error> {
        let from = buffer.memory.slice(0..values.len());
        self.stream.memcpy_dtoh(&from, values)?;
        Ok(self.stream.synchronize()?)
    }

    /// The first `count` doubles of a buffer that holds them as pairs of floats.
    pub(super) fn doubles(&self, buffer: &Buffer, count: usize) -> Result<Vec<f64>, Error> {
        let mut halves = vec![0.0f32; 2 * count];
        self.download(buffer, &mut halves)?;
        let double = |pair: &[f32]| {
            let [low, high] = [pair[0], pair[1]].map(|half| u64::from(half.to_bits()));
            f64::from_bits(high << 32 | low)
        };
        Ok(halves.chunks_exact(2).map(double).collect())
    }

    pub(super) fn part(&self, buffer: &Buffer, range: Range<usize>) -> Part {
        self.keep(&buffer.memory);
        let view = buffer.memory.slice(range.clone());
        let (address, _) = view.device_ptr(&self.stream);
        Part {
            address,
            len: range.len(),
        }
    }

    pub(super) fn whole(&self, buffer: &Buffer) -> Part {
        self.part(buffer, 0..buffer.len())
    }

    /// A table of integers on the device.
    pub(super) fn table(&self, numbers: &[i32]) -> Result<Rc<CudaSlice<i32>>, Error> {
        Ok(Rc::new(upload(&self.stream, numbers)?))
    }

    pub(super) fn integers(&self, table: &Rc<CudaSlice<i32>>) -> Part {
        self.keep(table);
        let (address, _) = table.device_ptr(&self.stream);
        Part {
            address,
            len: table.len(),
        }
    }
}
