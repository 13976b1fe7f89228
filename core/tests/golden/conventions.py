#!/usr/bin/env python3
"""Makes conventions.json: what each named convention makes of images that any language can make from integers.

usage: conventions.py OUT.json

`exact` is this program's own evaluation in float64: NumPy, windows summed in two dimensions, each convention
written from its source's text. `peer` is what the implementation itself returns, where it can be imported:

    pip install torch==2.11.0 pytorch-msssim==1.0.0 piq==0.8.0 torchmetrics==1.9.0 tensorflow-cpu==2.21.0 imageio-ffmpeg==0.8.1

Images are 8 bit: triangle waves with hashed noise, and the same with noise of amplitude `amp`; channel c of a
colour image has the seed + 10 c.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

WANG = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def hash32(i, j, seed):
    v = (i * 73856093) ^ (j * 19349663) ^ (seed * 83492791)
    v &= 0xFFFFFFFF
    v ^= v >> 16
    v = (v * 0x7FEB352D) & 0xFFFFFFFF
    v ^= v >> 15
    v = (v * 0x846CA68B) & 0xFFFFFFFF
    return v ^ (v >> 16)


def triangle(k, period):
    return np.abs(k % (2 * period) - period) * 255 // period


def images(seed, height, width, amp):
    i, j = np.mgrid[0:height, 0:width].astype(np.int64)
    waves = 2 * triangle(i + 3 * seed, 37) + 2 * triangle(j + i // 3, 23) + triangle(i + j, 71)
    x = np.minimum((waves + (hash32(i, j, seed) >> 26)) // 5, 255)
    noise = ((hash32(i, j, seed + 1000) >> 24) - 128) * amp // 128
    return x.astype(float), np.clip(x + noise, 0, 255).astype(float)


def gaussian(sigma, radius):
    k = np.arange(-radius, radius + 1)
    g = np.exp(-(k[:, None] ** 2 + k[None, :] ** 2) / (2 * sigma**2))
    return g / g.sum()


def blur(image, window):
    """Weighted means over all windows that lie inside."""
    views = np.lib.stride_tricks.sliding_window_view(image, window.shape)
    return np.einsum("ijkl,kl->ij", views, window)


def padded(image, border, radius):
    mode = {"valid": None, "replicate": "edge", "reflect": "reflect"}[border]
    return image if mode is None else np.pad(image, radius, mode=mode)


def terms(x, y, border, sigma=1.5, radius=5, window=None, centre=128):
    """Maps of l, c, s and cs."""
    x, y = padded(x, border, radius), padded(y, border, radius)
    window = gaussian(sigma, radius) if window is None else window
    mx, my = blur(x, window), blur(y, window)
    # Centred by a constant, which leaves variances alone and their digits whole.
    u, v = x - centre, y - centre
    xx = np.maximum(blur(u * u, window) - (mx - centre) ** 2, 0)
    yy = np.maximum(blur(v * v, window) - (my - centre) ** 2, 0)
    xy = blur(u * v, window) - (mx - centre) * (my - centre)
    deviations = np.sqrt(xx * yy)
    l = (2 * mx * my + C1) / (mx**2 + my**2 + C1)
    c = (2 * deviations + C2) / (xx + yy + C2)
    s = (xy + C2 / 2) / (deviations + C2 / 2)
    return l, c, s, (2 * xy + C2) / (xx + yy + C2)


def pool(image):
    return (image[0::2, 0::2] + image[0::2, 1::2] + image[1::2, 0::2] + image[1::2, 1::2]) / 4


def symmetric(image):
    return pool(np.pad(image, [(0, n % 2) for n in image.shape], mode="symmetric"))


def zero(image):
    return pool(np.pad(image, [(n % 2, 0) for n in image.shape]))


def floor(image):
    return pool(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


def replicate_first(image):
    if any(n % 2 for n in image.shape):
        image = np.pad(image, [(1, 0), (1, 0)], mode="edge")
    return floor(image)


def low_pass_97(image):
    taps = np.array([0.0378, -0.0238, -0.1106, 0.3774, 0.8527, 0.3774, -0.1106, -0.0238, 0.0378])
    return blur(np.pad(image, 4, mode="symmetric"), np.outer(taps, taps) / taps.sum() ** 2)[::2, ::2]


def pyramid(image, halve, scales):
    levels = [image]
    for _ in range(scales - 1):
        levels.append(halve(levels[-1]))
    return levels


def of_channels(score):
    return lambda x, y: float(np.mean([score(a, b) for a, b in zip(x, y)]))


def product_of_means(halve, border, weights, negative):
    def score(x, y):
        result = 1.0
        levels = zip(pyramid(x, halve, 5), pyramid(y, halve, 5), weights)
        for scale, (a, b, weight) in enumerate(levels):
            l, _, _, cs = terms(a, b, border)
            result *= negative((l * cs if scale == 4 else cs).mean(), weight)
        return result

    return of_channels(score)


def relu(mean, weight):
    return max(mean, 0) ** weight


def signed(mean, weight):
    return np.sign(mean) * abs(mean) ** weight


def torchmetrics(x, y):
    result = 1.0
    x, y = list(x), list(y)
    for scale, weight in enumerate(WANG):
        maps = []
        for a, b in zip(x, y):
            l, _, _, cs = terms(a, b, "reflect")
            # Contrast-structure loses what was padded, the coarsest scale's mean does not.
            maps.append(l * cs if scale == 4 else cs[5:-5, 5:-5])
        result *= relu(np.mean(maps), weight)
        x, y = [floor(a) for a in x], [floor(b) for b in y]
    return float(result)


def metrix(x, y):
    result = 1.0
    for scale, (a, b) in enumerate(zip(pyramid(x, low_pass_97, 5), pyramid(y, low_pass_97, 5))):
        l, c, s, _ = terms(a, b, "valid")
        result *= (abs(c.mean()) * abs(s.mean())) ** WANG[scale]
    return result * abs(l.mean()) ** WANG[4]


def zhao(x, y):
    product = 1.0
    for sigma in (0.5, 1.0, 2.0, 4.0, 8.0):
        l, _, _, cs = terms(x, y, "valid", sigma, 16)
        product = product * cs
    return (l * product).mean()


def snell_pixels(x, y):
    product = np.ones_like(x)
    rows, columns = np.indices(x.shape)
    for scale, (a, b) in enumerate(zip(pyramid(x, symmetric, 5), pyramid(y, symmetric, 5))):
        l, _, _, cs = terms(a, b, "replicate")
        product = product * (l * cs if scale == 4 else cs)[rows >> scale, columns >> scale]
    return product.mean()


def matlab_ssim(x, y):
    l, _, _, cs = terms(x, y, "replicate")
    return (l * cs).mean()


EXACT = {
    "wang-2003": product_of_means(symmetric, "valid", WANG, relu),
    "tensorflow": product_of_means(symmetric, "valid", WANG, relu),
    "pytorch-msssim": product_of_means(zero, "valid", WANG, relu),
    "piq": product_of_means(replicate_first, "valid", WANG, relu),
    "torchmetrics": torchmetrics,
    "floor": product_of_means(floor, "valid", WANG, relu),
    "matlab-ssim": of_channels(matlab_ssim),
    "matlab-multissim": product_of_means(
        symmetric, "replicate", np.exp(-np.arange(-2, 3) ** 2 / 2) / np.exp(-np.arange(-2, 3) ** 2 / 2).sum(), relu
    ),
    "metrix": of_channels(metrix),
    "zhao-2017": of_channels(zhao),
    "snell-2017": product_of_means(symmetric, "replicate", [1] * 5, signed),
    "snell-2017-pixels": of_channels(snell_pixels),
}


def tensorflow_peer():
    """`tf.image.ssim_multiscale`, which computes in float32 whatever it is given."""
    try:
        import tensorflow as tf
    except ImportError:
        print("skipped: no tensorflow")
        return {}
    image = lambda planes: tf.constant(np.moveaxis(planes, 0, -1).astype(np.uint8))
    return {"tensorflow": lambda x, y: float(tf.image.ssim_multiscale(image(x), image(y), max_val=255))}


def libvmaf_peer():
    """libvmaf's `float_ms_ssim` as FFmpeg prints it, of each channel as luma.

    Its window and its low-pass filter are tables of six digits that sum to 1.000002: variances, which are small
    differences of large means, are off by up to a thousandth. `with_printed_tables` is `metrix` with those tables.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        print("skipped: no imageio-ffmpeg")
        return {}

    def of_plane(x, y):
        (height, width), grey = x.shape, bytes([128])
        with tempfile.TemporaryDirectory() as folder:
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
            for name, plane in (("y", y), ("x", x)):
                path = pathlib.Path(folder, name)
                path.write_bytes(plane.astype(np.uint8).tobytes() + grey * (2 * plane.size))
                command += f"-f rawvideo -pix_fmt yuv444p -s {width}x{height} -i {path}".split()
            log = pathlib.Path(folder, "log")
            command += ["-lavfi", f"libvmaf=feature=name=float_ms_ssim:log_fmt=json:log_path={log}", "-f", "null", "-"]
            subprocess.run(command, check=True)
            score = json.loads(log.read_text())["frames"][0]["metrics"]["float_ms_ssim"]
        assert abs(score - with_printed_tables(x, y)) < 2e-6, (score, with_printed_tables(x, y))
        return score

    return {"metrix": of_channels(of_plane)}


