//! Procedural images: occluding, textured shapes of power-law sizes.
