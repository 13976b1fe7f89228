// The product over scales pixel by pixel: the mean over the finest map of prod_j t_j(i_j)^w_j, where a
// pixel's place i_j halves with every scale, rounded down, and stops at the last row and column. (The
// other reading of the paper multiplies the scales' means.)
//
// With f_j(q) = t_j(q)^w_j, the sum over the finest pixels is built from fine to coarse,
//
//   S_0(q) = 1,  S_j+1(q) = sum over the children c of q: f_j(c) S_j(c),  score = sum_q f_M(q) S_M(q) / area,
//
// and what a term owes to the score comes back from coarse to fine,
//
//   P_M+1 = 1,   P_j(q) = f_j(q) P_j+1(parent of q),   d score / d t_j(q) = f_j'(q) S_j(q) P_j+1(parent) / area.
//
// Each is one pass over a scale. The P take the place of the S, and the derivatives that of the terms.
#include "power.cuh"

#define BLOCK 256

// The layout of `Product` in src/parameters.rs.
struct Product {
  int width, height;
  // The next scale's.
  int next_width, next_height;
  // Whether the next scale is half as large; otherwise it has the same size.
  int halves;
  // What becomes of a negative term.
  int negative;
  double weight, bound;
};

// Which pixels of the finer scale have the coarser pixel `at` as their parent: the last takes the rest.
__device__ __forceinline__ int2 children(int halves, int at, int side, int next_side) {
  if (!halves) return make_int2(at, at + 1);
  return make_int2(2 * at, at + 1 == next_side ? side : 2 * at + 2);
}

// S of the next scale. Grid: blocks of columns, rows, planes of the next scale. `sums` is null where
// this is the finest scale.
extern "C" __global__ void __launch_bounds__(BLOCK)
    rise(Product plan, const float* __restrict__ terms, const float* __restrict__ sums, float* __restrict__ next) {
  const int column = blockIdx.x * BLOCK + threadIdx.x, row = blockIdx.y;
  const long long plane = blockIdx.z;
  if (column >= plan.next_width) return;
  const long long first = plane * plan.width * plan.height;
  const int2 rows = children(plan.halves, row, plan.height, plan.next_height);
  const int2 columns = children(plan.halves, column, plan.width, plan.next_width);
  double sum = 0.0;
  for (int i = rows.x; i < rows.y; i++) {
    for (int j = columns.x; j < columns.y; j++) {
      const long long at = first + (long long)i * plan.width + j;
      const double value = power(terms[at], plan.weight, plan.negative, plan.bound).value;
      sum += sums ? value * sums[at] : value;
    }
  }
  next[(plane * plan.next_height + row) * plan.next_width + column] = (float)sum;
}

// From the coarsest scale to the scores and factors. Grid: images. Block: 256 threads. `sums` is null
// for a single scale. `factors`, which may be null, are per plane and scale, and turn the derivatives
// that `descend` makes into those of the image's score, or of the sum of scores weighted by `upstream`
// (`share_of`).
extern "C" __global__ void __launch_bounds__(BLOCK)
    total(Product plan, int channels, int scales, double area, double data_range, const float* __restrict__ terms,
          const float* __restrict__ sums, double* __restrict__ scores, float* __restrict__ factors,
          const float* __restrict__ upstream, int by_channel) {
  __shared__ double of_warp[BLOCK / 32];
  const long long image = blockIdx.x, pixels = (long long)plan.width * plan.height;
  double score = 0.0;
  for (int channel = 0; channel < channels; channel++) {
    const long long first = (image * channels + channel) * pixels;
    double sum = 0.0;
    for (long long i = threadIdx.x; i < pixels; i += BLOCK) {
      const double value = power(terms[first + i], plan.weight, plan.negative, plan.bound).value;
      sum += sums ? value * sums[first + i] : value;
    }
#pragma unroll
    for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, o);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    double of_plane = 0.0;
    for (int warp = 0; warp < BLOCK / 32; warp++) of_plane += of_warp[warp];
    score += of_plane / area;
    __syncthreads();
  }
  if (threadIdx.x == 0) scores[image] = score / channels;
  if (!factors) return;
  for (int i = threadIdx.x; i < channels * scales; i += BLOCK) {
    const double weight = share_of(upstream, by_channel, image, i / scales, channels);
    factors[image * channels * scales + i] = (float)(weight / (area * data_range * channels));
  }
}

// P of this scale over its S, and the derivatives over its terms. Grid: blocks of columns, rows, planes
// of this scale. `sums` is null for the finest scale, `coarser` (P of the next) for the coarsest.
extern "C" __global__ void __launch_bounds__(BLOCK)
    descend(Product plan, float* __restrict__ terms, float* __restrict__ sums, const float* __restrict__ coarser) {
  const int column = blockIdx.x * BLOCK + threadIdx.x, row = blockIdx.y;
  const long long plane = blockIdx.z;
  if (column >= plan.width) return;
  const long long at = (plane * plan.height + row) * plan.width + column;
  double product = 1.0;
  if (coarser) {
    const int i = min(row >> plan.halves, plan.next_height - 1), j = min(column >> plan.halves, plan.next_width - 1);
    product = coarser[(plane * plan.next_height + i) * plan.next_width + j];
  }
  const Power p = power(terms[at], plan.weight, plan.negative, plan.bound);
  const double below = sums ? sums[at] : 1.0;
  terms[at] = (float)(p.slope * below * product);
  if (sums) sums[at] = (float)(p.value * product);
}
