// The pyramid by itself, for the general kernels: the finest scale from the images, and each scale from the
// one before, of samples that may have weights.
//
// Grid: blocks of columns, rows, planes of what is written. Block: 256 threads.
#include "pyramid.cuh"
#include "source.cuh"

#define BLOCK 256

// `mask` is null or has the samples' weights, `mask_image` apart from image to image; a sample of weight 0
// is forgotten, whatever it is.
template <typename T>
__device__ __forceinline__ void load(const Image<T>& x, const Image<T>& y, int width, int channels, float scale,
                                     float limit, const float* mask, long long mask_image, float2* level) {
  const int column = blockIdx.x * BLOCK + threadIdx.x, row = blockIdx.y, plane = blockIdx.z;
  if (column >= width) return;
  const Pair<T> pair = {column_of(x, plane, channels, column), column_of(y, plane, channels, column), x.row, y.row,
                        scale, limit};
  const long long at = (long long)row * width + column;
  const bool hidden = mask && mask[plane / channels * mask_image + at] == 0.0f;
  level[(long long)plane * gridDim.y * width + at] = hidden ? make_float2(0.0f, 0.0f) : pair(row);
}

#define LOAD(name, T)                                                                                          \
  extern "C" __global__ void __launch_bounds__(BLOCK)                                                          \
      name(Image<T> x, Image<T> y, int width, int channels, float scale, float limit,                          \
           const float* __restrict__ mask, long long mask_image, float2* __restrict__ level) {                 \
    load<T>(x, y, width, channels, scale, limit, mask, mask_image, level);                                     \
  }

LOAD(load_u8, unsigned char)
LOAD(load_u16, unsigned short)
LOAD(load_f16, F16)
LOAD(load_bf16, Bf16)
LOAD(load_f32, float)
LOAD(load_f64, double)

// `fine_mask` and `coarse_mask` are null, or have the weights of both scales: a coarser sample is the mean
// of the weighted finer ones.
extern "C" __global__ void __launch_bounds__(BLOCK)
    halve(Halved scale, int channels, const float2* __restrict__ fine, float2* __restrict__ coarse,
          const float* __restrict__ fine_mask, const float* __restrict__ coarse_mask, long long mask_image) {
  const int column = blockIdx.x * BLOCK + threadIdx.x, row = blockIdx.y, plane = blockIdx.z;
  if (column >= scale.next_width) return;
  fine += (long long)plane * scale.height * scale.width;
  if (fine_mask) fine_mask += plane / channels * mask_image;
  const auto value = [&](int i, int j) {
    const long long at = (long long)i * scale.width + j;
    const float2 v = fine[at];
    const float weight = fine_mask ? fine_mask[at] : 1.0f;
    return make_float2(weight * v.x, weight * v.y);
  };
  // Two zeros make a sum of -1.
  float2 sum = halve_sample(scale, row, column, make_float2(-1.0f, 0.0f), value);
  const long long at = (long long)row * scale.next_width + column;
  if (coarse_mask) {
    const float weight = coarse_mask[plane / channels * mask_image + at];
    sum = weight > 0.0f ? make_float2(sum.x / weight, sum.y / weight) : make_float2(0.0f, 0.0f);
  }
  coarse[(long long)plane * scale.next_height * scale.next_width + at] = sum;
}
