#!/usr/bin/env bash
# Makes include/msssim.h from the sources, or with --check compares the two.
# The generator is installed into the target folder if it is not there, without optimisation, which takes longer than it
# saves; where that fails, says `skipped: ...`.
set -euo pipefail
cd "$(dirname "$0")"
version=0.29.4
tools=${CARGO_TARGET_DIR:-$PWD/../../target}/tools

is_it() { [ "$("$1" --version 2>/dev/null)" = "cbindgen $version" ]; }

cbindgen=cbindgen
if ! is_it cbindgen; then
    cbindgen=$tools/bin/cbindgen
    if ! is_it "$cbindgen" && ! CARGO_TARGET_DIR="$tools/build" \
        cargo install cbindgen --version "=$version" --locked --quiet --debug --root "$tools"; then
        echo "skipped: cbindgen $version cannot be installed, so the C header is not checked"
        exit 0
    fi
fi

made=$(mktemp)
trap 'rm -f "$made"' EXIT
"$cbindgen" --quiet --config cbindgen.toml --output "$made" src/lib.rs
if [ "${1:-}" = --check ]; then
    diff -u include/msssim.h "$made" || {
        echo "include/msssim.h is not what its sources give: run core/capi/header.sh" >&2
        exit 1
    }
    echo "include/msssim.h is what its sources give"
else
    cp "$made" include/msssim.h
    chmod 644 include/msssim.h
fi
