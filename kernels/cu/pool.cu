// From the sums of tiles to scores, by any convention: terms together or apart, channels by themselves or
// together, windows with weights. All in double, in a fixed order, on the device. What training needs is
// `combine.cu`.
//
// Grid: images. Block: 256 threads.
#include "power.cuh"

#define MAX_SCALES 8
#define BLOCK 256

// As in `windows.cu`.
enum { SUM_CS, SUM_SSIM, SUM_L, SUM_C, SUM_S, SUM_WEIGHT, SUMS };
// What is written of a plane's scale: the means of cs, l cs, l, c and s.
#define MEANS 5

// The layout of `Pool` in src/parameters.rs.
struct Pool {
  // Whether l, c and s have exponents of their own.
  int apart;
  int scales, channels;
  // Whether channels have one score together.
  int joint;
  // Whether windows have weights.
  int masked;
  // What becomes of a negative mean.
  int negative;
  // Scale by scale: tiles of a plane, and where the sums of all planes begin.
  int tiles[MAX_SCALES];
  long long first[MAX_SCALES];
  // Windows of a plane; exponents, of c where terms are apart; of l and s there.
  double windows[MAX_SCALES], weights[MAX_SCALES], alpha[MAX_SCALES], gamma[MAX_SCALES];
  double data_range, bound;
};

// One number of the sums over a scale of a plane; every lane receives it.
__device__ double scale_sum(const Pool& pool, const double* partials, int plane, int scale, int which) {
  const double* of_plane = partials + (pool.first[scale] + (long long)plane * pool.tiles[scale]) * SUMS + which;
  double sum = 0.0;
  for (int i = threadIdx.x % 32; i < pool.tiles[scale]; i += 32) sum += of_plane[i * SUMS];
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, o);
  return sum;
}

// `sums` is scratch, six a plane and scale. `means`: five a plane and scale. `scores`: per image, of its
// channels the mean. Both of the following may be null: `relative`, three a plane and scale, has the
// derivatives of what is differentiated (`share_of`) by the terms' sums as a share of the largest, so that none
// is lost in single precision, and `factors`, one a plane and scale, the largest, per unit of a sample.
extern "C" __global__ void __launch_bounds__(BLOCK)
    pool(Pool pool, const double* __restrict__ partials, double* sums, double* means, double* __restrict__ scores,
         float* __restrict__ relative, float* __restrict__ factors, const float* __restrict__ upstream,
         int by_channel) {
  // Of each mean to a power: the mean, the power, its slope, the weight of its windows; its derivative.
  __shared__ double value[3 * MAX_SCALES], slope[3 * MAX_SCALES], weight[MAX_SCALES], derivative[3 * MAX_SCALES];
  const long long image = blockIdx.x;
  const int terms = pool.apart ? 3 : 1, powers = pool.scales * terms;
  for (int at = threadIdx.x / 32; at < pool.channels * pool.scales * SUMS; at += BLOCK / 32) {
    const int which = at % SUMS, pair = at / SUMS;
    const int plane = image * pool.channels + pair / pool.scales;
    const double sum = scale_sum(pool, partials, plane, pair % pool.scales, which);
    if (threadIdx.x % 32 == 0) sums[image * pool.channels * pool.scales * SUMS + at] = sum;
  }
  double score = 0.0;
  const int groups = pool.joint ? 1 : pool.channels, planes = pool.joint ? pool.channels : 1;
  for (int group = 0; group < groups; group++) {
    __syncthreads();
    const long long first = image * pool.channels + group;
    // The sums of all planes of the group, one after the other.
    const auto total = [&](int scale, int which) {
      double sum = 0.0;
      for (int plane = 0; plane < planes; plane++) sum += sums[((first + plane) * pool.scales + scale) * SUMS + which];
      return sum;
    };
    if (threadIdx.x < pool.scales) {
      const int scale = threadIdx.x;
      const double all = pool.masked ? total(scale, SUM_WEIGHT) : pool.windows[scale] * planes;
      // Where no window reaches into the region, the images count as equal.
      const bool nothing = pool.masked && all == 0.0;
      const bool coarsest = scale + 1 == pool.scales;
      double mean[MEANS];
#pragma unroll
      for (int v = 0; v < MEANS; v++) mean[v] = nothing ? 1.0 : total(scale, v) / all;
      weight[scale] = nothing ? 1.0 : all;
      for (int plane = 0; plane < planes; plane++) {
#pragma unroll
        for (int v = 0; v < MEANS; v++) means[((first + plane) * pool.scales + scale) * MEANS + v] = mean[v];
      }
      for (int k = 0; k < terms; k++) {
        const double t = pool.apart ? k == 0 ? mean[SUM_L] : k == 1 ? mean[SUM_C] : mean[SUM_S]
                         : coarsest ? mean[SUM_SSIM] : mean[SUM_CS];
        const double exponent = !pool.apart || k == 1 ? pool.weights[scale] : k == 0 ? pool.alpha[scale] : pool.gamma[scale];
        const Power p = power(t, exponent, pool.negative, pool.bound);
        value[scale * terms + k] = p.value;
        slope[scale * terms + k] = p.slope;
      }
    }
    __syncthreads();
    double product = 1.0;
    for (int k = 0; k < powers; k++) product *= value[k];
    score += product;
    if (!factors) continue;
    // The derivative by one mean is its power's slope between the product of those before it and the
    // product of those after it: a factor of 0 is not divided by.
    if (threadIdx.x < powers) {
      double before = 1.0, after = 1.0;
      for (int k = 0; k < threadIdx.x; k++) before *= value[k];
      for (int k = threadIdx.x + 1; k < powers; k++) after *= value[k];
      derivative[threadIdx.x] = before * slope[threadIdx.x] * after / (weight[threadIdx.x / terms] * pool.data_range);
    }
    __syncthreads();
    for (int at = threadIdx.x; at < planes * pool.scales; at += BLOCK) {
      const int scale = at % pool.scales;
      const double* by = derivative + scale * terms;
      double largest = 0.0;
      for (int k = 0; k < terms; k++) {
        // NaN stays NaN, so that all of the gradient becomes it.
        if (!(fabs(by[k]) <= largest)) largest = fabs(by[k]);
        if (by[k] != by[k]) break;
      }
      double share = 0.0;
      if (pool.joint) {
        // One score has the sum of its channels' weights.
        for (int channel = 0; channel < pool.channels; channel++)
          share += share_of(upstream, by_channel, image, channel, pool.channels);
        share /= pool.channels;
      } else {
        share = share_of(upstream, by_channel, image, group, pool.channels) / pool.channels;
      }
      const long long pair = first * pool.scales + at;
      factors[pair] = (float)(largest * share);
      for (int k = 0; k < 3; k++) {
        const double of_term = k < terms ? by[k] : 0.0;
        relative[pair * 3 + k] = largest > 0.0 ? (float)(of_term / largest) : (float)of_term;
      }
    }
  }
  if (threadIdx.x == 0) scores[image] = score / groups;
}
