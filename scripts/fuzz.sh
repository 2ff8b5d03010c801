#!/usr/bin/env bash
# Runs the fuzz functions of the packages that are named, or of all: fuzz.sh [PACKAGE...]
# Each has FUZZ_EXECS executions (20000x, or a time such as 60s), one after another, in one process and behind other work. The first failure ends it. Go
# has left its input in the package's testdata/fuzz then.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- ./...
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
module=$(go list -m)

# go test -list prints a package's functions, and then its name.
nice -n 19 go test -vet=off -list '^Fuzz' "$@" >"$work/list" || { cat "$work/list" >&2; exit 1; }
awk '/^Fuzz/ { found[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, found[i]; n = 0 }' "$work/list" >"$work/functions"

while read -r package function; do
    nice -n 19 go test -vet=off "$package" -run '^$' -fuzz "^$function\$" -fuzztime "${FUZZ_EXECS:-20000x}" -parallel 1 >"$work/log" 2>&1 </dev/null ||
        { cat "$work/log" >&2; exit 1; }
    # Of lines such as: fuzz: elapsed: 3s, execs: 20000 (6666/sec), new interesting: 12 (total: 20)
    said=$(sed -n 's/^fuzz: elapsed: \([^,]*\), execs: \([0-9]*\) .*new interesting: \([0-9]*\).*/\2 executions, \3 new interesting inputs, \1/p' "$work/log" | tail -n 1)
    echo "${package#"$module"/} $function: $said"
done <"$work/functions"
