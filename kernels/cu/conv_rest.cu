// What layers take beside their products: borders before them, and sums and activations after them, in any
// precision.
#include "activation.cuh"
#include "block_sum.cuh"

#define BLOCK 256

// How planes are copied into larger ones, or back. The layout of `Border` in src/network/convolution.rs.
struct Border {
  int planes;
  // Of the planes without a border.
  int height, width;
  // Of those with one.
  int outer_height, outer_width;
  // Where the first sample lies.
  int before;
  // Whether the border repeats the nearest sample; otherwise it is 0.
  int replicate;
};

__device__ __forceinline__ int clamp(int v, int high) { return v < 0 ? 0 : v > high ? high : v; }

// Gives planes a border. Grid: blocks of samples of all larger planes.
extern "C" __global__ void __launch_bounds__(BLOCK)
    pad(Border border, const float* __restrict__ in, float* __restrict__ out) {
  const long long at = (long long)blockIdx.x * BLOCK + threadIdx.x;
  const int area = border.outer_height * border.outer_width;
  if (at >= (long long)border.planes * area) return;
  const int plane = (int)(at / area), pixel = (int)(at % area);
  int i = pixel / border.outer_width - border.before, j = pixel % border.outer_width - border.before;
  if (border.replicate) {
    i = clamp(i, border.height - 1);
    j = clamp(j, border.width - 1);
  }
  const bool there = i >= 0 && j >= 0 && i < border.height && j < border.width;
  out[at] = there ? in[((long long)plane * border.height + i) * border.width + j] : 0.0f;
}

// The adjoint of a border that repeats the nearest sample: adds what lies beyond the image to it. Grid:
// blocks of samples of all smaller planes.
extern "C" __global__ void __launch_bounds__(BLOCK)
    fold(Border border, const float* __restrict__ in, float* __restrict__ out) {
  const long long at = (long long)blockIdx.x * BLOCK + threadIdx.x;
  const int area = border.height * border.width;
  if (at >= (long long)border.planes * area) return;
  const int plane = (int)(at / area), pixel = (int)(at % area);
  const int row = pixel / border.width, column = pixel % border.width;
  const int before = border.before;
  const int top = row == 0 ? 0 : row + before, left = column == 0 ? 0 : column + before;
  const int bottom = row == border.height - 1 ? border.outer_height - 1 : row + before;
  const int right = column == border.width - 1 ? border.outer_width - 1 : column + before;
  const float* of_plane = in + (long long)plane * border.outer_height * border.outer_width;
  float sum = 0.0f;
  for (int i = top; i <= bottom; i++)
    for (int j = left; j <= right; j++) sum += of_plane[(long long)i * border.outer_width + j];
  out[at] = sum;
}

// Adds up the parts of a product, in their order, and finishes the sums. The bias of number `at` is that of
// at / of_bias % biases. Grid: blocks of the product's numbers.
extern "C" __global__ void __launch_bounds__(BLOCK)
    add_parts(int len, int count, int of_bias, int biases, int activation, const float* __restrict__ parts,
              const float* __restrict__ bias, float* __restrict__ out) {
  const int at = blockIdx.x * BLOCK + threadIdx.x;
  if (at >= len) return;
  double sum = 0.0;
  for (int part = 0; part < count; part++) sum += parts[(long long)part * len + at];
  float v = (float)sum;
  if (bias) v += bias[at / of_bias % biases];
  out[at] = activate(activation, v);
}

// What a layer's outputs owe: the gradient by the outputs becomes that by the sums before the activation, in
// place, and its sums over a part of the images are the parts of the biases' gradient. Planes of `area`
// samples, one a channel. Grid: channels, parts of `of_part` images.
extern "C" __global__ void __launch_bounds__(BLOCK)
    output_backward(int images, int of_part, int area, int activation, const float* __restrict__ out,
                    float* __restrict__ dout, double* __restrict__ parts) {
  const int channel = blockIdx.x, channels = gridDim.x, first = blockIdx.y * of_part;
  const int count = min(of_part, images - first);
  double sum = 0.0;
  for (int i = threadIdx.x; i < count * area; i += BLOCK) {
    const long long at = ((long long)(first + i / area) * channels + channel) * area + i % area;
    const float v = passed(activation, out[at], dout[at]);
    if (activation != IDENTITY) dout[at] = v;
    sum += v;
  }
  sum = block_sum<BLOCK>(sum);
  if (threadIdx.x == 0) parts[(long long)blockIdx.y * channels + channel] = sum;
}

// Adds up the parts of the biases' gradient. Grid: blocks of channels.
extern "C" __global__ void __launch_bounds__(BLOCK)
    add_bias_parts(int channels, int count, const double* __restrict__ parts, float* __restrict__ dbias) {
  const int channel = blockIdx.x * BLOCK + threadIdx.x;
  if (channel >= channels) return;
  double sum = 0.0;
  for (int part = 0; part < count; part++) sum += parts[(long long)part * channels + channel];
  dbias[channel] = (float)sum;
}

// Adds up the parts of the gradient by weights that `packed_weight` leaves, [tap][out][in] each, and puts a weight's
// taps side by side. Grid: blocks of 32 input channels, output channels.
extern "C" __global__ void __launch_bounds__(BLOCK)
    add_weight_parts(int taps, int ins, int count, const float* __restrict__ parts, float* __restrict__ dweight) {
  // The most taps of a packed kernel.
  __shared__ float tile[49][33];
  const int first = blockIdx.x * 32, out = blockIdx.y, lane = threadIdx.x % 32;
  const long long of_part = (long long)taps * gridDim.y * ins;
  for (int tap = threadIdx.x / 32; tap < taps; tap += BLOCK / 32) {
    if (first + lane >= ins) continue;
    const float* of_tap = parts + ((long long)tap * gridDim.y + out) * ins + first + lane;
    double sum = 0.0;
    for (int part = 0; part < count; part++) sum += of_tap[part * of_part];
    tile[tap][lane] = (float)sum;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 32 * taps; i += BLOCK) {
    const int in = first + i / taps;
    if (in < ins) dweight[((long long)out * ins + in) * taps + i % taps] = tile[i % taps][i / taps];
  }
}
