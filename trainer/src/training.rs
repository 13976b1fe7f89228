//! The training loop.
//!
//! A step uploads a batch, the update's coefficients and the network's noise, queues forward, loss,
//! backward and update on the device, and reads the loss back; a device that crops by itself is given many steps at a
//! time. Batches, schedule and update are functions of the step, so a resumed run equals an uninterrupted one bit for
//! bit on the same machine.

mod agenda;
mod configuration;
mod error;

use std::error::Error as StdError;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use configuration::{Configuration, KL_WEIGHT, Task};
pub use error::{Origin, TrainingError};

use rayon::prelude::*;

use self::agenda::Agenda;
use crate::backend::{self, Backend, Crop};
use crate::checkpoint::{Checkpoint, Provenance, TrainingState};
use crate::loss::PlannedLoss;
use crate::network::{Network, noise};
use crate::optimizer::PlannedOptimizer;
use crate::parameters::Parameters;
use crate::patches::{Loader, PatchError};

/// Where batches come from.
pub trait BatchSource {
    /// Why there is no batch.
    type Error: StdError + Send + Sync + 'static;

    /// Writes the batch of `step`, counted from 0: what the network sees and what it should make of
    /// it, each `images x channels x height x width` in 0 to 1.
    ///
    /// The same step gives the same batch, also after a restart.
    ///
    /// # Errors
    /// When an image cannot be had.
    fn fill(&mut self, step: u64, input: &mut [f32], target: &mut [f32])
    -> Result<(), Self::Error>;

    /// The loader, if batches are crops of images that a device may hold and crop by itself.
    fn loader(&mut self) -> Option<&mut Loader> {
        None
    }
}

impl BatchSource for Loader {
    type Error = PatchError;

    fn fill(&mut self, step: u64, input: &mut [f32], target: &mut [f32]) -> Result<(), PatchError> {
        Self::fill(self, step, input, target)
    }

    fn loader(&mut self) -> Option<&mut Loader> {
        Some(self)
    }
}

/// Steps that a device is given at a time: seconds at most, so that a stop is soon heard.
const AHEAD: usize = 64;

/// When a run writes its checkpoint, and where.
#[derive(Clone, Copy, Debug)]
pub struct Saving<'a> {
    /// The file; an earlier one is replaced.
    pub path: &'a Path,
    /// Steps from one checkpoint to the next; 0 for one at the end only.
    pub every: u64,
}

/// How a run is going.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps done, since the very start.
    pub step: u64,
    /// Steps to be done.
    pub steps: u64,
    /// The loss of the last step's batch, before its update.
    pub loss: f32,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// It was asked to stop.
    Stopped,
}

/// A network in training on a device.
pub struct Training<'b, B: Backend> {
    backend: &'b B,
    configuration: Configuration,
    losses: Vec<f32>,
    network: Box<dyn Network<B>>,
    doutput: B::Buffer,
    loss: PlannedLoss<B>,
    optimizer: PlannedOptimizer<B>,
    parameters: B::Buffer,
    dparameters: B::Buffer,
    input: B::Buffer,
    target: B::Buffer,
    /// The batch on the host, [input, target].
    host: [Vec<f32>; 2],
    recording: Option<B::Recording>,
    /// Steps that the device takes by itself.
    agenda: Option<Agenda<B>>,
}

impl<'b, B: Backend> Training<'b, B> {
    /// Training from the beginning.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] and [`TrainingError::Backend`].
    pub fn new(backend: &'b B, configuration: Configuration) -> Result<Self, TrainingError> {
        configuration.check()?;
        Self::plan(backend, configuration, &configuration.initial())
    }

    /// Training from the beginning, with other weights than the configuration's own first ones.
    ///
    /// # Errors
    /// As [`Training::new`].
    ///
    /// # Panics
    /// If the weights are another network's.
    pub fn starting_at(
        backend: &'b B,
        configuration: Configuration,
        start: &Parameters,
    ) -> Result<Self, TrainingError> {
        configuration.check()?;
        assert!(
            start.layout() == &configuration.architecture().layout(),
            "weights of another network"
        );
        Self::plan(backend, configuration, start)
    }

    /// Training from where `checkpoint` was written.
    ///
    /// A caller that wants more steps than planned changes the checkpoint's configuration.
    ///
    /// # Errors
    /// [`TrainingError::NothingToResume`], [`TrainingError::Setting`] and
    /// [`TrainingError::Backend`].
    pub fn resume(backend: &'b B, checkpoint: &Checkpoint) -> Result<Self, TrainingError> {
        let state = checkpoint.state().ok_or(TrainingError::NothingToResume)?;
        state.configuration.check()?;
        let mut training = Self::plan(backend, state.configuration, &checkpoint.parameters)?;
        for (buffer, values) in training
            .optimizer
            .state_mut()
            .iter_mut()
            .zip(&state.optimizer)
        {
            backend.upload(values, buffer)?;
        }
        training.losses = state.losses.clone();
        Ok(training)
    }

