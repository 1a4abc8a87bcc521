"""Files that are complete or missing: atomic writes, locks, allowed names, temporary folders.

Every file is written under a hidden name next to its place, flushed to the disk, and renamed. If a
process dies, at most a hidden file is left, which :func:`sweep` removes. Temporary folders do not
outlive their process, even if it is killed.

A missing file raises NotFoundError, a malformed file BadInputError, a place that cannot be written
StorageError, and a lock that is held by another process InUseError.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import struct
import tempfile
import unicodedata
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mobility.base.options import quoted
from mobility.base.parsing import is_control, parse_json
from mobility.base.parsing import read_file as read_file
from mobility.base.writing import FILE_MODE, make_private
from mobility.base.writing import atomic as atomic
from mobility.base.writing import make_folder as make_folder
from mobility.base.writing import open_private as open_private
from mobility.base.writing import storage_fault as storage_fault
from mobility.base.writing import sync_folder as sync_folder
from mobility.base.writing import writing as writing
from mobility.errors import BadInputError, InUseError, NotFoundError, StorageError

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

ID_PATTERN = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
NAME_LENGTH = 200

PARTICIPANTS, REFERENCES = "participants", "references"
NOTES = ".visits"
"""End of the name, without `.json`, of the file with notes on the visits of a participant."""
"""Folders of the participants' records and of the results of the lab's studies. They are not valid
session IDs; otherwise, the record of a participant named "session" would look like the record of a
session."""

PRIVATE_FOLDER = ".server"
"""Folder in the store for the files of a server."""

VISITS = "visits"
"""Folder for the pages of visits among the reports, with one folder for each participant."""

LOCKS = ".locks"
"""Folder of the locks of a store."""

PARTS = ("session", "edits", "threads")
"""Parts of a session; each part has a lock that guards its files."""

_NAMES_OF_REPORTS = re.compile(
    rf"{VISITS}|cohort|(batch|groups|reliability|study)-.*|.*\.validation(-data)?", re.IGNORECASE
)
"""Names of report folders that do not belong to one session; no new session can have such an ID."""

_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}
"""Sizes of the NetCDF-3 types byte, char, short, int, float, double."""


def is_id(value: object) -> bool:
    """Whether `value` is safe as the name of a folder or file: it cannot lead out of the store.

    It has 1 to 64 letters, digits, ``_``, ``.`` and ``-``, starts with a letter or digit, and has
    no two dots in a row.
    """
    return isinstance(value, str) and bool(ID_PATTERN.fullmatch(value))


def check_id(value: str, *, what: str) -> str:
    """Return `value` if :func:`is_id` accepts it; `what` is the parameter ("session_id")."""
    if not isinstance(value, str) or not value:
        raise BadInputError.of({what: f"must be non-empty text (got {quoted(value)})"})
    if not is_id(value):
        fault = "use 1 to 64 letters, digits, '_', '.' or '-', beginning with a letter or digit"
        raise BadInputError.of({what: f"{fault}, without '..' (got {quoted(value)})"})
    return value


def check_key(key: str) -> str:
    """Return `key` if it is the path of a document or lock in the store (IDs with slashes)."""
    parts = key.split("/") if isinstance(key, str) else [""]
    if not all(is_id(part.removeprefix(".").removesuffix(".json")) for part in parts):
        raise BadInputError(f"must be a path in the store (got {quoted(key)})")
    return key


def is_reserved(session_id: str) -> bool:
    """Whether a session ID is the name of a folder of the store."""
    # Some disks do not distinguish case.
    return session_id.lower() in (PARTICIPANTS, REFERENCES)


def check_new_id(session_id: str) -> None:
    """Raise an error for an ID that names a folder of the store or the reports."""
    check_id(session_id, what="session_id")
    of_reports = _NAMES_OF_REPORTS.fullmatch(session_id)
    if of_reports or is_reserved(session_id):
        place = "reports" if of_reports else "store"
        fault = f"{session_id!r} is the name of a folder of the {place}; choose another ID"
        raise BadInputError.of({"session_id": fault})


def report_place(reports: Path, session_id: str) -> Path:
    """Return the folder of the report on a session; it must not be the folder of visit pages."""
    return reports / (f"_{session_id}" if session_id.lower() == VISITS else session_id)


def check_decodable(value: str, *, what: str) -> None:
    """Raise an error for text with lone surrogates, as in file names that are not UTF-8."""
    if any(unicodedata.category(character) == "Cs" for character in value):
        raise BadInputError.of({what: f"{quoted(value)} is not decodable text; write it in UTF-8"})


def check_name(value: str, *, what: str) -> str:
    """Return `value` without surrounding white space if it can be shown as a name."""
    if not isinstance(value, str) or not value.strip():
        raise BadInputError.of({what: f"must be non-empty text (got {quoted(value)})"})
    name = value.strip()
    if len(name) > NAME_LENGTH:
        raise BadInputError.of({what: f"at most {NAME_LENGTH} characters (got {len(name)})"})
    check_decodable(name, what=what)
    check_visible(name, what=what)
    return name


def check_visible(value: str, *, what: str) -> None:
    """Raise an error for control characters, invisible characters and changes of direction."""
    for character in filter(is_control, value):
        fault = f"holds the control character U+{ord(character):04X}; remove it"
        raise BadInputError.of({what: f"{fault} (got {quoted(value)})"})


def check_file_name(value: str, *, what: str) -> str:
    """Return `value` as :func:`check_name` does, if it can also name a file in any folder."""
    name = check_name(value, what=what)
    for separator in "/\\":
        if separator in name:
            fault = f"holds the path separator '{separator}'; remove it (got {quoted(name)})"
            raise BadInputError.of({what: fault})
    return name


def sweep(folder: Path, *names: str) -> None:
    """Remove hidden files that a process left in `folder` because it died while writing `names`."""
    for name in names:
        target = Path(name)
        # The video encoder itself writes atomically, which adds a second dot.
        for dots in (".", ".."):
            for leftover in folder.glob(f"{dots}{target.stem}.*.tmp{target.suffix}"):
                with suppress(OSError):
                    leftover.unlink()
                    log.info("removed %s, left by an interrupted run", leftover)


CREATING, DELETING = ".creating-", ".deleting-"
"""Name prefixes of a folder that is being made, and of a folder whose deletion has begun."""


def refuse_link(folder: Path) -> None:
    """Raise an error if a folder to be deleted is a link, because its target would be kept."""
    if folder.is_symlink():
        raise StorageError(
            f"{folder}: is a link, so nothing was deleted; replace it by the folder itself "
            f"({os.path.realpath(folder)}), or delete both yourself"
        )


def entries_with_prefix(folder: Path, prefix: str) -> list[Path]:
    """List the entries of a folder whose names begin with `prefix`; empty if there is no folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        # glob takes three times as long on thousands of sessions.
        names = os.listdir(folder)  # noqa: PTH208
        return [folder / name for name in sorted(names) if name.startswith(prefix)]
    return []


