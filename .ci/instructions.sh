#!/usr/bin/env bash
# Counts the instructions per pixel that a score, a gradient and the gradients of a batch take: a kernel whose loops are no longer inlined, or
# that is no longer dispatched to the machine's vectors, takes a multiple. Nothing is timed. Valgrind knows AVX2.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind >/dev/null; then
    echo 'skipped: no valgrind (instructions of the kernels)'
    exit 0
fi
if ! grep -q avx2 /proc/cpuinfo 2>/dev/null; then
    echo 'skipped: no AVX2 (instructions of the kernels)'
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# An example is built with what tests need, which nobody runs here: without optimising it that takes half the time.
cargo build --release --locked -p msssim-cpu --example repeat_metric \
    --config 'profile.release.package."*".opt-level=0'
target=${CARGO_TARGET_DIR:-target}

# The instructions of `$1`, `$2` times.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" \
        "$target/release/examples/repeat_metric" "$1" "$2" >/dev/null 2>"$scratch/log"
    sed -n 's/^summary: \([0-9]*\).*/\1/p; s/^totals: \([0-9]*\).*/\1/p' "$scratch/out" | tail -1
}

# Most instructions per pixel: those counted when this was written, 39, 81 and 193, and a sixth.
check() {
    local what=$1 most=$2 pixels=$3 one three
    one=$(count "$what" 1)
    three=$(count "$what" 3)
    local each=$(((three - one) / 2 / pixels))
    echo "$what: $each instructions per pixel, at most $most"
    if ((each > most || each == 0)); then
        echo "the kernels have lost their inlining or their vectors: see cpu/src/lanes.rs" >&2
        exit 1
    fi
}

check score 46 $((960 * 270))
check gradient 95 $((960 * 270))
check batch 225 $((128 * 33 * 33))
