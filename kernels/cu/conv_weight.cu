// The gradient of a convolution by its weights and biases.
//
// A product over all outputs of all images, which are divided into parts that blocks sum side by side;
// `conv_weight_sum` adds the parts up in their order. The bias is a weight of a sample that is always 1.
//
// Grid: blocks of 128 of a channel's weights and its bias, blocks of 8 WIDTH output channels, parts.
// `taps` as for `conv_forward`.
#include "conv.cuh"

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
template <int WIDTH>
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
  float sums[8][WIDTH];
  multiply<WIDTH>(met, gradients, depth, sums);
#pragma unroll
  for (int j = 0; j < WIDTH; j++) {
    const int channel = first + first_column<WIDTH>() + j;
    if (channel >= conv.out_channels) continue;
    float* of_channel = parts + ((long long)blockIdx.z * conv.out_channels + channel) * (weights + 1);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int weight = blockIdx.x * THREADS + row_of(i);
      if (weight <= weights) of_channel[weight] = sums[i][j];
    }
  }
}

#define BACKWARD(name, WIDTH)                                                                              \
  extern "C" __global__ void __launch_bounds__(THREADS, 3)                                                    \
      name(Conv conv, const Tap* __restrict__ taps, const float* __restrict__ in,                          \
           const float* __restrict__ dout, int of_part, float* __restrict__ parts) {                       \
    backward<WIDTH>(conv, taps, in, dout, of_part, parts);                                                 \
  }

BACKWARD(conv_weight_8, 1)
BACKWARD(conv_weight_32, 4)
BACKWARD(conv_weight_64, 8)

// Adds the parts up. Grid: blocks of 256 of all channels' weights and biases.
extern "C" __global__ void __launch_bounds__(256)
    conv_weight_sum(int channels, int weights, int count, const float* __restrict__ parts,
                    float* __restrict__ dweight, float* __restrict__ dbias) {
  const int at = blockIdx.x * 256 + threadIdx.x, total = channels * (weights + 1);
  if (at >= total) return;
  double sum = 0.0;
  for (int part = 0; part < count; part++) sum += parts[(long long)part * total + at];
  const int channel = at / (weights + 1), weight = at % (weights + 1);
  if (weight < weights)
    dweight[(long long)channel * weights + weight] = (float)sum;
  else
    dbias[channel] = (float)sum;
}