    fn plan(
        backend: &'b B,
        configuration: Configuration,
        initial: &Parameters,
    ) -> Result<Self, TrainingError> {
        let batch = configuration.batch();
        let architecture = configuration.architecture();
        let network = architecture.plan(backend, batch, configuration.kl_weight())?;
        let layout = initial.layout();
        let mut parameters = backend.zeros(layout.len())?;
        backend.upload(initial.values(), &mut parameters)?;
        let last_layer = layout.last_layer();
        let len = batch.checked_len()?;
        let optimizer =
            PlannedOptimizer::new(backend, configuration.optimizer, layout.len(), last_layer)?;
        let crops = [batch.images, batch.channels, batch.height];
        let coefficients = optimizer.coefficients(0, 0.0).len();
        let agenda = backend.plan_agenda(AHEAD, crops, coefficients, network.noise_len())?;
        Ok(Self {
            agenda: agenda.map(Agenda::new),
            network,
            doutput: backend.zeros(len)?,
            loss: PlannedLoss::new(backend, configuration.loss, batch)?,
            optimizer,
            parameters,
            dparameters: backend.zeros(layout.len())?,
            input: backend.zeros(len)?,
            target: backend.zeros(len)?,
            host: [vec![0.0; len], vec![0.0; len]],
            losses: Vec::new(),
            recording: None,
            backend,
            configuration,
        })
    }

    /// What this run was asked to do.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The loss of each step done so far, those before a resumption included.
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// Takes the next step and returns the loss of its batch before the update.
    ///
    /// # Errors
    /// [`TrainingError::Batch`], [`TrainingError::Loss`] and [`TrainingError::Backend`]; the
    /// weights are then of no use.
    pub fn step(&mut self, source: &mut impl BatchSource) -> Result<f32, TrainingError> {
        let Configuration {
            schedule, steps, ..
        } = self.configuration;
        let step = self.losses.len() as u64;
        let [input, target] = &mut self.host;
        source
            .fill(step, input, target)
            .map_err(|error| TrainingError::Batch {
                step,
                source: Box::new(error),
            })?;
        self.backend.upload(input, &mut self.input)?;
        self.backend.upload(target, &mut self.target)?;
        let factor = schedule.factor(step, steps);
        self.optimizer.prepare(self.backend, step, factor)?;
        self.network
            .begin_step(self.backend, self.configuration.seed, step)?;

        self.forward_backward_update()?;

        let penalty = self.network.penalty(self.backend)?;
        let loss = (self.loss.value(self.backend)? + penalty) as f32;
        if !loss.is_finite() {
            let origin = self.origin()?;
            return Err(TrainingError::Loss { step, loss, origin });
        }
        self.losses.push(loss);
        Ok(loss)
    }

    /// Where the last step's loss stopped being a number.
    fn origin(&self) -> Result<Origin, backend::Error> {
        if self.host.iter().flatten().any(|v| !v.is_finite()) {
            return Ok(Origin::Batch);
        }
        let layer = self.network.first_not_finite(self.backend)?;
        Ok(layer.map_or(Origin::Loss, Origin::Layer))
    }

    /// All that the device computes in a step: the same calls on the same buffers every time.
    fn forward_backward_update(&mut self) -> Result<(), backend::Error> {
        let Self {
            backend,
            network,
            doutput,
            loss,
            optimizer,
            parameters,
            dparameters,
            input,
            target,
            recording,
            ..
        } = self;
        backend.repeat(recording, || {
            network.forward(*backend, parameters, input)?;
            loss.forward_backward(*backend, target, network.output(), doutput)?;
            network.backward(*backend, parameters, input, doutput, dparameters)?;
            optimizer.update(*backend, dparameters, parameters)
        })
    }

    /// Takes one step or more, up to step `until`, on a device that crops its batches itself as many
    /// as it is given at a time; none if `stop` becomes true before their images are there.
    fn advance(
        &mut self,
        source: &mut impl BatchSource,
        until: u64,
        stop: &AtomicBool,
    ) -> Result<(), TrainingError> {
        let (Some(agenda), Some(loader)) = (&mut self.agenda, source.loader()) else {
            return self.step(source).map(drop);
        };
        let Configuration {
            schedule, steps, ..
        } = self.configuration;
        let first = self.losses.len() as u64;
        let (block, left) = loader.block_of(first);
        if !agenda.show(self.backend, loader, block, first, stop)? {
            return Ok(());
        }
        let end = first.saturating_add(left);
        if end < steps {
            let (next, _) = loader.block_of(end);
            agenda.prepare(self.backend, loader, next, end)?;
        }
        let coming = first..first + left.min(until - first).min(AHEAD as u64);
        let last_of_block = coming.end == end;
        let crops: Vec<Crop> = coming.clone().flat_map(|step| loader.crops(step)).collect();
        let coefficients: Vec<f32> = coming
            .clone()
            .flat_map(|step| {
                let factor = schedule.factor(step, steps);
                self.optimizer.coefficients(step, factor)
            })
            .collect();
        let seed = self.configuration.seed;
        let noise: Vec<f32> = match self.network.noise_len() {
            0 => Vec::new(),
            len => coming
                .clone()
                .into_par_iter()
                .flat_map_iter(|step| noise(seed, step, len))
                .collect(),
        };
        self.backend
            .write_agenda(&mut agenda.planned, &crops, &coefficients, &noise)?;
        for _ in coming {
            self.queue_step()?;
        }
        let Some(agenda) = &self.agenda else {
            return Ok(());
        };
        if last_of_block {
            // While the device is at its last steps, so that it finds the next images there.
            agenda.wait(stop);
        }
        for [measured, divergence] in self.backend.recorded(&agenda.planned)? {
            let penalty = self.network.penalty_of(divergence);
            let loss = (self.loss.of_measured(measured) + penalty) as f32;
            if !loss.is_finite() {
                let step = self.losses.len() as u64;
                let origin = Origin::Unknown;
                return Err(TrainingError::Loss { step, loss, origin });
            }
            self.losses.push(loss);
        }
        Ok(())
    }

