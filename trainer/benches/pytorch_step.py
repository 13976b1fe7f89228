"""Times PyTorch's training steps of SRCNN with MS-SSIM: `cargo bench -p msssim-trainer --bench cuda_step` runs it.

Needs torch with CUDA (tried without a card only for its syntax). The same network, batches, precision and
loss as `cuda_step.rs`; channels last, fused Adam, and whichever of eager, compiled, and CUDA graphs is fastest.
"""

import statistics
import sys

try:
    import torch
    from pytorch_srcnn import gaussian, ms_ssim, srcnn
except ImportError as error:
    sys.exit(f"PyTorch: {error}")
if not torch.cuda.is_available():
    sys.exit("PyTorch sees no CUDA device")

RUNS = 15
STEPS = 64
TAPS = gaussian("cuda")


def set_up(images, side, precision, compiled):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    model = srcnn().cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
    x, y = (torch.rand(images, 1, side, side, device="cuda") for _ in range(2))
    x = x.to(memory_format=torch.channels_last)

    def loss():
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            out = model(x)
        return 1.0 - ms_ssim(y, out.float(), TAPS)

    if compiled:
        loss = torch.compile(loss)

    def step():
        optimizer.zero_grad(set_to_none=False)
        loss().backward()
        optimizer.step()

    return step


def as_graph(step):
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def milliseconds(step):
    times = []
    for _ in range(RUNS + 1):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(STEPS):
            step()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / STEPS)
    return statistics.median(times[1:])


def main():
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}\n")
    print("| SRCNN 9-5-5, MS-SSIM, a step | images | fastest, ms | which |")
    print("| --- | --- | ---: | --- |")
    for precision in ("f32", "tf32", "bf16"):
        for images, side in ((128, 33), (16, 96)):
            results = []
            for compiled in (False, True):
                for graph in (False, True):
                    name = f"{'compiled' if compiled else 'eager'}{', as a graph' if graph else ''}"
                    try:
                        step = set_up(images, side, precision, compiled)
                        results.append((milliseconds(as_graph(step) if graph else step), name))
                    except Exception as error:  # A set-up that this version lacks is not the fastest.
                        print(f"{name}: {error}", file=sys.stderr)
            time, name = min(results)
            print(f"| {precision} | {images} of {side} x {side} | {time:.4f} | {name} |")


main()
