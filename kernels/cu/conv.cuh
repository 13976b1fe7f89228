// Layers as matrix products whose left factor is never written: samples are gathered as the product
// needs them ("implicit GEMM").
//
// result(row, column) = sum over steps of in[first(row) + offset(step)] weights[weight(step) + column pitch]
//
// with offsets and weights of the steps from a table. Rows are the samples of a phase: those whose sums take
// the same steps. A convolution has one phase. Its gradient by the input has stride x stride: sample i is
// seen by output o through the kernel's row i + kernel / 2 - stride o, so samples that are `stride` apart see
// the same rows of the kernel, and no product with a zero between outputs is made. A gradient by weights has
// the weights of a channel as rows and all outputs as steps; a dense layer has its outputs, its inputs or
// its weights as rows and images as columns or steps (src/network/ has the numbers of all of these).
//
// What is gathered has been given a border before (`pad` in conv_rest.cu), so that there is nothing to test
// or clamp.
//
// A block of 128 threads computes a tile of 128 rows (a thread gathers one) by 8 WIDTH columns, in steps
// along the depth through shared memory; what the next step needs is on its way meanwhile. Where there are few
// tiles the depth is divided into parts, whose sums `add_parts` adds up in their order; how many depends on the
// shapes alone, so a result is the same bits every time.
//
// In F32 every product and sum is rounded once, by fused multiplication. TF32 and BF16 round the factors
// to 10 and 7 bits of fraction and leave products and sums, in single precision, to the tensor cores.
#pragma once
#include "activation.cuh"

#define THREADS 128

enum Math { F32, TF32, BF16 };

// A product. The layout of `Gather` in src/network/product.rs.
struct Gather {
  // Rows are samples of so many images; columns.
  int images, columns;
  // Of what is gathered: samples of an image, columns of its planes, and rows and columns of those from one
  // sample of a phase to the next.
  int in_image, in_width, stride;
  // Among the weights, from column to column.
  int pitch;
  // Of the result: from image to image and from column to column, columns of its planes, and rows and columns
  // of those from one sample of a phase to the next.
  int out_image, out_column, out_width, apart;
  // Parts of the depth, steps of each, and numbers of the result.
  int parts, of_part, len;
  // Whether a bias belongs to a sample and not to a column; what is done to sums.
  int bias_of_sample, activation;
};

// Samples of the result whose sums take the same steps. The layout of `Phase` in src/network/product.rs.
struct Phase {
  // Rows and columns of them, and the first one's place in the result.
  int height, width, row, column;
  // Their steps in the table.
  int first, depth;
};

// One step along the depth of a product. The layout of `Tap` in src/network/product.rs.
struct Tap {
  // From a row's first sample.
  int offset;
  // Among the weights of the first column.
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

