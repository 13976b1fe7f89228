#!/usr/bin/env bash
# Every experiment, shortened, from start to report.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
msssim=${CARGO_TARGET_DIR:-target}/debug/msssim
"$msssim" reproduce super-resolution --steps 20 --out "$scratch/run"
"$msssim" reproduce reconstruction --steps 5 --out "$scratch/reconstruction"
"$msssim" reproduce representations --steps 5 --splits 1 --out "$scratch/faces"
test -s "$scratch/run/report.html" && test -s "$scratch/reconstruction/report.html" && test -s "$scratch/faces/report.html"
