// Convolutions of many channels on tensor cores, from factors that are packed first: rounded, channels
// innermost, with their border.
//
// Where a sample's channels lie side by side, what a product takes next is 16 bytes on from what it took: a
// `cp.async` brings them to shared memory past the registers, and `ldmatrix` takes them from there as the
// tensor cores want them. Everything is counted in words of 32 bits, of one factor in TF32 and two in BF16, so
// that both precisions move the same bytes by the same instructions; channels are padded by zeros to whole steps
// of 16 words. Packing reads a tensor once and writes it once, where each of its samples is then read 25 times.
#pragma once
#include "conv.cuh"

namespace packed {

// Threads of a product: 8 warps, two down and four across.
constexpr int BLOCK = 256;
// Stages of the pipeline: one is multiplied while two are on their way.
constexpr int STAGES = 3;
// Words of a step, and of a piece that is copied at once.
constexpr int STEP = 16, PIECE = 4;

__device__ __forceinline__ unsigned place(const void* shared) { return (unsigned)__cvta_generic_to_shared(shared); }

// Shared memory is addressed in bytes, by what `place` gives.
__device__ __forceinline__ void copy(unsigned to, const unsigned* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

__device__ __forceinline__ void clear(unsigned to) {
  asm volatile("st.shared.v4.u32 [%0], {%1,%1,%1,%1};" ::"r"(to), "r"(0) : "memory");
}

__device__ __forceinline__ void end_stage() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until all stages but the last one are there.
__device__ __forceinline__ void await_stage() {
  asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
}

__device__ __forceinline__ void matrices(unsigned (&to)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

__device__ __forceinline__ void transposed_matrices(unsigned (&to)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

// The sums of a warp: 64 rows by 8 WIDTH columns, in pieces of 16 x 8.
template <Math MATH, int WIDTH>
struct Sums {
  float of[4][WIDTH][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < WIDTH; j++)
#pragma unroll
        for (int k = 0; k < 4; k++) of[i][j][k] = 0.0f;
  }

  // Adds the products of 16 rows.
  __device__ __forceinline__ void add(int i, const unsigned (&a)[4], const unsigned (&b)[WIDTH][2]) {
#pragma unroll
    for (int j = 0; j < WIDTH; j++) {
      float(&c)[4] = of[i][j];
      if (MATH == TF32)
        asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[j][0]), "r"(b[j][1]));
      else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[j][0]), "r"(b[j][1]));
    }
  }

  // Calls visit(place, column, sum) for each sum, with place(row) of its row; both count within the block's tile.
  template <typename Place, typename Visit>
  __device__ __forceinline__ void each(const Place& place, const Visit& visit) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const auto at = place(warp / 4 * 64 + i * 16 + half * 8 + lane / 4);
#pragma unroll
        for (int j = 0; j < WIDTH; j++)
#pragma unroll
          for (int next = 0; next < 2; next++)
            visit(at, warp % 4 * 8 * WIDTH + j * 8 + lane % 4 * 2 + next, of[i][j][2 * half + next]);
      }
  }
};

// Runs the pipeline: issue(step, stage) starts the copies of a step, multiply(stage) uses what is there.
template <typename Issue, typename Multiply>
__device__ __forceinline__ void pipeline(int steps, const Issue& issue, const Multiply& multiply) {
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) issue(s, s);
    end_stage();
  }
  int stage = 0, free = STAGES - 1;
  for (int s = 0; s < steps; s++) {
    await_stage();
    // Everyone's copies of this step are there, and everyone has used what `free` held.
    __syncthreads();
    if (s + STAGES - 1 < steps) issue(s + STAGES - 1, free);
    end_stage();
    multiply(stage);
    stage = stage + 1 == STAGES ? 0 : stage + 1;
    free = free + 1 == STAGES ? 0 : free + 1;
  }
}

