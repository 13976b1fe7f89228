//! Which images a device crops its batches from: all of them where they are one block, which stays there; else
//! block after block, the next one read, prepared and copied while steps run on the one before.

use std::sync::atomic::AtomicBool;

use super::TrainingError;
use crate::backend::Backend;
use crate::patches::{Loader, PatchError, Preparing, PreparingError};

/// Steps that a device takes by itself, and their images.
pub(super) struct Agenda<B: Backend> {
    pub(super) planned: B::Agenda,
    /// A step of the images that there is memory for.
    pub(super) recording: Option<B::Recording>,
    /// The block of images that crops are cut from.
    shown: Option<usize>,
    /// Where the block after it is prepared.
    staging: Option<B::Staging>,
    coming: Option<Preparing<B::Staging>>,
}

impl<B: Backend> Agenda<B> {
    pub(super) fn new(planned: B::Agenda) -> Self {
        Self {
            planned,
            recording: None,
            shown: None,
            staging: None,
            coming: None,
        }
    }

    /// Has crops be cut from `block`, which `step` needs; false if `stop` became true before it was there.
    pub(super) fn show(
        &mut self,
        backend: &B,
        loader: &mut Loader,
        block: usize,
        step: u64,
        stop: &AtomicBool,
    ) -> Result<bool, TrainingError> {
        if self.shown == Some(block) && loader.serves(block) {
            return Ok(true);
        }
        if loader.blocks() == 1 {
            let images = loader.images(block).map_err(|error| missing(step, error))?;
            self.recording = None;
            match &images[..] {
                [inputs, targets] => backend.show(&mut self.planned, Some(inputs), targets)?,
                alike => backend.show(&mut self.planned, None, &alike[0])?,
            }
            self.shown = Some(block);
            return Ok(true);
        }
        self.prepare(backend, loader, block, step)?;
        let Some(coming) = self.coming.take() else {
            return Ok(false);
        };
        if !coming.wait(stop) {
            self.coming = Some(coming);
            return Ok(false);
        }
        let (staging, prepared) = coming.finish().map_err(|error| missing(step, error))?;
        let staging = self.staging.insert(staging);
        let prepared = prepared.map_err(|error| match error {
            PreparingError::Patch(error) => missing(step, error),
            PreparingError::Backend(error) => error.into(),
        })?;
        backend.turn(&mut self.planned, staging)?;
        loader.serve(prepared);
        self.shown = Some(block);
        Ok(true)
    }

    /// Has `block`, which `step` will need, read and sent while other things go on, unless it is on its way.
    pub(super) fn prepare(
        &mut self,
        backend: &B,
        loader: &Loader,
        block: usize,
        step: u64,
    ) -> Result<(), TrainingError> {
        match self.coming.take() {
            Some(coming) if coming.number() == block => {
                self.coming = Some(coming);
                return Ok(());
            }
            Some(other) => {
                let (staging, _) = other.finish().map_err(|error| missing(step, error))?;
                self.staging = Some(staging);
            }
            None => {}
        }
        let mut staging = match self.staging.take() {
            Some(staging) => staging,
            None => {
                (self.shown, self.recording) = (None, None);
                let (samples, alike) = (loader.most_samples(), loader.alike());
                backend.stream_images(&mut self.planned, samples, alike)?
            }
        };
        backend.stage(&self.planned, &mut staging)?;
        let coming = loader.prepare(block, staging);
        self.coming = Some(coming.map_err(|error| missing(step, error))?);
        Ok(())
    }

    /// Waits until the block that was begun is on its way, or cannot be, or `stop` is true.
    pub(super) fn wait(&self, stop: &AtomicBool) {
        if let Some(coming) = &self.coming {
            coming.wait(stop);
        }
    }
}

/// The error of a step whose images cannot be had.
fn missing(step: u64, error: PatchError) -> TrainingError {
    TrainingError::Batch {
        step,
        source: Box::new(error),
    }
}
