#!/bin/sh
# Shared libraries that Python wheels expect from the system (Debian, Ubuntu).
# usage: system-packages.sh runtime|slow
set -eu
case "$1" in
runtime) packages="libgl1 libegl1 libgles2 libglib2.0-0t64|libglib2.0-0 python3-venv" ;;
slow) packages="chromium netcdf-bin strace libosmesa6 libgl1-mesa-dri libxrender1 python3-venv" ;;
*) echo "usage: $0 runtime|slow" >&2; exit 2 ;;
esac
have() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
command -v dpkg-query >/dev/null 2>&1 || exit 0
missing=""
for entry in $packages; do
    found=no
    for name in $(echo "$entry" | tr '|' ' '); do
        if have "$name"; then found=yes; fi
    done
    [ $found = yes ] || missing="$missing $entry"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "please install first, as root: apt-get install$(echo "$missing" | sed 's/|[^ ]*//g')" >&2
    exit 1
fi
echo "installing with apt-get:$(echo "$missing" | sed 's/|[^ ]*//g')"
apt-get update -qq
for entry in $missing; do
    ok=no
    for name in $(echo "$entry" | tr '|' ' '); do
        if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$name" >/dev/null 2>&1; then
            ok=yes
            break
        fi
    done
    [ $ok = yes ] || { echo "apt-get could not install $entry" >&2; exit 1; }
done
