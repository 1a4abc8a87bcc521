"""Files are whole or not there, and for their owner only."""

from __future__ import annotations

import logging
import os
import shutil

import pytest

from mobility.base.writing import LogFile, make_folder, unlinked_until_complete
from mobility.errors import StorageError


def test_missing_folders_are_made_for_their_owner_and_those_that_are_there_stay(tmp_path):
    tmp_path.chmod(0o750)
    before = os.umask(0)
    try:
        for _ in range(2):
            make_folder(tmp_path / "new" / "folder")
    finally:
        os.umask(before)
    modes = [place.stat().st_mode & 0o777 for place in (tmp_path, *tmp_path.rglob("*"))]
    assert modes == [0o750, 0o700, 0o700]


def test_a_file_without_a_name_is_whole_or_not_there(tmp_path, monkeypatch):
    """Also where the system has none, and where there is one of the name already."""
    for has_them in (True, False):
        if not has_them:
            monkeypatch.delattr(os, "O_TMPFILE")
        for content in (b"first", b"second"):
            with unlinked_until_complete(tmp_path / "a.zip") as whole:
                whole.write(content)
            assert (tmp_path / "a.zip").read_bytes() == content
        with pytest.raises(KeyError), unlinked_until_complete(tmp_path / "a.zip") as whole:
            raise KeyError
        assert (tmp_path / "a.zip").read_bytes() == b"second"
        assert [place.name for place in tmp_path.iterdir()] == ["a.zip"]
        (tmp_path / "a.zip").unlink()
    with pytest.raises(StorageError), unlinked_until_complete(tmp_path / "absent" / "a.zip"):
        pass


def test_a_log_goes_on_where_another_was_put_in_its_place(tmp_path):
    warnings = []
    folder = tmp_path / "logs"
    folder.mkdir()
    log = LogFile(folder / "a.log", tell=warnings.append)
    log.emit(logging.makeLogRecord({"msg": "one"}))
    (folder / "b.log").write_text("none\n")
    (folder / "b.log").replace(folder / "a.log")
    log.emit(logging.makeLogRecord({"msg": "two"}))
    assert (folder / "a.log").read_text() == "none\ntwo\n"
    shutil.rmtree(folder)
    for _ in range(2):
        log.emit(logging.makeLogRecord({"msg": "three"}))
    log.close()
    assert ["lines are lost" in line for line in warnings] == [True]
