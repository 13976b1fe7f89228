//! SRCNN: three convolutions from a bicubic image to a sharper one.
