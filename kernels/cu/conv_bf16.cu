// Layers and their gradients on tensor cores, factors rounded to 7 bits of fraction: conv_* and dense_*.
#include "conv.cuh"

PRODUCTS(BF16)
