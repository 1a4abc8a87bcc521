"""Read one C3D file with ezc3d, in a process of its own: ``python -m ... FILE OUT``.

ezc3d is native code and dies of some damaged files (a rate of 0, a group that points outside the
file). Here that ends this process and not the notebook of the one who reads.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

GROUPS = ("POINT", "ROTATION", "EVENT", "TRIAL", "MANUFACTURER")
"""The groups of parameters that are read."""


def main(source: str, out: str) -> int:
    """Write points, pose matrices and parameters of `source` to `out` (NumPy's npz).

    Return 0; or 3, with the reason on standard error.
    """
    import ezc3d

    try:
        file = ezc3d.c3d(source)
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, MemoryError) as error:
        reason = str(error).removesuffix(": iostream error").partition("\n")[0]
        sys.stderr.write(reason or type(error).__name__)
        return 3
    groups = file["parameters"]
    parameters = {
        group: {
            name: _plain(entry["value"])
            for name, entry in groups[group].items()
            if name != "__METADATA__"
        }
        for group in GROUPS
        if group in groups
    }
    header = {k: _plain(v) for k, v in file["header"]["points"].items()}
    np.savez(
        out,
        points=file["data"]["points"],
        rotations=file["data"]["rotations"],
        said=json.dumps({"parameters": parameters, "header": header}),
    )
    return 0


def _plain(value: Any) -> Any:
    """Value as JSON has it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [str(v) for v in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
