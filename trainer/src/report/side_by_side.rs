//! One picture of the same image by several methods, with a magnified detail of each.

use super::canvas::{Canvas, Part};
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
