// Layers and their gradients in single precision: conv_* and dense_*.
#include "conv.cuh"

PRODUCTS(F32)
