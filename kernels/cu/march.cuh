// One scale of the metric: a block marches down a strip of columns, row by row.
//
// A thread owns a column. Of each row it loads one pixel, exchanges it with its neighbours through
// shared memory, filters along the row, and feeds the result to a vertical filter in transposed form:
// ten partial sums in registers that move up by one with every row (acc[k] = acc[k+1] + tap[k] v), so
// that rows are neither kept nor read again. The eleventh row completes a window. Its terms are summed
// in double, and the next level of the pyramid is written from the rows as they pass.
//
// For the gradient, the derivatives by the moments go through the same two filters once more: the
// adjoint of a symmetric window is the window, over zeros where there are no windows; what it leaves
// beyond the image belongs to the nearest pixel of the image, which is where the forward filter read
// it. The gradient is that of the sum of the scale's terms; `finish` scales and adds the scales up.
//
// Positions count in pixels of the scale. A window is named by its centre: with windows inside the
// image only (`valid`), centres keep five pixels from every side.
#pragma once
#include "source.cuh"
#include "ssim.cuh"

#define RADIUS 5
#define TAPS 11
#define MAX_BLOCK 256
// Rows whose sums are written together. Strips are whole chunks, so that no sum depends on how long
// they are.
#define CHUNK 8

// What a march is for: the sums of the terms; those and a map of the terms; those and the gradient of
// the sum; the gradient of the sum of the terms weighted by a map.
enum Mode { SUMS, TERMS, GRADIENT, WEIGHTED };

__device__ constexpr bool has_gradient(Mode mode) { return mode == GRADIENT || mode == WEIGHTED; }

// How an odd side is halved; the numbers of `Halving` in src/parameters.rs.
enum { SYMMETRIC = 0, ZERO = 1, FLOOR = 2 };

// The layout of `Scale` in src/parameters.rs.
struct Scale {
  int width, height;
  int channels;
  // Rows of a block's strip, whole chunks.
  int rows;
  int halving;
  int valid;
  // Whether terms are luminance times contrast-structure.
  int coarsest;
  float taps[RADIUS + 1];
  float c1, c2;
  // 1 / data range, and the largest sample that counts.
  float sample_scale, limit;
};

__device__ __forceinline__ int clamp(int v, int high) { return v < 0 ? 0 : v > high ? high : v; }

__device__ __forceinline__ float tap(const Scale& scale, int k) {
  return scale.taps[k < RADIUS ? RADIUS - k : k - RADIUS];
}

// Feeds one value to a vertical filter in transposed form; returns the finished sum.
__device__ __forceinline__ float feed(const Scale& scale, float v, float acc[TAPS - 1]) {
  const float done = fmaf(tap(scale, 0), v, acc[0]);
#pragma unroll
  for (int k = 1; k < TAPS - 1; k++) acc[k - 1] = fmaf(tap(scale, k), v, acc[k]);
  acc[TAPS - 2] = tap(scale, TAPS - 1) * v;
  return done;
}

// The window along a row, taps at equal distance sharing a product.
__device__ __forceinline__ float along(const Scale& scale, const float* centre) {
  float sum = scale.taps[0] * centre[0];
#pragma unroll
  for (int k = 1; k <= RADIUS; k++) sum = fmaf(scale.taps[k], centre[-k] + centre[k], sum);
  return sum;
}

// The same of the squares.
__device__ __forceinline__ float along_squares(const Scale& scale, const float* centre) {
  float sum = scale.taps[0] * (centre[0] * centre[0]);
#pragma unroll
  for (int k = 1; k <= RADIUS; k++) {
    const float squares = fmaf(centre[-k], centre[-k], centre[k] * centre[k]);
    sum = fmaf(scale.taps[k], squares, sum);
  }
  return sum;
}

// The adjoint along a row: the window, and at the first and last pixel what fell beyond them.
__device__ __forceinline__ float along_adjoint(const Scale& scale, const float* map, int t, int column) {
  float sum = along(scale, map + t);
  if (column == 0) {
#pragma unroll
    for (int k = 1; k <= RADIUS; k++) {
      // The pixel `k` columns beyond is within reach of the first windows only.
      float beyond = 0.0f;
#pragma unroll
      for (int j = 0; j <= RADIUS - k; j++) beyond = fmaf(scale.taps[k + j], map[t + j], beyond);
      sum += beyond;
    }
  }
  if (column == scale.width - 1) {
#pragma unroll
    for (int k = 1; k <= RADIUS; k++) {
      float beyond = 0.0f;
#pragma unroll
      for (int j = 0; j <= RADIUS - k; j++) beyond = fmaf(scale.taps[k + j], map[t - j], beyond);
      sum += beyond;
    }
  }
  return sum;
}

