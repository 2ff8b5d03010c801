#!/usr/bin/env bash
# Runs a command whose temporary files are in memory: in-memory.sh COMMAND...
# Tests make and remove hundreds of thousands of small files, which costs a disk's filesystem, such as ext4 without a journal, more
# than the tests themselves. Where memory is short, or a mount is not allowed, the files are where they would be.
set -euo pipefail

enough=8 # GB; the tests take 3 at most
free=$(awk '/^MemAvailable:/ { print int($2 / 1024 / 1024) }' /proc/meminfo)
[ "$free" -ge $enough ] || exec "$@"
dir=$(mktemp -d)
trap 'umount --lazy "$dir" 2>/dev/null || true; rmdir "$dir"' EXIT
if mount -t tmpfs -o mode=1777,size=${enough}g gitlab-go-executor-tests "$dir" 2>/dev/null; then export TMPDIR=$dir; fi
"$@"