// A line of a step: 16 words, whose pieces are spread so that eight lines' pieces of one place, which
// `ldmatrix` takes at once, lie in different banks.
__device__ __forceinline__ int in_line(int line, int piece) {
  return line * STEP + (piece ^ (line >> 1 & 3)) * PIECE;
}

// result(row, column) = sum over taps and words of in[row + tap offset][word] weights[tap][column][word].
//
// `gather.pitch` is words of a sample, and its `in_image` and `in_width` and the taps' offsets count samples; a
// tap's weight is its place in the kernel. A phase's depth counts steps, 16 words of a tap each. Grid as for
// `conv_*`, with tiles of 128 rows by 32 WIDTH columns.
template <Math MATH, int WIDTH>
__device__ __forceinline__ void product(const Gather& gather, const Phase* phases, const Tap* taps, const unsigned* in,
                                        const unsigned* weights, const float* bias, float* out) {
  constexpr int ROWS = 128, COLUMNS = 32 * WIDTH;
  __shared__ __align__(128) unsigned a[STAGES][ROWS * STEP], b[STAGES][COLUMNS * STEP];
  const Phase phase = phases[blockIdx.z / gather.parts];
  const int area = phase.height * phase.width, rows = gather.images * area, first_row = blockIdx.x * ROWS;
  if (first_row >= rows) return;
  const int part = blockIdx.z % gather.parts, begin = part * gather.of_part;
  const int steps = min(gather.of_part, phase.depth - begin), first = blockIdx.y * COLUMNS;
  const int words = gather.pitch, of_tap = words / STEP;
  taps += phase.first;

  // Four threads copy a line. Lines beyond the last repeat it, and their sums are dropped.
  const int line = threadIdx.x / 4, piece = threadIdx.x % 4;
  const unsigned *of_row[2], *of_column[COLUMNS / 64];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const int row = min(first_row + line + i * 64, rows - 1), pixel = row % area;
    const int sample = row / area * gather.in_image + pixel / phase.width * gather.stride * gather.in_width +
                       pixel % phase.width * gather.stride;
    of_row[i] = in + (long long)sample * words + piece * PIECE;
  }
#pragma unroll
  for (int i = 0; i < COLUMNS / 64; i++)
    of_column[i] = weights + (long long)min(first + line + i * 64, gather.columns - 1) * words + piece * PIECE;

  constexpr int A_STAGE = 4 * ROWS * STEP, B_STAGE = 4 * COLUMNS * STEP;
  // Where this thread's piece goes; 64 lines on they are spread alike.
  const unsigned to_a = place(a) + 4 * in_line(line, piece), to_b = place(b) + 4 * in_line(line, piece);
  constexpr int HALF = 4 * 64 * STEP;
  int tap = begin / of_tap, of_words = begin % of_tap;
  auto issue = [&](int, int stage) {
    const Tap now = taps[tap];
    const long long from = (long long)now.offset * words + of_words * STEP;
#pragma unroll
    for (int i = 0; i < 2; i++) copy(to_a + stage * A_STAGE + i * HALF, of_row[i] + from);
    const long long weight = (long long)now.weight * gather.columns * words + of_words * STEP;
#pragma unroll
    for (int i = 0; i < COLUMNS / 64; i++) copy(to_b + stage * B_STAGE + i * HALF, of_column[i] + weight);
    if (++of_words == of_tap) of_words = 0, tap++;
  };

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  // Where this thread takes its lines of matrices from, in either half of a step; 16 lines on they are spread alike.
  unsigned from_a[2], from_b[2];
