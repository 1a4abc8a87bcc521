#!/bin/sh
# Print the Pythons of this machine from 3.11 on that can make an environment, one path a version,
# the oldest first.
set -eu
installed="$(command -v pyenv >/dev/null 2>&1 && ls -d "$(pyenv root)"/versions/*/bin/python 2>/dev/null || true)"
for python in python3 python3.11 python3.12 python3.13 python3.14 python3.15 $installed /usr/bin/python3.[0-9] /usr/bin/python3.[0-9][0-9]; do
    "$python" -c 'import ensurepip, sys, venv; sys.version_info < (3, 11) or print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null || true
done | sort --stable --version-sort --key=1,1 | awk '!seen[$1]++ { print $2 }'
