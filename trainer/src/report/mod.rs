//! Tables, pictures, curves and the HTML page of a finished run.

mod canvas;
pub mod contact_sheet;
pub mod curve;
pub mod grid;
pub mod page;
pub mod ranks;
pub mod scatter;
pub mod side_by_side;
pub mod table;

/// A drawing as a file of its own: there is no page that it could take its ink from.
pub fn standalone(drawing: &str) -> String {
    drawing.replace("currentColor", "#333")
}
