//! Checkpoints: everything that a training run needs to go on, in one safetensors file.
