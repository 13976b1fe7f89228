//! The layers of the networks, forward and backward.
