#!/bin/sh
# Before the program goes from a host for good: removes what killed jobs have left, and unmounts the layers. Their files stay in state_dir.
# The packages call it, and install.sh --uninstall with the program's place.
set -u
settings=/etc/gitlab-go-executor/config.toml
runner=/etc/gitlab-runner/config.toml
program=${1:-/usr/bin/gitlab-go-executor}

say() { echo "gitlab-go-executor: $*" >&2; }

if [ -e "$runner" ] && grep -q "$program" "$runner"; then
    say "$runner still has a runner of this executor, whose jobs will fail; remove it by: gitlab-runner unregister --name NAME"
fi

timeout 60 "$program" prune >/dev/null || say "not everything that killed jobs have left could be removed"

state=
if [ -e "$settings" ]; then state=$(sed -n "s/^[[:space:]]*state_dir[[:space:]]*=[[:space:]]*[\"']\\([^\"']*\\)[\"'].*/\\1/p" "$settings"); fi
state=${state:-/var/lib/gitlab-go-executor}

# A layer under the mount of a job that still runs stays readable for that job.
awk -v below="$state/mnt/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | while read -r layer; do
    umount "$layer" || say "$layer could not be unmounted"
done
if [ -d "$state" ]; then say "caches, checkouts and statistics stay in $state"; fi
exit 0
