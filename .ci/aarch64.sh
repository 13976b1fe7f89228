#!/usr/bin/env bash
# The metric on NEON, under an emulator. The compiler is Debian's, as in core/proof, whose library for
# aarch64 is a package too. It is unpacked below the target folder: nothing on the machine learns of another architecture.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${CARGO_TARGET_DIR:-$PWD/target}/aarch64
mkdir -p "$folder/lists/partial"

skip() {
    echo "skipped: $* (NEON)"
    exit 0
}

[ "$(uname -m)" = x86_64 ] || skip "$(uname -m) is not emulated on"
command -v qemu-aarch64 >/dev/null || skip 'no qemu-aarch64'
no=$(.ci/debian.sh rustc-web gcc-aarch64-linux-gnu libc6-dev-arm64-cross) || skip "$no"

# The library of exactly this compiler.
version=$(dpkg-query -W -f='${Version}' rustc-web)
sysroot=$folder/$version
if [ ! -d "$sysroot" ]; then
    cat >"$folder/apt.conf" <<END
APT::Architectures { "amd64"; "arm64"; };
Dir::State::lists "$folder/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
    export APT_CONFIG=$folder/apt.conf
    (cd "$folder" && apt-get -qq update && apt-get -qq download "libstd-rust-web-dev:arm64=$version") ||
        skip "cannot download the library of rustc-web $version"
    dpkg -x "$folder"/libstd-rust-web-dev_*.deb "$sysroot.part"
    rm "$folder"/libstd-rust-web-dev_*.deb
    mv "$sysroot.part" "$sysroot"
fi

export RUSTC=/usr/bin/rustc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L /usr/aarch64-linux-gnu'
export CARGO_ENCODED_RUSTFLAGS=$'--sysroot\x1f'"$sysroot/usr"
# What tests bring along is not optimised: it would take longer than they do.
cargo test --locked -p msssim-cpu --test metric --target aarch64-unknown-linux-gnu --target-dir "$folder" \
    --config profile.dev.opt-level=0 -- a_batch_is every_machine
