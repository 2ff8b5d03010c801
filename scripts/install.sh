#!/usr/bin/env bash
# Installs gitlab-go-executor on this host: a package, or a binary with all that a package would have.
set -euo pipefail

usage() {
    cat <<END
usage: ${0##*/} [--prefix DIR] [--no-start] [FILE]
       ${0##*/} [--prefix DIR] --uninstall

Installs gitlab-go-executor on this host. It may be called again, and over an older release.

  FILE            a package (.deb, .rpm), which the package manager of this host installs, or the binary. By default
                  bin/gitlab-go-executor beside this script's folder: what make build made, or a release's archive has
  --prefix DIR    where the binary and what belongs to it go; by default /usr/local. A package knows its own places
  --no-start      neither enable nor start the service
  --uninstall     remove what was installed without a package; settings and state stay
  --help

Settings that are there are never changed.
END
}

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

top=$(realpath -- "$(dirname "$0")/..")
prefix='' start=yes file='' remove=no
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit ;;
    --prefix) [ $# -gt 1 ] || die "--prefix wants a folder"; prefix=$(realpath -ms -- "$2"); shift ;;
    --no-start) start=no ;;
    --uninstall) remove=yes ;;
    -*) die "$1 is unknown; see --help" ;;
    *) [ -z "$file" ] || die "there may be one FILE; see --help"; file=$1 ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || die "only root can install and remove: sudo $0 ..."

has() { command -v "$1" >/dev/null; }
with_systemd() { [ -d /run/systemd/system ] && has systemctl; }

# install_package has the host's package manager install a package with what it depends on.
install_package() {
    [ -z "$prefix" ] || die "a package has places of its own: leave --prefix out"
    case $file in
    *.deb) has apt-get || die "this host has no apt-get for $file"
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$file" ;;
    *.rpm) if has dnf; then dnf install -y "$file"
        elif has zypper; then zypper --non-interactive install --allow-unsigned-rpm "$file"
        elif has rpm; then rpm -U --replacepkgs "$file"
        else die "this host has neither dnf, zypper nor rpm for $file"; fi ;;
    esac
    program=/usr/bin/gitlab-go-executor register=/usr/share/gitlab-go-executor/register.sh
    # Red Hat's kin leave it to the administrator.
    if [ $start = yes ] && with_systemd; then systemctl enable --now gitlab-go-executor.service; fi
}

# put MODE SOURCE TARGET installs a file by a rename, so that jobs that run find the old one or the new one.
put() { install -D -m "$1" "$2" "$3.new" && mv -f "$3.new" "$3"; }

# packaged: a package of ours is installed, whose files these would stand beside.
packaged() { (has dpkg-query && dpkg-query -W -f '${db:Status-Abbrev}' gitlab-go-executor 2>/dev/null | grep -q '^.i') || (has rpm && rpm -q gitlab-go-executor >/dev/null 2>&1); }

# without_package names the places of what is installed without one.
without_package() {
    ! packaged || die "the package gitlab-go-executor is installed; remove it with this host's package manager, or install a newer package"
    prefix=${prefix:-/usr/local} unit=/etc/systemd/system/gitlab-go-executor.service
    program=$prefix/bin/gitlab-go-executor share=$prefix/share
}

install_binary() {
    local shell
    without_package
    put 0755 "$file" "$program"

    "$program" man "$share/man/man1"
    tmp=$(mktemp)
    trap 'rm -f "$tmp"' EXIT
    for shell in bash zsh fish; do
        "$program" completion "$shell" >"$tmp"
        case $shell in
        bash) put 0644 "$tmp" "$share/bash-completion/completions/gitlab-go-executor" ;;
        zsh) put 0644 "$tmp" "$share/zsh/site-functions/_gitlab-go-executor" ;;
        fish) put 0644 "$tmp" "$share/fish/vendor_completions.d/gitlab-go-executor.fish" ;;
        esac
    done
    register=$share/gitlab-go-executor/register.sh
    put 0755 "$top/scripts/register.sh" "$register"
    put 0755 "$top/packaging/leave.sh" "$share/gitlab-go-executor/leave.sh"
    put 0644 "$top/config.example.toml" "$share/doc/gitlab-go-executor/config.example.toml"
    for file in alerts.yml grafana.json RUNBOOK.md; do
        put 0644 "$top/monitoring/$file" "$share/gitlab-go-executor/monitoring/$file"
    done
    [ -e "$settings" ] || put 0600 "$top/config.example.toml" "$settings"
    install_unit
}

install_unit() {
    has systemctl || { say "there is no systemd here; have $program serve run as root by other means"; return; }
    sed "s|/usr/bin/gitlab-go-executor|$program|; s|/usr/share/|$prefix/share/|" "$top/packaging/gitlab-go-executor.service" >"$tmp"
    put 0644 "$tmp" "$unit"
    [ $start = yes ] || return 0
    with_systemd || { systemctl enable --quiet gitlab-go-executor.service; return; }
    systemctl daemon-reload
    systemctl enable --quiet gitlab-go-executor.service
    systemctl restart gitlab-go-executor.service
}

uninstall() {
    without_package
    [ -x "$program" ] || die "there is no $program; --prefix says where it was installed"
    if has systemctl && [ -e "$unit" ]; then systemctl disable --quiet --now gitlab-go-executor.service; fi
    "$share/gitlab-go-executor/leave.sh" "$program"
    rm -f "$program" "$unit" "$share"/man/man1/gitlab-go-executor{,-*}.1 "$share/bash-completion/completions/gitlab-go-executor" \
        "$share/zsh/site-functions/_gitlab-go-executor" "$share/fish/vendor_completions.d/gitlab-go-executor.fish"
    rm -rf "$share/gitlab-go-executor" "$share/doc/gitlab-go-executor"
    if with_systemd; then systemctl daemon-reload; fi
    say "removed $program and what belongs to it; ${settings%/*} stays"
}

settings=/etc/gitlab-go-executor/config.toml
if [ $remove = yes ]; then
    [ -z "$file" ] || die "--uninstall takes no FILE; see --help"
    uninstall
    exit
fi
file=${file:-$top/bin/gitlab-go-executor}
[ -f "$file" ] || die "there is no $file; name a package or a binary, or build one: make build"
file=$(realpath -- "$file")
case $file in
*.deb | *.rpm) install_package ;;
*) install_binary ;;
esac

say "installed $("$program" version)"
say "next: look through $settings, then register a runner: $register --url https://gitlab.example.com"
say "what this host lacks: $program doctor"
