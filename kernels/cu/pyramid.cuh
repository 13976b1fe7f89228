// The pyramid by any rule: a sample of the next scale, and what a sample owes to the next scale, side by
// side. The twin of core's `pyramid.rs`.
#pragma once

// How the next scale is made; the numbers of `Halving` in src/parameters.rs.
enum { SYMMETRIC = 0, ZERO = 1, FLOOR = 2, REPLICATE_FIRST = 3, LOW_PASS_97 = 4, KEEP = 5 };

// A scale and the next one.
struct Halved {
  int halving;
  int width, height;
  int next_width, next_height;
};

// The low-pass filter of the 9/7 wavelets from its centre outwards, scaled to sum 1: four digits of it, as
// MeTriX MuX has them.
__constant__ float low_pass[5] = {(float)(0.8527 / 1.4143), (float)(0.3774 / 1.4143), (float)(-0.1106 / 1.4143),
                                  (float)(-0.0238 / 1.4143), (float)(0.0378 / 1.4143)};

// The sample of a side at `at - 4`, mirrored about the edge of the outermost sample.
__device__ __forceinline__ int mirrored(int side, int at) {
  const int unfolded = at < 4 ? 3 - at : at - 4;
  const int folded = unfolded % (2 * side);
  return min(folded, 2 * side - 1 - folded);
}

// What finer sample `i` weighs in coarser sample `coarse`, along one axis, by the 9/7 filter.
__device__ __forceinline__ float weight_97(int side, int coarse, int i) {
  float sum = 0.0f;
  for (int k = 0; k < 9; k++) {
    if (mirrored(side, 2 * coarse + k) == i) sum += low_pass[abs(k - 4)];
  }
  return sum;
}

// Whether the first row and column are repeated before a plane is halved.
__device__ __forceinline__ bool is_shifted(const Halved& scale) {
  return scale.halving == REPLICATE_FIRST && (scale.width % 2 == 1 || scale.height % 2 == 1);
}

// The two samples, along one axis, that sample `i` of the coarser scale is the mean of; -1 is a zero before
// the first.
__device__ __forceinline__ int2 sources(const Halved& scale, int side, int i) {
  if (scale.halving == SYMMETRIC) return make_int2(2 * i, min(2 * i + 1, side - 1));
  if (scale.halving == ZERO && side % 2 == 1) return make_int2(2 * i - 1, 2 * i);
  if (is_shifted(scale)) return make_int2(max(2 * i - 1, 0), 2 * i);
  return make_int2(2 * i, 2 * i + 1);
}

// The coarser sample, along one axis, that finer sample `i` takes part in, -1 for none, and how often.
__device__ __forceinline__ int2 target(const Halved& scale, int side, int i) {
  const bool odd = side % 2 == 1, last = i + 1 == side;
  if (scale.halving == SYMMETRIC && last && odd) return make_int2(i / 2, 2);
  if (scale.halving == ZERO) return make_int2((i + side % 2) / 2, 1);
  if (is_shifted(scale)) {
    if (i == 0) return make_int2(0, 2);
    // The padded side was odd.
    return make_int2(last && !odd ? -1 : (i + 1) / 2, 1);
  }
  if (last && odd && scale.halving != SYMMETRIC) return make_int2(-1, 0);
  return make_int2(i / 2, 1);
}

// Sample (i, j) of the coarser scale; `value(row, column)` gives those of the finer one, `outside` is what
// a zero beyond the image is.
template <typename Value>
__device__ __forceinline__ float2 halve_sample(const Halved& scale, int i, int j, float2 outside, const Value& value) {
  if (scale.halving == KEEP) return value(i, j);
  if (scale.halving == LOW_PASS_97) {
    float2 sum = make_float2(0.0f, 0.0f);
    for (int k = 0; k < 9; k++) {
      const int row = mirrored(scale.height, 2 * i + k);
      float2 of_row = make_float2(0.0f, 0.0f);
      for (int l = 0; l < 9; l++) {
        const float2 v = value(row, mirrored(scale.width, 2 * j + l));
        of_row.x = fmaf(low_pass[abs(l - 4)], v.x, of_row.x);
        of_row.y = fmaf(low_pass[abs(l - 4)], v.y, of_row.y);
      }
      sum.x = fmaf(low_pass[abs(k - 4)], of_row.x, sum.x);
      sum.y = fmaf(low_pass[abs(k - 4)], of_row.y, sum.y);
    }
    return sum;
  }
  const int2 rows = sources(scale, scale.height, i), columns = sources(scale, scale.width, j);
  const auto sample = [&](int row, int column) { return row < 0 || column < 0 ? outside : value(row, column); };
  const float2 a = sample(rows.x, columns.x), b = sample(rows.x, columns.y);
  const float2 c = sample(rows.y, columns.x), d = sample(rows.y, columns.y);
  return make_float2(0.25f * ((a.x + b.x) + (c.x + d.x)), 0.25f * ((a.y + b.y) + (c.y + d.y)));
}

// What sample (row, column) of the finer scale owes to the coarser one, whose gradient `coarser(i, j)` gives.
template <typename Coarser>
__device__ __forceinline__ float halve_adjoint(const Halved& scale, int row, int column, const Coarser& coarser) {
  if (scale.halving == KEEP) return coarser(row, column);
  if (scale.halving == LOW_PASS_97) {
    // No mirror image of a sample is nearer to a filter's centre than the sample.
    float sum = 0.0f;
    for (int i = max(row - 3, 0) / 2; i < min(row / 2 + 3, scale.next_height); i++) {
      const float by_row = weight_97(scale.height, i, row);
      for (int j = max(column - 3, 0) / 2; j < min(column / 2 + 3, scale.next_width); j++) {
        sum = fmaf(by_row * weight_97(scale.width, j, column), coarser(i, j), sum);
      }
    }
    return sum;
  }
  const int2 i = target(scale, scale.height, row), j = target(scale, scale.width, column);
  return i.x < 0 || j.x < 0 ? 0.0f : 0.25f * (float)(i.y * j.y) * coarser(i.x, j.x);
}
