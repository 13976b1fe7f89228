//! Extended Yale B (Georghiades, Belhumeur and Kriegman 2001; Lee, Ho and Kriegman 2005), cropped, as
//! it is distributed: a folder for each of 38 subjects, `yaleB01` to `yaleB39` without 14, with grey
//! PGM files of 168 x 192 pixels, 64 lights each.
//!
//! A name says who and where the light is: `yaleB01_P00A-035E+40.pgm` is subject 1 at azimuth -35
//! and elevation 40 degrees. A positive azimuth lights the image's left half, a positive elevation
//! comes from above. Left out are 18 files that ended in `.bad` when they were made, and a
//! picture in `Ambient` light for each subject: 2,414 remain.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{DataError, Faces, Problem};
use crate::patches::Images;
use crate::picture::Picture;
use crate::probe::Labels;
use crate::resize::resize;

/// The subjects: 1 to 39, but there is no 14.
pub const SUBJECTS: u32 = 39;
const NO_SUBJECT: u32 = 14;

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Who it is.
    pub subject: u32,
    /// Degrees to the image's left.
    pub azimuth: i32,
    /// Degrees upwards.
    pub elevation: i32,
}

impl Label {
    /// Reads `yaleBss_PppA+aaaE+ee.pgm`; `None` for any other name.
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("yaleB")?.strip_suffix(".pgm")?;
        let (subject, rest) = rest.split_once("_P")?;
        let (pose, rest) = rest.split_once('A')?;
        let (azimuth, elevation) = rest.split_once('E')?;
        let digits = |text: &str, count: usize| {
            let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<i32>().ok()).flatten()
        };
        let degrees = |text: &str, count: usize, most: i32| {
            let value = match text.split_at_checked(1)? {
                ("+", value) => digits(value, count)?,
                ("-", value) => -digits(value, count)?,
                _ => return None,
            };
            (value.abs() <= most).then_some(value)
        };
        digits(pose, 2)?;
        Some(Self {
            subject: u32::try_from(digits(subject, 2)?).ok()?,
            azimuth: degrees(azimuth, 3, 180)?,
            elevation: degrees(elevation, 2, 90)?,
        })
    }
}

/// Reads the set from its folder `CroppedYale`, or the one that holds it, as squares of `side` pixels:
/// resampled by an antialiased bicubic, which does not keep the proportions of 168 x 192.
///
/// # Errors
/// [`DataError`] names the file or folder and what is wrong with it: a subject without folder or
/// images, a name that does not parse, an image that cannot be decoded, is in colour, or is of
/// another size than the rest.
pub fn load(folder: &Path, side: usize) -> Result<Faces, DataError> {
    let folder = root(folder)?;
    let mut files = Vec::new();
    for subject in (1..=SUBJECTS).filter(|subject| *subject != NO_SUBJECT) {
        let of_subject = folder.join(format!("yaleB{subject:02}"));
        if !of_subject.is_dir() {
            return Err(Problem::NoSubject(subject).of(&folder));
        }
        files.extend(list(&of_subject, subject)?);
    }
    let faces: Vec<(usize, usize, Vec<u8>)> = files
        .par_iter()
        .map(|(path, _)| face(path, side))
        .collect::<Result<_, _>>()?;
    let (expected_width, expected_height, _) = faces[0];
    for ((path, _), (width, height, _)) in files.iter().zip(&faces) {
        if (*width, *height) != (expected_width, expected_height) {
            return Err(Problem::Size {
                width: *width,
                height: *height,
                expected_width,
                expected_height,
            }
            .of(path));
        }
    }
    let labels = || files.iter().map(|(_, label)| label);
    Ok(Faces {
        labels: Labels {
            subject: labels().map(|label| label.subject).collect(),
            azimuth: labels().map(|label| label.azimuth.into()).collect(),
            elevation: labels().map(|label| label.elevation.into()).collect(),
        },
        images: Images {
            width: side,
            height: side,
            channels: 1,
            samples: faces
                .into_iter()
                .flat_map(|(_, _, samples)| samples)
                .collect(),
        },
    })
}

/// The folder itself, or `CroppedYale` in it.
fn root(folder: &Path) -> Result<PathBuf, DataError> {
    fs::read_dir(folder).map_err(|error| Problem::Read(error).of(folder))?;
    let is_root = |folder: &Path| {
        let mut subjects = (1..=SUBJECTS).map(|subject| format!("yaleB{subject:02}"));
        subjects.any(|name| folder.join(name).is_dir())
    };
    let inner = folder.join("CroppedYale");
    if is_root(folder) {
        Ok(folder.to_owned())
    } else if is_root(&inner) {
        Ok(inner)
    } else {
        Err(Problem::NotYale.of(folder))
    }
}

/// A subject's files with a light, by name.
fn list(folder: &Path, subject: u32) -> Result<Vec<(PathBuf, Label)>, DataError> {
    let read = |error| Problem::Read(error).of(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".pgm") || name.ends_with("_Ambient.pgm") || name.starts_with('.') {
            continue;
        }
        let label = Label::parse(&name).ok_or_else(|| Problem::Label.of(&path))?;
        if label.subject != subject {
            return Err(Problem::OtherSubject(label.subject).of(&path));
        }
        files.push((path, label));
    }
    if files.is_empty() {
        return Err(Problem::NoFaces.of(folder));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

/// The size of a file's image, and the image as a square of 8-bit samples.
fn face(path: &Path, side: usize) -> Result<(usize, usize, Vec<u8>), DataError> {
    let picture = Picture::open(path).map_err(|error| Problem::Picture(error.problem).of(path))?;
    if !picture.is_grey() {
        return Err(Problem::Colour.of(path));
    }
    let Picture { width, height, .. } = picture;
    let picture = picture.with_data_range(255.0);
    let square = resize(&picture.planes[0], width, height, side, side);
    let samples = square
        .iter()
        .map(|v| (v + 0.5).floor().clamp(0.0, 255.0) as u8);
    Ok((width, height, samples.collect()))
}

#[cfg(test)]
mod tests;
