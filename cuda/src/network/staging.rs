//! Images that follow each other into an agenda's memory while steps run on those before.
//!
//! An agenda that streams has room for two blocks of images on the device, and the host has page-locked memory
//! for one. While steps are cropped from the one block, another thread fills the pinned memory with the next one and has
//! it copied to the other half on a stream of its own. The order of things:
//!
//! ```text
//! steps    ... of block k-1 | of block k                                  | of block k+1
//!                           stage                                         turn
//! copies                     '-> (after the steps before) copy of block k+1 -'
//! ```
//!
//! The memory is one allocation, so that one recording of a step serves both halves.

use std::sync::Arc;

use cudarc::driver::CudaSlice;

use super::{Agenda, Buffer, Network};
use crate::driver::network::Part;
use crate::driver::pinned::Pinned;
use crate::error::Error;

/// The kernels count samples in 32 bits.
const MOST_SAMPLES: usize = 1 << 31;

/// Page-locked memory of the host for a block of images, and the way from there into an agenda's memory: for
/// the thread that prepares images.
#[derive(Debug)]
pub struct Staging {
    // Dropped before the memory that it copies to; waits for its copies.
    pinned: Pinned,
    /// Of inputs and targets, or of both at once where they are alike.
    memory: Vec<Arc<CudaSlice<f32>>>,
    halves: Vec<[Part; 2]>,
    /// Which half the next copy goes to, once that is known.
    half: Option<usize>,
    /// How many samples of a plane were copied there.
    sent: Option<usize>,
}

impl Staging {
    /// Waits for the last copy: room for the inputs and for the targets of a block, or for both at once where they are
    /// alike.
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn planes(&mut self) -> Result<Vec<&mut [f32]>, Error> {
        Ok(self.pinned.planes()?)
    }

    /// Has the first `samples` of each plane copied, and returns.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If there is not so much room, or [`Network::stage`] has not said where to.
    pub fn send(&mut self, samples: usize) -> Result<(), Error> {
        let Some(half) = self.half else {
            panic!("nowhere to send images to")
        };
        let halves = self.halves.iter();
        let parts: Vec<Part> = halves.map(|halves| halves[half].first(samples)).collect();
        self.pinned.copy(&parts)?;
        self.sent = Some(samples);
        Ok(())
    }
}

impl Network {
    /// Makes room in an agenda for two blocks of up to `samples` inputs and as many targets, which are the same
    /// where they are `alike`, and forgets its images and steps. A recording keeps the images that it was made
    /// with: record anew.
    ///
    /// # Errors
    /// [`Error::TooManySamples`], [`Error::OutOfMemory`], [`Error::HostMemory`], [`Error::Driver`].
    pub fn stream_images(
        &self,
        agenda: &mut Agenda,
        samples: usize,
        alike: bool,
    ) -> Result<Staging, Error> {
        let both = samples.saturating_mul(2);
        check_samples(both)?;
        // What was there makes room first.
        agenda.forget(self)?;
        let truth = self.zeros(both)?;
        let bicubic = match alike {
            true => truth.share(),
            false => self.zeros(both)?,
        };
        let planes: &[&Buffer] = match alike {
            true => &[&truth],
            false => &[&bicubic, &truth],
        };
        let halves = |buffer: &&Buffer| {
            let half = |begin| self.part(buffer, begin..begin + samples);
            [half(0), half(samples)]
        };
        let staging = Staging {
            pinned: Pinned::zeros(self.device.context(), planes.len(), samples)?,
            memory: planes
                .iter()
                .map(|buffer| Arc::clone(&buffer.memory))
                .collect(),
            halves: planes.iter().map(halves).collect(),
            half: None,
            sent: None,
        };
        agenda.hold([bicubic, truth]);
        Ok(staging)
    }

    /// Has the next copy go to the half whose images no step is cropped from, once the steps put into the stream
    /// so far are done.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn stage(&self, agenda: &Agenda, staging: &mut Staging) -> Result<(), Error> {
        let first_in_use = agenda.begin() == 0 && agenda.samples() > 0;
        staging.half = Some(usize::from(first_in_use));
        staging.sent = None;
        Ok(staging.pinned.copy_after(&self.stream)?)
    }

    /// Steps from here on are cropped from what `staging` has sent, and wait for it to be there. Forgets the agenda's
    /// steps.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If nothing was sent since [`Network::stage`], or `staging` is another agenda's.
    pub fn turn(&self, agenda: &mut Agenda, staging: &mut Staging) -> Result<(), Error> {
        let memory = staging.memory.last();
        assert!(
            memory.is_some_and(|memory| agenda.holds(memory)),
            "images of another agenda"
        );
        let (Some(half), Some(sent)) = (staging.half.take(), staging.sent.take()) else {
            panic!("no images were sent")
        };
        staging.pinned.copied_before(&self.stream)?;
        let room = staging.halves[0][0].len;
        self.show_part(agenda, half * room, sent)
    }
}

/// That crops from so many samples can be counted.
pub(super) fn check_samples(samples: usize) -> Result<(), Error> {
    if samples > MOST_SAMPLES {
        let most = MOST_SAMPLES;
        return Err(Error::TooManySamples { samples, most });
    }
    Ok(())
}
