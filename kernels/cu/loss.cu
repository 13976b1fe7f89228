// Errors of images and their gradients, and the gradient of an activation.
#define BLOCK 256

// Sums a number of each thread over the block, in a fixed order; the first thread receives it.
__device__ __forceinline__ double block_sum(double v) {
  __shared__ double of_warp[BLOCK / 32];
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) v += __shfl_down_sync(0xffffffffu, v, o);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int warp = 1; warp < BLOCK / 32; warp++) v += of_warp[warp];
  return v;
}

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
  sum = block_sum(sum);
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
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    means[blockIdx.x] = (double)score_weight * scores[blockIdx.x] + (double)error_weight * (sum / samples);
}

// Gradients by rectified outputs become gradients by what was rectified. Grid: blocks of samples.
extern "C" __global__ void __launch_bounds__(BLOCK)
    relu_backward(int samples, const float* __restrict__ out, float* __restrict__ dout) {
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  if (i < samples && out[i] == 0.0f) dout[i] = 0.0f;
}