#pragma unroll
  for (int k = 0; k < 2; k++) {
    from_a[k] = place(a) + 4 * in_line(warp / 4 * 64 + lane % 16, 2 * k + lane / 16);
    from_b[k] = place(b) + 4 * in_line(warp % 4 * 8 * WIDTH + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2);
  }
  constexpr int SIXTEEN = 4 * 16 * STEP;
  Sums<MATH, WIDTH> sums;
  sums.clear();
  auto multiply = [&](int stage) {
#pragma unroll
    for (int k = 0; k < 2; k++) {
      unsigned of_b[WIDTH][2];
#pragma unroll
      for (int j = 0; j < WIDTH; j += 2) {
        unsigned both[4];
        matrices(both, from_b[k] + stage * B_STAGE + j / 2 * SIXTEEN);
        of_b[j][0] = both[0], of_b[j][1] = both[1], of_b[j + 1][0] = both[2], of_b[j + 1][1] = both[3];
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        unsigned of_a[4];
        matrices(of_a, from_a[k] + stage * A_STAGE + i * SIXTEEN);
        sums.add(i, of_a, of_b);
      }
    }
  };
  pipeline(steps, issue, multiply);

  auto place = [&](int of_tile) {
    const int row = first_row + of_tile;
    if (row >= rows) return make_int2(-1, 0);
    const int pixel = row % area;
    const int i = pixel / phase.width * gather.apart + phase.row, j = pixel % phase.width * gather.apart + phase.column;
    return make_int2(row / area * gather.out_image + i * gather.out_width + j, 0);
  };
  finish(sums, gather, part, first, bias, out, place);
}

// What the gradient by weights takes. The layout of `PackedWeight` in src/network/packed.rs.
struct Weight {
  // Outputs of all images, and how many belong to a part.
  int outputs, of_part;
  // Of the convolution's output and input: channels, and words of a sample.
  int out_channels, out_words, in_channels, in_words;
  // Rows and columns of the kernel, and of the input with its border.
  int kernel, in_width;
};

