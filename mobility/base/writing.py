"""Writing of files that are private because they may show people.

A file is written completely or not at all. Every file is written under a hidden name, flushed to
the disk, and renamed. If a process dies, at most that hidden file is left. Files have the mode 0600
and folders 0700, whatever the umask.
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
"""First characters of cells that spreadsheets evaluate as formulas."""


def storage_fault(error: OSError, place: str | os.PathLike[str]) -> StorageError:
    """Return an error in one line: the place, the reason, and what to do."""
    reason = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; check the place"
    kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
    return kind(f"cannot write {os.fspath(place)}: {reason}")


@contextmanager
def writing(place: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an error of the operating system while writing `place` into a StorageError."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise storage_fault(error, place) from error


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def open_private(path: str | os.PathLike[str], mode: str, **options: Any) -> Any:
    """Open a file as :func:`open` does; only the owner can read a new file."""
    return open(path, mode, opener=_for_owner, **options)


def make_folder(folder: Path) -> None:
    """Make a folder, and the missing folders above it, with access for the owner only."""
    for absent in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        absent.mkdir(FOLDER_MODE, exist_ok=True)
    folder.mkdir(FOLDER_MODE, exist_ok=True)


def make_private(folder: Path) -> None:
    """Restrict a folder and its files, which another program wrote, to their owner."""
    for base, _, files in os.walk(folder):
        for path, mode in ((base, FOLDER_MODE), *((f"{base}/{name}", FILE_MODE) for name in files)):
            with suppress(OSError):  # some file systems have no modes
                os.chmod(path, mode)  # noqa: PTH101


class LogFile(logging.handlers.WatchedFileHandler):
    """A log file that reports only once, instead of for every line, that it cannot be written.

    Another process may replace the file, to delete the lines that name a participant.

    Parameters
    ----------
    path
        The file.
    tell
        Called with a message when the first line is lost.
    """

    def __init__(self, path: Path, *, tell: Callable[[str], object]) -> None:
        super().__init__(path, encoding="utf-8")
        self._path = path
        self._tell = tell
        self._is_reported = False

    def _open(self) -> Any:
        # File names need not be valid text.
        options = {"encoding": self.encoding, "errors": "backslashreplace"}
        return open_private(self.baseFilename, self.mode, **options)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; if the file cannot be reopened, this counts as a failure to write."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report the first lost line; an error that does not come from the disk is a bug."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_reported:
            self._is_reported = True
            self._tell(f"log file {self._path}: lines are lost ({error.strerror or error})")

    def close(self) -> None:
        """Close the file; lost lines are not reported again."""
        with suppress(OSError):
            super().close()


def plain_cell(text: str) -> str:
    """Return `text` for a CSV cell, so that no spreadsheet evaluates it as a formula ("=1+1").

    An apostrophe is put before text that looks like a formula. A number stays as it is.
    """
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with :func:`plain_cell` applied to its texts."""
    changed = {}
    for name, column in frame.items():
        texts = {text: plain_cell(text) for text in column.unique() if isinstance(text, str)}
        if any(text != plain for text, plain in texts.items()):
            changed[name] = column.astype(object).map(
                lambda cell, plain=texts: plain.get(cell, cell)
            )
    return frame.assign(**changed)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power failure, if the system supports it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Provide a hidden path beside `path`; the file is renamed to `path`, or removed on errors.

    The hidden path keeps the suffix of `path`, because encoders choose the format by it. The folder
    is not made: a folder that was removed in the meantime must not come back.

    Raises
    ------
    StorageError
        The disk is full, or the path cannot be written.
    """
    target = Path(path)
    hidden = target.with_name(f".{target.stem}.{token_hex(6)}.tmp{target.suffix}")
    try:
        with writing(target):
            open_private(hidden, "xb").close()
            yield hidden
            with hidden.open("rb+") as file:
                os.fsync(file.fileno())
            with suppress(OSError):  # encoders replace the file, which changes its mode
                hidden.chmod(FILE_MODE)
            os.replace(hidden, target)  # noqa: PTH105 - tests replace this function
            sync_folder(target.parent)
    finally:
        with suppress(OSError):
            hidden.unlink()


@contextmanager
def unlinked_until_complete(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Provide a file without a name; it is linked as `path` only when it is complete.

    On Linux, a killed process leaves nothing behind; on other systems, it leaves the hidden file,
    as :func:`atomic` does. An existing file `path` is removed just before the new one is linked.

    Raises
    ------
    StorageError
        The disk is full, or the path cannot be written.
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
