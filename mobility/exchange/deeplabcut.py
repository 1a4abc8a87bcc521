"""DeepLabCut tables in HDF5, as pandas writes them with PyTables. PyTables need not be installed.

Before a file is read, it is checked for links to other files and for the memory that it needs.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobility.base.parsing import MOST_COLUMNS
from mobility.errors import BadInputError, MobilityError

SIGNATURE = b"\x89HDF\r\n\x1a\n"

MOST_OBJECTS = 10_000
"""Limit for the number of groups, arrays and attributes in a file; keypoint files have a few dozen.
"""

MOST_BYTES = 2 << 30
"""Memory for all arrays of a file together: four times the largest number of points."""

MOST_TEXTS = 2_000
"""Limit for the number of texts in one array; there are at most a few hundred names of points and
people.
"""

MOST_TEXT_BYTES = 64 << 20
"""Memory for all texts of a file. Equal texts may be stored once, but each of them takes up memory
when it is read.
"""


def require_plain(path: Path) -> None:
    """Raise an error unless an HDF5 file (or NetCDF-4 file) holds all of its data itself.

    Through external and soft links, external storage and virtual datasets, HDF5 reads any file that
    they name, with the rights of the user who opens this file. Nothing is read before they are
    ruled out.

    Raises
    ------
    BadInputError
        The file refers to another file or place, needs too much memory, or is damaged.
    """
    import h5py

    with damage_refused(f"{path}: is damaged HDF5"), h5py.File(path, "r") as file:
        _Walk(path).through(file)


@contextmanager
def damage_refused(what: str) -> Iterator[None]:
    """Turn the many kinds of errors that HDF5 raises for damaged files into one line."""
    try:
        yield
    except MobilityError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise BadInputError(f"{what} ({why}); copy it again") from None


def texts_in(values: Any) -> list[str]:
    """Return the texts of an array, converted one by one to save memory."""
    return [
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        for text in np.asarray(values).ravel()
    ]


class _Walk:
    """Walks through a file by its hard links, each object once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.visited_addresses: set[int] = set()
        self.objects = self.array_bytes = self.text_bytes = 0

    def through(self, root: Any) -> None:
        import h5py

        waiting = [root]
        while waiting:
            group = waiting.pop()
            address = h5py.h5o.get_info(group.id).addr
            if address in self.visited_addresses:
                continue
            self.visited_addresses.add(address)
            self._count()
            for name in group.attrs:
                self._count()
                values = group.attrs.get_id(name)
                if self._weigh(values, ()):
                    self._weigh_texts(np.ravel(group.attrs[name]))
            if isinstance(group, h5py.Dataset):
                self._require_inside(group)
                if self._weigh(group.id, group.chunks or ()):
                    self._weigh_texts(group[place] for place in np.ndindex(*(group.shape or ())))
            elif isinstance(group, h5py.Group):
                for name in group:
                    self._count()
                    if (
                        group.id.links.get_info(name.encode(errors="surrogateescape")).type
                        != h5py.h5l.TYPE_HARD
                    ):
                        self._refuse(f"{group.name.rstrip('/')}/{name}", "is a link")
                    waiting.append(group[name])

    def _require_inside(self, dataset: Any) -> None:
        import h5py

        creation = dataset.id.get_create_plist()
        inside = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
        if dataset.is_virtual or creation.get_layout() not in inside:
            self._refuse(dataset.name, "is a virtual dataset")
        if creation.get_external_count():
            self._refuse(dataset.name, "has its values in another file")

    def _refuse(self, name: str, fault: str) -> None:
        raise BadInputError(
            f"{self.path}: {name} {fault}, which could lead to any file on this machine; write "
            "all data into one file"
        )

    def _count(self) -> None:
        self.objects += 1
        if self.objects > MOST_OBJECTS:
            raise BadInputError(
                f"{self.path}: has more than {MOST_OBJECTS} groups, arrays and attributes; keep "
                "only the keypoints"
            )

    def _weigh(self, values: Any, chunk: Sequence[int]) -> bool:
        """Add the memory of an array or attribute; return whether it holds texts to weigh."""
        number = math.prod(values.shape or ())
        self.array_bytes += max(number, math.prod(chunk)) * values.dtype.itemsize
        if self.array_bytes > MOST_BYTES:
            self._too_large(MOST_BYTES)
        if values.dtype.kind == "S":
            self._weigh_text(number * values.dtype.itemsize)
        if not values.dtype.hasobject:
            return False
        if number > MOST_TEXTS:
            raise BadInputError(
                f"{self.path}: has {number} texts in one array; keep only the keypoints"
            )
        return True

    def _weigh_texts(self, values: Iterable[Any]) -> None:
        for value in values:
            self._weigh_text(value.nbytes if isinstance(value, np.ndarray) else len(str(value)))

    def _weigh_text(self, number: int) -> None:
        self.text_bytes += number
        if self.text_bytes > MOST_TEXT_BYTES:
            self._too_large(MOST_TEXT_BYTES)

    def _too_large(self, most: int) -> None:
        raise BadInputError(
            f"{self.path}: its values take more than {most >> 20} MB of memory; keep only the "
            "keypoints of one video"
        )


