"""Read one C3D file with ezc3d, in a separate process.

ezc3d is native code, and crashes on some damaged files (a rate of 0, a group that points outside
the file). Such a crash ends only this process, not the user's notebook.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mobility.base.processes import Send, serve
from mobility.errors import BadInputError

GROUPS = ("POINT", "ROTATION", "EVENT", "TRIAL", "MANUFACTURER", "ANALOG", "FORCE_PLATFORM")
"""The groups of parameters that are read."""


def do(request: dict[str, Any], _: Send) -> dict[str, Any]:
    """Write the points and pose matrices of `source` to `out` (NumPy's npz).

    With `plates`, also write the forces of its force plates and their points of application.
    Return its parameters, and the number of its plates.
    """
    import ezc3d

    try:
        file = ezc3d.c3d(request["source"], extract_forceplat_data=request["plates"])
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, MemoryError) as error:
        reason = str(error).removesuffix(": iostream error").partition("\n")[0]
        raise BadInputError(reason or type(error).__name__) from None
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
    header["analog_rate"] = float(file["header"]["analogs"]["frame_rate"])
    values = file["data"]
    arrays = {"points": values["points"], "rotations": values["rotations"]}
    plates = values["platform"] if request["plates"] else []
    for i, plate in enumerate(plates):
        arrays |= {f"{name}_{i}": plate[name] for name in ("force", "center_of_pressure")}
    np.savez(request["out"], **arrays)
    return {"parameters": parameters, "header": header, "plates": len(plates)}


def _plain(value: Any) -> Any:
    """Return a value as plain JSON types."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [str(v) for v in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    serve(do)
