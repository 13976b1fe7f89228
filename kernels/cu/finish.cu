// The gradient of the score from the gradients of the scales' sums: each pixel adds up what it owes to
// every scale, from the finest to the coarsest. The adjoint of the pyramid without its levels.
//
// Grid: blocks of columns, rows, planes. Block: 256 threads.
#include "source.cuh"

#define MAX_SCALES 8
#define BLOCK 256

enum { SYMMETRIC = 0, ZERO = 1, FLOOR = 2 };

// The layout of `Finish` in src/parameters.rs.
struct Finish {
  int channels, scales, halving;
  // Scale by scale.
  int width[MAX_SCALES], height[MAX_SCALES];
  // Where the gradients of all planes of the coarser scales begin, in samples; the first is not used.
  long long first[MAX_SCALES];
};

// One step down the pyramid along an axis: where a pixel of a side goes, and how often it counts.
__device__ __forceinline__ void descend(int halving, int side, unsigned& at, float& weight) {
  const unsigned odd = side & 1;
  const bool last = odd && at + 1 == side;
  const float of_last = halving == SYMMETRIC ? 1.0f : halving == FLOOR ? 0.0f : 0.5f;
  weight *= last ? of_last : 0.5f;
  at = (at + (halving == ZERO ? odd : 0)) >> 1;
}

// `gradient` holds the finest scale's own gradient and receives the whole one.
extern "C" __global__ void __launch_bounds__(BLOCK)
    finish(Finish plan, const float* __restrict__ coarser, const float* __restrict__ factors,
           Image<float> gradient) {
  unsigned column = blockIdx.x * BLOCK + threadIdx.x, row = blockIdx.y;
  const int plane = blockIdx.z;
  if (column >= plan.width[0]) return;
  float* out = column_of(gradient, plane, plan.channels, column) + row * gradient.row;
  const float* factor = factors + (long long)plane * plan.scales;
  float sum = factor[0] * *out;
  float down = 1.0f, across = 1.0f;
#pragma unroll
  for (int j = 1; j < MAX_SCALES; j++) {
    if (j >= plan.scales) break;
    descend(plan.halving, plan.height[j - 1], row, down);
    descend(plan.halving, plan.width[j - 1], column, across);
    if (down * across == 0.0f) break;
    // A plane has fewer than 2^31 pixels.
    const unsigned width = plan.width[j], area = width * plan.height[j];
    const float* level = coarser + plan.first[j] + (unsigned long long)plane * area;
    sum = fmaf(down * across, factor[j] * level[row * width + column], sum);
  }
  *out = sum;
}
