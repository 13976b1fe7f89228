// Errors of images and their gradients.
#include "block_sum.cuh"

#define BLOCK 256

// `means`: each image's mean of value(distorted - reference). `gradient`: factor times its derivative by
// the distorted sample. Grid: images.
template <typename Error>
__device__ __forceinline__ void compare(int samples, float factor, const float* reference, const float* distorted,
                                        double* means, float* gradient, const Error& error) {
  const long long first = (long long)blockIdx.x * samples;
  double sum = 0.0;
  for (int i = threadIdx.x; i < samples; i += BLOCK) {
    const float d = distorted[first + i] - reference[first + i];
    const float2 both = error(d);
    sum += both.x;
    gradient[first + i] = factor * both.y;
  }
  sum = block_sum<BLOCK>(sum);
  if (threadIdx.x == 0) means[blockIdx.x] = sum / samples;
}

// The derivative is half the square's: `factor` has the 2.
extern "C" __global__ void __launch_bounds__(BLOCK)
    squared_error(int samples, float factor, const float* __restrict__ reference, const float* __restrict__ distorted,
                  double* __restrict__ means, float* __restrict__ gradient) {
  compare(samples, factor, reference, distorted, means, gradient, [](float d) { return make_float2(d * d, d); });
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    absolute_error(int samples, float factor, const float* __restrict__ reference, const float* __restrict__ distorted,
                   double* __restrict__ means, float* __restrict__ gradient) {
  compare(samples, factor, reference, distorted, means, gradient,
          [](float d) { return make_float2(d < 0.0f ? -d : d, (d > 0.0f ? 1.0f : 0.0f) - (d < 0.0f ? 1.0f : 0.0f)); });
}

// A blend of a score and an absolute error: `means` receives score_weight scores + error_weight errors,
// and `gradient`, which holds that of the weighted score, `factor` times the derivative of the error more.
// Grid: images.
extern "C" __global__ void __launch_bounds__(BLOCK)
    blend_error(int samples, float factor, float score_weight, float error_weight, const float* __restrict__ reference,
                const float* __restrict__ distorted, const double* __restrict__ scores, double* __restrict__ means,
                float* __restrict__ gradient) {
  const long long first = (long long)blockIdx.x * samples;
  double sum = 0.0;
  for (int i = threadIdx.x; i < samples; i += BLOCK) {
    const float d = distorted[first + i] - reference[first + i];
    sum += d < 0.0f ? -d : d;
    gradient[first + i] += factor * ((d > 0.0f ? 1.0f : 0.0f) - (d < 0.0f ? 1.0f : 0.0f));
  }
  sum = block_sum<BLOCK>(sum);
  if (threadIdx.x == 0)
    means[blockIdx.x] = (double)score_weight * scores[blockIdx.x] + (double)error_weight * (sum / samples);
}