// parts[tap][out][in] = sum over outputs of out[output][out channel] in[sample it saw through the tap][in channel].
//
// Both factors have their channels innermost, along which `mma` does not sum: BF16 is transposed by `ldmatrix` on
// its way to the registers, TF32 is taken a word at a time. Grid: blocks of out channels, each with all blocks of in
// channels; taps; parts. A tile is 128 by 128 channels, a step 32 or 16 outputs. `outputs` has for each output the
// first sample that it saw and its own place, with borders.
template <Math MATH>
__device__ __forceinline__ void weight_gradient(const Weight& weight, const int2* outputs, const unsigned* in,
                                                const unsigned* dout, float* parts) {
  constexpr int WIDTH = 4, CHANNELS = 128, OF_WORD = MATH == BF16 ? 2 : 1;
  // Words and pieces of a line, lines of a step.
  constexpr int LINE = CHANNELS / OF_WORD, PIECES = LINE / PIECE, LINES = 16 * OF_WORD;
  __shared__ __align__(128) unsigned a[STAGES][LINES * LINE], b[STAGES][LINES * LINE];
  const int across = (weight.in_channels + CHANNELS - 1) / CHANNELS;
  const int first_out = blockIdx.x / across * CHANNELS, first_in = blockIdx.x % across * CHANNELS;
  const int begin = blockIdx.z * weight.of_part, count = min(weight.of_part, weight.outputs - begin);
  const int seen = blockIdx.y / weight.kernel * weight.in_width + blockIdx.y % weight.kernel;
  outputs += begin;
  // A piece of the line of an output, spread so that what a warp takes at once lies in different banks.
  auto in_step = [](int line, int piece) {
    return line * LINE + (piece ^ (MATH == BF16 ? line & 7 : 2 * (line & 3))) * PIECE;
  };
  const int piece = threadIdx.x % PIECES;
  constexpr int STAGE = 4 * LINES * LINE;
  const unsigned base_a = place(a), base_b = place(b);
  const int out_word = first_out / OF_WORD + piece * PIECE, in_word = first_in / OF_WORD + piece * PIECE;
  auto issue = [&](int step, int stage) {
#pragma unroll
    for (int i = 0; i < LINES * PIECES / BLOCK; i++) {
      const int line = threadIdx.x / PIECES + i * (BLOCK / PIECES), at = step * LINES + line;
      const unsigned to = stage * STAGE + 4 * in_step(line, piece);
      const int2 output = at < count ? outputs[at] : make_int2(0, 0);
      // Zeros beyond the last output and the last channel.
      if (at < count && out_word < weight.out_words)
        copy(base_a + to, dout + (long long)output.y * weight.out_words + out_word);
      else
        clear(base_a + to);
      if (at < count && in_word < weight.in_words)
        copy(base_b + to, in + (long long)(output.x + seen) * weight.in_words + in_word);
      else
        clear(base_b + to);
    }
  };

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  // TF32: where a thread's words lie in lines member and member + 4, for each of four times 8 channels that
  // `in_step` spreads; 32 channels on they lie as far on.
  const int group = lane / 4, member = lane % 4;
  int spread[4];
#pragma unroll
  for (int i = 0; i < 4; i++) spread[i] = member * LINE + (2 * i ^ 2 * member) * PIECE + group;
  Sums<MATH, WIDTH> sums;
  sums.clear();
  auto multiply = [&](int stage) {
#pragma unroll
    for (int k = 0; k < 2; k++) {
      unsigned of_b[WIDTH][2];
      if (MATH == BF16) {
#pragma unroll
        for (int j = 0; j < WIDTH; j += 2) {
          unsigned both[4];
          transposed_matrices(both, base_b + stage * STAGE + 4 * in_step(k * 16 + lane % 16, warp % 4 * WIDTH + j + lane / 16));
          of_b[j][0] = both[0], of_b[j][1] = both[1], of_b[j + 1][0] = both[2], of_b[j + 1][1] = both[3];
        }
      } else {
#pragma unroll
        for (int j = 0; j < WIDTH; j++)
#pragma unroll
          for (int r = 0; r < 2; r++)
            of_b[j][r] = b[stage][(k * 8 + r * 4) * LINE + warp % 4 * 32 + spread[j]];
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        unsigned of_a[4];
        if (MATH == BF16) {
          const int line = k * 16 + lane / 16 * 8 + lane % 8;
          transposed_matrices(of_a, base_a + stage * STAGE + 4 * in_step(line, warp / 4 * 8 + i * 2 + lane / 8 % 2));
        } else {
#pragma unroll
          for (int r = 0; r < 4; r++)
            of_a[r] = a[stage][(k * 8 + r / 2 * 4) * LINE + warp / 4 * 64 + i / 2 * 32 + spread[i % 2 * 2 + r % 2]];
        }
        sums.add(i, of_a, of_b);
      }
    }
  };
  pipeline((count + LINES - 1) / LINES, issue, multiply);

  const long long part = (long long)(blockIdx.z * gridDim.y + blockIdx.y) * weight.out_channels;
  auto of_channel = [&](int row) {
    const int out = first_out + row;
    return out < weight.out_channels ? (part + out) * weight.in_channels : -1LL;
  };
  sums.each(of_channel, [&](long long at, int column, float& v) {
    if (at >= 0 && first_in + column < weight.in_channels) parts[at + first_in + column] = v;
  });
}

// How planes become samples of channels. The layout of `Packing` in src/network/packed.rs.
struct Packing {
  int channels, words;
  // Of a plane; of it with its border, and where its first sample lies there.
  int width, area, outer_width, outer_area, first;
};

// Borders, and channels beyond the last, keep their zeros. Grid: blocks of 32 samples, of 32 channels, images.
template <Math MATH>
__device__ __forceinline__ void pack(const Packing& packing, const float* in, unsigned* out) {
  constexpr int OF_WORD = MATH == BF16 ? 2 : 1, WORDS = 32 / OF_WORD;
  __shared__ float tile[32][33];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first_pixel = blockIdx.x * 32, first_channel = blockIdx.y * 32;
  const long long image = (long long)blockIdx.z * packing.channels;
#pragma unroll
  for (int i = warp; i < 32; i += BLOCK / 32) {
    const int channel = first_channel + i, pixel = first_pixel + lane;
    const bool there = channel < packing.channels && pixel < packing.area;
    tile[i][lane] = there ? in[(image + channel) * packing.area + pixel] : 0.0f;
  }
  __syncthreads();
#pragma unroll
  for (int i = threadIdx.x; i < 32 * WORDS; i += BLOCK) {
    const int pixel = first_pixel + i / WORDS, at = i % WORDS * OF_WORD;
    if (pixel >= packing.area || first_channel + at >= packing.channels) continue;
    const int outer = pixel / packing.width * packing.outer_width + pixel % packing.width + packing.first;
    out[((long long)blockIdx.z * packing.outer_area + outer) * packing.words + first_channel / OF_WORD + i % WORDS] =
        word<MATH>(tile[at][i / WORDS], OF_WORD == 2 ? tile[at + 1][i / WORDS] : 0.0f);
  }
}

