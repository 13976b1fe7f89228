//! Tables, pictures, curves and the HTML page of a finished run.

pub mod curve;
pub mod page;
pub mod side_by_side;
pub mod table;