def remove(folder: Path) -> None:
    """Remove a folder, even while another process removes parts of it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        with writing(folder):
            shutil.rmtree(folder)


def fault_of(act: Callable[..., object], *arguments: Any) -> StorageError | None:
    """Run a function, and return the error that prevents it; None if it succeeds."""
    try:
        act(*arguments)
    except StorageError as error:
        return error
    return None


def not_all_deleted(what: str, fault: StorageError) -> StorageError:
    """Return the error that part of `what` still exists because of `fault`."""
    reason: BaseException = fault
    while isinstance(reason.__cause__, StorageError):  # an error of a part has the same text
        reason = reason.__cause__
    return type(fault)(f"{what}: not everything was deleted: {reason}")


def remove_if_empty(folder: Path) -> None:
    """Remove a folder if it is empty."""
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def remove_checkpoints(folder: Path, *patterns: str) -> None:
    """Remove JupyterLab's checkpoints of files in `folder`."""
    for pattern in map(Path, patterns):
        copies = folder / pattern.parent / ".ipynb_checkpoints"
        for copy in copies.glob(f"{pattern.stem}-checkpoint{pattern.suffix}"):
            copy.unlink(missing_ok=True)
        remove_if_empty(copies)


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write `document` as UTF-8 JSON, atomically; NaN and infinity raise an error."""
    content = json_bytes(document)
    with atomic(path) as hidden:
        hidden.write_bytes(content)


def json_bytes(document: Any) -> bytes:
    """Return the content of a JSON file; NaN and infinity raise an error."""
    return f"{json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)}\n".encode()


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON document, like :func:`mobility.base.parsing.parse_json`."""
    try:
        return parse_json(read_file(path))
    except FileNotFoundError:
        raise NotFoundError(f"{os.fspath(path)}: no such file") from None
    except OSError as error:
        raise BadInputError(f"{os.fspath(path)}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise BadInputError(f"{os.fspath(path)}: is not a JSON document ({error})") from None


def write_dataset(path: str | os.PathLike[str], dataset: xr.Dataset) -> None:
    """Write `dataset` as NetCDF, atomically; equal data give equal bytes.

    The format is NetCDF-3, which is read many times as fast as HDF5. A Dataset that NetCDF-3 cannot
    store becomes compressed NetCDF-4. This applies to long integers, to attributes that are lists
    of texts, and to more than one empty dimension. It also applies to an empty dimension that is
    not the first dimension of every variable that has it.
    """
    # xarray takes an empty array of objects for numbers; here they are text.
    texts = {
        name: variable.astype(str)
        for name, variable in dataset.variables.items()
        if variable.dtype.kind == "O" and not variable.size
    }
    plain = dataset.assign(texts).drop_encoding()
    # In memory first: HDF5 may leave a file open that it could not write.
    content: bytes | memoryview | None = None
    empty = [name for name, size in plain.sizes.items() if not size]
    if all(set(variable.dims[1:]).isdisjoint(empty) for variable in plain.variables.values()):
        with suppress(ValueError, KeyError):
            netcdf3 = _in_netcdf3_order(plain).to_netcdf(None, engine="scipy", unlimited_dims=empty)
            content = _fix_record_offsets(bytes(netcdf3)) if empty else netcdf3
    if content is None:
        encoding = {
            name: {"zlib": True, "complevel": 1}
            for name, variable in plain.variables.items()
            if variable.dtype.kind in "biuf" and variable.size > 256
        }
        content = plain.to_netcdf(None, engine="h5netcdf", encoding=encoding)
    with atomic(path) as hidden:
        hidden.write_bytes(content)


def _in_netcdf3_order(dataset: xr.Dataset) -> xr.Dataset:
    """Order variables as NetCDF-3 does, so that a Dataset read back gives the same bytes."""

    def shape(name: Hashable) -> tuple[int, ...]:
        variable = dataset.variables[name]
        if variable.dtype.kind not in "OUS":
            return variable.shape
        # Text is written as characters, along one more dimension.
        longest = max((len(str(text).encode()) for text in variable.values.flat), default=0)
        return (*variable.shape, max(longest, 1))

    names = [*dataset.data_vars, *sorted(dataset.coords, key=str)]
    return dataset[sorted(names, key=shape, reverse=True)]


def _fix_record_offsets(content: bytes) -> bytes:
    """Give the variables along an empty dimension consecutive offsets, after all others.

    The format requires this (NetCDF User's Guide, File Format Specifications, 64-bit offsets).
    scipy gives them all the same offset, before the scalars, and netCDF-C refuses such a file.
    """
    fixed = bytearray(content)
    at, end = 8, len(content)  # after the magic number and the number of records

    def number() -> int:
        nonlocal at
        at += 4
        return int.from_bytes(content[at - 4 : at], "big")

    def skip(length: int) -> None:
        nonlocal at
        at += length + -length % 4

    def skip_attributes() -> None:
        number()
        for _ in range(number()):
            skip(number())
            skip(_BYTES_OF_TYPE[number()] * number())

    number()  # the tag of a list, here of the dimensions
    lengths = []
    for _ in range(number()):
        skip(number())
        lengths.append(number())
    skip_attributes()
    number()  # the tag of the variables
    for _ in range(number()):
        skip(number())
        shape = [lengths[number()] for _ in range(number())]
        skip_attributes()
        size = _BYTES_OF_TYPE[number()] * math.prod(shape[1:])
        if shape and not shape[0]:
            size += -size % 4
            fixed[at : at + 12] = struct.pack(">iq", size, end)
            end += size
        at += 12
    return bytes(fixed)


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a Dataset written by :func:`write_dataset` into memory and close its file."""
    if not Path(path).is_file():
        raise NotFoundError(f"{os.fspath(path)}: no such file")
    # Imported late, so that pose workers start before it loads.
    import xarray as xr

    try:
        # Times are seconds as numbers, which must not become timedeltas.
        dataset = xr.load_dataset(path, decode_times=False, decode_timedelta=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, IndexError) as error:
        raise BadInputError(f"{os.fspath(path)}: cannot be read as NetCDF ({error})") from None
    texts = {
        name: (variable.dims, variable.values.astype(str), variable.attrs)
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "OT"
    }
    return dataset.assign(texts).drop_encoding()


@contextmanager
def lock_if_free(path: str | os.PathLike[str], *, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock file `path` if no other process does; yield whether it is held.

    The system frees it when the process dies; its folder is made if it does not exist.
    """
    file_lock = FileLock(path, mode=FILE_MODE)
    with writing(path):
        make_folder(Path(path).parent)
        with suppress(Timeout):
            file_lock.acquire(timeout=wait_s)
    try:
        yield file_lock.is_locked
    finally:
        file_lock.release()


@contextmanager
def lock(path: str | os.PathLike[str], *, what: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` like :func:`lock_if_free`; raise an error if `what` is in use."""
    with lock_if_free(path, wait_s=wait_s) as held:
        if not held:
            raise in_use(what)
        yield


def in_use(what: str) -> InUseError:
    """Return the error that another process holds the lock on `what`."""
    return InUseError(f"{what} is in use by another process; wait until it ends, or stop it")


@contextmanager
def replace_folder(folder: Path, *, what: str) -> Iterator[Path]:
    """Provide an empty folder next to `folder` (absolute) that replaces it if all goes well.

    Not every system can exchange two folders in one step. Between two renames, `folder` can
    therefore be missing, but it is never incomplete. The earlier folder is then still next to it,
    and the next run restores it.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    earlier = folder.with_name(f".{folder.name}.earlier")
    guard = folder.with_name(f".{folder.name}.rendering.lock")
    with lock(guard, what=what, wait_s=600):
        with writing(folder):
            if earlier.exists() and not folder.exists():
                earlier.rename(folder)
            for stale in (earlier, unfinished):
                if stale.exists():
                    shutil.rmtree(stale)
            make_folder(unfinished)
        try:
            yield unfinished
            make_private(unfinished)
            with writing(folder):
                if folder.exists():
                    folder.rename(earlier)
                unfinished.rename(folder)
        except BaseException:
            if earlier.exists() and not folder.exists():
                earlier.rename(folder)
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        shutil.rmtree(earlier, ignore_errors=True)
        sync_folder(folder.parent)


_PREFIX = "mobility-"
_ALIVE = ".alive"


def scratch_folder(kind: str) -> tuple[Path, Callable[[], object]]:
    """Make a temporary folder for a `kind` of work, and remove the folders of killed processes.

    Returns the folder and the function that removes it, which is called at the latest when the
    process ends.
    """
    place = Path(tempfile.gettempdir())
    sweep_scratch()
    try:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-"))
            alive = FileLock(folder / _ALIVE, mode=FILE_MODE)
            alive.acquire()
            # Before it was locked, another process may have removed it as a leftover.
            if (folder / _ALIVE).is_file():
                return folder, weakref.finalize(_remove, _remove, folder, alive)
            alive.release()
    except OSError as error:
        raise storage_fault(error, place) from error


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """Provide a folder from :func:`scratch_folder` that is removed at the end."""
    folder, remove = scratch_folder(kind)
    try:
        yield folder
    finally:
        remove()


def sweep_scratch() -> None:
    """Remove temporary folders of killed processes; the folder of a running process is locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout, NotImplementedError):
            if (folder / _ALIVE).is_file():
                with FileLock(folder / _ALIVE, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, alive: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    alive.release()
    # The killed kernel of a report leaves its folder.
    sweep_scratch()
