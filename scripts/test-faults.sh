#!/usr/bin/env bash
# Runs the tests of faults of the packages that are named, or of all, one package after another, and shows how far they are:
# test-faults.sh [PACKAGE...]
# GGE_FAULT_SEED and GGE_FAULT_SHARE choose what is tried (cache/faulttest), GGE_FAULT_RUN which tests.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- ./...
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go test -vet=off -tags faults -list "${GGE_FAULT_RUN:-^TestFault}" "$@" >"$work/list" || { cat "$work/list" >&2; exit 1; }
awk '/^Test/ { found = 1 } /^ok/ { if (found) print $2; found = 0 }' "$work/list" >"$work/packages"

# Of a test's output only how far it is, and how it ended; all of it if it fails. The packages after one that failed are tested all the same.
failed=()
while read -r package; do
    echo "--- $package"
    go test -count=1 -timeout 120m -parallel 4 -vet=off -tags faults "$package" -run "${GGE_FAULT_RUN:-^TestFault}" -v 2>&1 </dev/null |
        tee "$work/log" | grep --line-buffered -E '^ *(--- |ok|FAIL|panic)|_test\.go:[0-9]+: [0-9]{2}:[0-9]{2}:[0-9]{2} ' ||
        { cat "$work/log" >&2; failed+=("$package"); }
done <"$work/packages"
[ ${#failed[@]} -eq 0 ] || { echo "test-faults.sh: failed: ${failed[*]}" >&2; exit 1; }
