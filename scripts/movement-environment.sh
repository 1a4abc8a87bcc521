#!/bin/sh
# A small environment with the validator of movement, which needs Python 3.12: for two tests.
# usage: movement-environment.sh FOLDER
set -eu
for python in python3 python3.14 python3.13 python3.12 /usr/bin/python3; do
    if "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then
        echo "installing movement's validator into $1: a minute, once"
        "$python" -m venv "$1"
        # Only what the validator imports: with all that movement can do it is 1.3 GB.
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check \
            attrs loguru xarray "h5netcdf[h5py]" numpy
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check \
            --no-warn-conflicts --no-deps "movement>=0.16"
        exit 0
    fi
done
echo "no Python 3.12 or newer found: the test of movement's validator cannot run" >&2
