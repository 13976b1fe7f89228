//! `--map`: what each window of a scale saw, as a grey picture.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use msssim_core::{Error, Map, MsSsim, Params, Plane, PlaneMut};

use super::super::{Failure, Outcome};
use crate::picture::Picture;

/// Which map is written where.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct MapOptions {
    /// Write the map of a pair as a grey 8-bit PNG: white is 1, black is 0 and below
    ///
    /// In between it is linear, 255 times the term rounded. A pixel is a window, so that with
    /// windows inside the image the map is smaller by the window's length less one. Of several
    /// channels it is the mean. A mask does not show in it.
    #[arg(long, value_name = "OUT.png")]
    map: Option<PathBuf>,
    /// The scale of the map, 1 for the finest
    #[arg(long, value_name = "N", default_value_t = 1, requires = "map")]
    map_scale: usize,
    /// The term of the map
    #[arg(long, value_enum, default_value_t = Term::Ssim, requires = "map")]
    map_term: Term,
}

/// A term of SSIM.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Term {
    /// l c s, SSIM itself
    Ssim,
    /// Luminance
    L,
    /// Contrast
    C,
    /// Structure
    S,
    /// Contrast times structure
    Cs,
}

impl From<Term> for Map {
    fn from(term: Term) -> Self {
        match term {
            Term::Ssim => Self::Ssim,
            Term::L => Self::Luminance,
            Term::C => Self::Contrast,
            Term::S => Self::Structure,
            Term::Cs => Self::ContrastStructure,
        }
    }
}

/// A map to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapRequest {
    /// From 0, the finest.
    scale: usize,
    map: Map,
}

impl MapOptions {
    /// Where it goes.
    pub(super) fn path(&self) -> Option<&Path> {
        self.map.as_deref()
    }

    /// Refuses a map of several pairs.
    pub(super) fn check(&self, pairs: usize) -> Outcome {
        match &self.map {
            Some(path) if pairs > 1 => Err(Failure::Message(format!(
                "--map {}: a map is of one pair, and here are {pairs}; name one image to judge",
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    /// What is to be made, if anything is.
    pub(super) fn request(&self) -> Option<MapRequest> {
        self.map.as_ref().map(|_| MapRequest {
            scale: self.map_scale.wrapping_sub(1),
            map: self.map_term.into(),
        })
    }
}

impl MapRequest {
    /// Refuses scales that there are not.
    pub(super) fn check(&self, params: &Params) -> Outcome {
        if self.scale < params.scales {
            return Ok(());
        }
        Err(Failure::Message(format!(
            "--map-scale must be 1 to {}, the number of scales here",
            params.scales
        )))
    }

    /// The map, averaged over the channels; white at 1.
    pub(super) fn picture(
        &self,
        params: &Params,
        reference: &[Plane<'_>],
        distorted: &[Plane<'_>],
    ) -> Result<Picture, Error> {
        let size = reference.first().map(Plane::size).unwrap_or_default();
        let plan = MsSsim::new(size, 1, params)?;
        let map_size = plan.map_size(self.scale);
        let mut scratch = vec![0.0; plan.scratch_len()];
        let mut terms = vec![0.0; map_size.area()];
        let mut mean = vec![0.0; map_size.area()];
        for (x, y) in reference.iter().zip(distorted) {
            let mut out = PlaneMut::new(&mut terms, map_size)?;
            plan.map(x, y, self.scale, self.map, &mut out, &mut scratch)?;
            for (mean, term) in mean.iter_mut().zip(&terms) {
                *mean += term / reference.len() as f32;
            }
        }
        Ok(Picture::grey(map_size.width, map_size.height, mean, 1.0))
    }
}
