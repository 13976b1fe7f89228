//! White paper to put images and words on.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_7X13_BOLD};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::text::{Alignment, Text};

use crate::picture::Picture;

/// A rectangle of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// White paper.
pub(super) struct Canvas {
    pub(super) picture: Picture,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
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
    pub(super) fn paint(
        &mut self,
        picture: &Picture,
        part: Part,
        zoom: usize,
        top: usize,
        left: usize,
    ) {
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
    pub(super) fn frame(&mut self, top: usize, left: usize, height: usize, width: usize) {
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

    pub(super) fn text(&mut self, text: &str, centre: usize, baseline: usize, bold: bool) {
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
