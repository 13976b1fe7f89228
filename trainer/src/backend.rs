//! What a network needs of a device, and the CPU as one.
