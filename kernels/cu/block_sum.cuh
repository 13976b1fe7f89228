// A sum over a block.
#pragma once

// Sums a number of each of THREADS threads, in a fixed order; the first thread receives it.
template <int THREADS>
__device__ __forceinline__ double block_sum(double v) {
  __shared__ double of_warp[THREADS / 32];
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) v += __shfl_down_sync(0xffffffffu, v, o);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int warp = 1; warp < THREADS / 32; warp++) v += of_warp[warp];
  return v;
}
