#!/usr/bin/env bash
# Builds the release of the last commit as two people would, each in a clone of their own, and fails unless both get the same files, no file knows
# where it was made, and each SBOM lists the modules of its binary. NFPM and CYCLONEDX are the tools to use (make check-release).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
caches=(GOCACHE="$(go env GOCACHE)" GOMODCACHE="$(go env GOMODCACHE)" GOPROXY="$(go env GOPROXY)" GOSUMDB="$(go env GOSUMDB)")

# release NAME UMASK TIMEZONE: what one person makes, whose path, home, user, time zone and permissions are others. Packages that have been compiled are
# taken from Go's cache, where the path is part of what they are found by unless it is trimmed.
release() {
    local checkout=$tmp/$1/src log=$tmp/$1/log
    say "building the release in $checkout"
    (
        umask "$2"
        mkdir -p "$tmp/$1/home"
        env -i PATH="$PATH" HOME="$tmp/$1/home" USER="$1" LOGNAME="$1" TZ="$3" "${caches[@]}" GIT_LFS_SKIP_SMUDGE=1 bash -euc '
            git clone --quiet --config safe.directory="*" "$1" "$2"
            make -C "$2" release NFPM="$3" CYCLONEDX="$4"' - "$PWD" "$checkout" "$NFPM" "$CYCLONEDX" >"$log" 2>&1
    ) || { tail -n 40 "$log" >&2; return 1; }
}
release somebody 022 UTC
release somebody-else/further/down 077 Asia/Tokyo

first=$tmp/somebody/src second=$tmp/somebody-else/further/down/src
diff "$first/dist/SHA256SUMS" "$second/dist/SHA256SUMS" >&2 || { say "the same commit gave different files"; exit 1; }

for binary in "$first"/bin/*-linux-*; do
    for path in "$tmp" "$(go env GOCACHE)" "$(go env GOMODCACHE)"; do
        if grep -qaF "$path" "$binary"; then say "${binary##*/} has $path in it: is it built with -trimpath?"; exit 1; fi
    done
    # A line of go version -m is "dep", module, version and hash.
    sbom=$(echo "$first"/dist/*-"${binary#*executor-}".cdx.json)
    missing=$(comm -13 <(jq -r '.components[] | .name + " " + .version' "$sbom" | sort) <(go version -m "$binary" | awk '$1 == "dep" { print $2, $3 }' | sort))
    [ -z "$missing" ] || { say "not in ${sbom##*/}: $missing"; exit 1; }
done
say "both got the same $(wc -l <"$first/dist/SHA256SUMS") files"
