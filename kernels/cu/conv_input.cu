// The gradient of a convolution by its input: the adjoint of `conv_forward`.
//
// With zeros beyond the image, `din` is the input's; where the nearest sample was seen instead, it is
// larger by kernel / 2 on every side, and `fold` adds what fell beyond the image to the samples that
// stood for it.
//
// Grid: blocks of 128 samples of `din` counted through all images, blocks of 8 WIDTH channels of it.
// `taps` has out_channels x kernel x kernel steps: plane offset in the output, row and column of the
// kernel, place in a channel's weights.
#include "conv.cuh"

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

template <int WIDTH>
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
  float sums[8][WIDTH];
  multiply<WIDTH>(sent, of_block, depth, sums);
#pragma unroll
  for (int j = 0; j < WIDTH; j++) {
    const int channel = first + first_column<WIDTH>() + j;
    if (channel >= conv.in_channels) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int sample = blockIdx.x * THREADS + row_of(i);
      if (sample >= samples) continue;
      din[((long long)(sample / area) * conv.in_channels + channel) * area + sample % area] = sums[i][j];
    }
  }
}

#define BACKWARD(name, WIDTH)                                                                            \
  extern "C" __global__ void __launch_bounds__(THREADS, 3)                                                  \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ dout,                      \
           const float* __restrict__ weights, float* __restrict__ din) {                                 \
    backward<WIDTH>(conv, taps, dout, weights, din);                                                     \
  }

BACKWARD(conv_input_8, 1)
BACKWARD(conv_input_32, 4)
BACKWARD(conv_input_64, 8)

// Adds what lies beyond the image to its nearest sample. Grid: blocks of 256 columns, rows, planes of the
// image.
extern "C" __global__ void __launch_bounds__(256)
    fold(Conv conv, const float* __restrict__ larger, float* __restrict__ din) {
  const int column = blockIdx.x * 256 + threadIdx.x, row = blockIdx.y;
  if (column >= conv.width) return;
  const int beyond = conv.kernel / 2, width = conv.width + 2 * beyond, height = conv.height + 2 * beyond;
  const float* plane = larger + (long long)blockIdx.z * width * height;
  const int top = row == 0 ? 0 : row + beyond, bottom = row == conv.height - 1 ? height - 1 : row + beyond;
  const int left = column == 0 ? 0 : column + beyond, right = column == conv.width - 1 ? width - 1 : column + beyond;
  float sum = 0.0f;
  for (int i = top; i <= bottom; i++)
    for (int j = left; j <= right; j++) sum += plane[(long long)i * width + j];
  din[((long long)blockIdx.z * conv.height + row) * conv.width + column] = sum;
}
