// out = activation(weights * in + bias).
//
// Grid: blocks of 128 outputs counted through all images, blocks of 8 WIDTH channels. `taps` has
// in_channels x kernel x kernel steps: plane offset in the input, row and column of the kernel, place in
// a channel's weights.
#pragma once
#include "conv.cuh"

namespace conv_forward {

// The samples that one output sees.
struct Seen {
  const float* image;
  const Tap* taps;
  // Where its kernel begins.
  int row, column;
  int height, width;
  bool replicate, inside;

  __device__ __forceinline__ float operator()(int step) const {
    const Tap tap = taps[step];
    int i = row + tap.row, j = column + tap.column;
    if (replicate) {
      i = clamp(i, height - 1);
      j = clamp(j, width - 1);
    }
    const bool there = inside && i >= 0 && i < height && j >= 0 && j < width;
    return there ? image[tap.plane + i * width + j] : 0.0f;
  }
};

struct Weights {
  const float* weights;
  const Tap* taps;
  int first, channels, depth;

  __device__ __forceinline__ float operator()(int step, int column) const {
    const int channel = first + column;
    return channel < channels ? weights[(long long)channel * depth + taps[step].weight] : 0.0f;
  }
};

template <Math MATH, int WIDTH>
__device__ __forceinline__ void forward(const Conv& conv, const Tap* taps, const float* in, const float* weights,
                                        const float* bias, float* out) {
  const int area = conv.out_height * conv.out_width, outputs = conv.images * area;
  const int depth = conv.in_channels * conv.kernel * conv.kernel;
  const int own = blockIdx.x * THREADS + threadIdx.x, pixel = own % area;
  const bool inside = own < outputs;
  const long long image_size = (long long)conv.in_channels * conv.height * conv.width;
  const Seen seen = {in + (inside ? own / area : 0) * image_size,
                     taps,
                     pixel / conv.out_width * conv.stride - conv.kernel / 2,
                     pixel % conv.out_width * conv.stride - conv.kernel / 2,
                     conv.height,
                     conv.width,
                     conv.replicate != 0,
                     inside};
  const int first = blockIdx.y * 8 * WIDTH;
  const Weights of_block = {weights, taps, first, conv.out_channels, depth};
  Tile<MATH, WIDTH> tile;
  tile.multiply(seen, of_block, depth);
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

#define CONV_FORWARD(name, MATH, WIDTH)                                                                               \
  extern "C" __global__ void __launch_bounds__(THREADS, 3)                                                      \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ in,                            \
           const float* __restrict__ weights, const float* __restrict__ bias, float* __restrict__ out) {     \
    conv_forward::forward<MATH, WIDTH>(conv, taps, in, weights, bias, out);                                                      \
  }
