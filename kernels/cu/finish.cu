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
  int width, height, channels, scales, halving;
  // Where the gradients of all planes of the coarser scales begin, in samples; the first is not used.
  long long first[MAX_SCALES];
};

// One step down the pyramid along an axis: where a pixel goes, the side there, how often it counts.
__device__ __forceinline__ void descend(int halving, int& at, int& side, float& weight) {
  const int odd = side % 2;
  const bool last = odd && at + 1 == side;
  weight *= 0.5f;
  if (halving == SYMMETRIC && last) weight *= 2.0f;
  if (halving == FLOOR && last) weight = 0.0f;
  at = (at + (halving == ZERO ? odd : 0)) / 2;
  side = (side + (halving != FLOOR)) / 2;
}

// `gradient` holds the finest scale's own gradient and receives the whole one.
extern "C" __global__ void __launch_bounds__(BLOCK)
    finish(Finish plan, const float* __restrict__ coarser, const float* __restrict__ factors,
           Image<float> gradient) {
  int column = blockIdx.x * BLOCK + threadIdx.x, row = blockIdx.y;
  const int plane = blockIdx.z;
  if (column >= plan.width) return;
  float* out = column_of(gradient, plane, plan.channels, column) + row * gradient.row;
  const float* factor = factors + (long long)plane * plan.scales;
  float sum = factor[0] * *out;
  int width = plan.width, height = plan.height;
  float down = 1.0f, across = 1.0f;
#pragma unroll
  for (int j = 1; j < MAX_SCALES; j++) {
    if (j >= plan.scales) break;
    descend(plan.halving, row, height, down);
    descend(plan.halving, column, width, across);
    if (down * across == 0.0f) break;
    const float* level = coarser + plan.first[j] + (long long)plane * ((long long)width * height);
    sum = fmaf(down * across, factor[j] * level[(long long)row * width + column], sum);
  }
  *out = sum;
}
