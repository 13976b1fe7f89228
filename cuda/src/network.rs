//! What training a network takes: buffers, convolutions, losses and updates on one stream of a device.
//!
//! Everything that a [`Network`] is asked for is put into its stream and runs in that order; only
//! [`Network::download`] and [`Network::measured`] wait. A fixed sequence of calls can be recorded as a graph
//! and replayed. Results are the same bits run after run: sums are in fixed orders, without atomics.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use cudarc::driver::{CudaGraph, CudaSlice, CudaStream, DevicePtr};
use msssim_core::{Params, Size};
use msssim_kernels::network::{ConvPlan, Tap};

use crate::device::Device;
use crate::driver::network::{NetworkKernels, Part, PlannedAgenda, PlannedConv};
use crate::driver::{allocate_zeros, capture, forgo_events, with_view};
use crate::error::{Error, ProbeError};
use crate::images::{Images, ImagesMut};
use crate::metric::{MsSsim, Pass, Workspace};
use crate::weighting::{Upstream, Weighting};

pub use msssim_kernels::network::{Adam, Conv, Crop};

/// Numbers in device memory.
///
/// Dropping one that a [`Recording`] uses is fine: the recording keeps it.
#[derive(Debug)]
pub struct Buffer {
    memory: Rc<CudaSlice<f32>>,
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
}

/// A planned convolution with the memory that it works in.
#[derive(Debug)]
pub struct Convolution {
    plan: ConvPlan,
    taps: Rc<CudaSlice<i32>>,
    input_taps: Rc<CudaSlice<i32>>,
    outputs: Rc<CudaSlice<i32>>,
    padded: Buffer,
    dout_padded: Buffer,
    larger: Option<Buffer>,
    parts: Buffer,
}

/// How images are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// The mean of `(distorted - reference)^2` over an image's samples.
    SquaredError,
    /// The mean of `|distorted - reference|`; its derivative at 0 is 0.
    AbsoluteError,
    /// MS-SSIM by these parameters.
    MsSsim(Params),
    /// `score` times that plus `error` times the absolute error.
    Blend {
        /// The parameters of MS-SSIM.
        params: Params,
        /// Its weight.
        score: f32,
        /// The absolute error's.
        error: f32,
    },
}

/// A planned [`Comparison`] with the memory that it works in.
#[derive(Debug)]
pub struct Measure {
    kind: Rc<Kind>,
    images: usize,
    samples: usize,
}

#[derive(Debug)]
enum Kind {
    /// The means of the images, doubles as pairs of floats.
    Error {
        squared: bool,
        means: Buffer,
    },
    MsSsim(Box<RefCell<Scoring>>),
}

/// What MS-SSIM works with.
#[derive(Debug)]
struct Scoring {
    metric: MsSsim,
    workspace: Workspace,
    /// The weight of each image's score, and the factor that they were made of.
    upstream: CudaSlice<f32>,
    factor: f32,
    blend: Option<Blend>,
}

/// Weights of score and error, and the images' measures, doubles as pairs of floats.
#[derive(Debug)]
struct Blend {
    weights: [f32; 2],
    means: Buffer,
}

/// Images in device memory, the crops and coefficients of coming steps, and the record of their measures:
/// what steps need that are nothing but the replay of a graph.
#[derive(Debug)]
pub struct Agenda {
    batch: usize,
    channels: usize,
    side: usize,
    coefficients: usize,
    /// How many steps fit.
    capacity: usize,
    bicubic: Buffer,
    truth: Buffer,
    /// The number of the next step in the tables, and how many there are.
    step: Rc<CudaSlice<i32>>,
    crops: Rc<CudaSlice<i32>>,
    table: Buffer,
    /// Doubles as pairs of floats.
    record: Buffer,
    /// Steps written, and of those how many were put into the stream.
    written: usize,
    begun: usize,
}

/// A sequence of calls as a graph, made by [`Network::record`].
pub struct Recording {
    // Dropped before the memory that it uses.
    graph: CudaGraph,
    _memory: Vec<Rc<dyn Any>>,
}

/// How convolutions are computed. Weights, activations, losses and updates are single precision in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// In single precision: every product and sum is rounded once.
    #[default]
    F32,
    /// On tensor cores; factors are rounded to 10 bits of fraction, sums are in single precision.
    Tf32,
    /// On tensor cores; factors are rounded to 7 bits of fraction, sums are in single precision.
    Bf16,
}

