"""Everything that is stored of a participant, as one file to hand over."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from mobility.privacy.retention import nothing_of, what_is_of
from mobility.sessions.files import check_id, sweep
from mobility.store import Store
from mobility.writing import unlinked_until_complete

_STORED = frozenset({".mp4", ".mov", ".m4v", ".webm", ".png", ".nc"})
"""What does not become smaller."""


_MARK = b"participant's data, by mobility"
"""Comment of the ZIP file."""


def is_takeout(file: Path) -> bool:
    """Whether a file is one of :func:`write_takeout`."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.comment == _MARK
    except (OSError, zipfile.BadZipFile):
        return False


def write_takeout(store: Store, user_id: str, path: str | os.PathLike[str]) -> Path:
    """Write everything of a participant to a ZIP file: record, sessions as they are, reports."""
    check_id(user_id, what="user_id")
    found = what_is_of(store, user_id)
    if not found:
        raise nothing_of(store, user_id)
    for place in found:
        store.copy.fetch_below(place.name, "")
    target = Path(path)
    sweep(target.parent, target.name)
    with (
        unlinked_until_complete(target) as whole,
        zipfile.ZipFile(whole, "w", allowZip64=True) as archive,
    ):
        archive.comment = _MARK
        for place in found:
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if file.is_file() and not file.name.startswith("."):
                    kept = file.suffix in _STORED
                    archive.write(
                        file,
                        _name_in(store, file),
                        zipfile.ZIP_STORED if kept else zipfile.ZIP_DEFLATED,
                    )
    return target


def _name_in(store: Store, file: Path) -> str:
    if file.is_relative_to(store.path):
        return f"sessions/{file.relative_to(store.path).as_posix()}"
    return f"reports/{file.relative_to(store.reports).as_posix()}"
