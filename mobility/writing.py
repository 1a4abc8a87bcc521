"""Files that are whole or absent: written beside their place and renamed into it.

Everything is written under a hidden name, flushed to the disk, and renamed. A
process that dies leaves at most that hidden leftover.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from mobility.errors import DiskFullError, StorageError

_NOT_PERMITTED = (
    "writing there is not permitted; choose another place with --store, --reports or --out"
)
_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EFBIG: "the file would exceed the largest size allowed here; raise the limit",
    errno.EROFS: "the place is read-only; choose another one with --store, --reports or --out",
    errno.EACCES: _NOT_PERMITTED,
    errno.EPERM: _NOT_PERMITTED,
}


def storage_fault(error: OSError, place: str | os.PathLike[str]) -> StorageError:
    """Say in one line where writing failed, why, and what to do."""
    reason = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; check the place"
    kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
    return kind(f"cannot write {os.fspath(place)}: {reason}")


@contextmanager
def writing(place: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the operating system's refusal to write `place` into a StorageError."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise storage_fault(error, place) from error


class LogFile(logging.FileHandler):
    """A log of which it is said once, and not at each line, that it cannot be written.

    Parameters
    ----------
    path
        Where lines are added.
    tell
        Called with what to say when the first line is lost.
    """

    def __init__(self, path: Path, *, tell: Callable[[str], object]) -> None:
        super().__init__(path, encoding="utf-8")
        self._path = path
        self._tell = tell
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that lines are lost, the first time; what is no fault of the disk is a bug."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            self._tell(f"log file {self._path}: lines are lost ({error.strerror or error})")

    def close(self) -> None:
        """Close the file; lines that were lost before are not missed again."""
        with suppress(OSError):
            super().close()


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last through a power failure, where that can be asked for."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a hidden path beside `path`; what is written there becomes `path`, or vanishes.

    The hidden path keeps the suffix of `path`, because encoders go by it. The
    folder is not made: one that was removed meanwhile must not come back.

    Raises
    ------
    StorageError
        The place is full or cannot be written.
    """
    target = Path(path)
    hidden = target.with_name(f".{target.stem}.{token_hex(6)}.tmp{target.suffix}")
    try:
        with writing(target):
            yield hidden
            with hidden.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(hidden, target)  # noqa: PTH105 - the one name that tests make fail
            sync_folder(target.parent)
    finally:
        with suppress(OSError):
            hidden.unlink()
