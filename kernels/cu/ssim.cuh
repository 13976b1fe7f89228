// The SSIM formula at one pixel: local moments in, terms and their partial derivatives out.
//
// The twin of core's `ssim.rs`: the same names and the same order of operations. With samples scaled
// to [0, 1], s = x + y - 1 and d = x - y,
//
//   Vs = E[s^2] - E[s]^2,  Vd = E[d^2] - E[d]^2,  u = E[s] + 1
//   cs = (Vs - Vd + 2 C2) / (Vs + Vd + 2 C2)
//   l  = (u^2 - d^2 + 2 C1) / (u^2 + d^2 + 2 C1)
//
// (Wang, Bovik, Sheikh and Simoncelli 2004, with C3 = C2 / 2).
#pragma once

// Window-weighted means around one pixel of s, d, s^2 and d^2, or derivatives by them.
struct Moments {
  float s, d, ss, dd;
};

// A term of SSIM, and its partial derivatives by the four moments.
struct Term {
  float value;
  Moments by;
};

// NaN stays NaN: bad input is never hidden.
__device__ __forceinline__ float at_least_zero(float v) { return v < 0.0f ? 0.0f : v; }

// Contrast times structure. Rounding can make a variance slightly negative; it counts as zero, which
// keeps cs from exceeding 1.
__device__ __forceinline__ Term contrast_structure(const Moments& m, float c2) {
  const float signal = at_least_zero(m.ss - m.s * m.s) + 2.0f * c2;
  const float noise = at_least_zero(m.dd - m.d * m.d);
  const float denominator = signal + noise;
  const float scale = 2.0f / (denominator * denominator);
  const float by_vs = scale * noise;
  const float by_vd = -scale * signal;
  Term t;
  t.value = (signal - noise) / denominator;
  t.by.s = -2.0f * m.s * by_vs;
  t.by.d = -2.0f * m.d * by_vd;
  t.by.ss = by_vs;
  t.by.dd = by_vd;
  return t;
}

// Luminance comparison.
__device__ __forceinline__ Term luminance(const Moments& m, float c1) {
  const float u = m.s + 1.0f;
  const float signal = u * u + 2.0f * c1;
  const float noise = m.d * m.d;
  const float denominator = signal + noise;
  const float scale = 4.0f / (denominator * denominator);
  Term t;
  t.value = (signal - noise) / denominator;
  t.by.s = scale * u * noise;
  t.by.d = 0.0f - scale * m.d * signal;
  t.by.ss = 0.0f;
  t.by.dd = 0.0f;
  return t;
}

// The product rule: ssim = luminance * contrast_structure.
__device__ __forceinline__ Term operator*(const Term& f, const Term& g) {
  const float a = f.value, b = g.value;
  Term t;
  t.value = a * b;
  t.by.s = a * g.by.s + f.by.s * b;
  t.by.d = a * g.by.d + f.by.d * b;
  t.by.ss = a * g.by.ss + f.by.ss * b;
  t.by.dd = a * g.by.dd + f.by.dd * b;
  return t;
}
