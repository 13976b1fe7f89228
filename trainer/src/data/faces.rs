//! Procedural faces under a light of known direction, so that the experiment on representations
//! needs no files.
//!
//! A face is a surface, height over the image plane: an ellipsoid with bumps and hollows for nose,
//! brows, eye sockets, cheeks, lips and chin, whose places and sizes are the subject's. Its albedo is
//! the subject's too: skin, hair line, brows, irises, lips, a few moles. A distant light shades it
//! by Lambert's law with a little of a highlight; what lies behind something higher on the way to the
//! light is in shadow. Every picture has its own light, a shift and a turn of a pixel or so, an
//! exposure and noise, so that pictures of a subject differ in more than the light.
//!
//! Angles are those of Extended Yale B: a positive azimuth lights the image's left half, a
//! positive elevation comes from above. Everything is computed with basic arithmetic and `libm`: the
//! same bits on every machine.

use rayon::prelude::*;

use super::Faces;
use crate::patches::Images;
use crate::probe::Labels;
use crate::random::Random;

/// Pictures of each subject.
const LIGHTS: u64 = 64;

/// Azimuths and elevations are drawn from these ranges, degrees.
const AZIMUTHS: (f64, f64) = (-110.0, 110.0);
const ELEVATIONS: (f64, f64) = (-40.0, 70.0);

/// Samples of the surface along a side of each pixel, for smooth edges.
const FINE: usize = 2;

/// Light that comes from everywhere.
const AMBIENT: f64 = 0.06;

/// `subjects` faces under 64 lights each, squares of `side` pixels in 8 bits.
///
/// # Panics
/// If there is no subject or no pixel.
pub fn procedural(seed: u64, subjects: u32, side: usize) -> Faces {
    assert!(
        subjects > 0 && side > 0,
        "{subjects} faces of {side} pixels"
    );
    let pictures: Vec<(u32, Light, Vec<u8>)> = (0..u64::from(subjects) * LIGHTS)
        .into_par_iter()
        .map(|number| {
            let subject = (number / LIGHTS) as u32;
            let mut random = Random::new(seed, "face picture", number);
            let light = Light::random(&mut random);
            let face = Face::random(seed, subject);
            (subject, light, face.picture(&light, side, &mut random))
        })
        .collect();
    Faces {
        labels: Labels {
            subject: pictures.iter().map(|picture| picture.0).collect(),
            azimuth: pictures.iter().map(|picture| picture.1.azimuth).collect(),
            elevation: pictures.iter().map(|picture| picture.1.elevation).collect(),
        },
        images: Images {
            width: side,
            height: side,
            channels: 1,
            samples: pictures.into_iter().flat_map(|picture| picture.2).collect(),
        },
    }
}

/// Where the light is, in degrees.
#[derive(Clone, Copy, Debug)]
struct Light {
    azimuth: f64,
    elevation: f64,
}

impl Light {
    fn random(random: &mut Random) -> Self {
        Self {
            azimuth: random.between(AZIMUTHS.0, AZIMUTHS.1),
            elevation: random.between(ELEVATIONS.0, ELEVATIONS.1),
        }
    }

    /// The unit vector to the light: image's right, upwards, towards the viewer.
    fn direction(&self) -> [f64; 3] {
        let [azimuth, elevation] = [self.azimuth, self.elevation].map(f64::to_radians);
        let cos = libm::cos(elevation);
        [
            -libm::sin(azimuth) * cos,
            libm::sin(elevation),
            libm::cos(azimuth) * cos,
        ]
    }
}

/// A bump or, if its height is negative, a hollow: a Gaussian of the place.
struct Bump {
    centre: [f64; 2],
    /// Its deviations, to the right and upwards.
    size: [f64; 2],
    height: f64,
}

impl Bump {
    fn at(&self, x: f64, y: f64) -> f64 {
        let [dx, dy] = [
            (x - self.centre[0]) / self.size[0],
            (y - self.centre[1]) / self.size[1],
        ];
        let distance = dx * dx + dy * dy;
        // Nothing is left of it further away.
        if distance > 40.0 {
            0.0
        } else {
            self.height * libm::exp(-0.5 * distance)
        }
    }
}

