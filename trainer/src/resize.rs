//! MATLAB-compatible bicubic resampling.
