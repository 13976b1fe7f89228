// The window as a linear operator by any convention, and its adjoint, side by side: any radius, any border,
// samples with or without weights. The twin of core's `filter.rs`, a tile of windows or pixels at a time.
//
// Both go down the columns first and leave sums in shared memory, and then along the rows. Terms together
// are computed in `float`; terms apart, whose square roots enlarge what rounding leaves, in `double`.
#pragma once
#include "ssim.cuh"

#define TILE_X 32
#define TILE_Y 8
#define MAX_RADIUS 16
// Columns of sums under a tile of windows.
#define SPAN (TILE_X + 2 * MAX_RADIUS)

// What a window sees beyond the image; the numbers of `Border` in src/parameters.rs.
enum { VALID = 0, REPLICATE = 1, REFLECT = 2 };

// One scale of any convention. The layout of `GeneralScale` in src/parameters.rs.
struct Scale {
  int width, height;
  int channels;
  int border, radius;
  // Whether terms are luminance times contrast-structure.
  int coarsest;
  // Whether a negative term counts as 0.
  int clamped;
  // The centre first.
  float taps[MAX_RADIUS + 1];
  float c1, c2;
  // Which scale it is, of how many.
  int scale, scales;
  // One over the square of the sum of all taps, as they are rounded.
  double norm;
  // Weights from one image's mask to the next one's; 0 where one is for all.
  long long mask_image;
};

template <typename T>
__device__ constexpr bool is_apart = sizeof(T) == sizeof(double);

__device__ __forceinline__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return fma(a, b, c); }

// Rows or columns that a map lacks on either side: windows lie inside the image.
__device__ __forceinline__ int margin(const Scale& scale) { return scale.border == VALID ? scale.radius : 0; }
__device__ __forceinline__ int map_width(const Scale& scale) { return scale.width - 2 * margin(scale); }
__device__ __forceinline__ int map_height(const Scale& scale) { return scale.height - 2 * margin(scale); }

// The sample of a side that stands for the one at `at`, which may lie beyond it.
__device__ __forceinline__ int inside(int border, int side, int at) {
  if (at >= 0 && at < side) return at;
  if (border != REFLECT) return at < 0 ? 0 : side - 1;
  const int period = 2 * (side - 1);
  if (period == 0) return 0;
  // As far from the first sample, on whichever side of it.
  const int from_first = abs(at) % period;
  return min(from_first, period - from_first);
}

// The taps in shared memory, since an index into a parameter would need a copy of it. Ends in a barrier.
template <typename T>
__device__ __forceinline__ const T* taps_of(const Scale& scale) {
  __shared__ T taps[MAX_RADIUS + 1];
  const int t = threadIdx.y * TILE_X + threadIdx.x;
#pragma unroll
  for (int k = 0; k <= MAX_RADIUS; k++) {
    if (t == k) taps[k] = scale.taps[k];
  }
  __syncthreads();
  return taps;
}

// The moments of one window; `sd` is that of s d, where terms are apart, and `weight` that of its samples
// together, 1 without a mask.
template <typename T>
struct Window {
  MomentsOf<T> moments;
  T sd, weight;
};

// A window whose samples weigh less than this together, of 1, does not count.
#define LEAST_WEIGHT 1e-6f

