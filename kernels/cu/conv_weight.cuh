// The gradient of a convolution by its weights and biases.
//
// A product over all outputs of all images, which are divided into parts that blocks sum side by side;
// `conv_weight_sum` adds the parts up in their order. The bias is a weight of a sample that is always 1.
//
// Grid: blocks of 128 of a channel's weights and its bias, blocks of 8 WIDTH output channels, parts.
// `taps` and `in` as for `conv_forward`; `outputs` has for every output the first sample that it saw and
// its place in the first channel of `dout`.
#pragma once
#include "conv.cuh"

namespace conv_weight {

// What one weight met, output after output.
struct Met {
  const float* tap;
  const int2* outputs;
  bool bias;

  __device__ __forceinline__ float operator()(int step) const { return bias ? 1.0f : tap[outputs[step].x]; }
};

// The gradients of a tile's columns, which are channels; columns beyond the last repeat it, and their sums
// are dropped.
struct Gradients {
  const float* dout;
  const int2* outputs;
  int area, last;

  __device__ __forceinline__ float operator()(int step, int column) const {
    return dout[outputs[step].y + (long long)min(column, last) * area];
  }
};

// `parts` receives, part after part, for each output channel its weights' gradients and its bias's.
template <Math MATH, int WIDTH>
__device__ __forceinline__ void backward(const Conv& conv, const Tap* taps, const int2* outputs, const float* in,
                                         const float* dout, int of_part, float* parts) {
  const int count = conv.images * conv.out_area, weights = conv.in_channels * conv.kernel * conv.kernel;
  const int own = blockIdx.x * THREADS + threadIdx.x;
  const int begin = blockIdx.z * of_part, depth = min(of_part, count - begin);
  // Rows beyond the last weight repeat it, and their sums are dropped.
  const Met met = {in + taps[min(own, weights - 1)].offset, outputs + begin, own == weights};
  const int first = blockIdx.y * 8 * WIDTH;
  const Gradients gradients = {dout + (long long)first * conv.out_area, outputs + begin, conv.out_area,
                               conv.out_channels - 1 - first};
  Tile<MATH, WIDTH> tile;
  tile.multiply(met, gradients, depth);
  tile.each([&](int row, int column, float v) {
    const int channel = first + column, weight = blockIdx.x * THREADS + row;
    if (channel >= conv.out_channels || weight > weights) return;
    parts[((long long)blockIdx.z * conv.out_channels + channel) * (weights + 1) + weight] = v;
  });
}

}  // namespace conv_weight

#define CONV_WEIGHT(name, MATH, WIDTH)                                                                       \
  extern "C" __global__ void __launch_bounds__(THREADS, WIDTH == 8 ? 2 : 3)                                  \
      name(Conv conv, const Tap* __restrict__ taps, const int2* __restrict__ outputs,                        \
           const float* __restrict__ in, const float* __restrict__ dout, int of_part,                        \
           float* __restrict__ parts) {                                                                      \
    conv_weight::backward<MATH, WIDTH>(conv, taps, outputs, in, dout, of_part, parts);                       \
  }
