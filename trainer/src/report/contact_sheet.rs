//! Many small images in rows and columns, as `images`, by several methods.

use super::canvas::{Canvas, Part};
use crate::picture::Picture;

/// The space between images, in pixels.
const GAP: usize = 6;

/// Height of a line of text.
const LINE: usize = 18;

/// Width of a character of the titles.
const CHARACTER: usize = 7;

/// A column of a sheet.
#[derive(Clone, Debug)]
pub struct Column {
    /// What its images have in common; lines of a few words.
    pub title: Vec<String>,
    /// One image for each row, all of one size.
    pub images: Vec<Picture>,
}

/// The columns next to each other, under their titles, each pixel as a square of `zoom`.
///
/// # Panics
/// If the images differ in size, the columns in length, or there are none.
pub fn contact_sheet(columns: &[Column], zoom: usize) -> Picture {
    let Some(first) = columns.first().and_then(|column| column.images.first()) else {
        panic!("a sheet without images")
    };
    let (width, height) = (first.width, first.height);
    let rows = columns[0].images.len();
    let lines = columns
        .iter()
        .map(|column| column.title.len())
        .max()
        .unwrap_or(0);
    let words = columns.iter().flat_map(|column| &column.title);
    let longest = words.map(|line| line.chars().count()).max().unwrap_or(0);
    let step = (width * zoom).max(longest * CHARACTER) + GAP;
    let top = GAP + lines * LINE;
    let mut canvas = Canvas::new(
        GAP + step * columns.len(),
        top + (height * zoom + GAP) * rows,
    );
    let whole = Part {
        row: 0,
        column: 0,
        height,
        width,
    };
    for (i, column) in columns.iter().enumerate() {
        assert!(column.images.len() == rows, "columns of different lengths");
        let centre = GAP + i * step + (step - GAP) / 2;
        for (line, text) in column.title.iter().enumerate() {
            canvas.text(text, centre, (line + 1) * LINE - 4, line == 0);
        }
        for (row, image) in column.images.iter().enumerate() {
            assert!(
                (image.width, image.height) == (width, height),
                "images of different sizes"
            );
            let left = centre - width * zoom / 2;
            canvas.paint(image, whole, zoom, top + row * (height * zoom + GAP), left);
        }
    }
    canvas.picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_where_they_belong() {
        let image = |level| Picture::grey(2, 3, vec![level; 6], 1.0);
        let column = |levels: [f32; 2]| Column {
            title: vec!["a".into(), "b c".into()],
            images: levels.map(image).into(),
        };
        let sheet = contact_sheet(&[column([0.0, 0.25]), column([0.5, 0.75])], 20);
        let (across, down) = (2 * 20 + GAP, 3 * 20 + GAP);
        let top = GAP + 2 * LINE;
        assert_eq!(
            (sheet.width, sheet.height),
            (GAP + 2 * across, top + 2 * down)
        );
        let at = |row: usize, column: usize| {
            sheet.planes[0][(top + row * down) * sheet.width + GAP + column * across] / 255.0
        };
        assert_eq!(
            [at(0, 0), at(1, 0), at(0, 1), at(1, 1)],
            [0.0, 0.25, 0.5, 0.75]
        );
    }
}
