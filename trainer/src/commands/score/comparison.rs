//! One pair of pictures: made comparable, scored, and every error said with the files' names.

use msssim_core::{Error, MsSsim, Params, Plane, Pooling, ScaleMeans, Score, Size, Small};

use super::super::Failure;
use super::Arguments;
use super::channels::Channels;
use super::map::MapRequest;
use super::mask::MaskImage;
use super::pairs::Pair;
use super::place;
use crate::picture::Picture;
use crate::scorer::{ScoreError, Scorer, means};

/// What is computed of every pair.
pub(super) struct Comparer {
    pub(super) scorer: Scorer,
    /// The preset with the switches over it; the data range is a pair's own.
    pub(super) params: Params,
    preset: &'static str,
    channels: Channels,
    small: Small,
    data_range: Option<f64>,
    crop_border: usize,
    mask: Option<MaskImage>,
    per_scale: bool,
    map: Option<MapRequest>,
}

/// What comparing two pictures gave.
pub(super) struct Comparison {
    pub(super) score: Score,
    /// Those of the channels and their names, where there are several with scores of their own.
    pub(super) channels: Vec<(&'static str, Score)>,
    /// What the scores were made by: the parameters that this pair's size asks for.
    pub(super) params: Params,
    /// The size of each scale's map.
    pub(super) map_sizes: Vec<Size>,
    /// Whether the rule for small images applied.
    pub(super) small: bool,
    pub(super) map: Option<Picture>,
}

impl Comparer {
    /// Reads what all pairs share, and checks what is asked for before any is compared.
    pub(super) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let params = arguments.switches.over(&arguments.preset)?;
        let small = arguments.small.rule();
        if let Some(range) = arguments.data_range
            && !(1e-20..=1e20).contains(&range)
        {
            return Err(Failure::Message(
                "--data-range must be above 0, at least 1e-20 and at most 1e20".into(),
            ));
        }
        let map = arguments.map.request();
        if let Some(map) = &map {
            map.check(&params)?;
        }
        if arguments.mask.is_some() && params.pooling == Pooling::PixelProduct {
            return Err(Failure::Message(format!(
                "--mask: products pixel by pixel, which {} takes, have no masks; choose another \
                 preset or add --pooling means",
                arguments.preset.name()
            )));
        }
        let mask = arguments.mask.as_deref().map(MaskImage::open).transpose()?;
        Ok(Self {
            scorer: place::of(arguments.device, map.is_some())?,
            params,
            preset: arguments.preset.name(),
            channels: arguments.channels,
            small,
            data_range: arguments.data_range,
            crop_border: arguments.crop_border,
            mask,
            per_scale: arguments.per_scale,
            map,
        })
    }

    /// Compares two pictures.
    pub(super) fn compare(
        &self,
        reference: &Picture,
        distorted: &Picture,
        pair: &Pair,
    ) -> Result<Comparison, Failure> {
        let full = size(reference);
        if size(distorted) != full {
            return Err(Failure::Message(format!(
                "{}: has {} where {} has {full}; scale or crop one of them",
                pair.distorted.display(),
                size(distorted),
                pair.reference.display(),
            )));
        }
        let size = self.cropped_size(full, pair)?;
        let data_range = self.data_range(reference, distorted, pair)?;
        let params = Params {
            data_range,
            ..self.params
        };
        let name = |error| self.name(error, pair);
        let fitted = params.fitted(size, self.small).map_err(name)?;
        if let Some(map) = &self.map {
            map.check(&fitted)?;
        }

        let white = reference.data_range.max(distorted.data_range);
        let comparable = |picture: &Picture| Picture {
            // What is said of the range holds for black in luma too.
            data_range: data_range as f32,
            ..self.cropped(picture).with_data_range(white)
        };
        let [x, y] = self.channels.planes([reference, distorted].map(comparable));
        let (x, y) = (
            borrow(&x, size).map_err(name)?,
            borrow(&y, size).map_err(name)?,
        );

        let mask = self.mask_plane(full)?;
        let mask = mask.as_ref().map(|plane| Plane::new(plane, size));
        let mask = mask.transpose().map_err(name)?;
        let scores = self.scorer.scores(&fitted, &x, &y, mask.as_ref());
        let mut scores = scores.map_err(|error| match error {
            ScoreError::Metric(error) => self.name(error, pair),
            ScoreError::Device(error) => Failure::Message(format!(
                "{}, {}: {error}",
                pair.reference.display(),
                pair.distorted.display()
            )),
        })?;
        if self.per_scale && mask.is_none() && matches!(self.scorer, Scorer::Cpu) {
            let means = means(&fitted, &x, &y).map_err(name)?;
            for (score, means) in scores.iter_mut().zip(means) {
                *score = with_all_terms(score, &means);
            }
        }
        let map = self.map.as_ref().map(|map| map.picture(&fitted, &x, &y));
        let plan = MsSsim::new(size, 1, &fitted).map_err(name)?;
        let names = self.channels.names();
        Ok(Comparison {
            score: Score::mean(scores.iter().copied()),
            channels: match scores.len() == names.len() {
                true => names.iter().copied().zip(scores).collect(),
                false => Vec::new(),
            },
            params: fitted,
            map_sizes: (0..fitted.scales)
                .map(|scale| plan.map_size(scale))
                .collect(),
            small: fitted != params,
            map: map.transpose().map_err(name)?,
        })
    }

