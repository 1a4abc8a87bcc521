"""Temporary folders that do not outlive their process, even if it is killed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mobility.base.writing import FILE_MODE
from mobility.sessions.files import storage_fault

_PREFIX = "mobility-"
_ALIVE = ".alive"


def scratch_folder(kind: str) -> tuple[Path, Callable[[], object]]:
    """Make a temporary folder for a `kind` of work, and remove those of processes that were killed.

    Returns the folder and the function that removes it, called when the process ends at the latest.
    """
    place = Path(tempfile.gettempdir())
    sweep_scratch()
    try:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-"))
            alive = FileLock(folder / _ALIVE, mode=FILE_MODE)
            alive.acquire()
            # Before it was locked, another process may have removed it as a dead one's.
            if (folder / _ALIVE).is_file():
                return folder, weakref.finalize(_remove, _remove, folder, alive)
            alive.release()
    except OSError as error:
        raise storage_fault(error, place) from error


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """Give a folder of :func:`scratch_folder` that is removed at the end."""
    folder, remove = scratch_folder(kind)
    try:
        yield folder
    finally:
        remove()


def sweep_scratch() -> None:
    """Remove temporary folders of processes that were killed; a living one holds its lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout, NotImplementedError):
            if (folder / _ALIVE).is_file():
                with FileLock(folder / _ALIVE, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, alive: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    alive.release()
    # A report's kernel, which was killed, leaves its folder.
    sweep_scratch()
