// A code drawn from a Gaussian, and how far that Gaussian is from the standard one: what
// msssim-cpu's `GaussianCode` computes, image by image.
//
//   z  = m + exp(v / 2) e                   dz/dm = 1            dz/dv = exp(v / 2) e / 2
//   KL = sum (m^2 + exp(v) - 1 - v) / 2     dKL/dm = m           dKL/dv = (exp(v) - 1) / 2
//
// `moments` holds each image's means m, then its logarithms of variances v; e is noise.
#include "block_sum.cuh"

#define BLOCK 256

// A logarithm of a variance, no larger than counts: exp of it stays finite. NaN stays.
__device__ __forceinline__ float bounded(float v) { return v > 80.0f ? 80.0f : v; }

// Grid: images.
extern "C" __global__ void __launch_bounds__(BLOCK)
    gaussian_forward(int length, const float* __restrict__ moments, const float* __restrict__ noise,
                     float* __restrict__ code, double* __restrict__ divergences) {
  const long long first = (long long)blockIdx.x * length;
  const float *means = moments + 2 * first, *log_variances = means + length;
  double sum = 0.0;
  for (int i = threadIdx.x; i < length; i += BLOCK) {
    const float m = means[i], v = bounded(log_variances[i]);
    code[first + i] = m + expf(0.5f * v) * noise[first + i];
    sum += (double)m * m + expm1((double)v) - v;
  }
  sum = block_sum<BLOCK>(sum);
  if (threadIdx.x == 0) divergences[blockIdx.x] = 0.5 * sum;
}

// The gradient by the moments of what has the gradient `dcode` by the code, plus `factor` times that of the
// divergence. Grid: blocks of a code's numbers, images.
extern "C" __global__ void __launch_bounds__(BLOCK)
    gaussian_backward(int length, float factor, const float* __restrict__ moments, const float* __restrict__ noise,
                      const float* __restrict__ dcode, float* __restrict__ dmoments) {
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  if (i >= length) return;
  const long long at = (long long)blockIdx.y * length + i, mean = at + (long long)blockIdx.y * length;
  const float v = bounded(moments[mean + length]), dz = dcode[at];
  dmoments[mean] = dz + factor * moments[mean];
  dmoments[mean + length] = 0.5f * expf(0.5f * v) * noise[at] * dz + 0.5f * factor * expm1f(v);
}
