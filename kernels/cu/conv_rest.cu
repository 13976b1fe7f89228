// What convolutions take beside their products: borders before them, and sums after them, in any precision.
#define BLOCK 256

// How planes are copied into larger ones, or back. The layout of `Border` in src/network.rs.
struct Border {
  int planes;
  // Of the planes without a border.
  int height, width;
  // Of those with one.
  int outer_height, outer_width;
  // Where the first sample lies, and how far apart samples come to lie.
  int before, apart;
  // Whether the border repeats the nearest sample; otherwise it is 0.
  int replicate;
};

__device__ __forceinline__ int clamp(int v, int high) { return v < 0 ? 0 : v > high ? high : v; }

// Gives planes a border. Grid: blocks of samples of all larger planes.
extern "C" __global__ void __launch_bounds__(BLOCK)
    pad(Border border, const float* __restrict__ in, float* __restrict__ out) {
  const long long at = (long long)blockIdx.x * BLOCK + threadIdx.x;
  const int area = border.outer_height * border.outer_width;
  if (at >= (long long)border.planes * area) return;
  const int plane = (int)(at / area), pixel = (int)(at % area);
  int i = pixel / border.outer_width - border.before, j = pixel % border.outer_width - border.before;
  bool there = true;
  if (border.replicate) {
    i = clamp(i, border.height - 1);
    j = clamp(j, border.width - 1);
  } else {
    there = i >= 0 && j >= 0 && i % border.apart == 0 && j % border.apart == 0;
    i /= border.apart;
    j /= border.apart;
    there = there && i < border.height && j < border.width;
  }
  out[at] = there ? in[((long long)plane * border.height + i) * border.width + j] : 0.0f;
}

// The adjoint of a border that repeats the nearest sample: adds what lies beyond the image to it. Grid:
// blocks of samples of all smaller planes.
extern "C" __global__ void __launch_bounds__(BLOCK)
    fold(Border border, const float* __restrict__ in, float* __restrict__ out) {
  const long long at = (long long)blockIdx.x * BLOCK + threadIdx.x;
  const int area = border.height * border.width;
  if (at >= (long long)border.planes * area) return;
  const int plane = (int)(at / area), pixel = (int)(at % area);
  const int row = pixel / border.width, column = pixel % border.width;
  const int before = border.before;
  const int top = row == 0 ? 0 : row + before, left = column == 0 ? 0 : column + before;
  const int bottom = row == border.height - 1 ? border.outer_height - 1 : row + before;
  const int right = column == border.width - 1 ? border.outer_width - 1 : column + before;
  const float* of_plane = in + (long long)plane * border.outer_height * border.outer_width;
  float sum = 0.0f;
  for (int i = top; i <= bottom; i++)
    for (int j = left; j <= right; j++) sum += of_plane[(long long)i * border.outer_width + j];
  out[at] = sum;
}

// Adds the parts up. Grid: blocks of 256 of all channels' weights and biases.
extern "C" __global__ void __launch_bounds__(BLOCK)
    conv_weight_sum(int channels, int weights, int count, const float* __restrict__ parts,
                    float* __restrict__ dweight, float* __restrict__ dbias) {
  const int at = blockIdx.x * BLOCK + threadIdx.x, total = channels * (weights + 1);
  if (at >= total) return;
  double sum = 0.0;
  for (int part = 0; part < count; part++) sum += parts[(long long)part * total + at];
  const int channel = at / (weights + 1), weight = at % (weights + 1);
  if (weight < weights)
    dweight[(long long)channel * weights + weight] = (float)sum;
  else
    dbias[channel] = (float)sum;
}
