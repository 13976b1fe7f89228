// Convolutions and their gradients on tensor cores, factors rounded to 10 bits of fraction: conv_forward_*, conv_input_*, conv_weight_*.
#include "conv_forward.cuh"
#include "conv_input.cuh"
#include "conv_weight.cuh"

ALL_WIDTHS(CONV_FORWARD, conv_forward, TF32)
ALL_WIDTHS(CONV_INPUT, conv_input, TF32)
ALL_WIDTHS(CONV_WEIGHT, conv_weight, TF32)
