"""Times PyTorch's MS-SSIM on the sizes that `metric.rs` times: `cargo bench -p msssim-cuda` runs it.

Needs torch with CUDA; with pytorch-msssim installed (tried with 1.0.0) that is timed too, where it takes
the size. The plain form below is what one writes by hand: grouped convolutions, five scales.
"""

import math
import statistics
import sys

try:
    import torch
    import torch.nn.functional as functional
except ImportError as error:
    sys.exit(f"PyTorch: {error}")
if not torch.cuda.is_available():
    sys.exit("PyTorch sees no CUDA device")

try:
    from pytorch_msssim import ms_ssim as packaged
except ImportError:
    packaged = None

RUNS = 50
WANG = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def window(channels):
    taps = torch.tensor([math.exp(-(k**2) / 4.5) for k in range(-5, 6)], device="cuda")
    return (taps / taps.sum()).expand(channels, 1, 1, 11).contiguous()


def filtered(planes, taps):
    channels = planes.shape[1]
    return functional.conv2d(
        functional.conv2d(planes, taps, groups=channels), taps.transpose(2, 3), groups=channels
    )


def plain(x, y, taps, same_size):
    """Five scales with unit exponents or Wang's; windows over the border or inside the image."""
    factors = []
    for scale in range(5):
        if same_size:
            padded = [functional.pad(v, (5, 5, 5, 5), mode="replicate") for v in (x, y)]
        else:
            padded = [x, y]
        a, b = padded
        planes = filtered(torch.cat([a, b, a * a, b * b, a * b], 1), taps)
        ma, mb, aa, bb, ab = planes.chunk(5, 1)
        va, vb, cov = aa - ma * ma, bb - mb * mb, ab - ma * mb
        term = (2 * cov + 9e-4) / (va + vb + 9e-4)
        if scale == 4:
            term = term * (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
        factors.append(term.mean((2, 3)))
        if scale < 4:
            x, y = (functional.avg_pool2d(v, 2, ceil_mode=True) for v in (x, y))
    factors = torch.stack(factors)
    if same_size:
        return factors.prod(0).mean(1)
    exponents = torch.tensor(WANG, device="cuda").view(5, 1, 1)
    return factors.clamp(min=1e-6).pow(exponents).prod(0).mean(1)


def median_ms(run, sets):
    for i in range(RUNS // 10 + len(sets)):
        run(*sets[i % len(sets)])
    times = []
    for i in range(RUNS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run(*sets[i % len(sets)])
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def time_case(name, shape, same_size, gradient):
    bytes_of_set = 12 * math.prod(shape)
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    count = max(2, -(-3 * cache // bytes_of_set))
    sets = []
    for _ in range(count):
        x = torch.rand(shape, device="cuda")
        y = (0.8 * x + 0.2 * torch.rand(shape, device="cuda")).requires_grad_(gradient)
        sets.append((x, y))
    taps = window(5 * shape[1])

    def by(score):
        def run(x, y):
            if gradient:
                return torch.autograd.grad(score(x, y).sum(), y)
            with torch.no_grad():
                return score(x, y)

        return run

    forms = {"plain tensor code": lambda x, y: plain(x, y, taps, same_size)}
    if packaged and min(shape[2:]) > 160 and not same_size:
        forms["pytorch-msssim"] = lambda x, y: packaged(x, y, data_range=1.0, size_average=False)
    for form, score in forms.items():
        torch.cuda.empty_cache()
        try:
            time = f"{median_ms(by(score), sets):.3f}"
        except torch.cuda.OutOfMemoryError:
            time = "out of memory"
        size = " x ".join(map(str, shape))
        print(f"| {form}: {name} | {size} | {time} |")


def main():
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}\n")
    print(f"| f32, medians of {RUNS} | images | ms |")
    print("| --- | --- | --- |")
    time_case("score, 1080p", (8, 3, 1080, 1920), False, False)
    time_case("score and gradient, 1080p", (8, 3, 1080, 1920), False, True)
    time_case("score and gradient, 512", (1, 3, 512, 512), False, True)
    time_case("score and gradient, patches of 96", (128, 1, 96, 96), True, True)
    time_case("score and gradient, patches of 33", (128, 1, 33, 33), True, True)


main()
