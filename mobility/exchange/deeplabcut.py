"""DeepLabCut's tables in HDF5, as pandas writes them with PyTables, which need not be installed."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobility.errors import BadInputError
from mobility.exchange.size_limits import require_few

TABLE = "df_with_missing"
"""Name of the table of a video."""

_LEVELS = 4
"""Of its labels: scorer, individual, part and coordinate."""

Label = tuple[str, str, str]


class _Texts(pickle.Unpickler):
    """Reads lists of texts; whatever names code is refused, so that no code of a file runs."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no text")


def read_hdf5(group: Any, path: Path) -> tuple[list[Label], NDArray[np.float64]]:
    """Read the labels (individual, part, coordinate) and the values (frame, label) of a table.

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
            labels = _Texts(io.BytesIO(pickled)).load()
            _require_fitting(table.dtype["values_block_0"].shape, table.size, path)
            values = np.asarray(table["values_block_0"], dtype=np.float64)
        else:  # its format "fixed"
            rows, *width = group["block0_values"].shape
            _require_fitting(tuple(width), rows, path)
            levels = range(int(group.attrs["block0_items_nlevels"]))
            if len(levels) > _LEVELS or any(
                group[f"block0_items_label{level}"].shape != tuple(width) for level in levels
            ):
                raise ValueError("its labels are not those of its values")
            columns = [
                np.asarray(group[f"block0_items_level{level}"]).astype(str)[
                    np.asarray(group[f"block0_items_label{level}"])
                ]
                for level in levels
            ]
            labels = list(zip(*columns, strict=True))
            values = np.asarray(group["block0_values"], dtype=np.float64)
        # Lists in lists that are one and the same object would be endless as text.
        if not isinstance(labels, list) or not all(
            isinstance(part, str | int) for label in labels for part in label
        ):
            raise ValueError("its labels are no texts")
        names = [tuple(map(str, label)) for label in labels]
        has_individuals = {len(label) for label in names}
        if values.ndim != 2 or values.shape[1] != len(names) or not has_individuals <= {3, 4}:
            raise ValueError("its labels are not those of its values")
    except (pickle.UnpicklingError, *_DAMAGES) as error:
        why = " ".join(str(error).split())[:100]
        raise BadInputError(
            f"{path}: its table {TABLE} is not as DeepLabCut writes it ({why}); give the CSV file "
            "beside it"
        ) from None
    return [
        (label[-3] if len(label) == 4 else "1", label[-2], label[-1]) for label in names
    ], values


def _require_fitting(width: tuple[int, ...], rows: int, path: Path) -> None:
    """Raise unless a table has columns of numbers, and not more than can be keypoints."""
    if len(width) != 1:
        raise ValueError("its values are not over frame and label")
    # Three columns for each point.
    require_few(rows, 1, -(-width[0] // 3), what=path)


_DAMAGES = (KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError)
"""Errors of a file that is damaged, or made by another program."""
