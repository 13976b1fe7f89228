// Convolution as a matrix product whose left factor is never written: samples are gathered as the
// product needs them ("implicit GEMM").
//
// out[o](p) = bias[o] + sum_ick w[o][i][k] in[i](stride p + k - kernel / 2), with `kernel` odd. All
// tensors are contiguous: images x channels x height x width, weights out x in x kernel x kernel.
//
// What is gathered has been given a border before (`pad` in conv_rest.cu), so that a sample is an offset of
// its row of the product plus one of its step, both from tables, with nothing to test or clamp.
//
// A block of 128 threads computes a tile of 128 rows (a thread gathers one) by 8 WIDTH columns, in steps
// along the depth through shared memory; what the next step needs is on its way meanwhile. Products are
// summed along the depth in one order: results do not depend on the batch.
//
// In F32 every product and sum is rounded once, by fused multiplication. TF32 and BF16 round the factors
// to 10 and 7 bits of fraction and leave products and sums, in single precision, to the tensor cores.
#pragma once

#define THREADS 128

enum Math { F32, TF32, BF16 };

// The layout of `Conv` in src/network.rs.
struct Conv {
  int images, in_channels, out_channels;
  // Samples of an output plane, columns of it.
  int out_area, out_width;
  int kernel, stride;
  // Whether negative outputs become 0.
  int relu;
  // Columns and samples of a plane of the input with its border, and of the output's gradient with its.
  int in_width, in_area;
  int dout_width, dout_area;
  // Columns and samples of a plane of the input's gradient, which may be larger than the input.
  int din_width, din_area;
};

// One step along the depth of a product. The layout of `Tap` in src/network.rs.
struct Tap {
  // From a row's first sample.
  int offset;
  // Among the weights of the tile's first column.
  int weight;
};

// What is in shared memory at a time: LENGTH steps of the depth, in words of one factor, or of two in BF16.
template <Math MATH>
struct Step {
  static constexpr int LENGTH = MATH == F32 ? 8 : 16;
  static constexpr int OF_WORD = MATH == BF16 ? 2 : 1;
  static constexpr int WORDS = LENGTH / OF_WORD;
};

// The word of factors `low` and, in BF16, `high`, which is one step further.
template <Math MATH>
__device__ __forceinline__ unsigned word(float low, float high) {
  unsigned bits = __float_as_uint(low);
  if (MATH == TF32) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(low));
  if (MATH == BF16) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

// A tile of a product: the sums that this thread keeps, and where they belong.
template <Math MATH, int WIDTH>
struct Tile {
  static constexpr int COLUMNS = 8 * WIDTH;
  float sums[8][WIDTH];

