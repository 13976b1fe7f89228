// One scale by any convention: its terms' sums, the derivatives of the score by its windows' moments, and the
// gradient by its samples. What training needs goes faster by `march.cuh`.
//
// Grid: tiles of 32 columns, tiles of 8 rows, planes. Block: 32 x 8 threads, one a window or pixel.
#include "apart.cuh"
#include "pyramid.cuh"
#include "source.cuh"
#include "windows.cuh"

#define BLOCK (TILE_X * TILE_Y)

// What is summed over a tile: cs; l cs on the coarsest scale; of terms apart l, c and s; the windows' weights.
enum { SUM_CS, SUM_SSIM, SUM_L, SUM_C, SUM_S, SUM_WEIGHT, SUMS };

// Adds numbers of each thread over the block, in a fixed order, and writes them.
__device__ __forceinline__ void write_block_sums(const double (&of_thread)[SUMS], double* __restrict__ out) {
  __shared__ double of_warp[TILE_Y][SUMS];
#pragma unroll
  for (int v = 0; v < SUMS; v++) {
    double sum = of_thread[v];
#pragma unroll
    for (int o = 16; o > 0; o >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, o);
    if (threadIdx.x == 0) of_warp[threadIdx.y][v] = sum;
  }
  __syncthreads();
  if (threadIdx.y == 0 && threadIdx.x < SUMS) {
    double sum = 0.0;
    for (int warp = 0; warp < TILE_Y; warp++) sum += of_warp[warp][threadIdx.x];
    out[threadIdx.x] = sum;
  }
}

