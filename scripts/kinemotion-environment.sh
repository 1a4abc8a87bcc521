#!/bin/sh
# A small environment with kinemotion, which needs Python 3.10 to 3.12: for benchmarks/peer.py.
# usage: kinemotion-environment.sh FOLDER [PYTHON]
set -eu
for python in ${2:-} python3.12 python3.11 python3.10 python3; do
    if "$python" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' >/dev/null 2>&1; then
        "$python" -m venv "$1"
        # Its wheel brings the small pose model; the pose is all of it that needs opencv, and
        # mediapipe brings opencv-contrib-python already.
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check \
            click mediapipe numpy scipy tqdm typing-extensions platformdirs
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "kinemotion>=0.82"
        exit 0
    fi
done
echo "no Python 3.10 to 3.12 found: the comparison with kinemotion cannot run" >&2
exit 1
