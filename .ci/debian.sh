#!/usr/bin/env bash
# Installs the Debian packages that are missing of those named, where it may; otherwise says which, and fails.
set -euo pipefail

missing=()
for package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q ' installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && apt-get update -qq; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit
fi
echo "no ${missing[*]} (Debian packages)"
exit 1