  // Calls visit(row, column, sum) for each of this thread's sums; rows and columns count within the tile.
  // F32: 8 rows, in two fours that neighbours continue, by WIDTH columns. Tensor cores: a warp has 32 rows
  // and all columns, in pieces of 16 x 8 whose corners are a thread's rows g and g + 8, columns 2t, 2t + 1.
  template <typename Visit>
  __device__ __forceinline__ void each(const Visit& visit) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
      for (int j = 0; j < WIDTH; j++) {
        if (MATH == F32)
          visit(threadIdx.x % 16 * 4 + i % 4 + i / 4 * 64, threadIdx.x / 16 * WIDTH + j, sums[i][j]);
        else
          visit(warp * 32 + i / 4 * 16 + i / 2 % 2 * 8 + lane / 4, j * 8 + lane % 4 * 2 + i % 2, sums[i][j]);
      }
  }

  // Adds the products of one step. `a` and `b` have a line a word.
  template <int ROW, int COLUMN>
  __device__ __forceinline__ void add(const unsigned (*a)[ROW], const unsigned (*b)[COLUMN]) {
    if (MATH == F32) {
      const int across = threadIdx.x % 16, down = threadIdx.x / 16;
#pragma unroll
      for (int k = 0; k < Step<MATH>::WORDS; k++) {
        __align__(16) float rows[8], columns[WIDTH];
        // Four at a time, where there are four.
        *(float4*)&rows[0] = *(const float4*)&a[k][across * 4];
        *(float4*)&rows[4] = *(const float4*)&a[k][across * 4 + 64];
        if (WIDTH % 4 == 0) {
#pragma unroll
          for (int j = 0; j + 3 < WIDTH; j += 4) *(float4*)&columns[j] = *(const float4*)&b[k][down * WIDTH + j];
        } else {
          columns[0] = __uint_as_float(b[k][down]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
          for (int j = 0; j < WIDTH; j++) sums[i][j] = fmaf(rows[i], columns[j], sums[i][j]);
      }
      return;
    }
    const int lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    const int row = threadIdx.x / 32 * 32 + group;
#pragma unroll
    for (int k = 0; k < Step<MATH>::WORDS; k += 8) {
#pragma unroll
      for (int piece = 0; piece < 2; piece++) {
        const unsigned a0 = a[k + member][row + piece * 16], a1 = a[k + member][row + piece * 16 + 8];
        const unsigned a2 = a[k + member + 4][row + piece * 16], a3 = a[k + member + 4][row + piece * 16 + 8];
#pragma unroll
        for (int j = 0; j < WIDTH; j++) {
          const unsigned b0 = b[k + member][j * 8 + group], b1 = b[k + member + 4][j * 8 + group];
          float &c0 = sums[piece * 4][j], &c1 = sums[piece * 4 + 1][j];
          float &c2 = sums[piece * 4 + 2][j], &c3 = sums[piece * 4 + 3][j];
          if (MATH == TF32)
            asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
          else
            asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
                : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
        }
      }
    }
  }

  // Words of the step from `from` on, this thread's share. Unless it is WHOLE, there are zeros beyond the
  // depth, whatever is in memory there.
  template <bool WHOLE, typename Gather, typename Weight, int OF_THREAD>
  __device__ __forceinline__ static void load(const Gather& gather, const Weight& weight, int from, int depth,
                                              unsigned (&a)[Step<MATH>::WORDS], unsigned (&b)[OF_THREAD]) {
    constexpr int WORDS = Step<MATH>::WORDS, OF_WORD = Step<MATH>::OF_WORD;
#pragma unroll
    for (int k = 0; k < WORDS; k++) {
      const int at = from + k * OF_WORD;
      const float low = WHOLE || at < depth ? gather(at) : 0.0f;
      const float high = OF_WORD == 2 && (WHOLE || at + 1 < depth) ? gather(at + 1) : 0.0f;
      a[k] = word<MATH>(low, high);
    }
#pragma unroll
    for (int i = 0; i < OF_THREAD; i++) {
      const int place = threadIdx.x + i * THREADS, column = place / WORDS, at = from + place % WORDS * OF_WORD;
      const bool inside = WORDS * COLUMNS % THREADS == 0 || column < COLUMNS;
      const float low = inside && (WHOLE || at < depth) ? weight(at, column) : 0.0f;
      const float high = OF_WORD == 2 && inside && (WHOLE || at + 1 < depth) ? weight(at + 1, column) : 0.0f;
      b[i] = word<MATH>(low, high);
    }
  }

  // Multiplies gathered rows by weights. `gather(step)` is this thread's row at a step of the depth,
  // `weight(step, column)` a weight of the tile.
  template <typename Gather, typename Weight>
  __device__ __forceinline__ void multiply(const Gather& gather, const Weight& weight, int depth) {
    constexpr int LENGTH = Step<MATH>::LENGTH, WORDS = Step<MATH>::WORDS;
    constexpr int OF_THREAD = (WORDS * COLUMNS + THREADS - 1) / THREADS;
    // Lines begin 8 banks apart (24 for the narrowest), so that the four lines and eight places that a
    // warp reads at once meet different banks.
    __shared__ __align__(16) unsigned a[2][WORDS][THREADS + 8];
    __shared__ __align__(16) unsigned b[2][WORDS][COLUMNS + (WIDTH == 1 ? 16 : 8)];
    const int t = threadIdx.x;
    unsigned next_a[WORDS], next_b[OF_THREAD];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
      for (int j = 0; j < WIDTH; j++) sums[i][j] = 0.0f;

    auto next = [&](int from) {
      if (from + LENGTH <= depth)
        load<true>(gather, weight, from, depth, next_a, next_b);
      else
        load<false>(gather, weight, from, depth, next_a, next_b);
    };
    auto store = [&](int half) {
#pragma unroll
      for (int k = 0; k < WORDS; k++) a[half][k][t] = next_a[k];
#pragma unroll
      for (int i = 0; i < OF_THREAD; i++) {
        const int place = t + i * THREADS, column = place / WORDS;
        if (column < COLUMNS) b[half][place % WORDS][column] = next_b[i];
      }
    };

    next(0);
    store(0);
    __syncthreads();
    for (int from = 0, half = 0; from < depth; from += LENGTH, half ^= 1) {
      if (from + LENGTH < depth) next(from + LENGTH);
      add(a[half], b[half]);
      if (from + LENGTH < depth) store(half ^ 1);
      __syncthreads();
    }
  }
};

// Defines the kernels stem_8, stem_32 and stem_64 by DEFINE(name, MATH, WIDTH).
#define ALL_WIDTHS(DEFINE, stem, MATH) \
  DEFINE(stem##_8, MATH, 1)            \
  DEFINE(stem##_32, MATH, 4)           \
  DEFINE(stem##_64, MATH, 8)

// The samples of one row of the product.
struct Gathered {
  const float* first;
  const Tap* taps;

  __device__ __forceinline__ float operator()(int step) const { return first[taps[step].offset]; }
};

// The weights of a tile's columns, which are channels; columns beyond the last repeat it, and their sums
// are dropped.
struct Weights {
  const float* weights;
  const Tap* taps;
  // From one column to the next, and the last of the tile.
  int pitch, last;

  __device__ __forceinline__ float operator()(int step, int column) const {
    return weights[taps[step].weight + (long long)min(column, last) * pitch];
  }
};
