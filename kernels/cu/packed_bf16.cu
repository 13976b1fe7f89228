// Convolutions of many channels on tensor cores, factors rounded to 7 bits of fraction: packed_*, pack and pack_weights.
#include "packed.cuh"

PACKED(BF16)
