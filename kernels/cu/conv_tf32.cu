// Layers and their gradients on tensor cores, factors rounded to 10 bits of fraction: conv_* and dense_*.
#include "conv.cuh"

PRODUCTS(TF32)