// The window of this thread, of the tile of windows that is this block's. `level` and `mask` are the plane's.
template <typename T>
__device__ __forceinline__ Window<T> filter(const Scale& scale, const float2* __restrict__ level,
                                            const float* __restrict__ mask) {
  enum { S, D, SS, DD, WEIGHT, SD };
  constexpr int VALUES = is_apart<T> ? 6 : 5;
  __shared__ T columns[VALUES][TILE_Y][SPAN];
  const T* taps = taps_of<T>(scale);
  const int radius = scale.radius, tx = threadIdx.x, ty = threadIdx.y;
  // The centre's place in the image; rows and columns beyond the last are computed and not used.
  const int row = min((int)(blockIdx.y * TILE_Y) + ty, map_height(scale) - 1) + margin(scale);
  const int first = (int)(blockIdx.x * TILE_X) + margin(scale) - radius;
  for (int c = tx; c < TILE_X + 2 * radius; c += TILE_X) {
    const int column = inside(scale.border, scale.width, first + c);
    T sums[VALUES] = {};
#pragma unroll 1
    for (int k = -radius; k <= radius; k++) {
      const long long at = (long long)inside(scale.border, scale.height, row + k) * scale.width + column;
      const float2 p = level[at];
      const T s = p.x, d = p.y;
      T tap = taps[abs(k)];
      if (mask) {
        tap *= (T)mask[at];
        sums[WEIGHT] += tap;
      }
      sums[S] = fused(tap, s, sums[S]);
      sums[D] = fused(tap, d, sums[D]);
      sums[SS] = fused(tap, s * s, sums[SS]);
      sums[DD] = fused(tap, d * d, sums[DD]);
      if (is_apart<T>) sums[VALUES - 1] = fused(tap, s * d, sums[VALUES - 1]);
    }
#pragma unroll
    for (int v = 0; v < VALUES; v++) columns[v][ty][c] = sums[v];
  }
  __syncthreads();
  T sums[VALUES] = {};
#pragma unroll 2
  for (int k = 0; k <= 2 * radius; k++) {
    const T tap = taps[abs(k - radius)];
#pragma unroll
    for (int v = 0; v < VALUES; v++) sums[v] = fused(tap, columns[v][ty][tx + k], sums[v]);
  }
  if (is_apart<T>) {
#pragma unroll
    for (int v = 0; v < VALUES; v++) sums[v] *= (T)scale.norm;
  }
  Window<T> window;
  window.weight = T(1);
  if (mask) {
    // What the mask leaves nothing of has no weight, and no NaN.
    const bool counts = sums[WEIGHT] >= LEAST_WEIGHT;
    window.weight = counts ? sums[WEIGHT] : T(0);
#pragma unroll
    for (int v = 0; v < VALUES; v++) sums[v] = counts ? sums[v] / window.weight : T(0);
  }
  window.moments = {sums[S], sums[D], sums[SS], sums[DD]};
  window.sd = is_apart<T> ? sums[VALUES - 1] : T(0);
  return window;
}

// Adds to `sums` what sample `at` of a side receives of the windows along it: `map(v, centre)` is map `v` at
// the window around `centre`. What a window saw beyond the image belongs to the sample that stood there.
// No image of a sample is nearer to a window than the sample.
template <int MAPS, typename T, typename Map>
__device__ __forceinline__ void receive(const Scale& scale, const T* taps, int side, int at, const Map& map, T sums[MAPS]) {
  const int radius = scale.radius, beyond = radius - margin(scale);
  const bool near_border = at <= radius || at >= side - 1 - radius;
  for (int q = near_border ? -beyond : at; q < (near_border ? side + beyond : at + 1); q++) {
    // Of the samples inside there is one.
    if (q == 0) q = at;
    if (inside(scale.border, side, q) == at) {
      const int last = min(q + radius, side - 1 - margin(scale));
#pragma unroll 1
      for (int centre = max(q - radius, margin(scale)); centre <= last; centre++) {
        const T tap = taps[abs(centre - q)];
#pragma unroll
        for (int v = 0; v < MAPS; v++) sums[v] = fused(tap, map(v, centre), sums[v]);
      }
    }
    if (q == at && near_border) q = side - 1;
  }
}

// The adjoint of `filter`, for the pixel of this thread, of the tile of pixels that is this block's. `maps` are
// the plane's, one after the other.
template <int MAPS, typename T>
__device__ __forceinline__ void filter_adjoint(const Scale& scale, const T* __restrict__ maps, T sums[MAPS]) {
  __shared__ T columns[MAPS][TILE_Y][SPAN];
  const T* taps = taps_of<T>(scale);
  const int radius = scale.radius, outside = margin(scale), tx = threadIdx.x, ty = threadIdx.y;
  const int width = map_width(scale), first = (int)(blockIdx.x * TILE_X) - radius;
  const long long area = (long long)width * map_height(scale);
  const int row = min((int)(blockIdx.y * TILE_Y) + ty, scale.height - 1);
  for (int c = tx; c < TILE_X + 2 * radius; c += TILE_X) {
    const int column = first + c - outside;
    T of_column[MAPS] = {};
    if (column >= 0 && column < width) {
      const auto map = [=](int v, int centre) { return maps[v * area + (long long)(centre - outside) * width + column]; };
      receive<MAPS>(scale, taps, scale.height, row, map, of_column);
    }
#pragma unroll
    for (int v = 0; v < MAPS; v++) columns[v][ty][c] = of_column[v];
  }
  __syncthreads();
  const int column = first + radius + tx;
  if (column >= scale.width) return;
  const auto map = [&](int v, int centre) { return columns[v][ty][centre - first]; };
  receive<MAPS>(scale, taps, scale.width, column, map, sums);
}
