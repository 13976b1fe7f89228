// out = activation(weights * in + bias).
//
// Grid: blocks of 128 outputs counted through all images, blocks of 8 WIDTH channels. `taps` has
// in_channels x kernel x kernel steps, `in` its border.
#pragma once
#include "conv.cuh"

namespace conv_forward {

template <Math MATH, int WIDTH>
__device__ __forceinline__ void forward(const Conv& conv, const Tap* taps, const float* in, const float* weights,
                                        const float* bias, float* out) {
  const int area = conv.out_area, outputs = conv.images * area;
  const int depth = conv.in_channels * conv.kernel * conv.kernel;
  // Rows beyond the last repeat it, and their sums are dropped.
  const int own = min((int)(blockIdx.x * THREADS + threadIdx.x), outputs - 1), pixel = own % area;
  const long long image = (long long)(own / area) * conv.in_channels * conv.in_area;
  const int row = pixel / conv.out_width * conv.stride, column = pixel % conv.out_width * conv.stride;
  const Gathered gathered = {in + image + row * conv.in_width + column, taps};
  const int first = blockIdx.y * 8 * WIDTH;
  const Weights of_tile = {weights + (long long)first * depth, taps, depth, conv.out_channels - 1 - first};
  Tile<MATH, WIDTH> tile;
  tile.multiply(gathered, of_tile, depth);
  tile.each([&](int row, int column, float v) {
    const int channel = first + column, output = blockIdx.x * THREADS + row;
    if (channel >= conv.out_channels || output >= outputs) return;
    v += bias[channel];
    // NaN stays NaN.
    if (conv.relu) v = v < 0.0f ? 0.0f : v;
    out[((long long)(output / area) * conv.out_channels + channel) * area + output % area] = v;
  });
}

}  // namespace conv_forward

#define CONV_FORWARD(name, MATH, WIDTH)                                                                      \
  extern "C" __global__ void __launch_bounds__(THREADS, WIDTH == 8 ? 2 : 3)                                  \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ in,                            \
           const float* __restrict__ weights, const float* __restrict__ bias, float* __restrict__ out) {     \
    conv_forward::forward<MATH, WIDTH>(conv, taps, in, weights, bias, out);                                  \
  }
