//! One picture of the same image by several methods, with a magnified detail of each.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_7X13_BOLD};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::text::{Alignment, Text};

use crate::picture::Picture;

/// The largest side of the part of an image that is shown.
const PART: usize = 240;

/// Magnification of the detail.
const ZOOM: usize = 4;

/// Space around panels, in pixels.
const GAP: usize = 12;

/// Height of the two lines of text above a panel.
const CAPTION: usize = 36;

/// One method's image.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What made it.
    pub title: String,
    /// How good it is.
    pub caption: String,
    /// The image, grey or RGB.
    pub picture: Picture,
}

/// A rectangle of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    row: usize,
    column: usize,
    height: usize,
    width: usize,
}

/// The panels next to each other, the original first: above a part of each image, below a detail
/// four times as large.
///
/// The detail is where the second panel, the plainest method, is furthest from the original.
///
/// # Panics
/// If there are fewer than two panels, or their images differ in size.
pub fn side_by_side(panels: &[Panel]) -> Picture {
    let [original, plainest, ..] = panels else {
        panic!("nothing to compare")
    };
    let (width, height) = (original.picture.width, original.picture.height);
    let same = |panel: &Panel| (panel.picture.width, panel.picture.height) == (width, height);
    assert!(panels.iter().all(same), "panels of different sizes");

    let (shown_width, shown_height) = (width.min(PART), height.min(PART));
    let detail = most_different(
        &original.picture,
        &plainest.picture,
        (shown_height / 2).clamp(1, PART / ZOOM).min(shown_height),
        (shown_width / ZOOM).max(1),
    );
    let around = |at: usize, len: usize, shown: usize, side: usize| {
        (at + len / 2).saturating_sub(shown / 2).min(side - shown)
    };
    let part = Part {
        row: around(detail.row, detail.height, shown_height, height),
        column: around(detail.column, detail.width, shown_width, width),
        height: shown_height,
        width: shown_width,
    };

    let step = shown_width.max(detail.width * ZOOM) + GAP;
    let detail_top = CAPTION + GAP + shown_height + GAP;
    let mut canvas = Canvas::new(
        GAP + step * panels.len(),
        detail_top + detail.height * ZOOM + GAP,
    );
    for (i, panel) in panels.iter().enumerate() {
        let left = GAP + i * step;
        canvas.text(&panel.title, left + shown_width / 2, 18, true);
        canvas.text(&panel.caption, left + shown_width / 2, 35, false);
        canvas.paint(&panel.picture, part, 1, CAPTION + GAP / 2, left);
        canvas.paint(&panel.picture, detail, ZOOM, detail_top, left);
        canvas.frame(
            CAPTION + GAP / 2 + detail.row - part.row,
            left + detail.column - part.column,
            detail.height,
            detail.width,
        );
    }
    canvas.picture
}

/// The rectangle of a size in which two images differ most, on a grid of quarters of it.
fn most_different(a: &Picture, b: &Picture, height: usize, width: usize) -> Part {
    let difference = |row: usize, column: usize| -> f64 {
        let mut sum = 0.0;
        for (a_plane, b_plane) in a.planes.iter().zip(&b.planes) {
            for i in row..row + height {
                let line = i * a.width + column;
                let pairs = a_plane[line..][..width]
                    .iter()
                    .zip(&b_plane[line..][..width]);
                sum += pairs
                    .map(|(x, y)| f64::from((x - y) * (x - y)))
                    .sum::<f64>();
            }
        }
        sum
    };
    let grid = |side: usize, part: usize| (0..=side - part).step_by((part / 4).max(1));
    let mut best = (
        f64::NEG_INFINITY,
        Part {
            row: 0,
            column: 0,
            height,
            width,
        },
    );
    for row in grid(a.height, height) {
        for column in grid(a.width, width) {
            let difference = difference(row, column);
            if difference > best.0 {
                best = (
                    difference,
                    Part {
                        row,
                        column,
                        ..best.1
                    },
                );
            }
        }
    }
    best.1
}

/// White paper.
struct Canvas {
    picture: Picture,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        let planes = vec![vec![255.0; width * height]; 3];
        Self {
            picture: Picture {
                width,
                height,
                planes,
                data_range: 255.0,
            },
        }
    }

    fn set(&mut self, row: usize, column: usize, rgb: [f32; 3]) {
        let at = row * self.picture.width + column;
        for (plane, sample) in self.picture.planes.iter_mut().zip(rgb) {
            plane[at] = sample;
        }
    }

    /// Paints a part of an image, each pixel as a square of `zoom`.
    fn paint(&mut self, picture: &Picture, part: Part, zoom: usize, top: usize, left: usize) {
        let scale = 255.0 / picture.data_range;
        for i in 0..part.height * zoom {
            for j in 0..part.width * zoom {
                let (row, column) = (part.row + i / zoom, part.column + j / zoom);
                let at = row * picture.width + column;
                let sample = |c: usize| picture.planes[c.min(picture.planes.len() - 1)][at] * scale;
                self.set(top + i, left + j, [sample(0), sample(1), sample(2)]);
            }
        }
    }

    /// A thin red frame.
    fn frame(&mut self, top: usize, left: usize, height: usize, width: usize) {
        let red = [230.0, 30.0, 30.0];
        for column in left..left + width {
            self.set(top, column, red);
            self.set(top + height - 1, column, red);
        }
        for row in top..top + height {
            self.set(row, left, red);
            self.set(row, left + width - 1, red);
        }
    }

    fn text(&mut self, text: &str, centre: usize, baseline: usize, bold: bool) {
        let (font, ink) = if bold {
            (&FONT_7X13_BOLD, Rgb888::BLACK)
        } else {
            (&FONT_7X13, Rgb888::new(80, 80, 80))
        };
        let style = MonoTextStyle::new(font, ink);
        let at = Point::new(centre as i32, baseline as i32);
        // Drawing on this canvas cannot fail.
        let _ = Text::with_alignment(text, at, style, Alignment::Center).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.picture.width as u32, self.picture.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = core::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(at, ink) in pixels {
            let inside = |at: i32, side: usize| usize::try_from(at).ok().filter(|at| *at < side);
            let row = inside(at.y, self.picture.height);
            if let (Some(row), Some(column)) = (row, inside(at.x, self.picture.width)) {
                let rgb = [ink.r(), ink.g(), ink.b()].map(f32::from);
                self.set(row, column, rgb);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(picture: Picture) -> Panel {
        Panel {
            title: "title".into(),
            caption: "caption".into(),
            picture,
        }
    }

    #[test]
    fn the_detail_is_where_the_images_differ() {
        let plain = Picture::grey(64, 48, vec![10.0; 64 * 48], 255.0);
        let mut marked = plain.clone();
        for row in 30..38 {
            for column in 40..48 {
                marked.planes[0][row * 64 + column] = 200.0;
            }
        }
        let part = most_different(&plain, &marked, 8, 8);
        assert_eq!((part.row, part.column), (30, 40));
    }

    #[test]
    fn images_of_any_size_fit_the_canvas() {
        for (width, height) in [(1, 1), (3, 200), (700, 5), (300, 400)] {
            let picture = Picture::grey(width, height, vec![128.0; width * height], 255.0);
            let shown = side_by_side(&[panel(picture.clone()), panel(picture)]);
            assert!(shown.width > 2 * width.min(PART) && shown.height > height.min(PART));
        }
    }
}