/// A subject. The image reaches from -1 to 1 in both directions, x to the right and y upwards.
struct Face {
    /// Half axes of the head.
    head: [f64; 3],
    bumps: Vec<Bump>,
    skin: f64,
    /// Height of the hair line, its slant, and how bright the hair is.
    hair: [f64; 3],
    /// Changes of the albedo.
    marks: Vec<Bump>,
    highlight: f64,
}

impl Face {
    fn random(seed: u64, subject: u32) -> Self {
        let mut random = Random::new(seed, "face", subject.into());
        let mut around =
            |middle: f64, spread: f64| random.between(middle - spread, middle + spread);
        let head = [around(0.86, 0.08), around(1.12, 0.1), around(0.62, 0.08)];
        let (eye_x, eye_y) = (around(0.36, 0.06), around(0.2, 0.06));
        let (nose_y, nose_length) = (around(-0.12, 0.05), around(0.2, 0.05));
        let nose_width = around(0.11, 0.03);
        let (mouth_y, mouth_width) = (around(-0.52, 0.06), around(0.25, 0.07));
        let bump = |centre, size, height| Bump {
            centre,
            size,
            height,
        };
        let mut bumps = vec![
            // The bridge of the nose, its tip, and the chin.
            bump(
                [0.0, nose_y + 0.12],
                [0.09, nose_length],
                around(0.13, 0.04),
            ),
            bump(
                [around(0.0, 0.02), nose_y - 0.1],
                [nose_width, 0.1],
                around(0.14, 0.05),
            ),
            bump(
                [0.0, around(-0.88, 0.04)],
                [around(0.2, 0.05), 0.12],
                around(0.1, 0.05),
            ),
            // Lips.
            bump(
                [0.0, mouth_y + 0.04],
                [mouth_width, 0.045],
                around(0.05, 0.02),
            ),
            bump(
                [0.0, mouth_y - 0.06],
                [0.9 * mouth_width, 0.05],
                around(0.05, 0.02),
            ),
            bump([0.0, mouth_y - 0.01], [mouth_width, 0.02], -0.03),
        ];
        let brow = around(0.07, 0.03);
        let socket = around(-0.11, 0.04);
        let cheek = [around(0.06, 0.04), around(-0.18, 0.08), around(0.2, 0.04)];
        for side in [-1.0, 1.0] {
            bumps.push(bump([side * eye_x, eye_y], [0.15, 0.1], socket));
            bumps.push(bump([side * eye_x, eye_y - 0.01], [0.07, 0.05], 0.05));
            bumps.push(bump([side * eye_x, eye_y + 0.17], [0.2, 0.06], brow));
            bumps.push(bump([side * 0.45, cheek[1]], [cheek[2], 0.2], cheek[0]));
        }
        let mut marks = Vec::new();
        let brows = [around(-0.3, 0.2), around(0.045, 0.02), around(0.17, 0.04)];
        let iris = around(-0.45, 0.15);
        let lips = around(-0.12, 0.12);
        for side in [-1.0, 1.0] {
            marks.push(bump(
                [side * eye_x, eye_y + brows[2]],
                [0.15, brows[1]],
                brows[0],
            ));
            marks.push(bump([side * eye_x, eye_y - 0.01], [0.05, 0.045], iris));
        }
        marks.push(bump([0.0, mouth_y - 0.01], [mouth_width, 0.06], lips));
        // A beard, or a little of one.
        marks.push(bump(
            [0.0, -0.75],
            [0.45, 0.22],
            around(-0.12, 0.12).min(0.0),
        ));
        for _ in 0..3 {
            let place = [around(0.0, 0.6), around(-0.2, 0.6)];
            let size = around(0.05, 0.02);
            marks.push(bump(place, [size, size], around(-0.15, 0.15)));
        }
        Self {
            head,
            bumps,
            skin: around(0.72, 0.2),
            hair: [around(0.72, 0.12), around(0.0, 0.12), around(0.3, 0.2)],
            marks,
            highlight: around(0.1, 0.08),
        }
    }

