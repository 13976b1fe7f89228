// Contrast and structure apart, for conventions that pool them apart: the twin of core's `apart.rs`,
// with the same names and the same order of operations, always in double.
//
//   c = (2 sigma_x sigma_y + C2) / (sigma_x^2 + sigma_y^2 + C2)
//   s = (sigma_xy + C3) / (sigma_x sigma_y + C3),  C3 = C2 / 2
//
// A fifth moment, E[s d], tells the two variances apart: K = E[s d] - E[s] E[d] = sigma_x^2 - sigma_y^2.
#pragma once
#include "ssim.cuh"

// A term with its derivative by the fifth moment too.
struct TermApart {
  TermOf<double> term;
  double by_sd;
};

// A deviation below this, 2^-20 of the data range, counts as this much in the slope of a product of two.
__device__ constexpr double STEEPEST_DEVIATION = 1.0 / 1048576.0;

// The variances of the two images, their covariance, the product of the deviations.
struct Deviations {
  double xx, yy, xy, product;
};

__device__ __forceinline__ double root(double v) { return sqrt(at_least_zero(v)); }
// NaN stays NaN.
__device__ __forceinline__ double at_most(double v, double bound) { return v > bound ? bound : v; }
__device__ __forceinline__ double at_least(double v, double bound) { return v < bound ? bound : v; }

__device__ __forceinline__ Deviations deviations(const MomentsOf<double>& m, double sd) {
  const double vs = at_least_zero(m.ss - m.s * m.s);
  const double vd = at_least_zero(m.dd - m.d * m.d);
  const double k = sd - m.s * m.d;
  Deviations d;
  d.xx = at_least_zero(0.25 * (vs + vd + k + k));
  d.yy = at_least_zero(0.25 * (vs + vd - k - k));
  d.xy = 0.25 * (vs - vd);
  d.product = root(d.xx * d.yy);
  return d;
}

// The term from its value and its derivatives by sigma_x^2, sigma_y^2 and sigma_xy.
__device__ __forceinline__ TermApart by_moments(double value, const MomentsOf<double>& m, double by_xx, double by_yy,
                                                double by_xy) {
  const double by_vs = 0.25 * (by_xx + by_yy + by_xy);
  const double by_vd = 0.25 * (by_xx + by_yy - by_xy);
  const double by_k = 0.5 * (by_xx - by_yy);
  TermApart t;
  t.term.value = value;
  t.term.by.s = -2.0 * m.s * by_vs - by_k * m.d;
  t.term.by.d = -2.0 * m.d * by_vd - by_k * m.s;
  t.term.by.ss = by_vs;
  t.term.by.dd = by_vd;
  t.by_sd = by_k;
  return t;
}

// The derivatives of sigma_x sigma_y by the two variances. Equal deviations, however small, give exactly
// a half, and identical images no gradient.
__device__ __forceinline__ double2 product_slopes(const Deviations& d) {
  const double x = at_least(root(d.xx), STEEPEST_DEVIATION), y = at_least(root(d.yy), STEEPEST_DEVIATION);
  return make_double2(0.5 * (y / x), 0.5 * (x / y));
}

// Contrast, in [0, 1].
__device__ __forceinline__ TermApart contrast(const MomentsOf<double>& m, double sd, double c2) {
  const Deviations d = deviations(m, sd);
  const double denominator = d.xx + d.yy + c2;
  // The geometric mean is at most the arithmetic one, also where its root was rounded up.
  const double value = (at_most(2.0 * d.product, d.xx + d.yy) + c2) / denominator;
  const double2 slopes = product_slopes(d);
  return by_moments(value, m, (2.0 * slopes.x - value) / denominator, (2.0 * slopes.y - value) / denominator, 0.0);
}

// Structure, in [-1, 1].
__device__ __forceinline__ TermApart structure(const MomentsOf<double>& m, double sd, double c2) {
  const double c3 = 0.5 * c2;
  const Deviations d = deviations(m, sd);
  // By Cauchy and Schwarz the covariance is at most the product, also where rounding made it more.
  const double product = at_least(at_least(d.product, d.xy), -d.xy);
  const double denominator = product + c3;
  const double value = (d.xy + c3) / denominator;
  const double2 slopes = product_slopes(d);
  return by_moments(value, m, -value * slopes.x / denominator, -value * slopes.y / denominator, 1.0 / denominator);
}
