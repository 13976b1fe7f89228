//! Procedural images: occluding, textured shapes of power-law sizes, the "dead leaves" model.
//!
//! Shapes that fall on one another, with sizes distributed as 1 / r^3, share the statistics of
//! natural images that matter to upscaling: occlusion edges, scale invariance, flat and textured
//! regions side by side (Lee, Mumford and Huang 2001). Everything is computed with basic arithmetic
//! and `libm`, so an image is the same, bit for bit, on every machine.

use crate::picture::Picture;
use crate::random::Random;

/// The smallest radius of a leaf in pixels.
const SMALLEST: f64 = 6.0;

/// How often the leaves would cover the image if they did not overlap.
const COVERAGE: f64 = 4.0;

/// Image `index` of the series that `seed` names: RGB, 8 bits, made of leaves on a backdrop.
///
/// # Panics
/// If a side is 0.
pub fn dead_leaves(seed: u64, index: u64, width: usize, height: usize) -> Picture {
    assert!(width > 0 && height > 0, "an image of {width} x {height}");
    let mut random = Random::new(seed, "dead leaves", index);
    let mut planes = vec![vec![0.0f64; width * height]; 3];
    let backdrop = Leaf::backdrop(&mut random, width, height);
    backdrop.paint(&mut planes, width, height);
    let largest = (0.4 * width.min(height) as f64).max(2.0 * SMALLEST);
    let mut area = 0.0;
    while area < COVERAGE * (width * height) as f64 {
        let leaf = Leaf::random(&mut random, width, height, largest);
        area += core::f64::consts::PI * leaf.radius * leaf.radius;
        leaf.paint(&mut planes, width, height);
    }
    let level = |sample: f64| (sample * 255.0 + 0.5).floor().clamp(0.0, 255.0) as f32;
    let planes = planes
        .into_iter()
        .map(|plane| plane.into_iter().map(level).collect())
        .collect();
    Picture {
        width,
        height,
        planes,
        data_range: 255.0,
    }
}

/// A shape with a texture.
struct Leaf {
    /// Centre, (row, column) in pixels.
    centre: (f64, f64),
    /// No part is further from the centre.
    radius: f64,
    outline: Outline,
    texture: Texture,
    /// The two colours that the texture mixes.
    colours: [[f64; 3]; 2],
}

enum Outline {
    Disc,
    /// The convex region where every `row * a + column * b <= c`, relative to the centre.
    Polygon(Vec<(f64, f64, f64)>),
}

/// How much of the second colour a point takes.
struct Texture {
    kind: TextureKind,
    /// Unit vector, (row, column), along which it varies.
    direction: (f64, f64),
    /// Pixels of a period, or of a whole gradient.
    length: f64,
    phase: f64,
}

#[derive(Clone, Copy)]
enum TextureKind {
    Flat,
    Gradient,
    Waves,
    Stripes,
    Checks,
}

impl Leaf {
    fn backdrop(random: &mut Random, width: usize, height: usize) -> Self {
        let (row, column) = (height as f64 / 2.0, width as f64 / 2.0);
        let radius = row + column;
        let mut texture = Texture::random(random, radius);
        texture.kind = TextureKind::Gradient;
        Self {
            centre: (row, column),
            radius,
            outline: Outline::Disc,
            texture,
            colours: [colour(random), colour(random)],
        }
    }

    fn random(random: &mut Random, width: usize, height: usize, largest: f64) -> Self {
        // The inverse of the cumulative distribution of 1 / r^3 between the two cut-offs.
        let tail = (SMALLEST / largest) * (SMALLEST / largest);
        let radius = SMALLEST / libm::sqrt(1.0 - random.unit() * (1.0 - tail));
        let centre = (
            random.between(-0.5 * radius, height as f64 + 0.5 * radius),
            random.between(-0.5 * radius, width as f64 + 0.5 * radius),
        );
        let outline = match random.below(10) {
            0..4 => Outline::Disc,
            4..7 => Outline::regular(random, radius),
            _ => Outline::strip(random, radius),
        };
        let texture = Texture::random(random, radius);
        Self {
            centre,
            radius,
            outline,
            texture,
            colours: [colour(random), colour(random)],
        }
    }

    /// Paints the leaf over what is there; its edge is as soft as a pixel is wide.
    fn paint(&self, planes: &mut [Vec<f64>], width: usize, height: usize) {
        let range = |centre: f64, side: usize| {
            let first = (centre - self.radius - 1.0).floor().clamp(0.0, side as f64) as usize;
            let end = (centre + self.radius + 2.0).ceil().clamp(0.0, side as f64) as usize;
            first..end
        };
        for i in range(self.centre.0, height) {
            for j in range(self.centre.1, width) {
                let (row, column) = (i as f64 - self.centre.0, j as f64 - self.centre.1);
                let cover = (0.5 - self.outline.distance(row, column, self.radius)).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let second = self.texture.at(row, column);
                    for (c, plane) in planes.iter_mut().enumerate() {
                        let colour =
                            self.colours[0][c] * (1.0 - second) + self.colours[1][c] * second;
                        let sample = &mut plane[i * width + j];
                        *sample += cover * (colour - *sample);
                    }
                }
            }
        }
    }
}