// Adds two numbers of each thread over the block, in a fixed order, and writes them. The next call must
// be a barrier away.
__device__ __forceinline__ void write_block_sum(double2 v, double2* out) {
  __shared__ double2 of_warp[MAX_BLOCK / 32];
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) {
    v.x += __shfl_down_sync(0xffffffffu, v.x, o);
    v.y += __shfl_down_sync(0xffffffffu, v.y, o);
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < blockDim.x / 32; i++) {
      v.x += of_warp[i].x;
      v.y += of_warp[i].y;
    }
    *out = v;
  }
}

// Writes the pixel of the next level that this row and column complete, if they do. `left` and
// `right` are the pixels of columns `column - 1` and `column`; `upper` is their sum in the row above.
__device__ __forceinline__ void halve(const Scale& scale, int row, int column, float2 left, float2 right,
                                      float2& upper, bool own, float2* next) {
  const bool zero = scale.halving == ZERO;
  const int down = zero && scale.height % 2, across = zero && scale.width % 2;
  // Zeros before the first pixel: x = y = 0 is s = -1, d = 0.
  const float2 none = make_float2(-1.0f, 0.0f);
  if (across && column == 0) left = none;
  if (down && row < 0) left = right = none;
  const float2 lower = make_float2(left.x + right.x, left.y + right.y);
  if (own && (row + down) % 2 == 1 && (column + across) % 2 == 1) {
    const int i = (row + down) / 2, j = (column + across) / 2;
    const int up = scale.halving != FLOOR;
    const int height = (scale.height + up) / 2, width = (scale.width + up) / 2;
    if (i < height && j < width)
      next[(long long)i * width + j] =
          make_float2(0.25f * (upper.x + lower.x), 0.25f * (upper.y + lower.y));
  }
  upper = lower;
}

// The column of the scale that this thread owns, or whose pixels it loads for its neighbours. The
// strip is narrower than the block: moments need five columns on either side, the gradient ten.
template <Mode MODE>
__device__ __forceinline__ int own_column_of() {
  constexpr int HALO = has_gradient(MODE) ? 2 * RADIUS : RADIUS;
  return (int)(blockIdx.x * (blockDim.x - 2 * HALO) + threadIdx.x) - HALO;
}

