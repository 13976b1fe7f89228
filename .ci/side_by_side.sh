#!/usr/bin/env bash
# Runs the commands of its input, one a line, as many at once as there are processors: many tests keep only one busy.
# Says how each one ended, then shows what they printed, one after the other, what failed last.
set -uo pipefail

outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT
export outputs

one() {
    local ended=passed
    bash -euo pipefail -c "$1" >"$outputs/running.$$" 2>&1 || ended=failed
    { printf '\n-- %s\n' "$1" && cat "$outputs/running.$$"; } >"$outputs/$ended.$$"
    rm "$outputs/running.$$"
    printf '%s after %d s: %s\n' "$ended" "$SECONDS" "$1"
    [ "$ended" = passed ]
}
export -f one

tr '\n' '\0' | xargs -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" bash -c 'one "$1"' one
status=$?
for ended in passed failed; do
    find "$outputs" -name "$ended.*" -exec cat {} +
done
exit $status
