//! A fixed sequence of calls as a graph.

use std::any::Any;

use cudarc::driver::CudaGraph;

use super::Network;
use crate::driver::capture;
use crate::error::Error;

/// A sequence of calls as a graph, made by [`Network::record`].
pub struct Recording {
    // Dropped before the memory that it uses.
    graph: CudaGraph,
    _memory: Vec<Box<dyn Any>>,
}

impl Network {
    /// Records what `calls` put into the stream, without running it. They may not upload, download,
    /// plan, or open a device; the recording keeps the memory that they use.
    ///
    /// # Errors
    /// What `calls` return, [`Error::Driver`].
    pub fn record<E: From<Error>>(
        &self,
        calls: impl FnOnce() -> Result<(), E>,
    ) -> Result<Recording, E> {
        *self.recording.borrow_mut() = Some(Vec::new());
        let graph = capture(&self.stream, calls);
        let memory = self.recording.borrow_mut().take().unwrap_or_default();
        Ok(Recording {
            graph: graph?,
            _memory: memory,
        })
    }

    /// Puts one run of what was recorded into the stream.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn replay(&self, recording: &Recording) -> Result<(), Error> {
        Ok(recording.graph.launch()?)
    }

    /// Notes memory, by one of its owners, that the calls being recorded use.
    pub(super) fn keep<M: Any + Clone>(&self, memory: &M) {
        if let Some(kept) = &mut *self.recording.borrow_mut() {
            kept.push(Box::new(memory.clone()));
        }
    }
}
