// Convolutions and their gradients in single precision: conv_forward_*, conv_input_*, conv_weight_*.
#include "conv_forward.cuh"
#include "conv_input.cuh"
#include "conv_weight.cuh"

ALL_WIDTHS(CONV_FORWARD, conv_forward, F32)
ALL_WIDTHS(CONV_INPUT, conv_input, F32)
ALL_WIDTHS(CONV_WEIGHT, conv_weight, F32)
