#!/usr/bin/env bash
# Builds local/debian:bookworm, the base of the job and helper images, out of Debian packages, and prints its tag.
# A host without a container registry can build it; it carries the host's CA bundle, so that jobs trust what the host trusts.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

suite=bookworm
tag=local/debian:$suite
packages=busybox-static,ca-certificates,gcc,git,git-lfs,libc6-dev,make,pkg-config
bundle=/etc/ssl/certs/ca-certificates.crt
inputs=$(digest "$0" "$bundle")

if ! fresh "$tag" "$inputs"; then
    start=$SECONDS
    need debootstrap=debootstrap
    say "building $tag ($packages)"
    root=$(mktemp -d)
    trap 'rm -rf --one-file-system "$root"' EXIT

    # The image is thrown away when anything fails, so dpkg need not sync every file.
    log=$root.log
    DPKG_FORCE=unsafe-io debootstrap --variant=minbase --include="$packages" "$suite" "$root" >"$log" 2>&1 ||
        { tail -20 "$log" "$root"/debootstrap/debootstrap.log >&2 || true; exit 1; }
    rm -f "$log"

    cp "$bundle" "$root$bundle"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/debootstrap \
        "$root"/usr/share/{doc,info,locale,man}/* "$root"/dev "$root"/etc/{hostname,resolv.conf}
    tar -C "$root" --numeric-owner -c . | docker import -c 'CMD ["bash"]' -c "LABEL inputs=$inputs" - "$tag" >/dev/null
    say "built $tag in $((SECONDS - start)) s"
fi
echo "$tag"
