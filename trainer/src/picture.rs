//! An image in memory, and image files of every kind in and out.

/// An image as planes of samples in the file's own units.
///
/// One plane is grey, three are red, green and blue. Rows follow each other without gaps, so
/// sample (row, column) of a plane is at `row * width + column`.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// One plane for grey, three for RGB; each `width * height` samples in 0 to `data_range`.
    pub planes: Vec<Vec<f32>>,
    /// The value of white: 255 for 8-bit files, 65535 for 16-bit ones.
    pub data_range: f32,
}
