// Updates of all parameters, one launch a step.
#define BLOCK 256

// The layout of `Adam` in src/network/step.rs.
struct Adam {
  float beta1, beta2;
  // 1 less those, subtracted before rounding.
  float complement1, complement2;
  float epsilon;
};

// Kingma and Ba (2015), algorithm 1. `coefficients`: rate, 1 / (1 - beta1^t), 1 / (1 - beta2^t). Grid:
// blocks of parameters.
extern "C" __global__ void __launch_bounds__(BLOCK)
    adam(Adam constants, int count, const float* __restrict__ coefficients, const float* __restrict__ gradient,
         float* __restrict__ first, float* __restrict__ second, float* __restrict__ parameters) {
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count) return;
  const float g = gradient[i];
  const float m = constants.beta1 * first[i] + constants.complement1 * g;
  const float v = constants.beta2 * second[i] + constants.complement2 * (g * g);
  first[i] = m;
  second[i] = v;
  parameters[i] -= coefficients[0] * (coefficients[1] * m) / (sqrtf(coefficients[2] * v) + constants.epsilon);
}

// Gradient descent with momentum; `coefficients` are the rates before the parameter `last_layer` and from
// it on. Grid: blocks of parameters.
extern "C" __global__ void __launch_bounds__(BLOCK)
    sgd(float momentum, int last_layer, int count, const float* __restrict__ coefficients,
        const float* __restrict__ gradient, float* __restrict__ velocity, float* __restrict__ parameters) {
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count) return;
  const float v = momentum * velocity[i] + coefficients[i < last_layer ? 0 : 1] * gradient[i];
  velocity[i] = v;
  parameters[i] -= v;
}
