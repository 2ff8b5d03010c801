#!/usr/bin/env bash
# Builds the image registry that the tests start into BINDIR, and prints that directory.
#   build.sh [BINDIR]      BINDIR is bin/ beside this script
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath -m "${1:-$here/bin}")
cd "$here"
[ -x "$bin/registry" ] || echo "build.sh: building the registry, minutes when Go's cache is cold" >&2
# Static, and unoptimized, which takes a third less time. As testdata/s3/build.sh, so that both compile the standard library once.
GOFLAGS='' GOWORK=off CGO_ENABLED=0 nice -n 10 go build -buildvcs=false -trimpath -gcflags 'all=-N -l -dwarf=false' -ldflags '-s -w' -o "$bin/registry" .
echo "$bin"
