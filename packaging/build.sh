#!/usr/bin/env bash
# Packs what make build-all, make man and make completion have made into dist/: packages, and with --release also an archive for hosts that have
# neither dpkg nor rpm, a list of what the binary is made of, and checksums of all. The same commit gives the same files.
#   build.sh [--release CYCLONEDX] VERSION NFPM       the version as git describe tells it, and the cyclonedx-gomod and nfpm to use
set -euo pipefail
source "$(dirname "$0")/../scripts/lib.sh"

cyclonedx=''
if [ "$1" = --release ]; then cyclonedx=$2; shift 2; fi
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
    [ -n "$cyclonedx" ] || continue
    # The folders are those of a checkout, so that scripts/install.sh finds what it finds there.
    name=gitlab-go-executor-$PACKAGE_VERSION-linux-$ARCH
    tar -c --sort=name --mtime=@"$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --transform="s,^$BINARY\$,bin/gitlab-go-executor,;s,^,$name/," \
        "$BINARY" scripts/{install,register}.sh packaging/{gitlab-go-executor.service,leave.sh} config.example.toml \
        README.md CHANGELOG.md LICENSE docs monitoring/{alerts.yml,grafana.json,RUNBOOK.md} | gzip -9n >"dist/$name.tar.gz"
    # Made at the time of the commit, as everything else.
    "$cyclonedx" bin -json -noserial -std -version "$described" "$BINARY" 2>/dev/null |
        sed -E 's/^(    "timestamp": )"[^"]*"/\1"'"$(date -u -d @"$SOURCE_DATE_EPOCH" +%FT%TZ)"'"/' >"dist/$name.cdx.json"
done
[ -z "$cyclonedx" ] || (cd dist && sha256sum -- * >SHA256SUMS)
ls dist >&2
