#!/usr/bin/env bash
# Brings a Debian or Ubuntu machine to where `make test` and `make demo` work: installs what is missing and starts Docker.
# Where everything is there, it only looks.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

command -v go >/dev/null || { say "please install Go: https://go.dev/doc/install"; exit 1; }
need git=git git-lfs=git-lfs jq=jq make=make debootstrap=debootstrap mksquashfs=squashfs-tools pgrep=procps ip=iproute2 mkfs.ext4=e2fsprogs docker=docker.io chromium=chromium

running() { docker info >/dev/null 2>&1; }

if ! running; then
    command -v dockerd >/dev/null || install_packages docker.io
    say "starting Docker"
    if [ -d /run/systemd/system ]; then
        systemctl start docker
    else
        # In a session of its own, so that it outlives this script and its terminal.
        setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
    fi
    for _ in {1..60}; do
        running && break
        sleep 0.5
    done
    running || { say "Docker does not start; its log is /var/log/dockerd.log or in journalctl -u docker"; exit 1; }
fi
