#!/usr/bin/env bash
# Builds local/gitlab-runner-helper:<Runner version>, git and the Runner's helper binary for the helper container, out of
# Debian packages and the Runner's module (testdata/runner), and prints its tag.
# It stands in for the official helper image where no container registry can be reached.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

runner=testdata/runner
tag=local/gitlab-runner-helper:$(cat $runner/VERSION)
dockerfile=scripts/helper-image.Dockerfile

base=$(scripts/debian-image.sh)
mapfile -t sources < <(find $runner -name bin -prune -o -type f -print | sort)
inputs=$(digest "$(image_id "$base")" "$(go env GOVERSION)" "$0" "$dockerfile" "${sources[@]}")

if ! fresh "$tag" "$inputs"; then
    bin=$($runner/build.sh)
    docker_build "$tag" "$inputs" -f "$dockerfile" --build-arg BASE="$base" "$bin"
fi
echo "$tag"
