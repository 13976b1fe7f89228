//! Tables, pictures, curves and the HTML page of a finished run.
