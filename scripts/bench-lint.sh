#!/usr/bin/env bash
# Runs golangci-lint on GGE_BENCH_MODULE in jobs that each clone it afresh: with empty caches, with filled ones, and with filled ones of Go's alone. Its
# last line tells how long the linter took each time, and the job as a whole:
#   bench-lint: github.com/labstack/echo/v4@v4.13.4 cold=210.7s warm=6.1s go-only=41.7s speedup=34.7x jobs=232.7s,9.1s,46.3s
# Fails when a job fails or finds something else than the others.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

module=${GGE_BENCH_MODULE:-github.com/labstack/echo/v4@v4.13.4}
image=$(scripts/job-image.sh)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cp -R "$(cd "$tmp" && go mod download -json "$module" | jq -er .Dir)" "$tmp/module"
chmod -R u+w "$tmp/module"
git -C "$tmp/module" init -q -b main
git -C "$tmp/module" add -f .
git -C "$tmp/module" -c user.name=bench -c user.email=bench@example.com commit -q -m "$module"

cat >"$tmp/config.toml" <<SETTINGS
[docker]
helper_image = "$image"
volumes = ["$GGE_GOLANGCI:/usr/local/bin/golangci-lint:ro"]
[[cache.extra]]
name = "golangci-lint"
variable = "GOLANGCI_LINT_CACHE"
SETTINGS

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -E)
lint='golangci-lint run --no-config --issues-exit-code=0 --max-issues-per-linter=0 --max-same-issues=0 --timeout=1h ./... >/tmp/found'
run() {
    local runs=$1 result=$2
    shift 2
    "${as_root[@]}" bin/gitlab-go-executor try "$tmp/module" --config "$tmp/config.toml" --image "$image" --state-dir "$tmp/state" --runs "$runs" --json \
        --variable GIT_STRATEGY=clone --variable GOTOOLCHAIN=local --script "$lint" --script 'echo "found: $(sort /tmp/found | sha256sum)"' "$@" \
        2>&1 >"$result" | tee -a "$tmp/log" >&2
}

say "linting $module twice in $image"
run 2 "$tmp/twice.json"
say "linting it with Go's own caches alone"
run 1 "$tmp/go.json" --variable GOLANGCI_LINT_CACHE=/tmp/lint
"${as_root[@]}" rm -rf "$tmp/state"

if [ "$(grep -a '^found: ' "$tmp/log" | sort -u | wc -l)" != 1 ]; then
    say "the runs did not find the same:"
    grep -a '^found: ' "$tmp/log" >&2
    exit 1
fi

jq -r --slurpfile go "$tmp/go.json" --arg name "$module" '
    def tenth: . * 10 | round / 10 | if . == floor then "\(.).0" else tostring end;
    [.runs[0], .runs[1], $go[0].runs[0]] as $runs | [$runs[].stages.build_script] as $lint |
    "bench-lint: \($name) cold=\($lint[0] | tenth)s warm=\($lint[1] | tenth)s go-only=\($lint[2] | tenth)s speedup=\($lint[0] / $lint[1] | tenth)x" +
    " jobs=" + ([$runs[] | (.total_seconds | tenth) + "s"] | join(","))' "$tmp/twice.json"
