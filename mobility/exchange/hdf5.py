"""What an HDF5 file asks of whoever reads it: other files, and memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mobility.errors import BadInputError, MobilityError

SIGNATURE = b"\x89HDF\r\n\x1a\n"

MOST_OBJECTS = 10_000
"""Groups, arrays and attributes of a file; those of keypoints have some tens."""

MOST_BYTES = 2 << 30
"""All arrays of a file together, in memory: four times what the most points take."""

MOST_TEXTS = 2_000
"""In one array, of which the names of points and people are some hundreds at most."""

MOST_TEXT_BYTES = 64 << 20
"""All texts of a file together. Many may be one and the same in it, each is another in memory."""


def require_plain(path: Path) -> None:
    """Raise unless an HDF5 file, which NetCDF-4 is too, holds all of its data itself.

    External and soft links, external storage and virtual datasets have HDF5 read whatever file they
    name, with the rights of whoever opens this one. Nothing is read before they are ruled out.

    Raises
    ------
    BadInputError
        It names another file or place, would take too much memory, or is damaged.
    """
    import h5py

    with damage_refused(f"{path}: is damaged HDF5"), h5py.File(path, "r") as file:
        _Walk(path).through(file)


@contextmanager
def damage_refused(what: str) -> Iterator[None]:
    """Make one line of the errors, of many kinds, that HDF5 raises on damaged files."""
    try:
        yield
    except MobilityError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise BadInputError(f"{what} ({why}); copy it again") from None


def texts_in(values: Any) -> list[str]:
    """Texts of an array, each by itself: numpy converts many of them at once, at their longest."""
    return [
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        for text in np.asarray(values).ravel()
    ]


class _Walk:
    """Goes through a file by its hard links, each object once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.visited_addresses: set[int] = set()
        self.objects = self.array_bytes = self.text_bytes = 0

    def through(self, root: Any) -> None:
        import h5py

        waiting = [root]
        while waiting:
            each = waiting.pop()
            address = h5py.h5o.get_info(each.id).addr
            if address in self.visited_addresses:
                continue
            self.visited_addresses.add(address)
            self._count()
            for name in each.attrs:
                self._count()
                values = each.attrs.get_id(name)
                if self._weigh(values, ()):
                    self._weigh_texts(np.ravel(each.attrs[name]))
            if isinstance(each, h5py.Dataset):
                self._require_inside(each)
                if self._weigh(each.id, each.chunks or ()):
                    self._weigh_texts(each[place] for place in np.ndindex(*(each.shape or ())))
            elif isinstance(each, h5py.Group):
                for name in each:
                    self._count()
                    if (
                        each.id.links.get_info(name.encode(errors="surrogateescape")).type
                        != h5py.h5l.TYPE_HARD
                    ):
                        self._refuse(f"{each.name.rstrip('/')}/{name}", "is a link")
                    waiting.append(each[name])

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
            f"{self.path}: {name} {fault}, which can lead to any file of this machine; write all "
            "data into one file"
        )

    def _count(self) -> None:
        self.objects += 1
        if self.objects > MOST_OBJECTS:
            raise BadInputError(
                f"{self.path}: has more than {MOST_OBJECTS} groups, arrays and attributes; give "
                "the keypoints alone"
            )

    def _weigh(self, values: Any, chunk: Sequence[int]) -> bool:
        """Add what an array or attribute takes in memory; whether it holds texts to weigh."""
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
                f"{self.path}: has {number} texts in one array; give the keypoints alone"
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
            f"{self.path}: its values take more than {most >> 20} MB of memory; give the keypoints "
            "of one video alone"
        )
