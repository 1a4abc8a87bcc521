"""Files that are whole or absent, and for their owner only: people can be recognised in them.

Everything is written under a hidden name, flushed to the disk, and renamed. A
process that dies leaves at most that hidden leftover. Whatever the umask is, files that are made
here have the mode 0600, and folders 0700.
"""

from __future__ import annotations

import errno
import logging
import logging.handlers
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mobility.errors import DiskFullError, StorageError

if TYPE_CHECKING:
    import pandas as pd

FILE_MODE, FOLDER_MODE = 0o600, 0o700

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


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""With what begins what spreadsheets compute."""


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


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def open_private(path: str | os.PathLike[str], mode: str, **options: Any) -> Any:
    """Open a file as :func:`open` does; one that is made is its owner's only."""
    return open(path, mode, opener=_for_owner, **options)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are absent, for their owner only."""
    for absent in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        absent.mkdir(FOLDER_MODE, exist_ok=True)
    folder.mkdir(FOLDER_MODE, exist_ok=True)


def make_private(folder: Path) -> None:
    """Keep what others than this module wrote into a folder from all but its owner."""
    for base, _, files in os.walk(folder):
        for path, mode in ((base, FOLDER_MODE), *((f"{base}/{name}", FILE_MODE) for name in files)):
            with suppress(OSError):  # not every file system has modes
                os.chmod(path, mode)  # noqa: PTH101


class LogFile(logging.handlers.WatchedFileHandler):
    """A log of which it is said once, and not at each line, that it cannot be written.

    Lines may be taken out of it by another process, which puts another file in its place.

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

    def _open(self) -> Any:
        return open_private(self.baseFilename, self.mode, encoding=self.encoding)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a file that cannot be opened again is as one that cannot be written."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

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


def plain_cell(text: str) -> str:
    """Return `text` as a cell of a CSV file that no spreadsheet computes, as it does "=1+1".

    What would be taken for a formula has an apostrophe before it. A number stays as it is.
    """
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with its texts as :func:`plain_cell` gives them."""
    changed = {}
    for name, column in frame.items():
        texts = {text: plain_cell(text) for text in column.unique() if isinstance(text, str)}
        if any(text != plain for text, plain in texts.items()):
            changed[name] = column.astype(object).map(lambda each, of=texts: of.get(each, each))
    return frame.assign(**changed)


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
            open_private(hidden, "xb").close()
            yield hidden
            with hidden.open("rb+") as file:
                os.fsync(file.fileno())
            with suppress(OSError):  # an encoder puts another file there, of another mode
                hidden.chmod(FILE_MODE)
            os.replace(hidden, target)  # noqa: PTH105 - the one name that tests make fail
            sync_folder(target.parent)
    finally:
        with suppress(OSError):
            hidden.unlink()


@contextmanager
def unlinked_until_complete(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file that is called `path` when all is written, and until then nothing at all.

    So a process that is killed leaves nothing, where the system has such files (Linux); elsewhere
    it leaves what :func:`atomic` does. A file that is called `path` already goes just before.

    Raises
    ------
    StorageError
        The place is full or cannot be written.
    """
    target = Path(path)
    with writing(target):
        try:
            handle = os.open(target.parent, os.O_TMPFILE | os.O_RDWR, FILE_MODE)
        except (AttributeError, OSError):
            with atomic(target) as hidden, hidden.open("wb") as file:
                yield file
            return
        with cast("BinaryIO", os.fdopen(handle, "w+b")) as file:
            yield file
            file.flush()
            os.fsync(handle)
            with suppress(FileNotFoundError):
                target.unlink()
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.link(f"/proc/self/fd/{handle}", target.name, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)
