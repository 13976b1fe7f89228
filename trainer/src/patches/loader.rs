//! The threads that prepare batches while the network trains on earlier ones.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Block, PatchError, PatchShape, Prepared, Preparing, Source};
use crate::backend::{Crop, Staging};

/// Batches that wait, ready, for the network.
const AHEAD: usize = 4;

/// A batch and the step that it is for.
struct Batch {
    step: u64,
    input: Vec<f32>,
    target: Vec<f32>,
}

/// Delivers batches step by step from a thread of its own; a second one reads the next block of
/// images while the current one is in use.
pub struct Loader {
    source: Arc<Source>,
    shape: PatchShape,
    seed: u64,
    running: Option<Running>,
    resident: Option<Prepared>,
}

struct Running {
    batches: Receiver<Result<Batch, PatchError>>,
    thread: JoinHandle<()>,
}

impl Loader {
    /// A loader of crops of `shape` from `source`; the threads start with the first batch.
    pub fn new(source: Source, shape: PatchShape, seed: u64) -> Self {
        Self {
            source: Arc::new(source),
            shape,
            seed,
            running: None,
            resident: None,
        }
    }

    /// The number of the block of images that serves `step`, and for how many steps it goes on to.
    pub fn block_of(&self, step: u64) -> (usize, u64) {
        self.source.block_of(step)
    }

    /// The number of blocks; one goes on to serve forever.
    pub fn blocks(&self) -> usize {
        self.source.len()
    }

    /// The most samples that the inputs of a block have, and its targets.
    pub fn most_samples(&self) -> usize {
        self.source.most_area() * self.shape.channels.count()
    }

    /// Whether inputs and targets are the same.
    pub fn alike(&self) -> bool {
        self.shape.factor == 1
    }

    /// Reads the images of block `number`, targets (truth) and, unless they are [alike](Loader::alike), inputs
    /// (bicubic) before them, for a device that crops them by itself: all planes one after the other.
    ///
    /// # Errors
    /// [`PatchError`] names an image that cannot be read.
    pub fn images(&mut self, number: usize) -> Result<Vec<Vec<f32>>, PatchError> {
        // One block at a time is in memory.
        self.resident = None;
        let block = self
            .source
            .load(number, &self.shape, &AtomicBool::new(false))?;
        let samples = block
            .places
            .sizes
            .iter()
            .map(|size| size.area())
            .sum::<usize>();
        let len = samples * self.shape.channels.count();
        let mut memory = vec![vec![0.0; len]; if self.alike() { 1 } else { 2 }];
        let mut planes: Vec<&mut [f32]> = memory.iter_mut().map(|plane| &mut plane[..]).collect();
        let (begins, _) = block.lay_out(&mut planes);
        self.serve(Prepared {
            number,
            places: block.places,
            begins,
        });
        Ok(memory)
    }

    /// Has block `number` read and sent to a device by a thread of its own.
    ///
    /// # Errors
    /// [`PatchError::Thread`] if there can be none.
    pub fn prepare<S: Staging>(
        &self,
        number: usize,
        staging: S,
    ) -> Result<Preparing<S>, PatchError> {
        Preparing::start(&self.source, self.shape, number, staging)
    }

    /// Has crops be those of a block that was prepared.
    pub fn serve(&mut self, block: Prepared) {
        self.resident = Some(block);
    }

    /// Whether crops are those of block `number`.
    pub fn serves(&self, number: usize) -> bool {
        let resident = self.resident.as_ref();
        resident.is_some_and(|block| block.number == number)
    }

    /// The crops of `step`, which [`Loader::fill`] would make, among the images that [`Loader::images`] read or
    /// [`Loader::serve`] was given last.
    ///
    /// # Panics
    /// If those are not of the block that serves `step`.
    pub fn crops(&self, step: u64) -> Vec<Crop> {
        let (number, _) = self.source.block_of(step);
        match &self.resident {
            Some(block) if block.number == number => block.crops(&self.shape, self.seed, step),
            _ => panic!("step {step} is cropped from block {number}, which has not been read"),
        }
    }

    /// Fills `input` (bicubic) and `target` (truth) with the batch of `step`, in 0 to 1.
    ///
    /// Steps that follow each other are ready when asked for; any other step starts anew there.
    ///
    /// # Errors
    /// [`PatchError`] names an image that cannot be read.
    ///
    /// # Panics
    /// If a slice does not hold [`PatchShape::batch_len`] samples.
    pub fn fill(
        &mut self,
        step: u64,
        input: &mut [f32],
        target: &mut [f32],
    ) -> Result<(), PatchError> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start(step)?,
        };
        let batch = match running.batches.recv() {
            Ok(batch) => batch?,
            Err(_) => return Err(PatchError::Thread("has died".into())),
        };
        if batch.step != step {
            stop(running);
            return self.fill(step, input, target);
        }
        input.copy_from_slice(&batch.input);
        target.copy_from_slice(&batch.target);
        self.running = Some(running);
        Ok(())
    }

    fn start(&self, first: u64) -> Result<Running, PatchError> {
        let (sender, batches) = sync_channel(AHEAD);
        let (source, shape, seed) = (Arc::clone(&self.source), self.shape, self.seed);
        let thread = Builder::new()
            .name("batches".into())
            .spawn(move || {
                if let Err(error) = produce(&source, shape, seed, first, &sender) {
                    // Nobody listens any more if this fails.
                    let _ = sender.send(Err(error));
                }
            })
            .map_err(|error| PatchError::Thread(format!("could not be started: {error}")))?;
        Ok(Running { batches, thread })
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            stop(running);
        }
    }
}

/// Lets the thread find that nobody listens, and waits for it.
fn stop(running: Running) {
    drop(running.batches);
    // A panic in the thread has been seen as an ended channel.
    let _ = running.thread.join();
}

/// Sends the batches from step `first` on until nobody listens.
fn produce(
    source: &Arc<Source>,
    shape: PatchShape,
    seed: u64,
    first: u64,
    batches: &SyncSender<Result<Batch, PatchError>>,
) -> Result<(), PatchError> {
    let mut step = first;
    let (mut number, _) = source.block_of(step);
    let mut block = source.load(number, &shape, &AtomicBool::new(false))?;
    loop {
        let (_, steps) = source.block_of(step);
        let next = (number + 1) % source.len();
        let coming = if source.len() > 1 {
            Some(load_aside(source, next, shape)?)
        } else {
            None
        };
        for _ in 0..steps {
            let mut batch = Batch {
                step,
                input: vec![0.0; shape.batch_len()],
                target: vec![0.0; shape.batch_len()],
            };
            block.crop(&shape, seed, step, &mut batch.input, &mut batch.target);
            if batches.send(Ok(batch)).is_err() {
                return Ok(());
            }
            step += 1;
        }
        if let Some(coming) = coming {
            drop(block);
            block = coming
                .join()
                .map_err(|_| PatchError::Thread("of the next images has died".into()))??;
            number = next;
        }
    }
}

/// Reads a block on a thread of its own.
fn load_aside(
    source: &Arc<Source>,
    block: usize,
    shape: PatchShape,
) -> Result<JoinHandle<Result<Block, PatchError>>, PatchError> {
    let source = Arc::clone(source);
    Builder::new()
        .name("images".into())
        .spawn(move || source.load(block, &shape, &AtomicBool::new(false)))
        .map_err(|error| PatchError::Thread(format!("could not be started: {error}")))
}
