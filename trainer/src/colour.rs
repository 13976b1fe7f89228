//! Colour conversions: full-range luma, and the studio-range YCbCr of MATLAB.
