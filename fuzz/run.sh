#!/usr/bin/env bash
# Fuzzes one target, with AddressSanitizer and coverage: fuzz/run.sh score|gradient|parity|stream [SECONDS]
# It needs a C++ compiler, and a nightly toolchain that is installed already or else the stable one, of which it
# asks for the unstable flags. What it finds lies in fuzz/artifacts; what it learns goes into fuzz/corpus.
# `cargo fuzz run TARGET` does the same where cargo-fuzz is installed.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:?which target: score, gradient, parity or stream}
seconds=${2:-60}

if ! command -v c++ >/dev/null; then
    echo "skipped: no C++ compiler for libFuzzer"
    exit 0
fi
if cargo +nightly --version >/dev/null 2>&1; then
    export RUSTUP_TOOLCHAIN=nightly
else
    export RUSTC_BOOTSTRAP=1
fi
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 \
-Zsanitizer=address --cfg fuzzing"
cargo build --release --locked --target "$host" --bin "$target"
mkdir -p "corpus/$target" "artifacts/$target"
exec "target/$host/release/$target" -max_total_time="$seconds" -max_len=512 -timeout=20 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" ${FUZZ_ARGS:-} "corpus/$target"
