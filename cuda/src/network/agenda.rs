//! Steps that a device takes by itself: where their batches, coefficients and noise come from, and where
//! their measures go.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use cudarc::driver::CudaSlice;
use msssim_kernels::network::Crop;

use super::staging::check_samples;
use super::{Buffer, GaussianCode, Measure, Network};
use crate::driver::network::{Part, PlannedAgenda};
use crate::driver::{upload, with_view};
use crate::error::Error;

/// Images in device memory, the crops, coefficients and noise of coming steps, and the record of their
/// measures: what steps need that are nothing but the replay of a graph.
#[derive(Debug)]
pub struct Agenda {
    batch: usize,
    channels: usize,
    side: usize,
    coefficients: usize,
    noise: usize,
    /// How many steps fit.
    capacity: usize,
    /// Inputs and targets, which may be one and the same.
    images: [Buffer; 2],
    /// The samples of each that crops are cut from.
    shown: Range<usize>,
    /// The number of the next step in the tables, and how many there are.
    step: Rc<CudaSlice<i32>>,
    crops: Rc<CudaSlice<i32>>,
    table: Buffer,
    noises: Buffer,
    /// Two doubles a step, as pairs of floats.
    record: Buffer,
    /// Steps written, and of those how many were put into the stream.
    written: usize,
    begun: usize,
}

impl Agenda {
    /// Where the images that crops are cut from begin.
    pub(super) fn begin(&self) -> usize {
        self.shown.start
    }

    /// How many samples they have.
    pub(super) fn samples(&self) -> usize {
        self.shown.len()
    }

    /// Gives up the images and their memory.
    pub(super) fn forget(&mut self, network: &Network) -> Result<(), Error> {
        let none = network.zeros(1)?;
        self.hold([none.share(), none]);
        Ok(())
    }

    /// Takes memory for images, of which none is shown yet.
    pub(super) fn hold(&mut self, images: [Buffer; 2]) {
        (self.images, self.shown) = (images, 0..0);
        (self.written, self.begun) = (0, 0);
    }

    /// Whether its targets lie there.
    pub(super) fn holds(&self, memory: &Arc<CudaSlice<f32>>) -> bool {
        Arc::ptr_eq(&self.images[1].memory, memory)
    }
}