def mirrored(half):
    return np.array(half + half[-2::-1])


def with_printed_tables(x, y):
    window = mirrored([0.001028, 0.007599, 0.036001, 0.109361, 0.213006, 0.266012])
    low_pass = mirrored([0.026727, -0.016828, -0.078201, 0.266846, 0.602914])
    halve = lambda image: blur(np.pad(image, 4, mode="symmetric"), np.outer(low_pass, low_pass))[::2, ::2]
    result = 1.0
    for scale, (a, b) in enumerate(zip(pyramid(x, halve, 5), pyramid(y, halve, 5))):
        l, c, s, _ = terms(a, b, "valid", window=np.outer(window, window), centre=0)
        result *= (abs(c.mean()) * abs(s.mean())) ** WANG[scale]
    return result * abs(l.mean()) ** WANG[4]


def torch_peers():
    """PyTorch's implementations by the name of their convention: float64 in, float64 out."""
    found = {}
    try:
        import torch
    except ImportError:
        print("skipped: no torch")
        return found
    try:
        import pytorch_msssim

        found["pytorch-msssim"] = lambda x, y: pytorch_msssim.ms_ssim(x, y, data_range=255)
    except ImportError:
        print("skipped: no pytorch-msssim")
    try:
        import piq

        found["piq"] = lambda x, y: piq.multi_scale_ssim(x, y, data_range=255.0)
    except ImportError:
        print("skipped: no piq")
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

        found["torchmetrics"] = lambda x, y: ms_ssim(x, y, data_range=255.0)
    except ImportError:
        print("skipped: no torchmetrics")
    tensor = lambda planes: torch.tensor(planes, dtype=torch.float64)[None]
    return {name: (lambda x, y, f=f: float(f(tensor(x), tensor(y)))) for name, f in found.items()}


def main(out):
    cases, found = [], tensorflow_peer() | libvmaf_peer() | torch_peers()
    # Sizes even and odd on either side at every scale; one channel and three; no, little and much noise.
    sizes = [(176, 176, 1, 8), (177, 181, 1, 60), (192, 255, 3, 40), (191, 194, 3, 90), (331, 187, 1, 25)]
    small = {"snell-2017": (33, 47), "snell-2017-pixels": (37, 50), "matlab-ssim": (35, 20), "zhao-2017": (41, 38)}
    for name, exact in EXACT.items():
        for seed, (height, width, channels, amp) in enumerate(sizes):
            if name in small and seed % 2:
                height, width = small[name]
            pairs = [images(seed + 10 * c, height, width, amp) for c in range(channels)]
            x, y = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
            case = dict(convention=name, seed=seed, height=height, width=width, channels=channels, amp=amp)
            case["exact"] = exact(x, y)
            if name in found:
                case["peer"] = found[name](x, y)
            cases.append(case)
            print(case)
    with open(out, "w") as file:
        file.write(json.dumps({"cases": cases}).replace("{\"conv", "\n{\"conv") + "\n")


main(sys.argv[1])
