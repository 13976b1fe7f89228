#!/usr/bin/env bash
# The paper's printed digits of super-resolution by a factor of four, from the released weights and the real images.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${MSSSIM_DATA:-../shared/data}
if [ ! -d "$data/Set5" ]; then
    echo 'skipped: no data (the super-resolution test sets)'
    exit 0
fi
"${CARGO_TARGET_DIR:-target}/debug/msssim" evaluate sr --weights "$data/srcnn_released/x4.safetensors" \
    --test "$data/Set5" "$data/Set14" "$data/BSD200" | tee /dev/stderr | tr -s ' \n*' ' ' | {
    read -r digits || true
    for printed in 'Set5 PSNR 28.44 30.52 SSIM .8097 .8621 MS-SSIM' \
        'Set14 PSNR 26.01 27.53 SSIM .7018 .7512 MS-SSIM' \
        'BSD200 PSNR 25.92 26.87 SSIM .6952 .7378 MS-SSIM'; do
        [[ $digits == *"$printed"* ]] || { echo "not the paper's: $printed" >&2; exit 1; }
    done
}
