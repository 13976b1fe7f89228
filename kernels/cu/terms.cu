// Forward, for the product over scales pixel by pixel: the sums of one scale's terms, the next level of
// the pyramid, and the terms themselves.
//
// Grid and parameters as in `statistics.cu`; `map` receives a plane of terms after the other. Windows
// run over the border, so that the map covers the image.
#include "march.cuh"

template <typename T>
__device__ __forceinline__ void finest(const Image<T>& x, const Image<T>& y, const Scale& scale, float2* next,
                                       double2* partials, float* map) {
  const int plane = blockIdx.z;
  const int column = clamp(own_column_of<TERMS>(), scale.width - 1);
  const Pair<T> source = {column_of(x, plane, scale.channels, column), column_of(y, plane, scale.channels, column),
                          x.row, y.row, scale.sample_scale, scale.limit};
  if (next) next += plane * next_area(scale);
  map += plane * ((long long)scale.width * scale.height) + column;
  march<TERMS>(scale, source, next, partials, map, nullptr, 0);
}

#define FINEST(name, T)                                                                                     \
  extern "C" __global__ void __launch_bounds__(MAX_BLOCK)                                                   \
      name(Image<T> x, Image<T> y, Scale scale, float2* __restrict__ next, double2* __restrict__ partials,  \
           float* __restrict__ map) {                                                                       \
    finest<T>(x, y, scale, next, partials, map);                                                            \
  }

FINEST(terms_u8, unsigned char)
FINEST(terms_u16, unsigned short)
FINEST(terms_f16, F16)
FINEST(terms_bf16, Bf16)
FINEST(terms_f32, float)

extern "C" __global__ void __launch_bounds__(MAX_BLOCK)
    terms_level(const float2* __restrict__ level, Scale scale, float2* __restrict__ next,
                double2* __restrict__ partials, float* __restrict__ map) {
  const int plane = blockIdx.z;
  const long long area = (long long)scale.width * scale.height;
  const int column = clamp(own_column_of<TERMS>(), scale.width - 1);
  const Level source = {level + plane * area + column, scale.width};
  if (next) next += plane * next_area(scale);
  march<TERMS>(scale, source, next, partials, map + plane * area + column, nullptr, 0);
}
