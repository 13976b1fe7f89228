// Backward, for the product over scales pixel by pixel: the gradient of one scale's terms, each weighted
// by what the product owes to it (`product.cu`).
//
// Grid as in `gradient.cu`; `weights` has a plane of them after the other.
#include "march.cuh"

template <typename T>
__device__ __forceinline__ void finest(const Image<T>& x, const Image<T>& y, const Scale& scale, float* weights,
                                       const Image<float>& gradient) {
  const int plane = blockIdx.z;
  const int column = clamp(own_column_of<WEIGHTED>(), scale.width - 1);
  const Pair<T> source = {column_of(x, plane, scale.channels, column), column_of(y, plane, scale.channels, column),
                          x.row, y.row, scale.sample_scale, scale.limit};
  weights += plane * ((long long)scale.width * scale.height) + column;
  float* out = column_of(gradient, plane, scale.channels, column);
  march<WEIGHTED>(scale, source, nullptr, nullptr, weights, out, gradient.row);
}

#define FINEST(name, T)                                                                                 \
  extern "C" __global__ void __launch_bounds__(MAX_BLOCK)                                            \
      name(Image<T> x, Image<T> y, Scale scale, float* __restrict__ weights, Image<float> gradient) {   \
    finest<T>(x, y, scale, weights, gradient);                                                          \
  }

FINEST(weighted_u8, unsigned char)
FINEST(weighted_u16, unsigned short)
FINEST(weighted_f16, F16)
FINEST(weighted_bf16, Bf16)
FINEST(weighted_f32, float)

extern "C" __global__ void __launch_bounds__(MAX_BLOCK)
    weighted_level(const float2* __restrict__ level, Scale scale, float* __restrict__ weights,
                   float* __restrict__ gradient) {
  const int plane = blockIdx.z;
  const long long area = (long long)scale.width * scale.height;
  const int column = clamp(own_column_of<WEIGHTED>(), scale.width - 1);
  const Level source = {level + plane * area + column, scale.width};
  march<WEIGHTED>(scale, source, nullptr, nullptr, weights + plane * area + column, gradient + plane * area + column,
                  scale.width);
}
