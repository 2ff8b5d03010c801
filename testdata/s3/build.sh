#!/usr/bin/env bash
# Builds the S3 servers that the tests start, versitygw and minio, into BINDIR, and prints that directory.
#   build.sh [BINDIR]      BINDIR is bin/ beside this script
#   GCFLAGS= build.sh DIR  optimized, for benchmarks
# They are built from their own modules: nothing of theirs gets into our go.mod.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath -m "${1:-$here/bin}")

# install PACKAGE VERSION: static. A binary that tells this version and this Go is left alone.
install() {
	local name=${1##*/} module=${1%/cmd/*} built
	built=$(go version -m "$bin/$name" 2>/dev/null || true)
	if [[ $built == *": $(go env GOVERSION)"$'\n'* && $built == *"mod"$'\t'"$module"$'\t'"$2"$'\t'* ]]; then return; fi
	echo "build.sh: building $name, minutes when Go's cache is cold" >&2
	# From /, where no go.mod or go.work has a say. Unoptimized, which takes a third less time, and for tests is fast enough. What debuggers
	# want would not get into the binary.
	(cd / && GOBIN=$bin GOFLAGS='' GOWORK=off CGO_ENABLED=0 nice -n 10 \
		go install -trimpath -gcflags "${GCFLAGS-all=-N -l -dwarf=false}" -ldflags '-s -w' "$1@$2")
}

install github.com/versity/versitygw/cmd/versitygw v1.8.0 &
versitygw=$!
# The last commit: MinIO's own releases are no versions that Go knows, and the repository is archived.
install github.com/minio/minio v0.0.0-20260212201848-7aac2a2c5b7c
wait $versitygw
echo "$bin"