// Marches down the strip of block (x, y). `source` is the thread's column; `next` is this plane's next
// level, or null; `gradient` is the thread's column of the gradient, with the distance of its rows.
// `partials` receives the sums of cs and, on the coarsest scale, of l cs: by plane, then chunks from top
// to bottom, then blocks from left to right. `map` is the thread's column of the plane's map of terms,
// which covers the image: written by TERMS, the weights of WEIGHTED, which sums and halves nothing.
template <Mode MODE, typename Source>
__device__ __forceinline__ void march(const Scale& scale, const Source& source, float2* next, double2* partials,
                                      float* map, float* gradient, long long gradient_row) {
  constexpr bool DIFFERENTIATES = has_gradient(MODE);
  constexpr int HALO = DIFFERENTIATES ? 2 * RADIUS : RADIUS;
  // Two rows of each, so that one barrier a row is enough.
  __shared__ float pixels_s[2][MAX_BLOCK], pixels_d[2][MAX_BLOCK];
  __shared__ float maps[DIFFERENTIATES ? 2 : 1][3][DIFFERENTIATES ? MAX_BLOCK : 1];

  const int t = threadIdx.x, width = blockDim.x - 2 * HALO;
  const int column = own_column_of<MODE>();
  const int first = (int)blockIdx.y * scale.rows;
  const int end = min(first + scale.rows, scale.height);
  const bool own_column = t >= HALO && t < HALO + width && column < scale.width;
  // Also a column beyond an odd width, in which the next level sees the last one's mirror image.
  const bool halves_column = t >= HALO && t < HALO + width;
  const int margin = scale.valid ? RADIUS : 0;
  const bool centre_column =
      t >= RADIUS && t < blockDim.x - RADIUS && column >= margin && column < scale.width - margin;

  float s[TAPS - 1] = {}, d[TAPS - 1] = {}, ss[TAPS - 1] = {}, dd[TAPS - 1] = {};
  float a[TAPS - 1] = {}, b[TAPS - 1] = {}, c[TAPS - 1] = {};
  // The derivatives of the centre row before, and what rows beyond the image leave to its edge.
  float map_a = 0.0f, map_b = 0.0f, map_c = 0.0f, edge_a = 0.0f, edge_b = 0.0f, edge_c = 0.0f;
  float2 upper = make_float2(0.0f, 0.0f);
  double2 sums = make_double2(0.0, 0.0);

  // The gradient of row e is complete with the derivatives of row e + 5, one row after they are made,
  // five rows after their last pixel; at the lower edge it waits for the five rows beyond.
  const int last = !DIFFERENTIATES ? end - 1 + RADIUS : (end == scale.height ? end - 1 + RADIUS : end - 1) + 2 * RADIUS + 1;
  float2 pixel = source(clamp(first - HALO, scale.height - 1));
  for (int row = first - HALO, half = 0; row <= last; row++, half ^= 1) {
    pixels_s[half][t] = pixel.x;
    pixels_d[half][t] = pixel.y;
    if (DIFFERENTIATES) {
      maps[half][0][t] = map_a;
      maps[half][1][t] = map_b;
      maps[half][2][t] = map_c;
    }
    __syncthreads();
    const float2 own = pixel;
    pixel = source(clamp(row + 1, scale.height - 1));

    if (MODE != WEIGHTED && next && t > 0) {
      const float2 left = make_float2(pixels_s[half][t - 1], pixels_d[half][t - 1]);
      halve(scale, row, column, left, own, upper, halves_column && row >= first && row < first + scale.rows, next);
    }

    const int centre = row - RADIUS;
    map_a = map_b = map_c = 0.0f;
    if (centre_column) {
      Moments m;
      m.s = feed(scale, along(scale, &pixels_s[half][t]), s);
      m.d = feed(scale, along(scale, &pixels_d[half][t]), d);
      m.ss = feed(scale, along_squares(scale, &pixels_s[half][t]), ss);
      m.dd = feed(scale, along_squares(scale, &pixels_d[half][t]), dd);
      // In the first rows the window is not full; its centre lies beyond what is needed here.
      const bool full = centre >= first - HALO + RADIUS;
      if (full && centre >= margin && centre < scale.height - margin) {
        Term term = contrast_structure(m, scale.c2);
        const bool own_centre = own_column && centre >= first && centre < end;
        if (own_centre) sums.x += term.value;
        if (scale.coarsest) {
          term = luminance(m, scale.c1) * term;
          if (own_centre) sums.y += term.value;
        }
        if (MODE == TERMS && own_centre) map[(long long)centre * scale.width] = term.value;
        const float weight = MODE == WEIGHTED ? map[(long long)centre * scale.width] : 1.0f;
        map_a = weight * (term.by.s - term.by.d);
        map_b = weight * term.by.ss;
        map_c = weight * term.by.dd;
      }
    }

    if (MODE != WEIGHTED && centre >= first && centre < end && (centre % CHUNK == CHUNK - 1 || centre == end - 1)) {
      const int chunks = (scale.height + CHUNK - 1) / CHUNK;
      const long long line = (long long)blockIdx.z * chunks + centre / CHUNK;
      write_block_sum(sums, partials + line * gridDim.x + blockIdx.x);
      sums = make_double2(0.0, 0.0);
    }

    if (DIFFERENTIATES && own_column) {
      const int e = row - 2 * RADIUS - 1;
      const float done_a = feed(scale, along_adjoint(scale, maps[half][0], t, column), a);
      const float done_b = feed(scale, along_adjoint(scale, maps[half][1], t, column), b);
      const float done_c = feed(scale, along_adjoint(scale, maps[half][2], t, column), c);
      if (e >= first || (first == 0 && e >= -RADIUS)) {
        edge_a += done_a;
        edge_b += done_b;
        edge_c += done_c;
        const bool waits = e < 0 || (e >= scale.height - 1 && e < scale.height - 1 + RADIUS);
        if (!waits) {
          const int at = min(e, scale.height - 1);
          const float2 p = source(at);
          gradient[at * gradient_row] = edge_a + 2.0f * (p.x * edge_b - p.y * edge_c);
          edge_a = edge_b = edge_c = 0.0f;
        }
      }
    }
  }
}

// Pixels of the next level's plane.
__device__ __forceinline__ long long next_area(const Scale& scale) {
  const int up = scale.halving != FLOOR;
  return (long long)((scale.height + up) / 2) * ((scale.width + up) / 2);
}