// Forward. `mask` is null or has the weights of the scale's samples. `map`, which may be null, receives the
// terms; `partials` the sums, tile after tile, plane after plane.
template <typename T>
__device__ __forceinline__ void terms(const Scale& scale, const float2* level, const float* mask, float* map,
                                      double* partials) {
  const int plane = blockIdx.z;
  if (mask) mask += plane / scale.channels * scale.mask_image;
  const Window<T> window = filter<T>(scale, level + (long long)plane * scale.width * scale.height, mask);
  const int row = blockIdx.y * TILE_Y + threadIdx.y, column = blockIdx.x * TILE_X + threadIdx.x;
  const bool counts = row < map_height(scale) && column < map_width(scale);
  const bool clamps = scale.clamped;
  const auto clamped = [clamps](T term) { return clamps ? at_least_zero(term) : term; };
  double sums[SUMS] = {};
  if (counts) {
    const T weight = window.weight, c1 = scale.c1, c2 = scale.c2;
    TermOf<T> term = contrast_structure(window.moments, c2);
    sums[SUM_CS] = weight * clamped(term.value);
    if (is_apart<T>) {
      const MomentsOf<double> m = {window.moments.s, window.moments.d, window.moments.ss, window.moments.dd};
      sums[SUM_L] = weight * clamped(luminance(m, (double)c1).value);
      sums[SUM_C] = weight * clamped(contrast(m, window.sd, c2).term.value);
      sums[SUM_S] = weight * clamped(structure(m, window.sd, c2).term.value);
    } else if (scale.coarsest) {
      term = luminance(window.moments, c1) * term;
      sums[SUM_SSIM] = weight * clamped(term.value);
    }
    sums[SUM_WEIGHT] = weight;
    if (map) map[((long long)plane * map_height(scale) + row) * map_width(scale) + column] = clamped(term.value);
  }
  const long long tile = ((long long)plane * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  write_block_sums(sums, partials + tile * SUMS);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    windows_together(Scale scale, const float2* __restrict__ level, const float* __restrict__ mask,
                     float* __restrict__ map, double* __restrict__ partials) {
  terms<float>(scale, level, mask, map, partials);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    windows_apart(Scale scale, const float2* __restrict__ level, const float* __restrict__ mask,
                  double* __restrict__ partials) {
  terms<double>(scale, level, mask, nullptr, partials);
}

// Backward, first half: the maps that go back through the window, of each plane one after the other,
//
//   a = dt/dE[s] - dt/dE[d],  b = dt/dE[s^2],  c = dt/dE[d^2], and apart e = dt/dE[s d],
//
// of t the terms, each times its share in `relative` (`pool.cu`: three a plane and scale), or, where scales are
// multiplied pixel by pixel, in the map `weights`. A window's weight in the mean, and one over it in its
// moments, cancel.
template <typename T>
__device__ __forceinline__ void slopes(const Scale& scale, const float2* level, const float* mask,
                                       const float* relative, const float* weights, T* maps) {
  const int plane = blockIdx.z;
  if (mask) mask += plane / scale.channels * scale.mask_image;
  const Window<T> window = filter<T>(scale, level + (long long)plane * scale.width * scale.height, mask);
  const int row = blockIdx.y * TILE_Y + threadIdx.y, column = blockIdx.x * TILE_X + threadIdx.x;
  if (row >= map_height(scale) || column >= map_width(scale)) return;
  constexpr int MAPS = is_apart<T> ? 4 : 3;
  const long long area = (long long)map_height(scale) * map_width(scale);
  const long long at = (long long)row * map_width(scale) + column;
  const T c1 = scale.c1, c2 = scale.c2;
  const float* shares = relative + (long long)(plane * scale.scales + scale.scale) * 3;
  const bool clamps = scale.clamped;
  T by[4] = {};
  const auto add = [clamps, &by](const TermOf<T>& term, T by_sd, T share) {
    if (clamps && term.value < T(0)) return;
    by[0] += share * (term.by.s - term.by.d);
    by[1] += share * term.by.ss;
    by[2] += share * term.by.dd;
    by[3] += share * by_sd;
  };
  // NaN has to stay.
  if (!(window.weight <= T(0))) {
    if (is_apart<T>) {
      const MomentsOf<double> m = {window.moments.s, window.moments.d, window.moments.ss, window.moments.dd};
      const TermOf<double> l = luminance(m, (double)c1);
      const TermApart c = contrast(m, window.sd, c2), s = structure(m, window.sd, c2);
      const auto narrow = [](const TermOf<double>& t) {
        return TermOf<T>{(T)t.value, {(T)t.by.s, (T)t.by.d, (T)t.by.ss, (T)t.by.dd}};
      };
      add(narrow(l), T(0), shares[0]);
      add(narrow(c.term), c.by_sd, shares[1]);
      add(narrow(s.term), s.by_sd, shares[2]);
    } else {
      TermOf<T> term = contrast_structure(window.moments, c2);
      if (scale.coarsest) term = luminance(window.moments, c1) * term;
      add(term, T(0), weights ? weights[plane * area + at] : shares[0]);
    }
  }
#pragma unroll
  for (int v = 0; v < MAPS; v++) maps[((long long)plane * MAPS + v) * area + at] = by[v];
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    slopes_together(Scale scale, const float2* __restrict__ level, const float* __restrict__ mask,
                    const float* __restrict__ relative, const float* __restrict__ weights, float* __restrict__ maps) {
  slopes<float>(scale, level, mask, relative, weights, maps);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    slopes_apart(Scale scale, const float2* __restrict__ level, const float* __restrict__ mask,
                 const float* __restrict__ relative, double* __restrict__ maps) {
  slopes<double>(scale, level, mask, relative, nullptr, maps);
}

// Backward, second half: the gradient by the scale's samples, which is its own, times the plane's factor, and
// what it owes to the next scale, whose gradient `coarser` is; null for the coarsest. Pixel by pixel, so that
// scales of one size may have one place.
template <typename T>
__device__ __forceinline__ void spread(const Scale& scale, const Halved& halved, const T* maps, const float2* level,
                                       const float* mask, const float* factors, const float* coarser,
                                       const float* coarser_mask, const Image<float>& out) {
  constexpr int MAPS = is_apart<T> ? 4 : 3;
  const int plane = blockIdx.z;
  const int row = blockIdx.y * TILE_Y + threadIdx.y, column = blockIdx.x * TILE_X + threadIdx.x;
  const long long map_area = (long long)map_height(scale) * map_width(scale);
  T sums[MAPS] = {};
  filter_adjoint<MAPS>(scale, maps + plane * MAPS * map_area, sums);
  if (row >= scale.height || column >= scale.width) return;
  const long long at = (long long)row * scale.width + column;
  const float2 p = level[(long long)plane * scale.width * scale.height + at];
  T own = sums[0] + T(2) * (p.x * sums[1] - p.y * sums[2]);
  // d(s d)/dy = d - s
  if (is_apart<T>) own += sums[MAPS - 1] * (p.y - p.x);
  float gradient = factors[plane * scale.scales + scale.scale] * (float)own;
  if (coarser) {
    coarser += (long long)plane * halved.next_width * halved.next_height;
    if (coarser_mask) coarser_mask += plane / scale.channels * scale.mask_image;
    const int width = halved.next_width;
    gradient += halve_adjoint(halved, row, column, [coarser, coarser_mask, width](int i, int j) {
      const long long next = (long long)i * width + j;
      if (!coarser_mask) return coarser[next];
      // By what its samples were divided by.
      return coarser_mask[next] > 0.0f ? coarser[next] / coarser_mask[next] : 0.0f;
    });
  }
  if (mask) gradient *= mask[plane / scale.channels * scale.mask_image + at];
  column_of(out, plane, scale.channels, column)[row * out.row] = gradient;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    spread_together(Scale scale, Halved halved, const float* __restrict__ maps, const float2* __restrict__ level,
                    const float* __restrict__ mask, const float* __restrict__ factors, const float* coarser,
                    const float* __restrict__ coarser_mask, Image<float> out) {
  spread<float>(scale, halved, maps, level, mask, factors, coarser, coarser_mask, out);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    spread_apart(Scale scale, Halved halved, const double* __restrict__ maps, const float2* __restrict__ level,
                 const float* __restrict__ mask, const float* __restrict__ factors, const float* coarser,
                 const float* __restrict__ coarser_mask, Image<float> out) {
  spread<double>(scale, halved, maps, level, mask, factors, coarser, coarser_mask, out);
}