    /// The size of what is compared.
    fn cropped_size(&self, Size { width, height }: Size, pair: &Pair) -> Result<Size, Failure> {
        let crop = |side: usize| side.checked_sub(self.crop_border.saturating_mul(2));
        match crop(width).zip(crop(height)) {
            Some((width, height)) if width > 0 && height > 0 => Ok(Size { width, height }),
            _ => Err(Failure::Message(format!(
                "{}: --crop-border {} leaves nothing of {}",
                pair.distorted.display(),
                self.crop_border,
                Size { width, height }
            ))),
        }
    }

    /// A picture without its border.
    fn cropped(&self, picture: &Picture) -> Picture {
        let border = self.crop_border;
        if border == 0 {
            return picture.clone();
        }
        let (width, height) = (picture.width - 2 * border, picture.height - 2 * border);
        let crop = |plane: &Vec<f32>| {
            let rows = plane.chunks_exact(picture.width).skip(border).take(height);
            rows.flat_map(|row| &row[border..border + width])
                .copied()
                .collect()
        };
        Picture {
            width,
            height,
            planes: picture.planes.iter().map(crop).collect(),
            data_range: picture.data_range,
        }
    }

    /// White less black, in units of the deeper file.
    fn data_range(
        &self,
        reference: &Picture,
        distorted: &Picture,
        pair: &Pair,
    ) -> Result<f64, Failure> {
        match self.data_range {
            Some(_) if reference.data_range != distorted.data_range => {
                Err(Failure::Message(format!(
                    "{}, {}: --data-range is for files of one depth, and these have 8 and 16 bits; \
                     leave it out, or convert one of them",
                    pair.reference.display(),
                    pair.distorted.display()
                )))
            }
            Some(range) => Ok(range),
            None => Ok(f64::from(reference.data_range.max(distorted.data_range))),
        }
    }

    /// The weights of what is compared.
    fn mask_plane(&self, full: Size) -> Result<Option<Vec<f32>>, Failure> {
        let Some(MaskImage { path, picture }) = &self.mask else {
            return Ok(None);
        };
        if size(picture) != full {
            return Err(Failure::Message(format!(
                "{}: the mask has {} where the images have {full}; make it their size",
                path.display(),
                size(picture)
            )));
        }
        let weights = self.cropped(picture).planes.swap_remove(0);
        if weights.iter().all(|weight| *weight == 0.0) {
            return Err(Failure::Message(format!(
                "{}: the mask is black throughout, so that nothing would count; paint what counts \
                 white",
                path.display()
            )));
        }
        Ok(Some(weights))
    }

    /// The error of comparing two files, with their names and what to do.
    fn name(&self, error: Error, pair: &Pair) -> Failure {
        let (reference, distorted) = (pair.reference.display(), pair.distorted.display());
        Failure::Message(match error {
            Error::TooSmall { .. } if matches!(self.small, Small::Refuse) => format!(
                "{reference}: {error} for {}; add --small fewer-scales, replicate or reflect, or \
                 choose --preset snell-2017, which takes any size",
                self.preset
            ),
            Error::TooSmall { .. } => format!(
                "{reference}: {error}, even for one scale; --small replicate or reflect takes any \
                 size"
            ),
            error => format!("{reference}, {distorted}: {error}"),
        })
    }
}

/// A score with the means of all terms: its own where it has them.
fn with_all_terms(score: &Score, means: &Score) -> Score {
    let scales = score.scales().iter().zip(means.scales());
    let scales: Vec<ScaleMeans> = scales
        .map(|(own, all)| ScaleMeans {
            cs: own.cs,
            ssim: own.ssim.or(all.ssim),
            apart: own.apart.or(all.apart),
        })
        .collect();
    Score::new(score.value, &scales)
}

fn size(picture: &Picture) -> Size {
    Size {
        width: picture.width,
        height: picture.height,
    }
}

fn borrow(planes: &[Vec<f32>], size: Size) -> Result<Vec<Plane<'_>>, Error> {
    planes.iter().map(|plane| Plane::new(plane, size)).collect()
}
