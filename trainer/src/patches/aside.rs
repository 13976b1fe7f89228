//! A block of images, prepared by a thread of its own while a device trains on the block before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::{PatchError, PatchShape, Places, Source};
use crate::backend::{self, Crop, Staging};

/// How long a stop may go unheard.
const PATIENCE: Duration = Duration::from_millis(20);

/// A block of images whose samples lie on a device.
pub struct Prepared {
    /// Which one it is.
    pub(super) number: usize,
    pub(super) places: Places,
    /// Where each image begins.
    pub(super) begins: Vec<usize>,
}

impl Prepared {
    /// The crops of a step.
    pub(super) fn crops(&self, shape: &PatchShape, seed: u64, step: u64) -> Vec<Crop> {
        let crop = |i: usize| {
            let place = self.places.place(shape, seed, step, i);
            let size = self.places.sizes[place.image];
            Crop {
                first: self.begins[place.image] + place.first,
                row: size.width,
                plane: size.area(),
                symmetry: place.symmetry,
            }
        };
        (0..shape.batch).map(crop).collect()
    }
}

/// Why a block is not on its way to the device.
#[derive(Debug, thiserror::Error)]
pub enum PreparingError {
    /// Its images cannot be had.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// They cannot be copied.
    #[error(transparent)]
    Backend(#[from] backend::Error),
}

type Outcome<S> = (S, Result<Prepared, PreparingError>);

/// A block that is being read, prepared and sent on its way. Dropping it ends that after the images at hand.
pub struct Preparing<S> {
    number: usize,
    abandoned: Arc<AtomicBool>,
    /// Ends with the thread.
    end: Receiver<()>,
    /// There until it is joined.
    thread: Option<JoinHandle<Outcome<S>>>,
}

impl<S: Staging> Preparing<S> {
    pub(super) fn start(
        source: &Arc<Source>,
        shape: PatchShape,
        number: usize,
        staging: S,
    ) -> Result<Self, PatchError> {
        let source = Arc::clone(source);
        let abandoned = Arc::new(AtomicBool::new(false));
        let (alive, end) = sync_channel(0);
        let is_abandoned = Arc::clone(&abandoned);
        let thread = Builder::new()
            .name("images".into())
            .spawn(move || {
                let _alive = alive;
                let mut staging = staging;
                let prepared = prepare(&source, shape, number, &mut staging, &is_abandoned);
                (staging, prepared)
            })
            .map_err(|error| PatchError::Thread(format!("could not be started: {error}")))?;
        Ok(Self {
            number,
            abandoned,
            end,
            thread: Some(thread),
        })
    }

    /// The block's number.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Waits until the block is on its way, or cannot be; false if `stop` becomes true before.
    pub fn wait(&self, stop: &AtomicBool) -> bool {
        loop {
            match self.end.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return false,
                Err(RecvTimeoutError::Timeout) => {}
                _ => return true,
            }
        }
    }

    /// Waits for what has become of it, and gives the memory back.
    ///
    /// # Errors
    /// [`PatchError::Thread`] if the thread has died, and the memory with it.
    pub fn finish(mut self) -> Result<Outcome<S>, PatchError> {
        let joined = self.thread.take().map(JoinHandle::join);
        match joined {
            Some(Ok(outcome)) => Ok(outcome),
            _ => Err(PatchError::Thread("of the next images has died".into())),
        }
    }
}

impl<S> Drop for Preparing<S> {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has no one left to hear of it.
            let _ = thread.join();
        }
    }
}

fn prepare(
    source: &Source,
    shape: PatchShape,
    number: usize,
    staging: &mut impl Staging,
    abandoned: &AtomicBool,
) -> Result<Prepared, PreparingError> {
    let block = source.load(number, &shape, abandoned)?;
    let (begins, samples) = block.lay_out(&mut staging.planes()?);
    staging.send(samples)?;
    Ok(Prepared {
        number,
        places: block.places,
        begins,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::evaluation::Channels;
    use crate::patches::Symmetries;

    /// Memory that is not free before someone says so.
    struct Busy {
        free: Receiver<()>,
        memory: Vec<f32>,
        sent: Option<usize>,
    }

    impl Staging for Busy {
        fn planes(&mut self) -> Result<Vec<&mut [f32]>, backend::Error> {
            // Whoever lets go of the other end says so too.
            let _ = self.free.recv();
            Ok(vec![&mut self.memory])
        }

        fn send(&mut self, samples: usize) -> Result<(), backend::Error> {
            self.sent = Some(samples);
            Ok(())
        }
    }

    const SHAPE: PatchShape = PatchShape {
        batch: 1,
        side: 4,
        factor: 1,
        channels: Channels::Grey,
        symmetries: Symmetries::None,
    };

    #[test]
    fn a_stop_is_heard_while_a_block_is_prepared() {
        let source = Arc::new(Source::dead_leaves(2, 5, &SHAPE, 1));
        let (say, free) = channel();
        let busy = Busy {
            free,
            memory: vec![f32::NAN; 60],
            sent: None,
        };
        let preparing = Preparing::start(&source, SHAPE, 0, busy).unwrap();
        assert!(!preparing.wait(&AtomicBool::new(true)));
        say.send(()).unwrap();
        // A stop that came too late.
        assert!(preparing.wait(&AtomicBool::new(false)));
        assert!(preparing.wait(&AtomicBool::new(true)));
        let (busy, prepared) = preparing.finish().unwrap();
        assert_eq!(busy.sent, Some(50));
        assert!(busy.memory[..50].iter().all(|v| v.is_finite()));
        assert_eq!(prepared.unwrap().begins, [0, 25]);
    }

    #[test]
    fn a_block_that_is_abandoned_is_not_read() {
        let source = Source::dead_leaves(2, 5, &SHAPE, 1);
        let error = source.load(0, &SHAPE, &AtomicBool::new(true)).map(drop);
        assert!(error.unwrap_err().to_string().contains("told to stop"));
    }
}
