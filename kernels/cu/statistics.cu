// Forward: the sums of one scale's terms, and the next level of the pyramid.
//
// Grid: strips across, strips down, planes; a block's strip is `blockDim.x - 10` columns of
// `scale.rows` rows. `next` may be null.
#include "march.cuh"

template <typename T>
__device__ __forceinline__ void finest(const Image<T>& x, const Image<T>& y, const Scale& scale, float2* next,
                                       double2* partials) {
  const int plane = blockIdx.z;
  const int column = clamp(own_column_of<SUMS>(), scale.width - 1);
  const Pair<T> source = {column_of(x, plane, scale.channels, column), column_of(y, plane, scale.channels, column),
                          x.row, y.row, scale.sample_scale, scale.limit};
  if (next) next += plane * next_area(scale);
  march<SUMS>(scale, source, next, partials, nullptr, nullptr, 0);
}

#define FINEST(name, T)                                                                                  \
  extern "C" __global__ void __launch_bounds__(MAX_BLOCK)                                                \
      name(Image<T> x, Image<T> y, Scale scale, float2* __restrict__ next, double2* __restrict__ partials) { \
    finest<T>(x, y, scale, next, partials);                                                              \
  }

FINEST(statistics_u8, unsigned char)
FINEST(statistics_u16, unsigned short)
FINEST(statistics_f16, F16)
FINEST(statistics_bf16, Bf16)
FINEST(statistics_f32, float)

extern "C" __global__ void __launch_bounds__(MAX_BLOCK)
    statistics_level(const float2* __restrict__ level, Scale scale, float2* __restrict__ next,
                     double2* __restrict__ partials) {
  const int plane = blockIdx.z;
  const int column = clamp(own_column_of<SUMS>(), scale.width - 1);
  const Level source = {level + plane * ((long long)scale.width * scale.height) + column, scale.width};
  if (next) next += plane * next_area(scale);
  march<SUMS>(scale, source, next, partials, nullptr, nullptr, 0);
}
