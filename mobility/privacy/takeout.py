"""All data of a participant, as one file to hand over."""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from pathlib import Path

from mobility.base.writing import unlinked_until_complete
from mobility.cohorts.cohort import dictionary_of, write_table
from mobility.cohorts.visit import visits_to_dataframe
from mobility.errors import MobilityError
from mobility.privacy.retention import files_of_participant, nothing_stored_error
from mobility.sessions.files import check_id, sweep
from mobility.sessions.record import ANONYMOUS
from mobility.store import Store

log = logging.getLogger(__name__)

_COMPRESSED = frozenset({".mp4", ".mov", ".m4v", ".webm", ".png", ".nc"})
"""Endings of files that do not become smaller by compression."""


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
    """Write all data of a participant to a ZIP file: record, sessions as they are, reports.

    What the films of each visit say together is a table, ``visits.csv``, with its data dictionary.
    """
    check_id(user_id, what="user_id")
    sources = files_of_participant(store, user_id)
    if not sources:
        raise nothing_stored_error(store, user_id)
    target = Path(path)
    sweep(target.parent, target.name)
    with (
        unlinked_until_complete(target) as target_file,
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(target_file, "w", allowZip64=True) as archive,
    ):
        archive.comment = _MARK
        for file in _visits(store, user_id, Path(folder)):
            archive.write(file, file.name, zipfile.ZIP_DEFLATED)
        for source in sources:
            for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
                if file.is_file() and not file.name.startswith("."):
                    is_compressed = file.suffix in _COMPRESSED
                    archive.write(
                        file,
                        _name_in(store, file),
                        zipfile.ZIP_STORED if is_compressed else zipfile.ZIP_DEFLATED,
                    )
    return target


def _visits(store: Store, user_id: str, folder: Path) -> list[Path]:
    """Write the table of the visits of a participant, and its dictionary; nothing without any."""
    sessions = [each for each in store.sessions() if each.record.user_id == user_id]
    if user_id == ANONYMOUS or not sessions:
        return []
    try:
        frame = visits_to_dataframe(sessions, recordings=["all"])
    except MobilityError as error:  # what is stored is handed over all the same
        log.warning("no table of the visits of %s: %s", user_id, error)
        return []
    table = write_table(frame, folder / "visits.csv")
    return [table, dictionary_of(table)]


def _name_in(store: Store, file: Path) -> str:
    if file.is_relative_to(store.path):
        return f"sessions/{file.relative_to(store.path).as_posix()}"
    return f"reports/{file.relative_to(store.reports).as_posix()}"
