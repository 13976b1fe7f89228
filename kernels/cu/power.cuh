// A mean or a term to the power of its scale's exponent: the twin of core's `combine.rs`.
#pragma once

// What becomes of a negative mean; the numbers of `Negative` in src/parameters.rs.
enum { NEGATIVE_ZERO = 0, NEGATIVE_ZERO_MAP = 1, SIGNED = 2, MAGNITUDE = 3, SHIFTED = 4, LOWER_BOUND = 5 };

struct Power {
  double value, slope;
};

// t^w and its derivative. Below 2^-20 the slope of an exponent under 1 stops growing, and a NaN mean
// stays NaN. `bound` is the lower bound of that rule.
__device__ __noinline__ Power power(double mean, double weight, int negative, double bound) {
  Power p = {1.0, 0.0};
  if (weight == 0.0 && mean == mean) return p;
  // What the power is taken of, its derivative by the mean, and the sign of the power.
  double size = mean, by_mean = 1.0, sign = 1.0;
  if (negative == SHIFTED) {
    // No mean is below -1 but by rounding.
    size = 0.5 * (1.0 + mean);
    if (size < 0.0) size = 0.0;
    by_mean = 0.5;
  } else if (negative == LOWER_BOUND) {
    if (mean < bound) {
      size = bound;
      by_mean = 0.0;
    }
  } else if (negative <= NEGATIVE_ZERO_MAP) {
    if (mean <= 0.0) {
      p.value = 0.0;
      return p;
    }
  } else if (mean < 0.0) {
    size = -mean;
    by_mean = -1.0;
    if (negative == SIGNED) sign = -1.0;
  } else if (negative == MAGNITUDE && mean == 0.0) {
    by_mean = 0.0;
  }
  const double steepest = size < 1.0 / 1048576.0 ? 1.0 / 1048576.0 : size;
  p.value = sign * (weight == 1.0 ? size : pow(size, weight));
  p.slope = sign * by_mean * (weight == 1.0 ? 1.0 : weight * pow(weight < 1.0 ? steepest : size, weight - 1.0));
  if (mean != mean) p.slope = mean;
  return p;
}

// What is differentiated is the sum of the scores weighted by `upstream`, which may be null: the images'
// scores, or, `by_channel`, those of their channels. Relative to the mean over an image's channels.
__device__ __forceinline__ double share_of(const float* upstream, int by_channel, long long image, int channel,
                                           int channels) {
  if (!upstream) return 1.0;
  return by_channel ? (double)upstream[image * channels + channel] * channels : (double)upstream[image];
}
