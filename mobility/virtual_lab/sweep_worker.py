"""Worker process of a sweep: for each case a line of JSON in, and a line out.

:mod:`mobility.virtual_lab.sweep` starts it as ``python -m mobility.virtual_lab.sweep_worker``, so
that a crash of the renderer loses one case and not the sweep.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from mobility.errors import MobilityError


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Measure one case; the answer has the seconds that it took, or the error."""
    from mobility.virtual_lab.sweep import measure_case

    began = time.perf_counter()
    try:
        measure_case(Path(job["folder"]), keep_video=job["keep_video"], resume=job["resume"])
    except MobilityError as error:
        return {"error": str(error)}
    except Exception as error:  # one failure does not stop the others
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"seconds": round(time.perf_counter() - began, 2)}


def main() -> None:
    """Answer each line of standard input by a line on standard output."""
    # What others print (torch and warp do) must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        answers.write(json.dumps(work(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
