// The gradient of a convolution by its input: the adjoint of `conv_forward`.
//
// With zeros beyond the image, `din` is the input's; where the nearest sample was seen instead, it is
// larger by kernel / 2 on every side, and `fold` adds what fell beyond the image to the samples that
// stood for it.
//
// `dout` is the output's gradient spread out to the input's grid, zeros between outputs that are `stride`
// apart and around them: each sample of `din` then sums the same steps, backwards.
//
// Grid: blocks of 128 samples of `din` counted through all images, blocks of 8 WIDTH channels of it.
// `taps` has out_channels x kernel x kernel steps.
#pragma once
#include "conv.cuh"

namespace conv_input {

template <Math MATH, int WIDTH>
__device__ __forceinline__ void backward(const Conv& conv, const Tap* taps, const float* dout, const float* weights,
                                         float* din) {
  const int area = conv.din_area, samples = conv.images * area;
  // Rows beyond the last repeat it, and their sums are dropped.
  const int own = min((int)(blockIdx.x * THREADS + threadIdx.x), samples - 1), pixel = own % area;
  const long long image = (long long)(own / area) * conv.out_channels * conv.dout_area;
  const int row = pixel / conv.din_width, column = pixel % conv.din_width;
  const Gathered gathered = {dout + image + row * conv.dout_width + column, taps};
  const int first = blockIdx.y * 8 * WIDTH, depth = conv.out_channels * conv.kernel * conv.kernel;
  const int pitch = conv.kernel * conv.kernel;
  const Weights of_tile = {weights + (long long)first * pitch, taps, pitch, conv.in_channels - 1 - first};
  Tile<MATH, WIDTH> tile;
  tile.multiply(gathered, of_tile, depth);
  tile.each([&](int row, int column, float v) {
    const int channel = first + column, sample = blockIdx.x * THREADS + row;
    if (channel >= conv.in_channels || sample >= samples) return;
    din[((long long)(sample / area) * conv.in_channels + channel) * area + sample % area] = v;
  });
}

}  // namespace conv_input

#define CONV_INPUT(name, MATH, WIDTH)                                                                        \
  extern "C" __global__ void __launch_bounds__(THREADS, WIDTH == 8 ? 2 : 3)                                  \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ dout,                          \
           const float* __restrict__ weights, float* __restrict__ din) {                                     \
    conv_input::backward<MATH, WIDTH>(conv, taps, dout, weights, din);                                       \
  }
