#!/usr/bin/env bash
# Runs the sample service's CI job with the built executor: cold, again, and with one dependency bumped. Its last line tells how long each
# run took, and of the second run which share of modules, compiled packages and tests came from the caches:
#   demo: cold=41.2s warm=2.9s bumped=4.4s speedup=14.2x modules=100.0% build=99.1% tests=100.0%
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
commit() {
    git -C "$tmp/sample" add .
    git -C "$tmp/sample" -c user.name=demo -c user.email=demo@example.com commit -q -m "$1"
}
git -C "$tmp/sample" init -q -b main
commit "sample service"

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -E)
run() {
    local runs=$1 result=$2
    "${as_root[@]}" bin/gitlab-go-executor try "$tmp/sample" --job build --image "$image" --state-dir "$tmp/state" --runs "$runs" --json >"$result"
}

say "running the sample's job twice in $image"
run 2 "$tmp/twice.json"

say "bumping chi and running it once more"
(cd "$tmp/sample" && GOFLAGS=-mod=mod go get github.com/go-chi/chi/v5@v5.5.0)
commit "bump chi"
run 1 "$tmp/bumped.json"
"${as_root[@]}" rm -rf "$tmp/state"

jq -r --slurpfile bumped "$tmp/bumped.json" '
    def tenth: . * 10 | round / 10 | if . == floor then "\(.).0" else tostring end;
    def percent(part; whole): if whole > 0 then (100 * part / whole | tenth) + "%" else "-" end;
    .runs[0] as $cold | .runs[1] as $warm |
    "demo: cold=\($cold.total_seconds | tenth)s warm=\($warm.total_seconds | tenth)s bumped=\($bumped[0].runs[0].total_seconds | tenth)s" +
    " speedup=\(.speedup | tenth)x" +
    " modules=" + percent($warm.modules | .hit_host + .hit_store; $warm.modules.wanted) +
    " build=" + percent($warm.build.hit; $warm.build | .hit + .new) +
    " tests=" + percent($warm.tests.cached; $warm.tests.ok)' "$tmp/twice.json"
