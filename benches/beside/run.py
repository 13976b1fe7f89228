#!/usr/bin/env python3
"""Prints the README's table of CPU times: msssim-cpu beside other crates and pytorch-msssim, one thread each.

Rounds of the Rust program and of PyTorch take turns, and of each the least time counts, so that what else the machine
does falls on all alike. Without torch and pytorch-msssim their rows are left out, and it says so.

    python3 benches/beside/run.py [rounds]
"""

import os
import platform
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [(512, 512), (1920, 1080)]


def rust():
    """One round: what -> nanoseconds per pixel."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
    output = subprocess.run([os.path.join(target, "release", "beside")], check=True, capture_output=True, text=True)
    return {what: float(ns) for what, ns in (line.split("\t") for line in output.stdout.splitlines())}


def pytorch():
    """The same of pytorch-msssim, one grey image at a time."""
    try:
        import torch
        from pytorch_msssim import ms_ssim
    except ImportError:
        return {}
    torch.set_num_threads(1)
    times = {}
    for width, height in SIZES:
        x = torch.randint(0, 256, (1, 1, height, width)).float()
        y = (x + 16 * torch.randn_like(x)).clamp(0, 255).requires_grad_()
        label, pixels = f"{width} x {height}", width * height

        def score():
            with torch.no_grad():
                ms_ssim(x, y, data_range=255)

        def gradient():
            y.grad = None
            ms_ssim(x, y, data_range=255).backward()

        for what, run in [("score", score), ("gradient", gradient)]:
            best, begin = float("inf"), time.perf_counter()
            while best == float("inf") or time.perf_counter() - begin < 1.5:
                start = time.perf_counter()
                run()
                best = min(best, time.perf_counter() - start)
            times[f"pytorch-msssim {what}, {label}"] = best * 1e9 / pixels
    return times


def machine():
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{name}, {os.cpu_count()} processors"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=HERE, check=True)
    best = {}
    for _ in range(rounds):
        for times in (rust(), pytorch()):
            for what, ns in times.items():
                best[what] = min(ns, best.get(what, ns))
    print(f"On {machine()}; nanoseconds per pixel of one grey image, one thread:\n")
    isas = [isa for isa in ("Avx512", "Avx2", "Portable") if f"{isa} score, 512 x 512" in best]
    columns = [(what, f"{w} x {h}") for what in ("score", "gradient") for w, h in SIZES]
    print("| | " + " | ".join(f"{what}, {size}" for what, size in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    fastest = isas[0]
    for isa in isas:
        print(f"| `msssim-cpu`, {isa} | " + " | ".join(f"{best[f'{isa} {what}, {size}']:.2f}" for what, size in columns) + " |")
    for peer in ("blazediff-ssim", "pytorch-msssim"):
        cells = []
        for what, size in columns:
            ns, ours = best.get(f"{peer} {what}, {size}"), best[f"{fastest} {what}, {size}"]
            cells.append(f"{ns:.1f} ({ns / ours:.1f}x)" if ns else "-")
        print(f"| `{peer}` | " + " | ".join(cells) + " |")
    cells = []
    for what, size in columns:
        ns, ours = best.get(f"dssim-core, {size}"), best[f"{fastest} {what}, {size}"]
        cells.append(f"{ns:.1f} ({ns / ours:.1f}x)" if what == "score" else "-")
    print("| `dssim-core` (another metric) | " + " | ".join(cells) + " |")
    cells = [f"{best[f'memcpy of both images, {size}']:.2f}" if what == "score" else "-" for what, size in columns]
    print("| `memcpy` of both images | " + " | ".join(cells) + " |")
    print()
    for side in (96, 33):
        row = ", ".join(f"{isa} {best[f'{isa} batch gradient, {side} x {side}']:.2f}" for isa in isas)
        print(f"Gradients of a batch of 128 images of {side} x {side}, one thread: {row}.")
    one, two = (best[f"{threads} threads gradient, 1920 x 1080"] for threads in (1, 2))
    print(f"Gradient at 1920 x 1080 on two threads: {one / two:.2f}x one.")
    if f"pytorch-msssim score, 512 x 512" not in best:
        print("skipped: no torch with pytorch-msssim")


if __name__ == "__main__":
    main()
