"""Times PyTorch's training steps on the CPU: `cargo bench -p msssim-trainer --bench cpu_step` runs it.

The same networks, batches and losses as `cpu_step.rs`, on as many threads; fused Adam, and whichever of the two
memory formats is faster. Reads lines `NETWORK IMAGES SIDE LOSS` and answers each with the milliseconds of one step,
so that steps of both programs alternate; `-` for what this installation lacks.
"""

import sys
import time

try:
    import torch
    import torch.nn.functional as functional
    from pytorch_srcnn import gaussian, ms_ssim, srcnn
except ImportError as error:
    sys.exit(f"PyTorch: {error}")

TAPS = gaussian("cpu")


def pytorch_msssim(x, y):
    """The package of that name, whose windows must be smaller where images are: here 5 taps, not 11."""
    from pytorch_msssim import ms_ssim

    return ms_ssim(x, y, data_range=1.0, win_size=5)


LOSSES = {
    "mse": functional.mse_loss,
    "ms-ssim": lambda x, y: 1 - ms_ssim(x, y, TAPS),
    "pytorch-msssim": lambda x, y: 1 - pytorch_msssim(x, y),
}


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
