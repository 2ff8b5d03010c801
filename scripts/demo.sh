#!/usr/bin/env bash
# Runs the sample service's CI job twice with the built executor and prints how long each run took, as the last line:
#   demo: cold=41.2s warm=40.8s speedup=1.0x
# Fails when a job fails.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

version=$(go env GOVERSION)
image=golang:${version#go}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The official image where a registry answers soon, else one made here.
answers() { timeout 20 docker manifest inspect "$1" >/dev/null 2>&1; }
docker image inspect "$image" >/dev/null 2>&1 ||
    { answers "$image" && say "pulling $image" && docker pull -q "$image" >&2; } ||
    image=$(scripts/job-image.sh)

cp -R testdata/sample "$tmp/sample"
git -C "$tmp/sample" init -q -b main
git -C "$tmp/sample" add .
git -C "$tmp/sample" -c user.name=demo -c user.email=demo@example.com commit -q -m "sample service"

say "running the sample's job twice in $image"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -E)
"${as_root[@]}" bin/gitlab-go-executor try "$tmp/sample" --job build --image "$image" --runs 2 --json >"$tmp/result.json"

read -r cold warm speedup < <(jq -r '[.runs[].total_seconds, .speedup] | join(" ")' "$tmp/result.json")
LC_ALL=C printf 'demo: cold=%.1fs warm=%.1fs speedup=%.1fx\n' "$cold" "$warm" "$speedup"
