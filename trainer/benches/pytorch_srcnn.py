"""What PyTorch is timed on by `pytorch_cpu_step.py` and `pytorch_step.py`: the loss and the network of both."""

import math

import torch
import torch.nn.functional as functional


def gaussian(device):
    """The taps of MS-SSIM's window, for each of the five planes that are blurred."""
    taps = torch.tensor([math.exp(-(k**2) / 4.5) for k in range(-5, 6)], device=device)
    return (taps / taps.sum()).expand(5, 1, 1, 11).contiguous()


def ms_ssim(x, y, taps):
    """Five scales with unit exponents, windows over the border, of grey images; `taps` are those of `gaussian`."""
    score = 1.0
    for scale in range(5):
        a, b = (functional.pad(v, (5, 5, 5, 5), mode="replicate") for v in (x, y))
        planes = torch.cat([a, b, a * a, b * b, a * b], 1)
        planes = functional.conv2d(functional.conv2d(planes, taps, groups=5), taps.transpose(2, 3), groups=5)
        ma, mb, aa, bb, ab = planes.chunk(5, 1)
        va, vb, cov = aa - ma * ma, bb - mb * mb, ab - ma * mb
        term = (2 * cov + 9e-4) / (va + vb + 9e-4)
        if scale == 4:
            term = term * (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
        score = score * term.mean((1, 2, 3))
        if scale < 4:
            x, y = (functional.avg_pool2d(v, 2, ceil_mode=True) for v in (x, y))
    return score.mean()


def srcnn():
    def conv(ins, outs, side):
        return torch.nn.Conv2d(ins, outs, side, padding="same", padding_mode="replicate")

    relu = torch.nn.ReLU
    return torch.nn.Sequential(conv(1, 64, 9), relu(), conv(64, 32, 5), relu(), conv(32, 1, 5))