/// A device for training.
pub struct Network {
    device: Device,
    stream: Arc<CudaStream>,
    kernels: NetworkKernels,
    /// The memory used since recording began.
    recording: RefCell<Option<Vec<Rc<dyn Any>>>>,
}

impl Network {
    /// Opens device number `ordinal` for training. It has a stream of its own, which nothing else uses.
    ///
    /// # Errors
    /// A [`ProbeError`] that says what is missing.
    pub fn open(ordinal: usize, precision: Precision) -> Result<Self, ProbeError> {
        let device = Device::open(ordinal)?;
        let stream = device.new_stream()?;
        // No buffer is ever seen by another stream, so none has to be waited for.
        forgo_events(device.context());
        let kernels = NetworkKernels::load(device.context(), precision)?;
        Ok(Self {
            device,
            stream,
            kernels,
            recording: RefCell::new(None),
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.device.name()
    }

    /// A buffer of `len` zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn zeros(&self, len: usize) -> Result<Buffer, Error> {
        let memory = allocate_zeros(&self.stream, len)?;
        Ok(Buffer {
            memory: Rc::new(memory),
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

    /// Plans a convolution.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a count of 0, an even kernel, or more than 2^31 elements;
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn plan_conv2d(&self, conv: Conv) -> Result<Convolution, Error> {
        let plan = ConvPlan::new(conv).ok_or(Error::Unsupported {
            what: "convolutions of such a shape (counts of 0, an even kernel, or 2^31 elements)",
        })?;
        let table = |numbers: Vec<i32>| -> Result<_, Error> {
            Ok(Rc::new(self.stream.clone_htod(&numbers)?))
        };
        let taps = |taps: &[Tap]| table(taps.iter().flat_map(|tap| tap.to_array()).collect());
        Ok(Convolution {
            taps: taps(&plan.taps)?,
            input_taps: taps(&plan.input_taps)?,
            outputs: table(plan.outputs.concat())?,
            padded: self.zeros(plan.border.outer_len())?,
            dout_padded: self.zeros(plan.dout_border.outer_len())?,
            larger: match plan.fold {
                false => None,
                true => Some(self.zeros(plan.border.outer_len())?),
            },
            parts: self.zeros(plan.parts)?,
            plan,
        })
    }

    /// `output = activation(weights * input + bias)`; `weight` and `bias` are ranges of `parameters`.
    /// The plan keeps a copy of the input for [`Network::conv2d_backward`].
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    pub fn conv2d_forward(
        &self,
        conv: &Convolution,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        input: &Buffer,
        output: &mut Buffer,
    ) -> Result<(), Error> {
        Ok(self.kernels.conv_forward(
            &self.stream,
            &self.planned(conv),
            self.whole(input),
            [self.part(parameters, weight), self.part(parameters, bias)],
            self.whole(output),
        )?)
    }

    /// The gradients by a convolution's weights, biases and, where wanted, input, from that by its output.
    /// The input is that of the last forward call with this plan, `output` what it gave; `doutput` is used up.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer or range is not of the planned length.
    #[expect(
        clippy::too_many_arguments,
        reason = "the forward call's buffers and the gradient of each"
    )]
    pub fn conv2d_backward(
        &self,
        conv: &Convolution,
        parameters: &Buffer,
        [weight, bias]: [Range<usize>; 2],
        output: &Buffer,
        doutput: &mut Buffer,
        dinput: Option<&mut Buffer>,
        dparameters: &mut Buffer,
    ) -> Result<(), Error> {
        let planned = self.planned(conv);
        let dout = self.whole(doutput);
        if conv.plan.conv.relu {
            let out = self.whole(output);
            self.kernels.relu_backward(&self.stream, out, dout)?;
        }
        let gradients = [
            self.part(dparameters, weight.clone()),
            self.part(dparameters, bias),
        ];
        self.kernels
            .conv_weight(&self.stream, &planned, dout, gradients)?;
        if let Some(dinput) = dinput {
            let weights = self.part(parameters, weight);
            let din = self.whole(dinput);
            self.kernels
                .conv_input(&self.stream, &planned, dout, weights, din)?;
        }
        Ok(())
    }

    /// Plans a comparison of `images` images of `channels` planes.
    ///
    /// # Errors
    /// Those of [`MsSsim::new`] and [`MsSsim::workspace`].
    pub fn plan_measure(
        &self,
        comparison: Comparison,
        images: usize,
        channels: usize,
        size: Size,
    ) -> Result<Measure, Error> {
        let too_large = Error::TooLarge {
            images,
            channels,
            size,
        };
        let samples = [channels, size.height, size.width]
            .iter()
            .try_fold(images, |product, n| product.checked_mul(*n))
            .filter(|&n| n > 0 && n < 1 << 31)
            .ok_or(too_large)?;
        let error = |squared| -> Result<Kind, Error> {
            let means = self.zeros(2 * images)?;
            Ok(Kind::Error { squared, means })
        };
        let kind = match comparison {
            Comparison::SquaredError => error(true)?,
            Comparison::AbsoluteError => error(false)?,
            Comparison::MsSsim(params) | Comparison::Blend { params, .. } => {
                let blend = match comparison {
                    Comparison::Blend { score, error, .. } => Some(Blend {
                        weights: [score, error],
                        means: self.zeros(2 * images)?,
                    }),
                    _ => None,
                };
                let metric = MsSsim::new(size, channels, &params)?;
                let stream = &self.stream;
                let workspace = metric.workspace(&self.device, stream, images, Pass::Gradient)?;
                Kind::MsSsim(Box::new(RefCell::new(Scoring {
                    metric,
                    workspace,
                    upstream: stream.clone_htod(&vec![0.0f32; images])?,
                    factor: 0.0,
                    blend,
                })))
            }
        };
        Ok(Measure {
            kind: Rc::new(kind),
            images,
            samples,
        })
    }

    /// Compares each image; `gradient` receives `factor` times the gradient of the mean over the images by
    /// `distorted`. The factor of MS-SSIM is uploaded where it is new, so not within a recording.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If a buffer is not of the planned length.
    pub fn measure_and_gradient(
        &self,
        measure: &Measure,
        reference: &Buffer,
        distorted: &Buffer,
        factor: f32,
        gradient: &mut Buffer,
    ) -> Result<(), Error> {
        let lens = [reference, distorted, gradient].map(Buffer::len);
        assert!(
            lens == [measure.samples; 3],
            "reference, distorted and gradient hold {lens:?} samples where {} are planned",
            measure.samples
        );
        let [x, y, out] = [reference, distorted, gradient].map(|buffer| self.whole(buffer));
        match &*measure.kind {
            Kind::Error { squared, means } => {
                // The derivative of a square has a 2.
                let factor = if *squared { 2.0 * factor } else { factor };
                let factor = factor / measure.samples as f32;
                let means = self.whole(means);
                let stream = &self.stream;
                self.kernels
                    .error(stream, *squared, factor, [x, y], means, out)?;
            }
            Kind::MsSsim(scoring) => {
                self.keep(&measure.kind);
                let Scoring {
                    metric,
                    workspace,
                    upstream,
                    factor: known,
                    blend,
                } = &mut *scoring.borrow_mut();
                let by_score = factor * blend.as_ref().map_or(1.0, |blend| blend.weights[0]);
                if *known != by_score {
                    if self.recording.borrow().is_some() {
                        return Err(Error::Unsupported {
                            what: "a new factor within a recording",
                        });
                    }
                    let weights = vec![by_score / measure.images as f32; measure.images];
                    self.stream.memcpy_htod(&weights, upstream)?;
                    *known = by_score;
                }
                let images =
                    [reference, distorted].map(|buffer| Images::planar(buffer.memory.as_view()));
                with_view(&self.stream, out, |view| {
                    let weights = upstream.as_view();
                    let weighting = Weighting {
                        upstream: Some(Upstream::Images(&weights)),
                        mask: None,
                    };
                    let mut out = ImagesMut::planar(view);
                    metric.enqueue_differentiate(
                        workspace, &images[0], &images[1], &weighting, &mut out,
                    )
                })?;
                if let Some(Blend { weights, means }) = blend {
                    let by_error = factor * weights[1] / measure.samples as f32;
                    let factors = [by_error, weights[0], weights[1]];
                    let scores = workspace.scores_address();
                    let means = self.whole(means);
                    let stream = &self.stream;
                    self.kernels
                        .blend_error(stream, factors, [x, y], scores, means, out)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for the device: each image's mean of the last [`Network::measure_and_gradient`].
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn measured(&self, measure: &Measure) -> Result<Vec<f64>, Error> {
        match &*measure.kind {
            Kind::Error { means, .. } => self.doubles(means, measure.images),
            Kind::MsSsim(scoring) => {
                let scoring = &mut *scoring.borrow_mut();
                if let Some(blend) = &scoring.blend {
                    return self.doubles(&blend.means, measure.images);
                }
                let scores = scoring.workspace.scores()?;
                Ok(scores.iter().map(|score| score.value).collect())
            }
        }
    }

    /// One step of Adam over all parameters (Kingma and Ba 2015, algorithm 1); `coefficients` are the
    /// rate, `1 / (1 - beta1^t)` and `1 / (1 - beta2^t)`.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the buffers differ in length.
    pub fn adam(
        &self,
        constants: &Adam,
        coefficients: &Buffer,
        gradient: &Buffer,
        [first, second]: [&mut Buffer; 2],
        parameters: &mut Buffer,
    ) -> Result<(), Error> {
        let state = [self.whole(first), self.whole(second)];
        let (coefficients, gradient) = (self.whole(coefficients), self.whole(gradient));
        let parameters = self.whole(parameters);
        let stream = &self.stream;
        Ok(self
            .kernels
            .adam(stream, constants, coefficients, gradient, state, parameters)?)
    }

    /// One step of gradient descent with momentum; `coefficients` are the rates before the parameter
    /// `last_layer` and from it on.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the buffers differ in length.
    pub fn sgd(
        &self,
        momentum: f32,
        last_layer: usize,
        coefficients: &Buffer,
        gradient: &Buffer,
        velocity: &mut Buffer,
        parameters: &mut Buffer,
    ) -> Result<(), Error> {
        let state = [self.whole(gradient), self.whole(velocity)];
        let (coefficients, parameters) = (self.whole(coefficients), self.whole(parameters));
        let stream = &self.stream;
        Ok(self.kernels.sgd(
            stream,
            momentum,
            last_layer,
            coefficients,
            state,
            parameters,
        )?)
    }

    /// Plans for up to `capacity` steps at a time, each a batch of `batch` square crops of `side` and
    /// `channels`, and `coefficients` numbers. There are no images yet.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn plan_agenda(
        &self,
        capacity: usize,
        [batch, channels, side]: [usize; 3],
        coefficients: usize,
    ) -> Result<Agenda, Error> {
        Ok(Agenda {
            batch,
            channels,
            side,
            coefficients,
            capacity,
            bicubic: self.zeros(1)?,
            truth: self.zeros(1)?,
            step: Rc::new(self.stream.clone_htod(&[0, 0])?),
            crops: Rc::new(self.stream.clone_htod(&vec![0i32; 4 * batch * capacity])?),
            table: self.zeros(coefficients * capacity)?,
            record: self.zeros(2 * capacity)?,
            written: 0,
            begun: 0,
        })
    }

    /// Replaces the images of an agenda, and forgets its steps. A recording keeps the images that it was
    /// made with: record anew.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    ///
    /// # Panics
    /// If there are more or fewer samples of the one than of the other.
    pub fn show(&self, agenda: &mut Agenda, bicubic: &[f32], truth: &[f32]) -> Result<(), Error> {
        assert!(
            bicubic.len() == truth.len(),
            "{} samples of input, {} of target",
            bicubic.len(),
            truth.len()
        );
        let copy = |samples: &[f32]| -> Result<Buffer, Error> {
            let mut buffer = self.zeros(samples.len())?;
            self.upload(samples, &mut buffer)?;
            Ok(buffer)
        };
        agenda.bicubic = copy(bicubic)?;
        agenda.truth = copy(truth)?;
        // The crops of the images before need not lie in these.
        self.write_agenda(agenda, &[], &[])
    }

    /// Writes the crops and coefficients of the next steps, `batch` and `coefficients` for each, and
    /// begins at the first of them.
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
    ) -> Result<(), Error> {
        let steps = crops.len() / agenda.batch;
        assert!(
            crops.len() == steps * agenda.batch
                && coefficients.len() == steps * agenda.coefficients
                && steps <= agenda.capacity,
            "{} crops and {} coefficients for up to {} steps",
            crops.len(),
            coefficients.len(),
            agenda.capacity
        );
        let samples = agenda.bicubic.len();
        for crop in crops {
            assert!(
                crop.fits(agenda.channels, agenda.side, samples),
                "{crop:?} leaves images of {samples} samples"
            );
        }
        let numbers: Vec<i32> = crops.iter().flat_map(|crop| crop.to_array()).collect();
        let integers = |slice: &Rc<CudaSlice<i32>>, values: &[i32]| -> Result<(), Error> {
            let (address, _) = slice.device_ptr(&self.stream);
            let part = Part {
                address,
                len: values.len(),
            };
            Ok(with_view(&self.stream, part, |mut view| {
                self.stream.memcpy_htod(values, &mut view)
            })?)
        };
        integers(&agenda.crops, &numbers)?;
        integers(&agenda.step, &[0, steps as i32])?;
        self.upload(coefficients, &mut agenda.table)?;
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

    /// Cuts the batch of the next step, and copies its coefficients to `current`.
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
        current: &mut Buffer,
    ) -> Result<(), Error> {
        assert!(
            current.len() == agenda.coefficients,
            "{} coefficients where {} are planned",
            current.len(),
            agenda.coefficients
        );
        let images = [self.whole(&agenda.bicubic), self.whole(&agenda.truth)];
        let batch = [self.whole(input), self.whole(target)];
        let planned = self.agenda(agenda);
        let current = self.whole(current);
        Ok(self
            .kernels
            .begin_step(&self.stream, &planned, images, batch, current)?)
    }

    /// Records the mean over the images of what was measured last, and counts the step.
    ///
    /// # Errors
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If the measure is of another number of images.
    pub fn end_step(&self, agenda: &Agenda, measure: &Measure) -> Result<(), Error> {
        assert!(
            measure.images == agenda.batch,
            "a measure of {} images for batches of {}",
            measure.images,
            agenda.batch
        );
        self.keep(&measure.kind);
        let measures = match &*measure.kind {
            Kind::Error { means, .. } => self.whole(means).address,
            Kind::MsSsim(scoring) => {
                let scoring = scoring.borrow();
                match &scoring.blend {
                    Some(blend) => self.whole(&blend.means).address,
                    None => scoring.workspace.scores_address(),
                }
            }
        };
        if measures == 0 {
            return Err(Error::Unsupported {
                what: "the end of a step in which nothing was measured",
            });
        }
        let planned = self.agenda(agenda);
        Ok(self.kernels.end_step(&self.stream, &planned, measures)?)
    }

    /// Waits for the device: the means that the agenda's steps have recorded so far.
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn recorded(&self, agenda: &Agenda) -> Result<Vec<f64>, Error> {
        self.doubles(&agenda.record, agenda.begun)
    }

    fn agenda(&self, agenda: &Agenda) -> PlannedAgenda {
        let integers = |slice: &Rc<CudaSlice<i32>>| {
            self.keep(slice);
            let (address, _) = slice.device_ptr(&self.stream);
            Part {
                address,
                len: slice.len(),
            }
        };
        PlannedAgenda {
            images: agenda.batch,
            channels: agenda.channels,
            side: agenda.side,
            step: integers(&agenda.step),
            crops: integers(&agenda.crops),
            coefficients: self.whole(&agenda.table),
            record: self.whole(&agenda.record),
        }
    }

    /// The first `count` doubles of a buffer that holds them as pairs of floats.
    fn doubles(&self, buffer: &Buffer, count: usize) -> Result<Vec<f64>, Error> {
        let mut halves = vec![0.0f32; 2 * count];
        self.download(buffer, &mut halves)?;
        let double = |pair: &[f32]| {
            let [low, high] = [pair[0], pair[1]].map(|half| u64::from(half.to_bits()));
            f64::from_bits(high << 32 | low)
        };
        Ok(halves.chunks_exact(2).map(double).collect())
    }

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

    /// Notes memory that the calls being recorded use.
    fn keep<M: Any>(&self, memory: &Rc<M>) {
        if let Some(kept) = &mut *self.recording.borrow_mut() {
            kept.push(memory.clone());
        }
    }

    fn part(&self, buffer: &Buffer, range: Range<usize>) -> Part {
        self.keep(&buffer.memory);
        let view = buffer.memory.slice(range.clone());
        let (address, _) = view.device_ptr(&self.stream);
        Part {
            address,
            len: range.len(),
        }
    }

    fn whole(&self, buffer: &Buffer) -> Part {
        self.part(buffer, 0..buffer.len())
    }

    fn planned<'c>(&self, conv: &'c Convolution) -> PlannedConv<'c> {
        let part = |taps: &Rc<CudaSlice<i32>>| {
            self.keep(taps);
            let (address, _) = taps.device_ptr(&self.stream);
            Part {
                address,
                len: taps.len(),
            }
        };
        PlannedConv {
            plan: &conv.plan,
            taps: part(&conv.taps),
            input_taps: part(&conv.input_taps),
            outputs: part(&conv.outputs),
            padded: self.whole(&conv.padded),
            dout_padded: self.whole(&conv.dout_padded),
            larger: match &conv.larger {
                Some(larger) => self.whole(larger),
                None => Part { address: 0, len: 0 },
            },
            parts: self.whole(&conv.parts),
        }
    }
}
