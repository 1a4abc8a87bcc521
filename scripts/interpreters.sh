#!/bin/sh
# Print the Pythons of this machine from 3.11 on that can make an environment, one path a version.
set -eu
seen=""
installed="$(command -v pyenv >/dev/null 2>&1 && ls -d "$(pyenv root)"/versions/*/bin/python 2>/dev/null || true)"
for python in python3 python3.11 python3.12 python3.13 python3.14 python3.15 $installed /usr/bin/python3.[0-9] /usr/bin/python3.[0-9][0-9]; do
    version="$("$python" -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2] if sys.version_info >= (3, 11) else "")' 2>/dev/null || true)"
    case " $seen " in *" $version "*) continue ;; esac
    [ -n "$version" ] || continue
    seen="$seen $version"
    "$python" -c 'import sys; print(sys.executable)'
done
