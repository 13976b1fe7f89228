#!/usr/bin/env python3
"""Makes kernels/ptx from kernels/cu, and says what the assembler makes of it.

usage: generate.py [--check | --assemble]

Without an option: compiles every cu/*.cu and writes ptx/*.ptx and ptx/MANIFEST.
--check      compiles, and fails if a byte of what is committed would change.
--assemble   assembles what is committed for every architecture; fails on a spill, a stack, or more
             registers than a kernel's budget, and prints a table.

Both compilers come from PyPI by name and version into target/kernel-tools; where they cannot be
installed the script prints `skipped: ...` and succeeds. No GPU, driver or CUDA toolkit is used.
"""

import concurrent.futures
import ctypes
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parent / "target" / "kernel-tools"
NVRTC = "nvidia-cuda-nvrtc-cu12==12.4.127"
PTXAS = "nvidia-cuda-nvcc-cu12==12.9.86"
# No contraction: the PTX then fixes every rounding, on a card and in the emulator.
OPTIONS = ["--gpu-architecture=compute_80", "-std=c++17", "-fmad=false"]
# What the compiler writes, and the oldest version that has every instruction used: the assembler
# refuses newer ones, so this is checked. 7.0 is CUDA 11.0.
VERSION = (".version 8.4", ".version 7.0")
ARCHITECTURES = ["sm_80", "sm_90", "sm_100", "sm_120"]
# Registers: blocks of 128 threads, of which a multiprocessor's 65536 then hold enough to hide latency.
BUDGETS = {
    "statistics": 104, "terms": 112, "gradient": 128, "weighted": 184, "combine": 64, "finish": 32,
    "rise": 64, "total": 64, "descend": 48, "conv": 200, "pack": 48, "packed": 128, "dense": 208, "add": 40,
    "fold": 40, "pad": 40, "squared": 40, "absolute": 40, "blend": 40, "output": 40, "gaussian": 64,
    "adam": 32, "sgd": 32, "begin": 40, "end": 40, "load": 40, "halve": 64, "windows": 128, "slopes": 128,
    "spread": 128, "pool": 128,
}


def install(requirement):
    """The folder of a pinned wheel, or None with the reason printed."""
    folder = TOOLS / requirement.replace("==", "-")
    if not (folder / "nvidia").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            print(f"skipped: {requirement} cannot be installed: {reason}")
            return None
    return folder / "nvidia"


class Compiler:
    """NVRTC, loaded from its wheel."""

    def __init__(self, folder):
        self.library = ctypes.CDLL(str(folder / "cuda_nvrtc" / "lib" / "libnvrtc.so.12"))

    def text(self, program, size_function, get_function):
        size = ctypes.c_size_t()
        size_function(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        get_function(program, buffer)
        return buffer.value

    def compile(self, source, headers):
        """PTX of `source`, a path; `headers` are paths that it may include by name."""
        library, program = self.library, ctypes.c_void_p()
        texts = [header.read_bytes() for header in headers]
        names = [header.name.encode() for header in headers]
        array = ctypes.c_char_p * len(headers)
        created = library.nvrtcCreateProgram(
            ctypes.byref(program), source.read_bytes(), source.name.encode(), len(headers), array(*texts), array(*names)
        )
        if created:
            sys.exit(f"NVRTC refuses {source.name}: error {created}")
        options = [option.encode() for option in OPTIONS]
        failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        log = self.text(program, library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog).decode().strip()
        if log:
            print(log, file=sys.stderr)
        if failed:
            sys.exit(f"{source.name} does not compile")
        ptx = self.text(program, library.nvrtcGetPTXSize, library.nvrtcGetPTX).decode()
        if ptx.count(VERSION[0]) != 1:
            sys.exit(f"{source.name}: the compiler did not write {VERSION[0]!r}")
        return ptx.replace(*VERSION).encode()


def manifest(files):
    """The text of ptx/MANIFEST: what made the PTX, and the hashes of sources and results."""
    lines = [f"compiler {NVRTC}", f"options {' '.join(OPTIONS)}", f"version {VERSION[1].split()[1]}"]
    for name in sorted(files):
        lines.append(f"sha256 {hashlib.sha256(files[name]).hexdigest()} {name}")
    return "\n".join(lines).encode() + b"\n"


def generate():
    """Everything that belongs in ptx/, by path relative to this folder, or None."""
    folder = install(NVRTC)
    if folder is None:
        return None
    compiler = Compiler(folder)
    headers = sorted((HERE / "cu").glob("*.cuh"))
    sources = sorted((HERE / "cu").glob("*.cu"))
    made = {f"ptx/{source.stem}.ptx": compiler.compile(source, headers) for source in sources}
    hashed = made | {f"cu/{path.name}": path.read_bytes() for path in headers + sources}
    made["ptx/MANIFEST"] = manifest(hashed)
    return made


def check(made):
    committed = {f"ptx/{path.name}": path.read_bytes() for path in (HERE / "ptx").iterdir()}
    stale = sorted(name for name in made.keys() | committed.keys() if made.get(name) != committed.get(name))
    if stale:
        sys.exit(f"not what the sources give: {', '.join(stale)}; run kernels/generate.py")
    print(f"{len(made)} files are what the sources give")


def assemble():
    folder = install(PTXAS)
    if folder is None:
        return
    ptxas = folder / "cuda_nvcc" / "bin" / "ptxas"
    jobs = [(ptx, architecture) for ptx in sorted((HERE / "ptx").glob("*.ptx")) for architecture in ARCHITECTURES]
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:

        def run(job):
            ptx, architecture = job
            out = f"{scratch}/{ptx.stem}-{architecture}.cubin"
            return subprocess.run([ptxas, "-v", f"-arch={architecture}", ptx, "-o", out], capture_output=True, text=True)

        reports = list(pool.map(run, jobs))
    faults, rows = [], {}
    for (_, architecture), done in zip(jobs, reports):
        if done.returncode:
            sys.exit(done.stderr)
        kernel = None
        for line in done.stderr.splitlines():
            if match := re.search(r"Compiling entry function '(\w+)'", line):
                kernel = match[1]
            elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores", line):
                if kernel and (int(match[1]) or int(match[2])):
                    faults.append(f"{kernel} on {architecture}: {match[0]}")
            elif match := re.search(r"Used (\d+) registers", line):
                registers = int(match[1])
                shared = re.search(r"(\d+) bytes smem", line)
                rows.setdefault(kernel, []).append((registers, int(shared[1]) if shared else 0))
                if registers > BUDGETS[kernel.split("_")[0]]:
                    faults.append(f"{kernel} on {architecture}: {registers} registers")
                kernel = None
    print(f"| kernel | registers on {', '.join(ARCHITECTURES)} | shared memory |")
    for kernel, measured in sorted(rows.items()):
        print(f"| `{kernel}` | {', '.join(str(r) for r, _ in measured)} | {measured[0][1]} |")
    if faults:
        sys.exit("\n".join(faults))


def main():
    arguments = sys.argv[1:]
    if arguments == ["--assemble"]:
        return assemble()
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    made = generate()
    if made is None:
        return None
    if arguments:
        return check(made)
    for path in (HERE / "ptx").iterdir():
        path.unlink()
    for name, content in made.items():
        (HERE / name).write_bytes(content)
    return None


if __name__ == "__main__":
    main()
