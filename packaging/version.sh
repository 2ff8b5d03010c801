#!/usr/bin/env bash
# Prints the version of packages for what git describe says, such that later ones are newer for dpkg and rpm:
#   v1.2.3 → 1.2.3, v1.3.0-rc1 → 1.3.0~rc1, v1.2.3-4-gabcdef0 → 1.2.3+4.abcdef0, abcdef0 → 0.0.0+<time of the commit>.abcdef0
set -euo pipefail

described=$1 dirty=
[[ $described != *-dirty ]] || { described=${described%-dirty}; dirty=.dirty; }
if [[ $described =~ ^v([0-9].*)-([0-9]+)-g([0-9a-f]+)$ ]]; then
    version=${BASH_REMATCH[1]/-/\~}+${BASH_REMATCH[2]}.${BASH_REMATCH[3]}
elif [[ $described =~ ^v([0-9].*)$ ]]; then
    version=${BASH_REMATCH[1]/-/\~}
else
    version=0.0.0+$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd 2>/dev/null || echo 0).$described
fi
# No other character may be in a version of both.
[ -z "$dirty" ] || if [[ $version == *+* ]]; then version+=$dirty; else version+=+dirty; fi
echo "${version//[^A-Za-z0-9.+~]/.}"
