"""Times PyTorch's training steps of SRCNN with MS-SSIM, and layers by cuDNN and cuBLAS: `cargo bench -p msssim-trainer
--bench cuda_step` runs it.

Needs torch with CUDA (tried without a card only for its syntax). The same network, batches, precision and
loss as `cuda_step.rs`; channels last, fused Adam, and whichever of eager, compiled, and CUDA graphs is fastest.
"""

import statistics
import sys

try:
    import torch
    import torch.nn.functional as functional
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


def convolution(weight, x, stride, padding, transposed, output_padding, outs):
    """Weights, input, biases, forward pass, and backward pass by what `wanted` names of input, weights and biases. Its
    border is zeros, which costs no more than a repeated one."""
    settings = [stride] * 2, [padding] * 2, [1, 1], transposed, [output_padding] * 2, 1
    forward = lambda x, w, b: torch.ops.aten.convolution(x, w, b, *settings)
    backward = lambda dy, x, w, wanted: torch.ops.aten.convolution_backward(dy, x, w, [outs], *settings, wanted)
    return weight, x, outs, forward, backward


def conv(images, ins, outs, side, kernel, stride):
    weight, x = torch.rand(outs, ins, kernel, kernel), torch.rand(images, ins, side, side)
    return convolution(weight, x, stride, kernel // 2, False, 0, outs)


def transposed(ins, outs, side):
    weight, x = torch.rand(ins, outs, 5, 5), torch.rand(32, ins, side, side)
    return convolution(weight, x, 2, 2, True, 1, outs)


def dense(ins, outs):
    def backward(dy, x, w, wanted):
        return (dy @ w,) if wanted[0] else (dy.t() @ x, dy.sum(0))

    return torch.rand(outs, ins), torch.rand(32, ins), outs, functional.linear, backward


# As `layers` of `cuda_step.rs`.
LAYERS = {
    "9x9x1x64, 128 of 33": lambda: conv(128, 1, 64, 33, 9, 1),
    "5x5x64x32, 128 of 33": lambda: conv(128, 64, 32, 33, 5, 1),
    "5x5x32x1, 128 of 33": lambda: conv(128, 32, 1, 33, 5, 1),
    "5x5x1x128 by 2, 32 of 96": lambda: conv(32, 1, 128, 96, 5, 2),
    "5x5x128x256 by 2, 32 of 48": lambda: conv(32, 128, 256, 48, 5, 2),
    "5x5x256x512 by 2, 32 of 24": lambda: conv(32, 256, 512, 24, 5, 2),
    "73728 to 512, 32 images": lambda: dense(73728, 512),
    "512 to 73728, 32 images": lambda: dense(512, 73728),
    "5x5x512x256 transposed by 2, 32 of 12": lambda: transposed(512, 256, 12),
    "5x5x256x128 transposed by 2, 32 of 24": lambda: transposed(256, 128, 24),
    "5x5x128x1 transposed by 2, 32 of 48": lambda: transposed(128, 1, 48),
}


def layer_times(make, precision, memory_format):
    """Milliseconds of the passes of one layer: forward, by weights and biases, by input, each as a graph."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    weight, x, outs, forward, backward = make()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32

    def there(values):
        values = values.to("cuda", dtype)
        return values.to(memory_format=memory_format) if values.dim() == 4 else values

    x, weight, bias = there(x), there(weight), there(torch.rand(outs))
    dy = torch.ones_like(forward(x, weight, bias))
    passes = (
        lambda: forward(x, weight, bias),
        lambda: backward(dy, x, weight, [False, True, True]),
        lambda: backward(dy, x, weight, [True, False, False]),
    )
    return [milliseconds(as_graph(step)) for step in passes]


def print_layers():
    print("\n| layer, the faster memory format | precision | forward, ms | by weights, ms | by input, ms |")
    print("| --- | --- | ---: | ---: | ---: |")
    for precision in ("f32", "tf32", "bf16"):
        for name, make in LAYERS.items():
            formats = (torch.contiguous_format, torch.channels_last)
            times = [layer_times(make, precision, memory_format) for memory_format in formats]
            fastest = " | ".join(f"{min(of_pass):.4f}" for of_pass in zip(*times))
            print(f"| {name} | {precision} | {fastest} |")


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
    print_layers()


main()