    /// Gives the device its next step: the same calls on the same buffers every time.
    fn queue_step(&mut self) -> Result<(), backend::Error> {
        let Self {
            backend,
            network,
            doutput,
            loss,
            optimizer,
            parameters,
            dparameters,
            input,
            target,
            agenda,
            ..
        } = self;
        let Some(Agenda {
            planned, recording, ..
        }) = agenda
        else {
            return Ok(());
        };
        backend.take_step(planned);
        backend.repeat(recording, || {
            let (coefficients, noise) = (optimizer.coefficients_mut(), network.noise_mut());
            backend.begin_step(planned, input, target, coefficients, noise)?;
            network.forward(*backend, parameters, input)?;
            loss.forward_backward(*backend, target, network.output(), doutput)?;
            network.backward(*backend, parameters, input, doutput, dparameters)?;
            optimizer.update(*backend, dparameters, parameters)?;
            backend.end_step(planned, loss.measure(), network.gaussian())
        })
    }

    /// Takes all steps that are left, reports each, and saves now and then and at the end.
    ///
    /// `stop` is looked at between steps: once it is true, the run saves and returns.
    ///
    /// # Errors
    /// Any [`TrainingError`]; what was saved before stays.
    pub fn run(
        &mut self,
        source: &mut impl BatchSource,
        saving: Option<Saving<'_>>,
        stop: &AtomicBool,
        mut on_step: impl FnMut(Progress),
    ) -> Result<Outcome, TrainingError> {
        let steps = self.configuration.steps;
        let mut outcome = Outcome::Finished;
        while (self.losses.len() as u64) < steps {
            if stop.load(Ordering::Relaxed) {
                outcome = Outcome::Stopped;
                break;
            }
            let begun = self.losses.len();
            let until = match saving {
                Some(Saving { every, .. }) if every > 0 => {
                    steps.min((begun as u64 / every + 1) * every)
                }
                _ => steps,
            };
            self.advance(source, until, stop)?;
            for (at, loss) in self.losses.iter().enumerate().skip(begun) {
                on_step(Progress {
                    step: at as u64 + 1,
                    steps,
                    loss: *loss,
                });
            }
            let step = self.losses.len() as u64;
            if let Some(Saving { path, every }) = saving
                && every > 0
                && step.is_multiple_of(every)
                && step < steps
            {
                self.checkpoint()?.save(path)?;
            }
        }
        if let Some(Saving { path, .. }) = saving {
            self.checkpoint()?.save(path)?;
        }
        Ok(outcome)
    }

    /// The weights as they are now.
    ///
    /// # Errors
    /// [`TrainingError::Diverged`] when one is not a number, and [`TrainingError::Backend`].
    pub fn parameters(&self) -> Result<Parameters, TrainingError> {
        let mut parameters = Parameters::zeros(self.configuration.architecture().layout());
        self.backend
            .download(&self.parameters, parameters.values_mut())?;
        if let Some(tensor) = parameters.first_not_finite() {
            return Err(TrainingError::Diverged {
                step: self.losses.len() as u64,
                tensor: tensor.to_owned(),
            });
        }
        Ok(parameters)
    }

    /// Everything that is needed to go on from here.
    ///
    /// # Errors
    /// Those of [`Training::parameters`].
    pub fn checkpoint(&self) -> Result<Checkpoint, TrainingError> {
        let parameters = self.parameters()?;
        let download = |buffer| {
            let mut values = vec![0.0; parameters.values().len()];
            self.backend.download(buffer, &mut values)?;
            Ok(values)
        };
        let optimizer = self.optimizer.state().iter().map(download);
        let optimizer = optimizer.collect::<Result<_, backend::Error>>()?;
        Ok(Checkpoint {
            architecture: self.configuration.architecture(),
            factor: self.configuration.factor(),
            provenance: Provenance::Resumable(TrainingState {
                configuration: self.configuration,
                optimizer,
                losses: self.losses.clone(),
            }),
            parameters,
        })
    }
}

#[cfg(test)]
mod tests;
