//! Page-locked memory of the host, from which a device fetches while it computes.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice};

use super::network::Part;
use super::{new_stream, with_view};
use crate::error::{Error, is_out_of_memory};

/// Page-locked memory in planes of one length, and the stream that copies from it.
#[derive(Debug)]
pub(crate) struct Pinned {
    stream: Arc<CudaStream>,
    /// Recorded after the last copy. cudarc's own events are off where one stream sees all memory.
    copied: CudaEvent,
    planes: Vec<PinnedHostSlice<f32>>,
}

impl Pinned {
    /// `planes` of `len` zeros.
    pub(crate) fn zeros(
        context: &Arc<CudaContext>,
        planes: usize,
        len: usize,
    ) -> Result<Self, Error> {
        let plane = || {
            // SAFETY: filled right below, before anything reads it.
            let plane = unsafe { context.alloc_pinned::<f32>(len) };
            let mut plane = plane.map_err(|error| {
                if is_out_of_memory(error) {
                    let asked = 4 * planes * len;
                    return Error::HostMemory { asked };
                }
                error.into()
            })?;
            // SAFETY: the memory is this long, and no copy from it has begun.
            unsafe { plane.as_mut_ptr()?.write_bytes(0, len) };
            Ok::<_, Error>(plane)
        };
        Ok(Self {
            stream: new_stream(context)?,
            copied: context.new_event(None)?,
            planes: (0..planes).map(|_| plane()).collect::<Result<_, _>>()?,
        })
    }

    /// Waits for the last copy: the planes, to be written.
    pub(crate) fn planes(&mut self) -> Result<Vec<&mut [f32]>, DriverError> {
        self.copied.synchronize()?;
        let planes = self.planes.iter_mut();
        planes.map(PinnedHostSlice::as_mut_slice).collect()
    }

    /// Has later copies wait for all that was put into `stream` so far.
    pub(crate) fn copy_after(&self, stream: &CudaStream) -> Result<(), DriverError> {
        self.stream.join(stream)
    }

    /// Puts copies of the start of each plane into the stream, as long as the parts that they go to. The
    /// memory of the parts has to live as long as this.
    pub(crate) fn copy(&mut self, to: &[Part]) -> Result<(), DriverError> {
        for (plane, part) in self.planes.iter().zip(to) {
            // The copy reads on after this call. Who writes the plane or drops it waits for it first.
            let from = &plane.as_slice()?[..part.len];
            with_view(&self.stream, *part, |mut view| {
                self.stream.memcpy_htod(from, &mut view)
            })?;
        }
        self.copied.record(&self.stream)
    }

    /// Has what is put into `stream` from here on wait for the last copy.
    pub(crate) fn copied_before(&self, stream: &CudaStream) -> Result<(), DriverError> {
        stream.wait(&self.copied)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Of a device that has failed no copy goes on.
        let _ = self.stream.synchronize();
    }
}
