// Convolution as a matrix product whose left factor is never written: samples are gathered as the
// product needs them ("implicit GEMM").
//
// out[o](p) = bias[o] + sum_ick w[o][i][k] in[i](stride p + k - kernel / 2), with `kernel` odd. All
// tensors are contiguous: images x channels x height x width, weights out x in x kernel x kernel.
//
// A block of 128 threads computes 128 rows (a thread gathers one) of 8 WIDTH columns; a thread keeps
// 8 x WIDTH sums in registers. Products are summed along the depth in one order, by fused
// multiplications: results do not depend on the batch.
#pragma once

#define THREADS 128
// Of the depth, what is in shared memory at a time.
#define STEP 8

// The layout of `Conv` in src/network.rs.
struct Conv {
  int images, in_channels, out_channels;
  int height, width;
  int out_height, out_width;
  int kernel, stride;
  // Whether the nearest sample of the image is seen beyond it; otherwise zeros are.
  int replicate;
  // Whether negative outputs become 0.
  int relu;
};

// One step along the depth of a product: a plane of an image, a tap of the kernel, a weight.
// The layout of `Tap` in src/network.rs.
struct Tap {
  int plane, row, column, weight;
};

// Multiplies gathered rows by weights into `sums`, this thread's rows (8 ways) by columns. `gather` gives
// this thread's row at a tap; `weight` a column's weight at a tap (tap index and column within the
// block's).
template <int WIDTH, typename Gather, typename Weight>
__device__ __forceinline__ void multiply(const Gather& gather, const Weight& weight, int depth, float (&sums)[8][WIDTH]) {
  constexpr int COLUMNS = 8 * WIDTH;
  // Four more, so that threads storing a step of one column meet different banks.
  __shared__ float a[2][STEP][THREADS], b[2][STEP][COLUMNS + 4];
  constexpr int OF_THREAD = (STEP * COLUMNS + THREADS - 1) / THREADS;
  const int t = threadIdx.x, across = t % 16, down = t / 16;
  float next_a[STEP], next_b[OF_THREAD];
#pragma unroll
  for (int i = 0; i < 8; i++)
#pragma unroll
    for (int j = 0; j < WIDTH; j++) sums[i][j] = 0.0f;

  auto load = [&](int from) {
#pragma unroll
    for (int k = 0; k < STEP; k++) next_a[k] = from + k < depth ? gather(from + k) : 0.0f;
#pragma unroll
    for (int i = 0; i < OF_THREAD; i++) {
      const int at = t + i * THREADS, k = at % STEP, column = at / STEP;
      next_b[i] = column < COLUMNS && from + k < depth ? weight(from + k, column) : 0.0f;
    }
  };
  auto store = [&](int half) {
#pragma unroll
    for (int k = 0; k < STEP; k++) a[half][k][t] = next_a[k];
#pragma unroll
    for (int i = 0; i < OF_THREAD; i++) {
      const int at = t + i * THREADS, k = at % STEP, column = at / STEP;
      if (column < COLUMNS) b[half][k][column] = next_b[i];
    }
  };

  load(0);
  store(0);
  __syncthreads();
  for (int from = 0, half = 0; from < depth; from += STEP, half ^= 1) {
    if (from + STEP < depth) load(from + STEP);
#pragma unroll
    for (int k = 0; k < STEP; k++) {
      float rows[8], columns[WIDTH];
#pragma unroll
      for (int i = 0; i < 8; i++) rows[i] = a[half][k][across * 4 + i % 4 + i / 4 * 64];
#pragma unroll
      for (int j = 0; j < WIDTH; j++) columns[j] = b[half][k][down * WIDTH + j];
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < WIDTH; j++) sums[i][j] = fmaf(rows[i], columns[j], sums[i][j]);
    }
    if (from + STEP < depth) store(half ^ 1);
    __syncthreads();
  }
}

// The row, among the block's 128, of this thread's sum `i`; and the first of its columns.
__device__ __forceinline__ int row_of(int i) { return threadIdx.x % 16 * 4 + i % 4 + i / 4 * 64; }
template <int WIDTH>
__device__ __forceinline__ int first_column() {
  return threadIdx.x / 16 * WIDTH;
}

__device__ __forceinline__ int clamp(int v, int high) { return v < 0 ? 0 : v > high ? high : v; }
