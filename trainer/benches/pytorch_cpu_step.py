"""Times PyTorch's training steps on the CPU: `cargo bench -p msssim-trainer --bench cpu_step` runs it.

The same networks, batches and losses as `cpu_step.rs`, on as many threads; fused Adam, and whichever of the two
memory formats is faster. Reads lines `NETWORK IMAGES SIDE LOSS` and answers each with the milliseconds of one step,
so that steps of both programs alternate; `-` for what this installation lacks.
"""

import math
import sys
import time

try:
    import torch
    import torch.nn.functional as functional
except ImportError as error:
    sys.exit(f"PyTorch: {error}")

TAPS = torch.tensor([math.exp(-(k**2) / 4.5) for k in range(-5, 6)])
TAPS = (TAPS / TAPS.sum()).expand(5, 1, 1, 11).contiguous()


def ms_ssim(x, y):
    """Five scales with unit exponents, windows over the border, of grey images."""
    score = 1.0
    for scale in range(5):
        a, b = (functional.pad(v, (5, 5, 5, 5), mode="replicate") for v in (x, y))
        planes = torch.cat([a, b, a * a, b * b, a * b], 1)
        planes = functional.conv2d(functional.conv2d(planes, TAPS, groups=5), TAPS.transpose(2, 3), groups=5)
        ma, mb, aa, bb, ab = planes.chunk(5, 1)
        va, vb, cov = aa - ma * ma, bb - mb * mb, ab - ma * mb
        term = (2 * cov + 9e-4) / (va + vb + 9e-4)
        if scale == 4:
            term = term * (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
        score = score * term.mean((1, 2, 3))
        if scale < 4:
            x, y = (functional.avg_pool2d(v, 2, ceil_mode=True) for v in (x, y))
    return score.mean()


def pytorch_msssim(x, y):
    """The package of that name, whose windows must be smaller where images are: here 5 taps, not 11."""
    from pytorch_msssim import ms_ssim

    return ms_ssim(x, y, data_range=1.0, win_size=5)


LOSSES = {
    "mse": functional.mse_loss,
    "ms-ssim": lambda x, y: 1 - ms_ssim(x, y),
    "pytorch-msssim": lambda x, y: 1 - pytorch_msssim(x, y),
}


def srcnn():
    def conv(ins, outs, side):
        return torch.nn.Conv2d(ins, outs, side, padding="same", padding_mode="replicate")

    relu = torch.nn.ReLU
    return torch.nn.Sequential(conv(1, 64, 9), relu(), conv(64, 32, 5), relu(), conv(32, 1, 5))


def autoencoder(filters, side):
    """Three strided convolutions, 512 features, and the mirror image."""
    widths, smallest = [1, filters, 2 * filters, 4 * filters], side // 8
    inputs = widths[3] * smallest * smallest
    relu, linear = torch.nn.ReLU, torch.nn.Linear
    layers = []
    for ins, outs in zip(widths, widths[1:]):
        layers += [torch.nn.Conv2d(ins, outs, 5, stride=2, padding=2), relu()]
    layers += [torch.nn.Flatten(), linear(inputs, 512), relu(), linear(512, inputs), relu()]
    layers += [torch.nn.Unflatten(1, (widths[3], smallest, smallest))]
    for ins, outs in zip(widths[:0:-1], widths[-2::-1]):
        layers += [torch.nn.ConvTranspose2d(ins, outs, 5, stride=2, padding=2, output_padding=1), relu()]
    return torch.nn.Sequential(*layers[:-1], torch.nn.Sigmoid())


def step_of(network, images, side, loss, memory_format):
    model = srcnn() if network == "srcnn" else autoencoder(int(network.split("-")[1]), side)
    model = model.to(memory_format=memory_format)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    x, y = (torch.rand(images, 1, side, side).to(memory_format=memory_format) for _ in range(2))
    loss = LOSSES[loss]

    def step():
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=False)
        loss(model(x), y).backward()
        optimizer.step()
        return 1e3 * (time.perf_counter() - begun)

    return step


def fastest(network, images, side, loss):
    steps = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        step = step_of(network, images, side, loss, memory_format)
        steps.append((min(step() for _ in range(4)), len(steps), step))
    return min(steps)[2]


def main():
    torch.set_num_threads(int(sys.argv[1]))
    print(f"PyTorch {torch.__version__}", flush=True)
    case = step = None
    for line in sys.stdin:
        if line != case:
            case = line
            network, images, side, loss = line.split()
            try:
                step = fastest(network, int(images), int(side), loss)
            except ImportError as error:
                print(error, file=sys.stderr)
                step = lambda: "-"
        print(step(), flush=True)


main()