    /// Height over the image plane; falls off steeply beyond the head.
    fn height(&self, x: f64, y: f64) -> f64 {
        let [width, height, depth] = self.head;
        let inside = 1.0 - (x / width) * (x / width) - (y / height) * (y / height);
        let head = if inside > 0.0 {
            depth * inside.sqrt()
        } else {
            depth * inside.max(-1.5)
        };
        head + self.bumps.iter().map(|bump| bump.at(x, y)).sum::<f64>()
    }

    /// The share of light that is given back.
    fn albedo(&self, x: f64, y: f64) -> f64 {
        let [width, height, _] = self.head;
        if (x / width) * (x / width) + (y / height) * (y / height) > 1.0 {
            // A wall, not far behind.
            return 0.25;
        }
        let [line, slant, bright] = self.hair;
        let skin = self.skin * (1.0 + self.marks.iter().map(|mark| mark.at(x, y)).sum::<f64>());
        let hair = ((y - line - slant * x + 0.15 * x * x) / 0.08).clamp(0.0, 1.0);
        (skin + hair * (bright - skin)).clamp(0.02, 1.0)
    }

    /// A picture under a light, row by row from the top.
    fn picture(&self, light: &Light, side: usize, random: &mut Random) -> Vec<u8> {
        let pixel = 2.0 / side as f64;
        let shift = [(); 2].map(|()| random.between(-1.0, 1.0) * pixel);
        let turn = random.between(-3.0, 3.0).to_radians();
        let (sin, cos) = (libm::sin(turn), libm::cos(turn));
        let exposure = random.between(0.85, 1.15);

        let fine = side * FINE;
        let step = 2.0 / fine as f64;
        let place = |row: usize, column: usize| {
            let x = (column as f64 + 0.5) * step - 1.0 + shift[0];
            let y = 1.0 - (row as f64 + 0.5) * step + shift[1];
            (cos * x - sin * y, sin * x + cos * y)
        };
        let mut heights = vec![0.0; fine * fine];
        for (at, height) in heights.iter_mut().enumerate() {
            let (x, y) = place(at / fine, at % fine);
            *height = self.height(x, y);
        }
        // The light turns with the image's axes, not with the head.
        let towards = light.direction();
        let mut sums = vec![0.0; side * side];
        for row in 0..fine {
            for column in 0..fine {
                let normal = normal(&heights, fine, row, column, step);
                let lit = dot(normal, towards).max(0.0);
                let lit = if lit > 0.0 && in_shadow(&heights, fine, row, column, towards, step) {
                    0.0
                } else {
                    lit
                };
                // Blinn's highlight, halfway between the light and the viewer.
                let halfway = unit([towards[0], towards[1], towards[2] + 1.0]);
                let sharp = dot(normal, halfway).max(0.0);
                let sharp = sharp * sharp * sharp * sharp;
                let shine = if lit > 0.0 {
                    sharp * sharp * sharp
                } else {
                    0.0
                };
                let (x, y) = place(row, column);
                let albedo = self.albedo(x, y);
                sums[row / FINE * side + column / FINE] +=
                    albedo * (AMBIENT + lit) + self.highlight * shine;
            }
        }
        let scale = exposure * 235.0 / (FINE * FINE) as f64;
        sums.iter()
            .map(|sum| {
                (sum * scale + 2.0 * random.normal() + 0.5)
                    .floor()
                    .clamp(0.0, 255.0) as u8
            })
            .collect()
    }
}

/// The unit normal of the surface, by differences of its height.
fn normal(heights: &[f64], side: usize, row: usize, column: usize, step: f64) -> [f64; 3] {
    let at = |row: usize, column: usize| heights[row * side + column];
    let (left, right) = (column.saturating_sub(1), (column + 1).min(side - 1));
    let (above, below) = (row.saturating_sub(1), (row + 1).min(side - 1));
    let slope = |rise: f64, cells: usize| rise / (step * cells.max(1) as f64);
    let by_x = slope(at(row, right) - at(row, left), right - left);
    let by_y = slope(at(above, column) - at(below, column), below - above);
    unit([-by_x, -by_y, 1.0])
}

