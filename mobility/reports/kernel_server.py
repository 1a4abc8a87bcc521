"""A process that has imported the modules of reports, and forks a kernel for each report.

It responds to each request with the process id of the kernel. A kernel is therefore a separate
process, and starts at once, because all imports are already done. If its parent ends, the server
and its kernels end too. It does not call :func:`mobility.base.processes.serve`, because a process
that forks should have no second thread.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import mobility
from mobility.catalogue.registry import exercises
from mobility.documents.exercise_documents import documents_of
from mobility.errors import MobilityError
from mobility.reports.exercise_page import page_of

IMPORTS = (
    *("av.subtitles", "cv2", "dask.array", "ipykernel.kernelapp", "IPython.display"),
    *("matplotlib.backends.backend_agg", "matplotlib.figure", "pandas", "PIL.JpegImagePlugin"),
    *("PIL.PngImagePlugin", "pyarrow.pandas_compat", "scipy.io", "xarray"),
    *("mobility.assessment.findings", "mobility.assessment.measures"),
    *("mobility.capture.quality", "mobility.reports.figures", "mobility.pipeline.overlay"),
    *("mobility.reports.sections", "mobility.store", *mobility.REPORT_ADDITIONS),
)
"""Modules of the reports of sessions, including the modules that they import late."""


def main() -> int:
    """Entry point of the server."""
    # Answers must not be mixed with the output of libraries.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # Each kernel would import the debugger, which takes longer than everything else.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    for name in IMPORTS:
        with suppress(ImportError):
            importlib.import_module(name)
    for exercise in exercises():
        with suppress(MobilityError):  # of another package; the reports of the others go on
            documents_of(exercise), page_of(exercise)
    # Imported objects are never garbage: a collection in a kernel would copy their pages.
    gc.collect()
    gc.freeze()
    # Kernels that have ended vanish by themselves.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        server = os.getpid()
        child = os.fork()
        if child == 0:
            answers.close()
            _kernel(request, server)
        answers.write(json.dumps({"result": child}) + "\n")
    return 0


def _kernel(request: dict[str, Any], server: int) -> NoReturn:
    """Turn this process into a kernel, as `python -m ipykernel_launcher` would."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(request["log"], os.O_WRONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        os.environ["JPY_PARENT_PID"] = str(server)
        file = request["connection_file"]
        sys.argv = ["ipykernel_launcher", "-f", file, "--HistoryManager.enabled=False"]
        sys.path[:] = [place for place in sys.path if place]
        _shuffle()
        from ipykernel.kernelapp import IPKernelApp

        # The default was read before the fork: without `parent_handle` a kernel outlives a report
        # that is killed.
        IPKernelApp.launch_instance(sys.argv[1:], parent_handle=server)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _shuffle() -> None:
    """Seed random generators again, so that kernels do not all draw the same numbers."""
    import random

    import numpy as np

    random.seed()
    np.random.seed(int.from_bytes(os.urandom(4), "little"))  # noqa: NPY002 - the global one


if __name__ == "__main__":
    sys.exit(main())
