"""Write constraints.txt: the newest versions that fit together, for each Python on this machine.

usage: renew_versions.py PYTHON [PYTHON ...]

`make versions` calls this script. Run all tests before you commit the file. torch and its
dependencies are left out, because the build that fits depends on the machine. setuptools is also
left out: only torch requires it, and a virtual environment of Python 3.11 already contains it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WANTED = ".[docs,test,virtual-lab,cross-checks]"
LEFT_OUT = re.compile(r"mobility|setuptools|torch.*|triton|nvidia-.*|cuda-.*")
HEAD = """\
# Versions that were tested together; `make` installs them, `make versions` renews them.
"""


def resolved(python: str) -> tuple[str, dict[str, str]]:
    """Return the version of `python`, and of each package that pip would install there now."""
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    command = [*pip, "--dry-run", "--ignore-installed", "--report", "-", WANTED]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)  # noqa: S603
    report = json.loads(done.stdout)
    found = (item["metadata"] for item in report["install"])
    versions = {re.sub(r"[-_.]+", "-", each["name"].lower()): each["version"] for each in found}
    return report["environment"]["python_version"], {
        name: version for name, version in versions.items() if not LEFT_OUT.fullmatch(name)
    }


def lines(by_python: dict[str, dict[str, str]]) -> list[str]:
    """Return one line for a package whose version is the same everywhere, or one for each version.

    The line for the newest Python also applies to later Pythons.
    """
    found = []
    for name in sorted({name for versions in by_python.values() for name in versions}):
        each = {python: v[name] for python, v in by_python.items() if name in v}
        if len(set(each.values())) == 1:
            found.append(f"{name}=={next(iter(each.values()))}")
            continue
        *older, last = each
        while each[older[-1]] == each[last]:
            last = older.pop()
        found += [f'{name}=={each[python]} ; python_version == "{python}"' for python in older]
        found.append(f'{name}=={each[last]} ; python_version >= "{last}"')
    return found


def main(pythons: list[str]) -> None:
    """Resolve for each of `pythons` and write the file."""
    by_python = dict(sorted(map(resolved, pythons), key=lambda each: int(each[0].split(".")[1])))
    (ROOT / "constraints.txt").write_text(HEAD + "\n".join(lines(by_python)) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
