#!/usr/bin/env bash
# Packs what make build-all, make man and make completion have made into dist/: packages, and with --archives also an archive for hosts that have
# neither dpkg nor rpm, and checksums of all. The same commit gives the same files.
#   build.sh [--archives] VERSION NFPM       the version as git describe tells it, and the nfpm to use
set -euo pipefail
source "$(dirname "$0")/../scripts/lib.sh"

archives=no
if [ "$1" = --archives ]; then archives=yes; shift; fi
described=$1 nfpm=$2
PACKAGE_VERSION=$(packaging/version.sh "$described")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
GENERATED=.cache/generated
export PACKAGE_VERSION SOURCE_DATE_EPOCH GENERATED

rm -rf dist
mkdir -p dist
for ARCH in amd64 arm64; do
    export ARCH BINARY=bin/gitlab-go-executor-linux-$ARCH
    for kind in deb rpm; do
        "$nfpm" package --config packaging/nfpm.yaml --packager $kind --target dist/ >/dev/null
    done
    [ $archives = yes ] || continue
    # The folders are those of a checkout, so that scripts/install.sh finds what it finds there.
    name=gitlab-go-executor-$PACKAGE_VERSION-linux-$ARCH
    tar -c --sort=name --mtime=@"$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w \
        --transform="s,^$BINARY\$,bin/gitlab-go-executor,;s,^,$name/," \
        "$BINARY" scripts/{install,register}.sh packaging/{gitlab-go-executor.service,leave.sh} config.example.toml \
        README.md CHANGELOG.md LICENSE docs monitoring/{alerts.yml,grafana.json,RUNBOOK.md} | gzip -9n >"dist/$name.tar.gz"
done
[ $archives = no ] || (cd dist && sha256sum -- * >SHA256SUMS)
ls dist >&2
