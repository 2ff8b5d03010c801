#!/usr/bin/env bash
# Builds the parts of GitLab Runner that the tests and the helper image need into BINDIR, and prints that directory.
#   build.sh [--full] [BINDIR]      --full builds the whole gitlab-runner as well; BINDIR is bin/ beside this script
set -euo pipefail

full=no
if [ "${1-}" = --full ]; then full=yes; shift; fi
here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath -m "${1:-$here/bin}")
cd "$here"

common=gitlab.com/gitlab-org/gitlab-runner/common
flags="-s -w -X $common.VERSION=$(cat VERSION) -X $common.REVISION=fc1f1862"

# build OUTPUT PACKAGE: static, so that a binary runs in any image.
build() { CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "$flags" -o "$bin/$1" "$2"; }

[ -x "$bin/runner-job" ] || echo "build.sh: building GitLab Runner, minutes when Go's cache is cold" >&2
build runner-job .
build gitlab-runner-helper ./helper
[ $full = no ] || build gitlab-runner ./full
echo "$bin"
