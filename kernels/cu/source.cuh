// Where a scale's pixels come from: two images of any layout and type, or a level of the pyramid.
#pragma once

// Samples of a batch; strides count samples. The layout of `Image` in src/parameters.rs.
template <typename T>
struct Image {
  const T* samples;
  long long image, channel, row, column;
};

// Half types without their headers: bits, and what they mean.
struct F16 {
  unsigned short bits;
};
struct Bf16 {
  unsigned short bits;
};

__device__ __forceinline__ float to_f32(unsigned char v) { return (float)v; }
__device__ __forceinline__ float to_f32(unsigned short v) { return (float)v; }
__device__ __forceinline__ float to_f32(float v) { return v; }
__device__ __forceinline__ float to_f32(double v) { return (float)v; }
__device__ __forceinline__ float to_f32(F16 v) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
  return f;
}
__device__ __forceinline__ float to_f32(Bf16 v) { return __uint_as_float((unsigned)v.bits << 16); }

// Samples beyond the limit, infinite ones included, count as the limit; NaN stays.
__device__ __forceinline__ float saturate(float v, float limit) {
  return v < -limit ? -limit : v > limit ? limit : v;
}

// The first sample of column `column` of plane `plane`, counted through all images.
template <typename T>
__device__ __forceinline__ T* column_of(const Image<T>& image, int plane, int channels, int column) {
  return const_cast<T*>(image.samples) + plane / channels * image.image + plane % channels * image.channel +
         column * image.column;
}

// One column of the finest scale: s = x + y - 1 and d = x - y, with samples scaled to [0, 1].
template <typename T>
struct Pair {
  const T *x, *y;
  long long x_row, y_row;
  float scale, limit;

  __device__ __forceinline__ float2 operator()(int row) const {
    const float a = saturate(to_f32(x[row * x_row]), limit);
    const float b = saturate(to_f32(y[row * y_row]), limit);
    return make_float2((a + b) * scale - 1.0f, (a - b) * scale);
  }
};

// One column of a coarser scale: s and d side by side, rows without gaps.
struct Level {
  const float2* pixels;
  int width;

  __device__ __forceinline__ float2 operator()(int row) const { return pixels[(long long)row * width]; }
};
