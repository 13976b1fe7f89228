//! The super-resolution protocol: quality of an upscaled image.
