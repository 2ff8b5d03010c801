#!/usr/bin/env bash
# Builds the images that the tests use besides the job image, as local/gitlab-go-executor/<name>:test, and prints their tags.
# Each is a folder of testdata/images, except helper, which is the real helper image, and go-busybox.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

name() { echo "local/gitlab-go-executor/$1:test"; }

# image NAME [BASE]: builds the folder of that name, on top of the image BASE.
image() {
    local folder=testdata/images/$1 base=${2-} id='' files inputs
    [ -z "$base" ] || id=$(image_id "$base")
    mapfile -t files < <(find "$folder" -type f | sort)
    inputs=$(digest "$id" "${files[@]}")
    if ! fresh "$(name "$1")" "$inputs"; then
        [ ! -f "$folder/main.go" ] || CGO_ENABLED=0 go build -buildvcs=false -o "$folder/$1" "./$folder"
        docker_build "$(name "$1")" "$inputs" --build-arg BASE="$base" "$folder"
        [ ! -f "$folder/main.go" ] || rm "$folder/$1"
    fi
    name "$1"
}

debian=$(scripts/debian-image.sh)
job=$(scripts/job-image.sh)

image busybox "$debian"
image entrypoint "$(name busybox)"
image service
image service-broken "$(name service)"
image noshell "$(name service)"
image postgres "$debian"
image redis "$debian"
image user "$job"

# busybox and Go, nothing else: no C library, no bash, no git, no certificates. Go's own commands and tests are not compiled by any job.
scripts/go-image.sh "$(name go-busybox)" "$(name busybox)" sh --exclude=./src/cmd --exclude=testdata --exclude='*_test.go'
image go-user "$(name go-busybox)"
image go-entrypoint "$(name go-busybox)"
image docker "$job"

docker tag "$(scripts/helper-image.sh)" "$(name helper)"
name helper
