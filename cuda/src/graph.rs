//! A score with its gradient as one graph: what a training step replays.

use cudarc::driver::{CudaGraph, CudaSlice, CudaView, CudaViewMut};
use msssim_core::Score;

use crate::driver::Job;
use crate::error::Error;
use crate::images::{Images, ImagesMut, Layout, Sample};
use crate::metric::Workspace;
use crate::weighting::{Mask, Upstream, Weighting};

/// The memory that a graph reads and writes.
#[derive(Debug)]
pub struct Buffers<T> {
    /// The reference images.
    pub reference: CudaSlice<T>,
    /// The distorted ones, in the same order.
    pub distorted: CudaSlice<T>,
    /// Weights of the scores in what is differentiated; none are ones.
    pub upstream: Option<Upstream<CudaSlice<f32>>>,
    /// The regions that count.
    pub mask: Option<Mask>,
    /// Receives the gradient, in the same order.
    pub gradient: CudaSlice<f32>,
    /// The order of the samples of all three.
    pub layout: Layout,
}

/// A captured [`crate::MsSsim::differentiate`], of a plan for training or a general one, with its mask: one call to the
/// driver runs all of its kernels.
///
/// It owns the memory that the kernels use. Change what is in it through
/// [`Captured::reference_mut`] and its like, and [`Captured::replay`].
pub struct Captured<T> {
    // Dropped before the memory that it uses.
    graph: CudaGraph,
    buffers: Buffers<T>,
    workspace: Workspace,
}

impl<T: Sample> Captured<T> {
    /// Captures the computation on the workspace's stream, which must not be the default stream.
    /// Nothing is computed yet.
    ///
    /// # Errors
    /// [`Error::ShortImages`], also for a mask of fewer images or fewer weights than scores; [`Error::Overlap`],
    /// [`Error::Driver`].
    ///
    /// # Panics
    /// If `workspace` was made for scores alone, or the mask by another plan.
    pub fn new(mut workspace: Workspace, mut buffers: Buffers<T>) -> Result<Self, Error> {
        let device = workspace.device().clone();
        let stream = workspace.stream().clone();
        let graph = with_job(&mut workspace, &mut buffers, |job| {
            job.capture(device.kernels(), &stream)
        })?;
        Ok(Self {
            graph,
            buffers,
            workspace,
        })
    }

    /// Puts one run into the stream.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn replay(&mut self) -> Result<(), Error> {
        let Self {
            graph,
            buffers,
            workspace,
        } = self;
        let stream = workspace.stream().clone();
        with_job(workspace, buffers, |job| job.replay(graph, &stream))
    }

    /// Waits for the last run and returns its scores.
    ///
    /// # Errors
    /// [`Error::Driver`], which may be that of an earlier launch.
    pub fn scores(&mut self) -> Result<&[Score], Error> {
        self.workspace.scores()
    }

    /// The reference images.
    pub fn reference_mut(&mut self) -> CudaViewMut<'_, T> {
        self.buffers.reference.as_view_mut()
    }

    /// The distorted images.
    pub fn distorted_mut(&mut self) -> CudaViewMut<'_, T> {
        self.buffers.distorted.as_view_mut()
    }

    /// The weights, if there are any.
    pub fn upstream_mut(&mut self) -> Option<CudaViewMut<'_, f32>> {
        let upstream = self.buffers.upstream.as_mut()?;
        let (Upstream::Images(weights) | Upstream::Channels(weights)) = upstream;
        Some(weights.as_view_mut())
    }

    /// The gradient of the last run.
    pub fn gradient(&self) -> CudaView<'_, f32> {
        self.buffers.gradient.as_view()
    }

    /// Gives everything back.
    pub fn into_parts(self) -> (Workspace, Buffers<T>) {
        (self.workspace, self.buffers)
    }
}

fn with_job<T: Sample, R>(
    workspace: &mut Workspace,
    buffers: &mut Buffers<T>,
    run: impl FnOnce(Job<'_, '_, '_, T>) -> Result<R, Error>,
) -> Result<R, Error> {
    let Buffers {
        reference,
        distorted,
        upstream,
        mask,
        gradient,
        layout,
    } = buffers;
    let reference = Images::new(reference.as_view(), *layout);
    let distorted = Images::new(distorted.as_view(), *layout);
    let view;
    let upstream = match upstream {
        None => None,
        Some(Upstream::Images(weights)) => {
            view = weights.as_view();
            Some(Upstream::Images(&view))
        }
        Some(Upstream::Channels(weights)) => {
            view = weights.as_view();
            Some(Upstream::Channels(&view))
        }
    };
    let mask = mask.as_ref();
    let weighting = Weighting { upstream, mask };
    let mut gradient = ImagesMut::new(gradient.as_view_mut(), *layout);
    run(workspace.job(&reference, &distorted, &weighting, &mut gradient))
}
