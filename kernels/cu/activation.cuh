// What a layer does to its sums, and how much of a gradient gets back through it.
#pragma once

// The values of `Activation` in src/network/mod.rs.
enum Activation { IDENTITY, RELU, SIGMOID };

__device__ __forceinline__ float activate(int activation, float v) {
  // NaN stays NaN.
  if (activation == RELU) return v < 0.0f ? 0.0f : v;
  // Where exp(-v) overflows, the quotient is the 0 that it tends to.
  if (activation == SIGMOID) return 1.0f / (1.0f + expf(-v));
  return v;
}

// The gradient `dout` by an output becomes that by the sum which the output was made of.
__device__ __forceinline__ float passed(int activation, float out, float dout) {
  if (activation == RELU) return out == 0.0f ? 0.0f : dout;
  if (activation == SIGMOID) return dout * (out * (1.0f - out));
  return dout;
}
