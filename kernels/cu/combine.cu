// From the sums of parts to scores and factors, on the device: no synchronisation with the host
// between the scales. All in double, in a fixed order.
//
// Grid: images. Block: 256 threads.
#include "power.cuh"

#define MAX_SCALES 8
#define BLOCK 256

// The layout of `Combine` in src/parameters.rs.
struct Combine {
  int scales, channels;
  // What becomes of a negative mean.
  int negative;
  // Scale by scale: sums of a plane, and where the scale's sums of all planes begin.
  int partials[MAX_SCALES];
  long long first[MAX_SCALES];
  // Windows of a plane, and exponents.
  double windows[MAX_SCALES], weights[MAX_SCALES];
  double data_range, bound;
};

// The mean of cs (x) and of l cs (y) over one scale of one plane; every lane receives it.
__device__ double2 scale_mean(const Combine& plan, const double2* partials, int plane, int scale) {
  const double2* of_plane = partials + plan.first[scale] + (long long)plane * plan.partials[scale];
  double2 sum = make_double2(0.0, 0.0);
  for (int i = threadIdx.x % 32; i < plan.partials[scale]; i += 32) {
    sum.x += of_plane[i].x;
    sum.y += of_plane[i].y;
  }
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) {
    sum.x += __shfl_xor_sync(0xffffffffu, sum.x, o);
    sum.y += __shfl_xor_sync(0xffffffffu, sum.y, o);
  }
  return make_double2(sum.x / plan.windows[scale], sum.y / plan.windows[scale]);
}

// `means`: per plane and scale, of cs and of l cs (0 but for the coarsest scale). `scores`: per image, the
// mean over its channels. `factors`, which may be null: per plane and scale, what turns the gradient of the
// scale's sum into that of the image's score, or of the sum of scores weighted by `upstream` (`share_of`).
extern "C" __global__ void __launch_bounds__(BLOCK)
    combine(Combine plan, const double2* __restrict__ partials, double2* means, double* __restrict__ scores,
            float* __restrict__ factors, const float* __restrict__ upstream, int by_channel) {
  __shared__ double value[MAX_SCALES], slope[MAX_SCALES];
  const int image = blockIdx.x;
  const int pairs = plan.channels * plan.scales;
  for (int pair = threadIdx.x / 32; pair < pairs; pair += BLOCK / 32) {
    const int plane = image * plan.channels + pair / plan.scales, scale = pair % plan.scales;
    const double2 mean = scale_mean(plan, partials, plane, scale);
    if (threadIdx.x % 32 == 0) means[(long long)plane * plan.scales + scale] = mean;
  }
  double score = 0.0;
  for (int channel = 0; channel < plan.channels; channel++) {
    const int plane = image * plan.channels + channel, scale = threadIdx.x;
    __syncthreads();
    if (scale < plan.scales) {
      const double2 mean = means[(long long)plane * plan.scales + scale];
      const double t = scale + 1 == plan.scales ? mean.y : mean.x;
      const Power p = power(t, plan.weights[scale], plan.negative, plan.bound);
      value[scale] = p.value;
      slope[scale] = p.slope;
    }
    __syncthreads();
    // The derivative by one mean is its power's slope between the product of those before it and the
    // product of those after it: a factor of 0 is not divided by.
    double before = 1.0, after = 1.0, product = 1.0;
    for (int k = 0; k < plan.scales; k++) {
      product *= value[k];
      if (k < scale) before *= value[k];
      if (k > scale) after *= value[k];
    }
    score += product;
    if (!factors || scale >= plan.scales) continue;
    const double scaled = before * slope[scale] * after / (plan.windows[scale] * plan.data_range * plan.channels);
    const double weight = share_of(upstream, by_channel, image, channel, plan.channels);
    factors[(long long)plane * plan.scales + scale] = (float)(scaled * weight);
  }
  if (threadIdx.x == 0) scores[image] = score / plan.channels;
}
