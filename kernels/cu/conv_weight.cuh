// The gradient of a convolution by its weights and biases.
//
// A product over all outputs of all images, which are divided into parts that blocks sum side by side;
// `conv_weight_sum` adds the parts up in their order. The bias is a weight of a sample that is always 1.
//
// Grid: blocks of 128 of a channel's weights and its bias, blocks of 8 WIDTH output channels, parts.
// `taps` as for `conv_forward`.
#pragma once
#include "conv.cuh"

namespace conv_weight {

// What one weight met, output after output.
struct Met {
  const float* in;
  Tap tap;
  long long image_size;
  // The first output of the part, and how many all images have.
  int first, area, out_width;
  int height, width, stride, before;
  bool replicate, bias, inside;

  __device__ __forceinline__ float operator()(int step) const {
    if (bias) return 1.0f;
    if (!inside) return 0.0f;
    const int output = first + step, image = output / area, pixel = output - image * area;
    const int output_row = pixel / out_width, output_column = pixel - output_row * out_width;
    int i = output_row * stride + tap.row - before, j = output_column * stride + tap.column - before;
    if (replicate) {
      i = clamp(i, height - 1);
      j = clamp(j, width - 1);
    }
    const bool there = i >= 0 && i < height && j >= 0 && j < width;
    return there ? in[image * image_size + tap.plane + i * width + j] : 0.0f;
  }
};

struct Gradients {
  const float* dout;
  int first_output, area;
  int first, channels;

  __device__ __forceinline__ float operator()(int step, int column) const {
    const int output = first_output + step, channel = first + column;
    if (channel >= channels) return 0.0f;
    return dout[((long long)(output / area) * channels + channel) * area + output % area];
  }
};

// `parts` receives, part after part, for each output channel its weights' gradients and its bias's.
template <Math MATH, int WIDTH>
__device__ __forceinline__ void backward(const Conv& conv, const Tap* taps, const float* in, const float* dout,
                                         int of_part, float* parts) {
  const int area = conv.out_height * conv.out_width, outputs = conv.images * area;
  const int weights = conv.in_channels * conv.kernel * conv.kernel;
  const int own = blockIdx.x * THREADS + threadIdx.x;
  const int begin = blockIdx.z * of_part, depth = min(of_part, outputs - begin);
  const Tap none = {0, 0, 0, 0};
  const Met met = {in,
                   own < weights ? taps[own] : none,
                   (long long)conv.in_channels * conv.height * conv.width,
                   begin,
                   area,
                   conv.out_width,
                   conv.height,
                   conv.width,
                   conv.stride,
                   conv.kernel / 2,
                   conv.replicate != 0,
                   own == weights,
                   own < weights};
  const int first = blockIdx.y * 8 * WIDTH;
  const Gradients gradients = {dout, begin, area, first, conv.out_channels};
  Tile<MATH, WIDTH> tile;
  tile.multiply(met, gradients, depth);
  tile.each([&](int row, int column, float v) {
    const int channel = first + column, weight = blockIdx.x * THREADS + row;
    if (channel >= conv.out_channels || weight > weights) return;
    parts[((long long)blockIdx.z * conv.out_channels + channel) * (weights + 1) + weight] = v;
  });
}

}  // namespace conv_weight

#define CONV_WEIGHT(name, MATH, WIDTH)                                                                             \
  extern "C" __global__ void __launch_bounds__(THREADS, 3)                                                    \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ in,                          \
           const float* __restrict__ dout, int of_part, float* __restrict__ parts) {                       \
    conv_weight::backward<MATH, WIDTH>(conv, taps, in, dout, of_part, parts);                                                 \
  }
