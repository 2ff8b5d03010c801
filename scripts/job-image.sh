#!/usr/bin/env bash
# Builds local/golang:<version>, an image to run Go jobs in, out of Debian packages and this host's Go toolchain, and prints
# its tag. It stands in for the official golang image where no container registry can be reached: same paths, same
# environment, usable by any user.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

version=$(go env GOVERSION)
scripts/go-image.sh "local/golang:${version#go}" "$(scripts/debian-image.sh)" bash