impl Outline {
    /// A regular polygon of three to six sides.
    fn regular(random: &mut Random, radius: f64) -> Self {
        let sides = 3 + random.below(4);
        let turn = random.between(0.0, core::f64::consts::TAU);
        let step = core::f64::consts::TAU / sides as f64;
        let inner = radius * libm::cos(step / 2.0);
        let side = |k| {
            let angle = turn + step * k as f64;
            (libm::sin(angle), libm::cos(angle), inner)
        };
        Self::Polygon((0..sides).map(side).collect())
    }

    /// A straight strip, much longer than it is wide.
    fn strip(random: &mut Random, radius: f64) -> Self {
        let angle = random.between(0.0, core::f64::consts::TAU);
        let half = random.between(0.7, 0.7 + radius / 5.0);
        let length = libm::sqrt((radius * radius - half * half).max(1.0));
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        Self::Polygon(vec![
            (sin, cos, length),
            (-sin, -cos, length),
            (cos, -sin, half),
            (-cos, sin, half),
        ])
    }

    /// How far a point lies outside, in pixels; negative inside.
    fn distance(&self, row: f64, column: f64, radius: f64) -> f64 {
        match self {
            Self::Disc => libm::sqrt(row * row + column * column) - radius,
            Self::Polygon(sides) => sides
                .iter()
                .map(|(a, b, c)| row * a + column * b - c)
                .fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Texture {
    fn random(random: &mut Random, radius: f64) -> Self {
        let kind = match random.below(10) {
            0..3 => TextureKind::Flat,
            3..6 => TextureKind::Gradient,
            6..8 => TextureKind::Waves,
            8 => TextureKind::Stripes,
            _ => TextureKind::Checks,
        };
        let angle = random.between(0.0, core::f64::consts::TAU);
        let length = match kind {
            TextureKind::Flat | TextureKind::Gradient => 2.0 * radius,
            // Periods from 6 to 32 pixels, each octave equally likely.
            _ => 6.0 * libm::exp2(random.between(0.0, 2.4)),
        };
        let direction = (libm::sin(angle), libm::cos(angle));
        Self {
            kind,
            direction,
            length,
            phase: random.unit(),
        }
    }

    /// The share of the second colour at a point, 0 to 1.
    fn at(&self, row: f64, column: f64) -> f64 {
        let (a, b) = self.direction;
        let along = (row * a + column * b) / self.length + self.phase;
        let across = (column * a - row * b) / self.length;
        match self.kind {
            TextureKind::Flat => 0.0,
            TextureKind::Gradient => (along - self.phase + 0.5).clamp(0.0, 1.0),
            TextureKind::Waves => 0.5 + 0.5 * libm::sin(core::f64::consts::TAU * along),
            TextureKind::Stripes => self.soft_square(along),
            TextureKind::Checks => {
                let (p, q) = (self.soft_square(along), self.soft_square(across));
                p + q - 2.0 * p * q
            }
        }
    }

    /// A square wave of period 1 whose edges are as soft as a pixel is wide.
    fn soft_square(&self, at: f64) -> f64 {
        let triangle = libm::fabs(at - libm::floor(at) - 0.5) - 0.25;
        (0.5 + triangle * self.length).clamp(0.0, 1.0)
    }
}

/// Any brightness, with a little colour.
fn colour(random: &mut Random) -> [f64; 3] {
    let brightness = random.between(0.05, 0.95);
    [(); 3].map(|()| brightness + random.between(-0.15, 0.15))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over the samples as bytes.
    fn hash(picture: &Picture) -> u64 {
        picture
            .to_bytes()
            .iter()
            .fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
            })
    }

    #[test]
    fn pinned_on_every_machine() {
        assert_eq!(hash(&dead_leaves(1, 0, 96, 64)), 12_611_078_589_728_998_744);
        assert_eq!(hash(&dead_leaves(2, 7, 33, 33)), 18_184_567_710_482_395_943);
    }

    #[test]
    fn any_size_is_legal_and_images_differ() {
        for (width, height) in [(1, 1), (1, 40), (17, 3)] {
            let picture = dead_leaves(1, 0, width, height);
            assert_eq!(
                (picture.width, picture.height, picture.planes.len()),
                (width, height, 3)
            );
        }
        assert_ne!(dead_leaves(1, 0, 32, 32), dead_leaves(1, 1, 32, 32));
        assert_ne!(dead_leaves(1, 0, 32, 32), dead_leaves(2, 0, 32, 32));
    }
}
