#!/usr/bin/env bash
# Builds an image of the files of another one and this host's Go toolchain, usable by any user, and prints its tag.
#   go-image.sh IMAGE BASE SHELL [OPTION...]      options of tar leave out some of the toolchain
set -euo pipefail
source "$(dirname "$0")/lib.sh"

tag=$1 base=$2 shell=$3
shift 3
goroot=$(go env GOROOT)
inputs=$(digest "$(image_id "$base")" "$0" "$goroot/VERSION" "$shell" "$@")

if ! fresh "$tag" "$inputs"; then
    start=$SECONDS
    say "building $tag (from $goroot)"
    container=$(docker create "$base")
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"; docker rm "$container" >/dev/null' EXIT

    # One import of base and toolchain together: as a Dockerfile's layer, the toolchain's 13 000 files take ten times as long.
    docker export -o "$tmp/image.tar" "$container"
    # api, doc and test are what Go's own developers need; nothing is built from them.
    tar -C "$goroot" --append -f "$tmp/image.tar" --numeric-owner --owner=0 --group=0 \
        --exclude=./{api,doc,test} "$@" --transform='s,^\.,usr/local/go,rSH' .
    mkdir -p "$tmp"/go/{bin,src}
    chmod -R 0777 "$tmp/go"
    tar -C "$tmp" --append -f "$tmp/image.tar" --numeric-owner --owner=0 --group=0 go
    docker import \
        -c 'ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        -c 'ENV GOPATH=/go' \
        -c 'ENV GOTOOLCHAIN=local' \
        -c 'WORKDIR /go' \
        -c "CMD [\"$shell\"]" \
        -c "LABEL inputs=$inputs" \
        "$tmp/image.tar" "$tag" >/dev/null
    say "built $tag in $((SECONDS - start)) s"
fi
echo "$tag"
