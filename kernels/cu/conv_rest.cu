// What the gradients of a convolution take after their products: sums of parts, in any precision.
#include "conv.cuh"

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