/// Whether something on the way to the light is higher than the ray.
fn in_shadow(
    heights: &[f64],
    side: usize,
    row: usize,
    column: usize,
    towards: [f64; 3],
    step: f64,
) -> bool {
    let across = towards[0].abs().max(towards[1].abs());
    if across < 1e-6 {
        return false;
    }
    // One cell along the longer of both directions at a time.
    let (by_column, by_row) = (towards[0] / across, -towards[1] / across);
    let rise = towards[2] / across * step;
    let begin = heights[row * side + column];
    for cells in 1..side {
        let cells = cells as f64;
        let column = (column as f64 + by_column * cells + 0.5).floor();
        let row = (row as f64 + by_row * cells + 0.5).floor();
        let end = side as f64;
        if !(0.0..end).contains(&column) || !(0.0..end).contains(&row) {
            return false;
        }
        // A little above the surface, which is made of steps.
        if heights[row as usize * side + column as usize] > begin + rise * cells + 1.5 * step {
            return true;
        }
    }
    false
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = dot(v, v).sqrt().max(1e-12);
    v.map(|component| component / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean brightness of the picture's left and right half, and of its upper and lower half.
    fn halves(picture: &[u8], side: usize) -> [f64; 4] {
        let mut sums = [0.0; 4];
        for (at, level) in picture.iter().enumerate() {
            let (row, column) = (at / side, at % side);
            sums[usize::from(column >= side / 2)] += f64::from(*level);
            sums[2 + usize::from(row >= side / 2)] += f64::from(*level);
        }
        sums.map(|sum| sum / (side * side / 2) as f64)
    }

    #[test]
    fn the_light_is_where_the_labels_say() {
        let side = 32;
        let of = |azimuth, elevation| {
            let face = Face::random(1, 3);
            let light = Light { azimuth, elevation };
            let picture = face.picture(&light, side, &mut Random::new(1, "test", 0));
            halves(&picture, side)
        };
        let [left, right, ..] = of(60.0, 0.0);
        assert!(left > right + 20.0, "{left} {right}");
        let [left, right, ..] = of(-60.0, 0.0);
        assert!(right > left + 20.0, "{left} {right}");
        let [.., upper, lower] = of(0.0, 60.0);
        let [.., upper_below, lower_below] = of(0.0, -40.0);
        assert!(upper - lower > upper_below - lower_below + 20.0);
        let bright = |halves: [f64; 4]| halves[0] + halves[1];
        assert!(bright(of(0.0, 0.0)) > 1.5 * bright(of(100.0, 0.0)));
    }

    #[test]
    fn a_set_is_balanced_and_its_subjects_differ() {
        let faces = procedural(1, 3, 24);
        assert_eq!(faces.images.len(), 192);
        let count = |subject| {
            faces
                .labels
                .subject
                .iter()
                .filter(|s| **s == subject)
                .count()
        };
        assert_eq!([count(0), count(1), count(2)], [64; 3]);
        let inside = |values: &[f64], (low, high): (f64, f64)| {
            values.iter().all(|v| (low..high).contains(v))
        };
        assert!(inside(&faces.labels.azimuth, AZIMUTHS));
        assert!(inside(&faces.labels.elevation, ELEVATIONS));
        // The same light on two subjects gives two pictures.
        let light = Light {
            azimuth: 10.0,
            elevation: 10.0,
        };
        let of = |subject| {
            let face = Face::random(1, subject);
            face.picture(&light, 24, &mut Random::new(1, "test", 0))
        };
        let difference: u64 = of(0)
            .iter()
            .zip(of(1))
            .map(|(a, b)| u64::from(a.abs_diff(b)))
            .sum();
        assert!(difference > 5 * 24 * 24, "{difference}");
    }

    #[test]
    fn pinned_on_every_machine() {
        let faces = procedural(1, 1, 8);
        let hash = |samples: &[u8]| {
            samples.iter().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
            })
        };
        assert_eq!(hash(&faces.images.samples), 1_705_729_962_444_654_821);
        assert_eq!(procedural(1, 1, 8).images.samples, faces.images.samples);
    }
}
