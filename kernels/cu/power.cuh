// A mean or a term to the power of its scale's exponent.
#pragma once

struct Power {
  double value, slope;
};

// t^w and its derivative. Below 2^-20 the slope of an exponent under 1 stops growing, and a NaN mean
// stays NaN; the rules are those of core's `combine.rs`.
__device__ Power power(double mean, double weight, bool is_signed) {
  Power p = {1.0, 0.0};
  if (weight == 0.0 && mean == mean) return p;
  if (!is_signed && mean <= 0.0) {
    p.value = 0.0;
    return p;
  }
  const double size = mean < 0.0 ? -mean : mean;
  const double steepest = size < 1.0 / 1048576.0 ? 1.0 / 1048576.0 : size;
  p.value = weight == 1.0 ? size : pow(size, weight);
  p.slope = weight == 1.0 ? 1.0 : weight * pow(weight < 1.0 ? steepest : size, weight - 1.0);
  if (mean < 0.0) p.value = -p.value;
  if (mean != mean) p.slope = mean;
  return p;
}
