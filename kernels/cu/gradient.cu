// Forward and backward of one scale: its terms' sums, the next level of the pyramid, and the gradient
// of that sum by the scale's distorted image.
//
// Grid: strips across, strips down, planes; a block's strip is `blockDim.x - 20` columns of
// `scale.rows` rows. `next` may be null.
#include "march.cuh"

template <typename T>
__device__ __forceinline__ void finest(const Image<T>& x, const Image<T>& y, const Scale& scale, float2* next,
                                       double2* partials, const Image<float>& gradient) {
  const int plane = blockIdx.z;
  const int column = clamp(own_column_of<GRADIENT>(), scale.width - 1);
  const Pair<T> source = {column_of(x, plane, scale.channels, column), column_of(y, plane, scale.channels, column),
                          x.row, y.row, scale.sample_scale, scale.limit};
  if (next) next += plane * next_area(scale);
  float* out = column_of(gradient, plane, scale.channels, column);
  march<GRADIENT>(scale, source, next, partials, nullptr, out, gradient.row);
}

#define FINEST(name, T)                                                                                     \
  extern "C" __global__ void __launch_bounds__(MAX_BLOCK, 2)                                                   \
      name(Image<T> x, Image<T> y, Scale scale, float2* __restrict__ next, double2* __restrict__ partials,  \
           Image<float> gradient) {                                                                         \
    finest<T>(x, y, scale, next, partials, gradient);                                                       \
  }

FINEST(gradient_u8, unsigned char)
FINEST(gradient_u16, unsigned short)
FINEST(gradient_f16, F16)
FINEST(gradient_bf16, Bf16)
FINEST(gradient_f32, float)

extern "C" __global__ void __launch_bounds__(MAX_BLOCK, 2)
    gradient_level(const float2* __restrict__ level, Scale scale, float2* __restrict__ next,
                   double2* __restrict__ partials, float* __restrict__ gradient) {
  const int plane = blockIdx.z;
  const long long area = (long long)scale.width * scale.height;
  const int column = clamp(own_column_of<GRADIENT>(), scale.width - 1);
  const Level source = {level + plane * area + column, scale.width};
  if (next) next += plane * next_area(scale);
  march<GRADIENT>(scale, source, next, partials, nullptr, gradient + plane * area + column, scale.width);
}
