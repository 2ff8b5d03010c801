#!/usr/bin/env bash
# Unpacks prometheus and promtool of Debian's package into BINDIR, and prints that directory.
#   unpack.sh [BINDIR]      BINDIR is bin/ beside this script
# The package is not installed: that would start a Prometheus, and bring fifteen packages for its web pages.
set -euo pipefail
source "$(dirname "$0")/../../scripts/lib.sh"

bin=$(realpath -m "${1:-testdata/prometheus/bin}")
if ! [ -x "$bin/promtool" ]; then
    say "unpacking prometheus into $bin"
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    download() { (cd "$dir" && apt-get download -qq -o APT::Sandbox::User=root prometheus >&2); }
    # The package lists may be missing or too old to be downloaded from: then fetch them and try again.
    download || { update_packages && download; }
    dpkg-deb -x "$dir"/prometheus_*.deb "$dir"
    mkdir -p "$bin"
    cp "$dir/usr/bin/prometheus" "$bin"
    cp "$dir/usr/bin/promtool" "$bin" # last, since it says that all is there
fi
echo "$bin"
