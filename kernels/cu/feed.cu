// What a training step begins and ends with: its batch, cropped from images in device memory, its
// coefficients and noise, and the record of what its loss is made of. Which step it is is counted on the
// device, so that every step is the same launches. `step` is the next one's number, and how many there are;
// beyond them nothing is read or written.
#define BLOCK 256

// A crop: where its first sample lies, from row to row, from plane to plane, and which of the eight
// symmetries: bits flip rows, flip columns, and transpose. The layout of `Crop` in src/network/step.rs.
struct Crop {
  int first, row, plane, symmetry;
};

// Cuts the step's batch from `bicubic` and `truth`, and copies its coefficients and noise. Grid: blocks of a
// crop's samples, channels, images. `crops` has `images` a step, `coefficients` `count` a step, `noises`
// `noise_count`.
extern "C" __global__ void __launch_bounds__(BLOCK)
    begin_step(int side, int count, int noise_count, const int* __restrict__ step, const Crop* __restrict__ crops,
               const float* __restrict__ coefficients, const float* __restrict__ noises,
               const float* __restrict__ bicubic, const float* __restrict__ truth, float* __restrict__ input,
               float* __restrict__ target, float* __restrict__ current, float* __restrict__ noise) {
  const int channels = gridDim.y, images = gridDim.z, channel = blockIdx.y, image = blockIdx.z;
  const long long now = step[0];
  if (now >= step[1]) return;
  if (blockIdx.x == 0 && channel == 0 && image == 0 && threadIdx.x < count)
    current[threadIdx.x] = coefficients[now * count + threadIdx.x];
  const int block = (image * channels + channel) * gridDim.x + blockIdx.x;
  for (int i = block * BLOCK + threadIdx.x; i < noise_count; i += gridDim.x * channels * images * BLOCK)
    noise[i] = noises[now * noise_count + i];
  const int at = blockIdx.x * BLOCK + threadIdx.x;
  if (at >= side * side) return;
  const Crop crop = crops[now * images + image];
  const int i = at / side, j = at % side;
  const int row = crop.symmetry & 1 ? side - 1 - i : i, column = crop.symmetry & 2 ? side - 1 - j : j;
  const bool transposed = crop.symmetry & 4;
  const long long from = crop.first + (long long)channel * crop.plane +
                         (long long)(transposed ? column : row) * crop.row + (transposed ? row : column);
  const long long to = ((long long)image * channels + channel) * side * side + at;
  input[to] = bicubic[from];
  target[to] = truth[from];
}

// Records the mean of the images' measures and that of their divergences, where there are any, and counts
// the step. Grid: one block of one thread.
extern "C" __global__ void end_step(int images, const double* __restrict__ measures,
                                    const double* __restrict__ divergences, double2* __restrict__ record,
                                    int* __restrict__ step) {
  if (step[0] >= step[1]) return;
  double measure = 0.0, divergence = 0.0;
  for (int image = 0; image < images; image++) {
    measure += measures[image];
    if (divergences) divergence += divergences[image];
  }
  record[step[0]] = make_double2(measure / images, divergence / images);
  step[0] += 1;
}
