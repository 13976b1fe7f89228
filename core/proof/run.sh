#!/usr/bin/env bash
# Shows what msssim-core is on a microcontroller and as wasm: the same bits as here, no way to panic, and
# what it costs. On Debian it installs what it needs, where it may; otherwise it says `skipped: ...`.
#
# The compiler is Debian's with the sources of its own library, which is built for the target; the linker is
# that of the toolchain that rustup has.
set -euo pipefail
cd "$(dirname "$0")"

main=${CARGO_TARGET_DIR:-$PWD/../../target}
target=$main/proof
thumb=$target/thumbv7em-none-eabihf/release
mkdir -p "$target"

skip() {
    echo "skipped: $*"
    exit 0
}
fail() {
    echo "$*" >&2
    exit 1
}

no=$(../../.ci/debian.sh rustc-web rust-web-src qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi) || skip "$no"
host_triple=$(rustc -vV | sed -n 's/^host: //p')
linker=$(rustc --print sysroot)/lib/rustlib/$host_triple/bin/rust-lld
[ -x "$linker" ] || skip "the toolchain has no rust-lld"

# cross TARGET ARGUMENTS...: builds for a target with Debian's compiler, core included.
cross() {
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=$linker \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker \
        cargo build --release --quiet --locked --target-dir "$target" -Zbuild-std=core --target "$@" \
        2>"$target/cargo.txt" || fail "$(cat "$target/cargo.txt")"
}

# emulate PROGRAM OPTIONS...: runs a program on a Cortex-M4F. Its exit status is the program's.
emulate() {
    local program=$1
    shift
    timeout 300 qemu-system-arm -M mps2-an386 -display none -monitor none -serial none "$@" \
        -semihosting-config enable=on,target=native -kernel "$program" </dev/null 2>&1
}

# same EXPECTED ACTUAL: fails unless two outputs are equal, and are something.
same() { [ -s "$1" ] && diff "$1" "$2"; }

# panics PROGRAM: the symbols of a program that only a panic would have.
panics() { arm-none-eabi-nm -C "$1" | grep -E 'panic|_fail$' || true; }

echo '-- here'
cargo run --release --quiet --locked --target-dir "$target" >"$target/host.txt"
cat "$target/host.txt"
sed '1s/.$/x/' "$target/host.txt" >"$target/wrong.txt"
! same "$target/wrong.txt" "$target/host.txt" >/dev/null || fail 'a wrong digit was not noticed'

echo '-- on a Cortex-M4F: the same bits'
cross thumbv7em-none-eabihf -p mcu -p clib
emulate "$thumb/scenes" >"$target/mcu.txt" || fail "the program failed: $(cat "$target/mcu.txt")"
same "$target/host.txt" "$target/mcu.txt"

echo '-- as wasm: the same bits'
if command -v node >/dev/null; then
    cross wasm32-unknown-unknown -p wasm
    node wasm/run.mjs "$target/wasm32-unknown-unknown/release/wasm.wasm" >"$target/wasm.txt"
    same "$target/host.txt" "$target/wasm.txt"
else
    echo 'skipped: no node'
fi

echo '-- the C interface on a Cortex-M4F: the same bits'
cargo build --quiet --locked --manifest-path ../../Cargo.toml -p msssim-capi
strict=(-std=c99 -Wall -Wextra -Wpedantic -Werror -O2 -I ../capi/include)
for program in tests/interface examples/rows; do
    name=$(basename "$program")
    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 "${strict[@]}" \
        --specs=rdimon.specs -Wl,--gc-sections,--no-warn-execstack -T c/mps2.ld \
        c/startup.c "../capi/$program.c" "$thumb/libclib.a" -lm -o "$thumb/$name"
    emulate "$thumb/$name" >"$target/$name.txt" || fail "it failed: $(cat "$target/$name.txt")"
    cc "${strict[@]}" "../capi/$program.c" "$main/debug/libmsssim.a" -lm -lpthread -ldl \
        -o "$target/$name"
    "$target/$name" >"$target/$name-here.txt"
    same "$target/$name-here.txt" "$target/$name.txt"
done

echo '-- no way to panic in streams'
for program in scenes firmware rows; do
    found=$(panics "$thumb/$program")
    [ -z "$found" ] || fail "$program can panic: $found"
    # The search itself: a program without symbols would pass.
    arm-none-eabi-nm -C "$thumb/$program" | grep -c msssim_core >/dev/null ||
        fail "$program has no symbols"
done

echo '-- the checks of bounds that whole images keep, and no others'
panics "$thumb/interface" | sed 's/^[0-9a-f]* . //' | sort -u >"$target/panics.txt"
same panics.txt "$target/panics.txt"

echo '-- what it costs: 8-bit grey, WANG_2003, rows as they arrive'
for wide in '' wide; do
    [ -z "$wide" ] || cross thumbv7em-none-eabihf -p mcu --features wide
    emulate "$thumb/firmware" -icount shift=0 >"$target/cost.txt" || fail "$(cat "$target/cost.txt")"
    [ -z "$wide" ] && echo '192 x 192' || echo '640 x 192'
    cat "$target/cost.txt"
    arm-none-eabi-size "$thumb/firmware" | awk 'NR == 2 { print "flash " $1 + $2 "\nram " $2 + $3 }'
done
