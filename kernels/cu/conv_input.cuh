// The gradient of a convolution by its input: the adjoint of `conv_forward`.
//
// With zeros beyond the image, `din` is the input's; where the nearest sample was seen instead, it is
// larger by kernel / 2 on every side, and `fold` adds what fell beyond the image to the samples that
// stood for it.
//
// Grid: blocks of 128 samples of `din` counted through all images, blocks of 8 WIDTH channels of it.
// `taps` has out_channels x kernel x kernel steps: plane offset in the output, row and column of the
// kernel, place in a channel's weights.
#pragma once
#include "conv.cuh"

namespace conv_input {

// What the outputs that saw one sample send back.
struct Sent {
  const float* image;
  const Tap* taps;
  // The sample's place, from where the kernel of the first output begins.
  int row, column;
  int height, width, stride;
  bool inside;

  __device__ __forceinline__ float operator()(int step) const {
    const Tap tap = taps[step];
    const int i = row - tap.row, j = column - tap.column;
    if (!inside || i < 0 || j < 0 || i % stride != 0 || j % stride != 0) return 0.0f;
    const int output_row = i / stride, output_column = j / stride;
    if (output_row >= height || output_column >= width) return 0.0f;
    return image[tap.plane + output_row * width + output_column];
  }
};

struct Weights {
  const float* weights;
  const Tap* taps;
  int first, channels, area;

  __device__ __forceinline__ float operator()(int step, int column) const {
    const int channel = first + column;
    return channel < channels ? weights[(long long)channel * area + taps[step].weight] : 0.0f;
  }
};

template <Math MATH, int WIDTH>
__device__ __forceinline__ void backward(const Conv& conv, const Tap* taps, const float* dout, const float* weights,
                                         float* din) {
  const int beyond = conv.replicate ? conv.kernel / 2 : 0, before = conv.kernel / 2 - beyond;
  const int height = conv.height + 2 * beyond, width = conv.width + 2 * beyond, area = height * width;
  const int samples = conv.images * area;
  const int own = blockIdx.x * THREADS + threadIdx.x, pixel = own % area;
  const bool inside = own < samples;
  const long long image_size = (long long)conv.out_channels * conv.out_height * conv.out_width;
  const Sent sent = {dout + (inside ? own / area : 0) * image_size,
                     taps,
                     pixel / width + before,
                     pixel % width + before,
                     conv.out_height,
                     conv.out_width,
                     conv.stride,
                     inside};
  const int first = blockIdx.y * 8 * WIDTH, depth = conv.out_channels * conv.kernel * conv.kernel;
  const Weights of_block = {weights, taps, first, conv.in_channels, conv.kernel * conv.kernel};
  Tile<MATH, WIDTH> tile;
  tile.multiply(sent, of_block, depth);
  tile.each([&](int row, int column, float v) {
    const int channel = first + column, sample = blockIdx.x * THREADS + row;
    if (channel >= conv.in_channels || sample >= samples) return;
    din[((long long)(sample / area) * conv.in_channels + channel) * area + sample % area] = v;
  });
}

}  // namespace conv_input

#define CONV_INPUT(name, MATH, WIDTH)                                                                           \
  extern "C" __global__ void __launch_bounds__(THREADS, 3)                                                  \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ dout,                      \
           const float* __restrict__ weights, float* __restrict__ din) {                                 \
    conv_input::backward<MATH, WIDTH>(conv, taps, dout, weights, din);                                                     \
  }