// The most taps of a kernel.
constexpr int MOST_TAPS = 49;

// out[tap][line][word of across] = weights[line line_pitch + across across_pitch + tap]. Grid: blocks of 32 across,
// lines.
template <Math MATH>
__device__ __forceinline__ void pack_weights(int taps, int across, int words, int line_pitch, int across_pitch,
                                             const float* weights, unsigned* out) {
  constexpr int OF_WORD = MATH == BF16 ? 2 : 1, WORDS = 32 / OF_WORD;
  __shared__ float tile[MOST_TAPS][33];
  const int first = blockIdx.x * 32, line = blockIdx.y;
  weights += (long long)line * line_pitch + (long long)first * across_pitch;
  for (int i = threadIdx.x; i < 32 * taps; i += BLOCK) {
    const int of_across = i / taps, tap = i % taps;
    tile[tap][of_across] = first + of_across < across ? weights[(long long)of_across * across_pitch + tap] : 0.0f;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < taps * WORDS; i += BLOCK) {
    const int tap = i / WORDS, at = i % WORDS;
    if (first / OF_WORD + at >= words) continue;
    out[((long long)tap * gridDim.y + line) * words + first / OF_WORD + at] =
        word<MATH>(tile[tap][at * OF_WORD], OF_WORD == 2 ? tile[tap][at * OF_WORD + 1] : 0.0f);
  }
}

}  // namespace packed

#define PACKED_PRODUCT(name, MATH, WIDTH)                                                                    \
  extern "C" __global__ void __launch_bounds__(packed::BLOCK, 2)                                             \
      name(Gather gather, const Phase* __restrict__ phases, const Tap* __restrict__ taps,                    \
           const unsigned* __restrict__ in, const unsigned* __restrict__ weights,                            \
           const float* __restrict__ bias, float* __restrict__ out) {                                        \
    packed::product<MATH, WIDTH>(gather, phases, taps, in, weights, bias, out);                              \
  }

// Defines packed_64, packed_128, packed_weight, pack and pack_weights.
#define PACKED(MATH)                                                                                         \
  PACKED_PRODUCT(packed_64, MATH, 2)                                                                         \
  PACKED_PRODUCT(packed_128, MATH, 4)                                                                        \
  extern "C" __global__ void __launch_bounds__(packed::BLOCK, 2)                                             \
      packed_weight(packed::Weight weight, const int2* __restrict__ outputs, const unsigned* __restrict__ in, \
                    const unsigned* __restrict__ dout, float* __restrict__ parts) {                          \
    packed::weight_gradient<MATH>(weight, outputs, in, dout, parts);                                         \
  }                                                                                                          \
  extern "C" __global__ void __launch_bounds__(packed::BLOCK)                                                \
      pack(packed::Packing packing, const float* __restrict__ in, unsigned* __restrict__ out) {              \
    packed::pack<MATH>(packing, in, out);                                                                    \
  }                                                                                                          \
  extern "C" __global__ void __launch_bounds__(packed::BLOCK)                                                \
      pack_weights(int taps, int across, int words, int line_pitch, int across_pitch,                        \
                   const float* __restrict__ weights, unsigned* __restrict__ out) {                          \
    packed::pack_weights<MATH>(taps, across, words, line_pitch, across_pitch, weights, out);                 \
  }
