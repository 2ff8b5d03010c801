#!/usr/bin/env bash
# Runs the fuzz functions of the packages that are named, or of all: fuzz.sh [PACKAGE...]
# Each has FUZZ_EXECS executions (20000x, or a time such as 60s), in one process and behind other work, as many functions side by side as there are
# processors. No input is made smaller for longer than a second, where Go would take a minute for each that is interesting. The first failure ends it. Go
# has left its input in the package's testdata/fuzz then.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- ./...
export FUZZ_EXECS=${FUZZ_EXECS:-20000x} FUZZ_WORK FUZZ_MODULE FUZZ_CACHE
FUZZ_WORK=$(mktemp -d)
trap 'rm -rf "$FUZZ_WORK"' EXIT
FUZZ_MODULE=$(go list -m)
FUZZ_CACHE=$(go env GOCACHE)/fuzz # where go test keeps what it has found interesting

# program builds the test of a package once for all its functions, ready to be fuzzed, and tells these: PACKAGE FOLDER FUNCTION
program() {
    local package=$1 folder=$2
    mkdir -p "$FUZZ_WORK/$package"
    nice -n 19 go test -c -vet=off -fuzz '^Fuzz' -o "$FUZZ_WORK/$package/test" "$package"
    (cd "$folder" && "$FUZZ_WORK/$package/test" -test.list '^Fuzz' | awk -v of="$package $folder" '/^Fuzz/ { print of, $1 }')
}

fuzz() {
    local package=$1 folder=$2 function=$3
    local log=$FUZZ_WORK/$package/$function.log
    (cd "$folder" && nice -n 19 "$FUZZ_WORK/$package/test" -test.run '^$' -test.fuzz "^$function\$" -test.fuzztime "$FUZZ_EXECS" -test.parallel 1 \
        -test.fuzzminimizetime 1s -test.fuzzcachedir "$FUZZ_CACHE/$package") >"$log" 2>&1 </dev/null || { cat "$log" >&2; return 255; } # which has xargs start no more
    # Of lines such as: fuzz: elapsed: 3s, execs: 20000 (6666/sec), new interesting: 12 (total: 20)
    local said
    said=$(sed -n 's/^fuzz: elapsed: \([^,]*\), execs: \([0-9]*\) .*new interesting: \([0-9]*\).*/\2 executions, \3 new interesting inputs, \1/p' "$log" | tail -n 1)
    echo "${package#"$FUZZ_MODULE"/} $function: $said"
}
export -f program fuzz

# side_by_side calls a function of ours with the words of each line.
side_by_side() { xargs -P "$(nproc)" -L 1 bash -euo pipefail -c "$1"' "$@"' "$1"; }

go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}{{end}}' "$@" |
    while read -r package folder files; do
        # shellcheck disable=SC2086 # names of Go files have no blanks
        ! (cd "$folder" && grep -q '^func Fuzz' $files) || echo "$package $folder"
    done | side_by_side program >"$FUZZ_WORK/functions"
side_by_side fuzz <"$FUZZ_WORK/functions"
