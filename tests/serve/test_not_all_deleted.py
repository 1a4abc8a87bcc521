"""A deletion that cannot delete everything says so, and deletes the rest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from batches import done_rows, write_ended

from mobility.errors import StorageError
from mobility.serve.privacy import erase
from mobility.sessions.files import write_json
from mobility.sessions.reports import NAMES_VISIT
from mobility.store import Store
from mobility.studies.report_files import SESSIONS_ON_PAGE

NOBODY = 65534
OF_SESSION = ("sessions", "sessions/s1/threads", "reports", "reports/cohort", "reports/s1/images")
OF_SESSION += ("reports/visits/ann", "reports/s2")
OF_PERSON = ("sessions/participants", "reports/batch-20260102-030405", "sessions/.watch")


@pytest.fixture
def place(stand_ins) -> Iterator[Path]:
    """All that names Ann, in a folder below no other that only root may enter."""
    folder = Path(tempfile.mkdtemp())
    store = Store(folder / "sessions", reports=folder / "reports")
    store.set_participant("ann", height_m=1.7)
    for name, user_id in (("s1", "ann"), ("s2", "bob")):
        video = stand_ins.video(folder / "in", content=f"video of {user_id}".encode())
        squat = {"exercise_name": "Overhead Squat", "session_id": name}
        session = store.create(video, user_id=user_id, **squat)
        for part in (session.folder / "threads", session.report_folder / "images"):
            part.mkdir(parents=True)
            (part / "a.json").write_text("{}")
    reports = store.reports
    (reports / "s2" / NAMES_VISIT).write_text("s1")
    page = reports / "visits" / "ann" / "2026-01-02"
    for place in (page, reports / "cohort", store.path / ".watch"):
        place.mkdir(parents=True)
    write_json(page / SESSIONS_ON_PAGE, ["s1"])
    (reports / "cohort" / "cohort.csv").write_text("session_id,user_id\ns1,ann\n")
    (reports / "cohort" / "cohort.ipynb").write_text("ann")
    (store.path / ".watch" / "batch.log").write_text("2026-01-02 03:04:05,678 INFO a.b: of ann\n")
    (reports / "batch-20260102-030405").mkdir()
    write_ended(reports / "batch-20260102-030405", done_rows(("a.mp4", "ann"), ("b.mp4", "bob")))
    yield folder
    shutil.rmtree(folder)


@contextmanager
def read_only(folder: Path, name: str) -> Iterator[None]:
    """Forbid this process to write a folder, also if it is root's."""
    is_root = os.geteuid() == 0
    for each in (folder, *folder.rglob("*")):
        if is_root:
            os.chown(each, NOBODY, -1)
    (folder / name).chmod(0o500)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for each in folder.rglob("*"):  # a folder may have another name by now
            if each.is_dir():
                each.chmod(0o700)


@pytest.mark.parametrize(
    ("act", "name"),
    [
        *((lambda store: store.delete("s1"), name) for name in OF_SESSION),
        *((lambda store: erase(store, "ann"), name) for name in (*OF_SESSION[:3], *OF_PERSON)),
    ],
)
def test_it_says_that_not_everything_was_deleted(
    act: Callable[[Store], object], name: str, place: Path
) -> None:
    store = Store(place / "sessions", reports=place / "reports")
    with read_only(place, name), pytest.raises(StorageError) as caught:
        act(store)
    assert str(caught.value).count("not everything was deleted: ") == 1
    assert "cannot write" in str(caught.value)
    act(store)
    assert not [each for each in place.rglob("*") if each.name in ("s1", "cohort.csv")]


def test_a_copy_whose_name_is_no_id_is_named(place: Path) -> None:
    store = Store(place / "sessions", reports=place / "reports")
    shutil.copytree(store.path / "s1", store.path / "s1 copy")
    with pytest.raises(StorageError, match=r"ann: not everything was deleted: .*s1 copy: its name"):
        erase(store, "ann")
    assert not store.has("s1")
    assert not (store.path / "participants" / "ann.json").exists()
