#!/usr/bin/env bash
# Registers a runner of this executor with GitLab, by `gitlab-runner register`.
set -euo pipefail

usage() {
    cat <<END
usage: ${0##*/} --url URL [OPTION...] [-- OPTION OF gitlab-runner register...]

Registers a runner of gitlab-go-executor with the GitLab at URL. Make the runner in GitLab first (CI/CD settings, New runner), which
tells its authentication token (glrt-...). The token is taken from the environment variable CI_SERVER_TOKEN, or else from standard
input, which is asked for; it is on no command line, where other users of this host could see it.

  --url URL          of GitLab, such as https://gitlab.example.com
  --name NAME        what the runner is called on this host; by default the host's name
  --config FILE      the settings of gitlab-go-executor, if not /etc/gitlab-go-executor/config.toml
  --runner-config FILE
                     GitLab Runner's config.toml, if not /etc/gitlab-runner/config.toml
  --program FILE     gitlab-go-executor, if it is not to be the one on the PATH
  --help

Where the runner is registered already, nothing is changed.
END
}

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

default_settings=/etc/gitlab-go-executor/config.toml
url='' name=$(uname -n) settings=$default_settings runner_config=/etc/gitlab-runner/config.toml program=''
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit ;;
    --) shift; break ;;
    --url | --name | --config | --runner-config | --program) [ $# -gt 1 ] || die "$1 wants a value; see --help" ;;
    *) die "$1 is unknown; see --help" ;;
    esac
    case $1 in
    --url) url=$2 ;;
    --name) name=$2 ;;
    --config) settings=$(realpath -m -- "$2") ;;
    --runner-config) runner_config=$(realpath -m -- "$2") ;;
    --program) program=$2 ;;
    esac
    shift 2
done

[ -n "$url" ] || die "--url is missing; see --help"
[ "$(id -u)" = 0 ] || die "the runner has to run as root, and so has this: sudo ${0##*/} ..."
command -v gitlab-runner >/dev/null || die "there is no gitlab-runner on the PATH; https://docs.gitlab.com/runner/install/ says how to install it"
# The Runner's service has a PATH of its own, so the stanza has an absolute one, which stays the same over upgrades.
program=$(command -v "${program:-gitlab-go-executor}") || die "there is no ${program:-gitlab-go-executor}; install it first, or name it with --program"
program=$(realpath -s -- "$program")
[ -e "$settings" ] || die "there are no settings in $settings; config.example.toml is where to begin"

if [ -z "${CI_SERVER_TOKEN-}" ]; then
    [ ! -t 0 ] || echo -n "authentication token of the runner (glrt-...): " >&2
    IFS= read -rs CI_SERVER_TOKEN || [ -n "$CI_SERVER_TOKEN" ] || die "there is no token, neither in CI_SERVER_TOKEN nor on standard input"
    [ ! -t 0 ] || echo >&2
fi
case $CI_SERVER_TOKEN in
glrt-*) export CI_SERVER_TOKEN ;;
*) die "that is no runner authentication token, which begins with glrt-; make the runner in GitLab first, which tells it" ;;
esac

# stanza KEY prints the [[runners]] of the Runner's config.toml that has $VALUE for a key.
stanza() {
    [ -e "$runner_config" ] || return 0
    key=$1 awk '
        function show() { if (found) printf "%s", text; text = ""; found = 0 }
        /^[[:space:]]*\[\[runners\]\]/ { show(); inside = 1 }
        inside { text = text $0 "\n"; line = $0; sub(/^[[:space:]]*/, "", line); if (line == ENVIRON["key"] " = \"" ENVIRON["VALUE"] "\"") found = 1 }
        END { show() }' "$runner_config"
}

have=$(VALUE=$CI_SERVER_TOKEN stanza token)
if [ -n "$have" ]; then
    [[ $have == *"run_exec = \"$program\""* ]] ||
        die "this runner is in $runner_config already, and not with $program; unregister it there, or see: $program import-config --help"
    say "this runner is in $runner_config already; nothing is changed"
    exit
fi
[ -z "$(VALUE=$name stanza name)" ] || die "$runner_config has a runner $name already; choose another --name, or: gitlab-runner unregister --name '$name'"

# What the flags of older Runners cannot say is in a template, and so is all of the stanza.
template=$(mktemp)
trap 'rm -f "$template"' EXIT
quote() { local q=${1//\\/\\\\}; echo "\"${q//\"/\\\"}\""; }
{
    cat <<END
[[runners]]
  safe_directory_checkout = true
  [runners.custom_build_dir]
    enabled = true
  [runners.custom]
    graceful_kill_timeout = 60
    force_kill_timeout = 10
END
    args=''
    [ "$settings" = $default_settings ] || args="\"--config\", $(quote "$settings"), "
    for stage in config prepare run cleanup; do
        echo "    ${stage}_exec = $(quote "$program")"
        echo "    ${stage}_args = [$args\"$stage\"]"
    done
} >"$template"

gitlab-runner register --non-interactive --config "$runner_config" --url "$url" --name "$name" \
    --executor custom --template-config "$template" "$@"

say "registered the runner $name in $runner_config"
grep -q '^concurrent = 1$' "$runner_config" && say "it runs one job at a time until \`concurrent\` there says more"
say "a Runner that is running takes it up by itself; if it is not: systemctl enable --now gitlab-runner"
say "whether all is right: $program doctor"
