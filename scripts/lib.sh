# What the scripts beside it share; sourced, never run.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# say tells on stderr what a script is about to do: stdout is for what callers read.
say() { echo "${0##*/}: $*" >&2; }

# need installs the Debian packages of which a command is missing: need COMMAND=PACKAGE...
need() {
    local pair packages=()
    for pair; do
        command -v "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || { say "please install: ${packages[*]}"; return 1; }
    install_packages "${packages[@]}"
}

# as_root runs a command that only root may.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

update_packages() { as_root apt-get update -qq >&2; }

install_packages() {
    say "installing $*"
    # The package lists may be missing or too old to be installed from: then fetch them and try again.
    install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >&2; }
    install "$@" || { update_packages && install "$@"; }
}

# digest hashes what an image is made of: its arguments, and the content of those that are files.
digest() {
    local input
    for input; do
        echo "$input"
        if [ -f "$input" ]; then cat "$input"; fi
    done | sha256sum | cut -c1-16
}

image_id() { docker image inspect -f '{{.Id}}' "$1"; }

# fresh IMAGE DIGEST: the image exists and was made of exactly these inputs.
fresh() { [ "$(docker image inspect -f '{{index .Config.Labels "inputs"}}' "$1" 2>/dev/null)" = "$2" ]; }

# docker_build IMAGE DIGEST ARGUMENTS... : docker build that labels the image for fresh and is silent unless it fails.
docker_build() {
    local tag=$1 inputs=$2 output
    shift 2
    say "building $tag"
    output=$(docker build -t "$tag" --label inputs="$inputs" "$@" 2>&1) || { echo "$output" >&2; return 1; }
}
