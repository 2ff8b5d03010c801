#!/usr/bin/env bash
# Fails if the program calls anything that has a known vulnerability: vuln.sh GOVULNCHECK DATABASE
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# Those that are none of ours. github.com/docker/docker is Docker's daemon as well, of which we have nothing, and has no newer version.
accepted=(
    GO-2026-4883 # the daemon mistakes a plugin's privileges
    GO-2026-4887 # the daemon's authorization plugins do not see large requests
)

found=$("$1" -db "$2" -format json ./cmd/... | jq -rs '
    (map(.osv // empty | {(.id): .summary}) | add) as $summary |
    [.[].finding // empty | select(.trace[0].function) | select(.osv | IN($ARGS.positional[]) | not)] | unique_by(.osv)[] |
    "\(.osv) \(.trace[0].module)@\(.trace[0].version), fixed in \(.fixed_version // "no version"): \($summary[.osv])"' --args "${accepted[@]}") || {
    say "govulncheck failed: can this machine reach $2?"
    exit 1
}
[ -z "$found" ] || { printf '%s\n' "$found" >&2; say "upgrade what has these vulnerabilities; govulncheck -show traces ./cmd/... tells who calls them"; exit 1; }