impl Network {
    /// Plans for up to `capacity` steps at a time, each a batch of `batch` square crops of `side` and
    /// `channels`, and `coefficients` and `noise` numbers. There are no images yet.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn plan_agenda(
        &self,
        capacity: usize,
        [batch, channels, side]: [usize; 3],
        coefficients: usize,
        noise: usize,
    ) -> Result<Agenda, Error> {
        let none = self.zeros(1)?;
        Ok(Agenda {
            batch,
            channels,
            side,
            coefficients,
            noise,
            capacity,
            images: [none.share(), none],
            shown: 0..0,
            step: Rc::new(upload(&self.stream, &[0, 0])?),
            crops: Rc::new(upload(&self.stream, &vec![0i32; 4 * batch * capacity])?),
            table: self.zeros(coefficients * capacity)?,
            noises: self.zeros((noise * capacity).max(1))?,
            record: self.zeros(4 * capacity)?,
            written: 0,
            begun: 0,
        })
    }

    /// Replaces the images of an agenda, and forgets its steps. Without `bicubic` the inputs are the targets,
    /// `truth`. A recording keeps the images that it was made with: record anew.
    ///
    /// # Errors
    /// [`Error::TooManySamples`], [`Error::OutOfMemory`], [`Error::Driver`].
    ///
    /// # Panics
    /// If there are more or fewer samples of the one than of the other.
    pub fn show(
        &self,
        agenda: &mut Agenda,
        bicubic: Option<&[f32]>,
        truth: &[f32],
    ) -> Result<(), Error> {
        let inputs = bicubic.map_or(truth.len(), <[f32]>::len);
        assert!(
            inputs == truth.len(),
            "{inputs} samples of input, {} of target",
            truth.len()
        );
        check_samples(inputs)?;
        // What was there makes room first.
        agenda.forget(self)?;
        let copy = |samples: &[f32]| -> Result<Buffer, Error> {
            let mut buffer = self.zeros(samples.len())?;
            self.upload(samples, &mut buffer)?;
            Ok(buffer)
        };
        let truth = copy(truth)?;
        let bicubic = match bicubic {
            Some(bicubic) => copy(bicubic)?,
            None => truth.share(),
        };
        agenda.hold([bicubic, truth]);
        self.show_part(agenda, 0, inputs)
    }

    /// Has the crops of later steps be cut from some of the samples, and forgets those that were written.
    pub(super) fn show_part(
        &self,
        agenda: &mut Agenda,
        begin: usize,
        samples: usize,
    ) -> Result<(), Error> {
        agenda.shown = begin..begin + samples;
        self.write_agenda(agenda, &[], &[], &[])
    }

    /// Writes the crops, coefficients and noise of the next steps, as many for each as are planned, and begins
    /// at the first of them.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If they are not those of whole steps, are more than planned, or a crop leaves the images.
    pub fn write_agenda(
        &self,
        agenda: &mut Agenda,
        crops: &[Crop],
        coefficients: &[f32],
        noise: &[f32],
    ) -> Result<(), Error> {
        let steps = crops.len() / agenda.batch;
        assert!(
            crops.len() == steps * agenda.batch
                && coefficients.len() == steps * agenda.coefficients
                && noise.len() == steps * agenda.noise
                && steps <= agenda.capacity,
            "{} crops, {} coefficients and {} numbers of noise for up to {} steps",
            crops.len(),
            coefficients.len(),
            noise.len(),
            agenda.capacity
        );
        let samples = agenda.samples();
        for crop in crops {
            assert!(
                crop.fits(agenda.channels, agenda.side, samples),
                "{crop:?} leaves images of {samples} samples"
            );
        }
        // Samples are so few that their numbers fit.
        let begin = agenda.begin() as i32;
        let placed = |crop: &Crop| Crop {
            first: begin + crop.first,
            ..*crop
        };
        let numbers = crops.iter().flat_map(|crop| placed(crop).to_array());
        let numbers: Vec<i32> = numbers.collect();
        let copy = |table, values: &[i32]| -> Result<(), Error> {
            let part = Part {
                len: values.len(),
                ..self.integers(table)
            };
            Ok(with_view(&self.stream, part, |mut view| {
                self.stream.memcpy_htod(values, &mut view)
            })?)
        };
        copy(&agenda.crops, &numbers)?;
        copy(&agenda.step, &[0, steps as i32])?;
        self.upload(coefficients, &mut agenda.table)?;
        self.upload(noise, &mut agenda.noises)?;
        (agenda.written, agenda.begun) = (steps, 0);
        Ok(())
    }

    /// Counts a step of the agenda as put into the stream: to be called once for each, whether its
    /// calls go through or are replayed.
    ///
    /// # Panics
    /// If no step is left; the device would do nothing.
    pub fn take_step(&self, agenda: &mut Agenda) {
        assert!(
            agenda.begun < agenda.written,
            "all {} steps of the agenda are taken",
            agenda.written
        );
        agenda.begun += 1;
    }

    /// Cuts the batch of the next step, and copies its coefficients and, where it has any, its noise.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer is not of the planned length.
    pub fn begin_step(
        &self,
        agenda: &Agenda,
        [input, target]: [&mut Buffer; 2],
        coefficients: &mut Buffer,
        noise: Option<&mut Buffer>,
    ) -> Result<(), Error> {
        let lens = [
            coefficients.len(),
            noise.as_ref().map_or(0, |noise| noise.len()),
        ];
        assert!(
            lens == [agenda.coefficients, agenda.noise],
            "{} coefficients and {} numbers of noise where {} and {} are planned",
            lens[0],
            lens[1],
            agenda.coefficients,
            agenda.noise
        );
        let [inputs, targets] = &agenda.images;
        let images = [self.whole(inputs), self.whole(targets)];
        let batch = [self.whole(input), self.whole(target)];
        let planned = self.agenda(agenda);
        let current = self.whole(coefficients);
        let noise = match noise {
            Some(noise) => self.whole(noise),
            None => Part { address: 0, len: 0 },
        };
        Ok(self
            .kernels
            .begin_step(&self.stream, &planned, images, batch, [current, noise])?)
    }

    /// Records the mean over the images of what was measured last, and that of how much codes diverged, where
    /// there are any, and counts the step.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the measure or the codes are of another number of images.
    pub fn end_step(
        &self,
        agenda: &Agenda,
        measure: &Measure,
        gaussian: Option<&GaussianCode>,
    ) -> Result<(), Error> {
        let images = [
            measure.images(),
            gaussian.map_or(agenda.batch, GaussianCode::images),
        ];
        assert!(
            images == [agenda.batch; 2],
            "a measure of {} images and codes of {} for batches of {}",
            images[0],
            images[1],
            agenda.batch
        );
        let measures = self.measures_address(measure);
        if measures == 0 {
            return Err(Error::Unsupported {
                what: "the end of a step in which nothing was measured",
            });
        }
        let planned = self.agenda(agenda);
        let divergences = gaussian.map_or(0, |code| self.whole(code.divergences()).address);
        Ok(self
            .kernels
            .end_step(&self.stream, &planned, [measures, divergences])?)
    }

    /// Waits for the device: for each step of the agenda so far its mean measure and its mean divergence, 0
    /// where there are no codes.
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn recorded(&self, agenda: &Agenda) -> Result<Vec<[f64; 2]>, Error> {
        let numbers = self.doubles(&agenda.record, 2 * agenda.begun)?;
        let step = |pair: &[f64]| [pair[0], pair[1]];
        Ok(numbers.chunks_exact(2).map(step).collect())
    }

    fn agenda(&self, agenda: &Agenda) -> PlannedAgenda {
        PlannedAgenda {
            images: agenda.batch,
            channels: agenda.channels,
            side: agenda.side,
            step: self.integers(&agenda.step),
            crops: self.integers(&agenda.crops),
            coefficients: self.whole(&agenda.table),
            noises: self.whole(&agenda.noises),
            record: self.whole(&agenda.record),
        }
    }
}
