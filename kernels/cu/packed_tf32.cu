// Convolutions of many channels on tensor cores, factors rounded to 10 bits of fraction: packed_*, pack and pack_weights.
#include "packed.cuh"

PACKED(TF32)