  // Calls visit(place, column, sum) for each of this thread's sums, with place(row) of its row; rows and columns
  // count within the tile. F32: 8 rows, in two fours that neighbours continue, by WIDTH columns. Tensor cores: a warp
  // has 32 rows and all columns, in pieces of 16 x 8 whose corners are a thread's rows g and g + 8, columns 2t,
  // 2t + 1.
  template <typename Place, typename Visit>
  __device__ __forceinline__ void each(const Place& place, const Visit& visit) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int row = MATH == F32 ? threadIdx.x % 16 * 4 + i % 4 + i / 4 * 64
                                  : warp * 32 + i / 4 * 16 + i / 2 % 2 * 8 + lane / 4;
      const auto at = place(row);
#pragma unroll
      for (int j = 0; j < WIDTH; j++)
        visit(at, MATH == F32 ? threadIdx.x / 16 * WIDTH + j : j * 8 + lane % 4 * 2 + i % 2, sums[i][j]);
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
  template <bool WHOLE, bool LINES, typename Sample, typename Weight, int OF_THREAD>
  __device__ __forceinline__ static void load(const Sample& sample, const Weight& weight, int from, int depth,
                                              unsigned (&a)[Step<MATH>::WORDS], unsigned (&b)[OF_THREAD]) {
    constexpr int WORDS = Step<MATH>::WORDS, OF_WORD = Step<MATH>::OF_WORD;
#pragma unroll
    for (int k = 0; k < WORDS; k++) {
      const int place = threadIdx.x + k * THREADS;
      const int row = LINES ? place / WORDS : threadIdx.x, at = from + (LINES ? place % WORDS : k) * OF_WORD;
      const float low = WHOLE || at < depth ? sample(at, row) : 0.0f;
      const float high = OF_WORD == 2 && (WHOLE || at + 1 < depth) ? sample(at + 1, row) : 0.0f;
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

  // Multiplies samples by weights. `sample(step, row)` is one of this thread's row, or where the samples of
  // a row are LINES in memory, of any; `weight(step, column)` is a weight of the tile.
  template <bool LINES, typename Sample, typename Weight>
  __device__ __forceinline__ void multiply(const Sample& sample, const Weight& weight, int depth) {
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
        load<true, LINES>(sample, weight, from, depth, next_a, next_b);
      else
        load<false, LINES>(sample, weight, from, depth, next_a, next_b);
    };
    auto store = [&](int half) {
#pragma unroll
      for (int k = 0; k < WORDS; k++) {
        const int place = t + k * THREADS;
        a[half][LINES ? place % WORDS : k][LINES ? place / WORDS : t] = next_a[k];
      }
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

// The samples of this thread's row.
struct Gathered {
  const float* first;
  const Tap* taps;

  __device__ __forceinline__ float operator()(int step, int) const { return first[taps[step].offset]; }
};

// A factor whose rows, or columns, lie side by side in memory, `pitch` from one to the next; zeros beyond the last.
struct Lines {
  const float* first;
  int pitch, last;

  __device__ __forceinline__ float operator()(int step, int line) const {
    return line <= last ? first[(long long)line * pitch + step] : 0.0f;
  }
};

// The weights of a tile's columns; columns beyond the last repeat it, and their sums are dropped.
struct Weights {
  const float* weights;
  const Tap* taps;
  // From one column to the next, and the last of the tile.
  int pitch, last;

  __device__ __forceinline__ float operator()(int step, int column) const {
    return weights[taps[step].weight + (long long)min(column, last) * pitch];
  }
};

// Adds biases, applies the activation and stores the sums of a tile whose first column is `first`; parts are
// finished where they are added up. One pass after the other, so that what is the same for all sums is asked once.
template <typename Sums, typename Place>
__device__ __forceinline__ void finish(Sums& sums, const Gather& gather, int part, int first, const float* bias,
                                       float* out, const Place& place) {
  const int last = gather.columns - 1;
  auto sample = [&](int row) { return place(row).y; };
  auto none = [](int) { return 0; };
  if (gather.parts > 1) {
    out += (long long)part * gather.len;
  } else {
    if (bias && gather.bias_of_sample)
      sums.each(sample, [&](int of_row, int, float& v) { v += bias[of_row]; });
    else if (bias)
      sums.each(none, [&](int, int column, float& v) { v += bias[min(first + column, last)]; });
    if (gather.activation == RELU)
      sums.each(none, [](int, int, float& v) { v = activate(RELU, v); });
    else if (gather.activation == SIGMOID)
      sums.each(none, [](int, int, float& v) { v = activate(SIGMOID, v); });
  }
  sums.each(place, [&](const int2& at, int column, float& v) {
    if (at.x >= 0 && first + column <= last) out[at.x + (first + column) * gather.out_column] = v;
  });
}

// Grid: blocks of 128 rows of the largest phase, blocks of 8 WIDTH columns, parts of every phase. LINES: rows
// are of one image and one phase, and a step is a sample and a weight further on; `stride` is from row to row.
template <Math MATH, int WIDTH, bool LINES>
__device__ __forceinline__ void product(const Gather& gather, const Phase* phases, const Tap* taps, const float* in,
                                        const float* weights, const float* bias, float* out) {
  const Phase phase = phases[blockIdx.z / gather.parts];
  const int area = phase.height * phase.width, rows = gather.images * area, first_row = blockIdx.x * THREADS;
  if (first_row >= rows) return;
  const int part = blockIdx.z % gather.parts, begin = part * gather.of_part;
  const int depth = min(gather.of_part, phase.depth - begin);
  const int first = blockIdx.y * 8 * WIDTH;
  const float* of_first = weights + (long long)first * gather.pitch;
  Tile<MATH, WIDTH> tile;
  if (LINES) {
    const Lines lines = {in + (long long)first_row * gather.stride + begin, gather.stride, rows - 1 - first_row};
    tile.template multiply<true>(lines, Lines{of_first + begin, gather.pitch, gather.columns - 1 - first}, depth);
  } else {
    taps += phase.first + begin;
    // Rows beyond the last repeat it, and their sums are dropped.
    const int own = min(first_row + (int)threadIdx.x, rows - 1), pixel = own % area;
    const int row = pixel / phase.width * gather.stride, column = pixel % phase.width * gather.stride;
    const Gathered gathered = {in + own / area * gather.in_image + row * gather.in_width + column, taps};
    tile.template multiply<false>(gathered, Weights{of_first, taps, gather.pitch, gather.columns - 1 - first}, depth);
  }
  // Where a row's sums go, and which sample of its plane it is; -1 beyond the last.
  auto place = [&](int of_tile) {
    const int row = first_row + of_tile;
    if (row >= rows) return make_int2(-1, 0);
    const int pixel = row % area;
    const int i = pixel / phase.width * gather.apart + phase.row, j = pixel % phase.width * gather.apart + phase.column;
    const int sample = i * gather.out_width + j;
    return make_int2(row / area * gather.out_image + sample, sample);
  };
  finish(tile, gather, part, first, bias, out, place);
}

#define PRODUCT(name, MATH, WIDTH, LINES)                                                                    \
  extern "C" __global__ void __launch_bounds__(THREADS, WIDTH == 8 ? 2 : 3)                                  \
      name(Gather gather, const Phase* __restrict__ phases, const Tap* __restrict__ taps,                    \
           const float* __restrict__ in, const float* __restrict__ weights, const float* __restrict__ bias,  \
           float* __restrict__ out) {                                                                        \
    product<MATH, WIDTH, LINES>(gather, phases, taps, in, weights, bias, out);                               \
  }

// Defines the kernels conv_8, conv_32 and conv_64, and dense_8, ... whose rows are lines.
#define PRODUCTS(MATH)                \
  PRODUCT(conv_8, MATH, 1, false)     \
  PRODUCT(conv_32, MATH, 4, false)    \
  PRODUCT(conv_64, MATH, 8, false)    \
  PRODUCT(dense_8, MATH, 1, true)     \
  PRODUCT(dense_32, MATH, 4, true)    \
  PRODUCT(dense_64, MATH, 8, true)