TABLE = "df_with_missing"
"""Name of the table of a video."""

_LEVELS = 4
"""Levels of its labels: scorer, individual, part and coordinate."""

Label = tuple[str, str, str]

_MOST_PICKLED = 1 << 20
"""Limit for the size of the labels in bytes. HDF5 stores at most 64 kB with a table, and PyTables
writes no more.
"""

_OPCODES = {
    *("PROTO", "FRAME", "STOP", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "INT", "LONG", "BININT", "BININT1", "BININT2"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
}
"""Opcodes of a pickle of lists and tuples of texts; the columns of a DataFrame use no others."""


def _unpickled(pickled: bytes) -> Any:
    """Read lists of texts; reject data that names code, or asks for more memory."""
    if len(pickled) > _MOST_PICKLED:
        raise ValueError("its labels are too long")
    for number, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if opcode.name not in _OPCODES:
            raise ValueError(f"its labels are not texts, but {opcode.name} {argument}"[:80])
        # Unpickling reserves memory up to the largest index of repeated objects.
        if opcode.name.endswith("PUT") and int(argument or 0) > number:
            raise ValueError("its labels are not numbered one after the other")
    return pickle.loads(pickled)  # noqa: S301 - of the opcodes above none runs code


def read_hdf5(group: Any, path: Path) -> tuple[list[Label], int, Callable[[], NDArray[np.float64]]]:
    """Read the labels (individual, part, coordinate) of a table, and its number of frames.

    The last result is a function that reads the values (frame, label); the caller checks their
    number first.

    Parameters
    ----------
    group
        The group of the table, an ``h5py.Group``.
    path
        The file, for messages.

    Raises
    ------
    BadInputError
        The group is not such a table.
    """
    try:
        if "table" in group:  # pandas' format "table"
            table = group["table"]
            pickled = bytes(table.attrs["values_block_0_kind"])
            labels = _unpickled(pickled)
            shape = (*table.shape, *table.dtype["values_block_0"].shape)
        else:  # its format "fixed"
            table, shape = group["block0_values"], group["block0_values"].shape
            levels = range(int(group.attrs["block0_items_nlevels"]))
            if len(levels) > _LEVELS or any(
                group[f"block0_items_label{level}"].shape != shape[1:]
                or group[f"block0_items_level{level}"].ndim != 1
                for level in levels
            ):
                raise ValueError("its labels do not match its values")
            if shape[-1] > MOST_COLUMNS:
                raise ValueError(f"more than {MOST_COLUMNS} columns")
            # Lists, so that a text that occurs many times is one object.
            columns = []
            for level in levels:
                texts = texts_in(group[f"block0_items_level{level}"])
                places = np.asarray(group[f"block0_items_label{level}"]).tolist()
                columns.append([texts[place] for place in places])
            labels = list(zip(*columns, strict=True))
        # A list that contains itself would be endless as text.
        if not isinstance(labels, list) or not all(
            isinstance(part, str | int) for label in labels for part in label
        ):
            raise ValueError("its labels are not texts")
        names = [tuple(map(str, label)) for label in labels]
        has_individuals = {len(label) for label in names}
        if shape[1:] != (len(names),) or not has_individuals <= {3, 4}:
            raise ValueError("its labels do not match its values")
    except (pickle.UnpicklingError, *_DAMAGES) as error:
        why = " ".join(str(error).split())[:100]
        raise BadInputError(
            f"{path}: its table {TABLE} differs from the tables of DeepLabCut ({why}); use the "
            "CSV file that DeepLabCut wrote"
        ) from None

    def values() -> NDArray[np.float64]:
        return np.asarray(table["values_block_0"] if "table" in group else table, dtype=np.float64)

    owners = (label[-3] if len(label) == 4 else "1" for label in names)
    of_columns = [(owner, label[-2], label[-1]) for owner, label in zip(owners, names, strict=True)]
    return of_columns, shape[0], values


_DAMAGES = (KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError)
"""Errors of a file that is damaged, or made by another program."""
