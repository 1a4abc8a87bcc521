"""A process of a sweep: if the renderer crashes, only one case is lost.

:mod:`mobility.virtual_lab.sweep` sends it requests; see :mod:`mobility.base.processes`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mobility.base.processes import Send, serve


def do(job: dict[str, Any], _: Send) -> float:
    """Measure one case, and return the seconds that it took."""
    from mobility.virtual_lab.sweep import measure_case

    began = time.perf_counter()
    measure_case(Path(job["folder"]), keep_video=job["keep_video"], resume=job["resume"])
    return round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    serve(do)
