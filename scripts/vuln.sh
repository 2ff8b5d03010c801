#!/usr/bin/env bash
# Fails if the program calls anything that has a known vulnerability: vuln.sh GOVULNCHECK DATABASE
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# Those that are none of ours. github.com/docker/docker is Docker's daemon as well, of which we have nothing, and has no newer version. One that is
# not found any more has to go from here, or it would be accepted when it comes back.
accepted=(
    GO-2026-4883 # the daemon mistakes a plugin's privileges
    GO-2026-4887 # the daemon's authorization plugins do not see large requests
)

# A line for each that is called: its name, a tab, and what it is. A finding without a function is of a module or package that is only required.
found=$("$1" -db "$2" -format json ./cmd/... | jq -rs '
    (map(.osv // empty | {(.id): .summary}) | add) as $summary |
    [.[].finding // empty | select(.trace[0].function)] | unique_by(.osv)[] |
    "\(.osv)\t\(.trace[0].module)@\(.trace[0].version), fixed in \(.fixed_version // "no version"): \($summary[.osv])"') || {
    say "govulncheck failed: can this machine reach $2?"
    exit 1
}
unknown=$(awk -F '\t' 'NR == FNR { accepted[$1]; next } $1 != "" && !($1 in accepted) { print $1, $2 }' <(printf '%s\n' "${accepted[@]}") <(printf '%s\n' "$found"))
gone=$(comm -23 <(printf '%s\n' "${accepted[@]}" | sort) <(cut -f 1 <<<"$found" | sort))
[ -z "$unknown" ] || { printf '%s\n' "$unknown" >&2; say "upgrade what has these vulnerabilities; govulncheck -show traces ./cmd/... tells who calls them"; }
[ -z "$gone" ] || say "not found any more, so take out of the list in this script: ${gone//$'\n'/ }"
[ -z "$unknown$gone" ]
