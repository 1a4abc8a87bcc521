"""DeepLabCut's tables in HDF5, as pandas writes them with PyTables, which need not be installed."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobility.base.parsing import MOST_COLUMNS
from mobility.errors import BadInputError
from mobility.exchange.hdf5 import texts_in

TABLE = "df_with_missing"
"""Name of the table of a video."""

_LEVELS = 4
"""Of its labels: scorer, individual, part and coordinate."""

Label = tuple[str, str, str]

_MOST_PICKLED = 1 << 20
"""Bytes of the labels; HDF5 keeps 64 kB beside a table, and PyTables writes no more."""

_OPCODES = {
    *("PROTO", "FRAME", "STOP", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "INT", "LONG", "BININT", "BININT1", "BININT2"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
}
"""Of a pickle of lists and tuples of texts, which is all that the columns of a DataFrame are."""


def _unpickled(pickled: bytes) -> Any:
    """Read lists of texts; nothing is unpickled if it names code, or asks for more memory."""
    if len(pickled) > _MOST_PICKLED:
        raise ValueError("its labels are too long")
    for number, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if opcode.name not in _OPCODES:
            raise ValueError(f"its labels are no texts, but {opcode.name} {argument}"[:80])
        # Unpickling makes room up to the largest place of what comes again.
        if opcode.name.endswith("PUT") and int(argument or 0) > number:
            raise ValueError("its labels are not numbered one after the other")
    return pickle.loads(pickled)  # noqa: S301 - of the opcodes above none runs code


def read_hdf5(group: Any, path: Path) -> tuple[list[Label], int, Callable[[], NDArray[np.float64]]]:
    """Read the labels (individual, part, coordinate) of a table, and its number of frames.

    The values (frame, label) are read by the last, after whoever asks has looked how many they are.

    Parameters
    ----------
    group
        The group of the table, an ``h5py.Group``.
    path
        The file, for the messages.

    Raises
    ------
    BadInputError
        It is not such a table.
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
                raise ValueError("its labels are not those of its values")
            if shape[-1] > MOST_COLUMNS:
                raise ValueError(f"more than {MOST_COLUMNS} columns")
            # Lists, so that a text that comes many times is one.
            columns = []
            for level in levels:
                texts = texts_in(group[f"block0_items_level{level}"])
                places = np.asarray(group[f"block0_items_label{level}"]).tolist()
                columns.append([texts[place] for place in places])
            labels = list(zip(*columns, strict=True))
        # Lists in lists that are one and the same object would be endless as text.
        if not isinstance(labels, list) or not all(
            isinstance(part, str | int) for label in labels for part in label
        ):
            raise ValueError("its labels are no texts")
        names = [tuple(map(str, label)) for label in labels]
        has_individuals = {len(label) for label in names}
        if shape[1:] != (len(names),) or not has_individuals <= {3, 4}:
            raise ValueError("its labels are not those of its values")
    except (pickle.UnpicklingError, *_DAMAGES) as error:
        why = " ".join(str(error).split())[:100]
        raise BadInputError(
            f"{path}: its table {TABLE} is not as DeepLabCut writes it ({why}); give the CSV file "
            "beside it"
        ) from None

    def values() -> NDArray[np.float64]:
        return np.asarray(table["values_block_0"] if "table" in group else table, dtype=np.float64)

    owners = (label[-3] if len(label) == 4 else "1" for label in names)
    of_columns = [(owner, label[-2], label[-1]) for owner, label in zip(owners, names, strict=True)]
    return of_columns, shape[0], values


_DAMAGES = (KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError)
"""Errors of a file that is damaged, or made by another program."""
