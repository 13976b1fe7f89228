// The SSIM formula at one pixel: local moments in, terms and their partial derivatives out.
//
// The twin of core's `ssim.rs`: the same names and formulas. (There cs and its derivatives take one division,
// here two: by one, `gradient_u8` would need a register more than sm_100 has for it.) With samples scaled to
// [0, 1], s = x + y - 1 and d = x - y,
//
//   Vs = E[s^2] - E[s]^2,  Vd = E[d^2] - E[d]^2,  u = E[s] + 1
//   cs = (Vs - Vd + 2 C2) / (Vs + Vd + 2 C2)
//   l  = (u^2 - d^2 + 2 C1) / (u^2 + d^2 + 2 C1)
//
// (Wang, Bovik, Sheikh and Simoncelli 2004, with C3 = C2 / 2). Generic over the real type, like its twin:
// `float`, and `double` where terms are pooled apart (`apart.cuh`).
#pragma once

// Window-weighted means around one pixel of s, d, s^2 and d^2, or derivatives by them.
template <typename T>
struct MomentsOf {
  T s, d, ss, dd;
};
using Moments = MomentsOf<float>;

// A term of SSIM, and its partial derivatives by the four moments.
template <typename T>
struct TermOf {
  T value;
  MomentsOf<T> by;
};
using Term = TermOf<float>;

// NaN stays NaN: bad input is never hidden.
template <typename T>
__device__ __forceinline__ T at_least_zero(T v) {
  return v < T(0) ? T(0) : v;
}

// Contrast times structure. Rounding can make a variance slightly negative; it counts as zero, which
// keeps cs from exceeding 1.
template <typename T>
__device__ __forceinline__ TermOf<T> contrast_structure(const MomentsOf<T>& m, T c2) {
  const T signal = at_least_zero(m.ss - m.s * m.s) + T(2) * c2;
  const T noise = at_least_zero(m.dd - m.d * m.d);
  const T denominator = signal + noise;
  const T scale = T(2) / (denominator * denominator);
  const T by_vs = scale * noise;
  const T by_vd = -scale * signal;
  TermOf<T> t;
  t.value = (signal - noise) / denominator;
  t.by.s = T(-2) * m.s * by_vs;
  t.by.d = T(-2) * m.d * by_vd;
  t.by.ss = by_vs;
  t.by.dd = by_vd;
  return t;
}

// Luminance comparison.
template <typename T>
__device__ __forceinline__ TermOf<T> luminance(const MomentsOf<T>& m, T c1) {
  const T u = m.s + T(1);
  const T signal = u * u + T(2) * c1;
  const T noise = m.d * m.d;
  const T denominator = signal + noise;
  const T scale = T(4) / (denominator * denominator);
  TermOf<T> t;
  t.value = (signal - noise) / denominator;
  t.by.s = scale * u * noise;
  t.by.d = T(0) - scale * m.d * signal;
  t.by.ss = T(0);
  t.by.dd = T(0);
  return t;
}

// The product rule: ssim = luminance * contrast_structure.
template <typename T>
__device__ __forceinline__ TermOf<T> operator*(const TermOf<T>& f, const TermOf<T>& g) {
  const T a = f.value, b = g.value;
  TermOf<T> t;
  t.value = a * b;
  t.by.s = a * g.by.s + f.by.s * b;
  t.by.d = a * g.by.d + f.by.d * b;
  t.by.ss = a * g.by.ss + f.by.ss * b;
  t.by.dd = a * g.by.dd + f.by.dd * b;
  return t;
}
