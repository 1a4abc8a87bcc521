"""Wherever work is interrupted, nothing is half there, and the next run leaves nothing.

A copy of this process is stopped at its n-th step in the file system. ``pytest -rP`` prints at how
many points.
"""

from __future__ import annotations

import datetime
import importlib
import itertools
import os
import shutil
import signal
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout

import pytest
from batches import done_rows, write_begun, write_ended
from other_processes import in_child

from mobility.cli import main as cli
from mobility.errors import NotFoundError
from mobility.serve.api_keys import Keys
from mobility.serve.privacy import erase, write_takeout
from mobility.sessions.files import write_json
from mobility.sessions.folder import session_ids
from mobility.store import Store

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

ANN, BOB = "ann-3f9", "bob-7c1"
VIDEO = b"video of ann, number %d"
FILE = "squat by Ann.mp4"
LINE = "2026-01-02 03:04:05,678 INFO mobility.serve.batch.run: "


def worked(store, video, subject=(10, 20)):
    """A making, an analysis, a correction and another analysis; what was done is found done."""
    if store.has("one"):
        session = store.session("one")
    else:
        session = store.create(
            video, user_id="p01", exercise_name="Overhead Squat", session_id="one"
        )
    assert session.video.read_bytes() == video.read_bytes()
    session.analyze(subject="largest")
    session.set_camera_side("left", by="ann")
    # What is of the other subject must not pass for this one's, nor the other way round.
    session.analyze(subject=subject)
    return session


def content(session):
    """Bytes of all that was made; each is there that the record names."""
    stages = session.record.stages.values()
    return {stage.file: (session.folder / stage.file).read_bytes() for stage in stages}


@pytest.mark.parametrize("every", [pytest.param(7, marks=pytest.mark.slow), 61])
def test_killed_at_any_point_it_resumes_to_the_same_results(every, tmp_path, stand_ins):
    video = stand_ins.video(tmp_path / "in")
    undisturbed = worked(Store(tmp_path / "undisturbed"), video)
    expected = content(undisturbed)
    points = 0
    for number in range(1, 1000, every):
        store = Store(tmp_path / f"store-{number}")
        status = in_child(lambda store=store: worked(store, video), step=number)
        if status != -signal.SIGKILL:
            assert status == 0
            break
        points += 1
        assert set(session_ids(store.path)) <= {"one"}, number
        for session in store.sessions():
            # Whatever its record names can be read, and is whole.
            assert session.video.read_bytes() == video.read_bytes(), number
            assert set(content(session)) <= set(expected), number
            if session.record.state == "analyzing":
                with pytest.raises(NotFoundError, match="interrupted"):
                    session.report()
            for stage in session.record.stages:
                assert not hasattr(session, stage) or len(getattr(session, stage)()) > 0, number
        session = worked(store, video)
        assert content(session) == expected, number
        # What the dead has left is swept by the next making.
        store.create(video, user_id="p", exercise_name="Overhead Squat", session_id="two").delete()
        left = {path.name for path in store.path.rglob("*") if ".locks" not in path.parts}
        kept = {path.name for path in undisturbed.folder.iterdir()}
        assert left - {"one"} == kept, number
    sys.stdout.write(f"{points} points, nothing half there\n")
    assert points > 40 / every


def test_the_sweep_spares_a_creation_that_is_at_work(store, tmp_path, stand_ins, monkeypatch):
    """Between copy and rename of one creation, another one runs from start to end."""
    video = stand_ins.video(tmp_path / "in")
    squat = {"user_id": "p01", "exercise_name": "Overhead Squat"}
    rename = type(tmp_path).rename
    statuses = []

    def renamed_late(self, target):
        if not statuses:
            statuses.append(None)
            statuses.append(in_child(lambda: store.create(video, **squat)))
        return rename(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", renamed_late)
    session = store.create(video, **squat)
    assert statuses == [None, 0]
    assert len(store.sessions()) == 2
    assert session.video.read_bytes() == video.read_bytes()


def test_an_export_that_is_killed_leaves_nothing(store, tmp_path, stand_ins):
    """At any step; and what was there of that name, or all of the new one."""
    store.create(
        stand_ins.video(tmp_path / "in"),
        user_id="ann",
        exercise_name="Overhead Squat",
        session_id="s2",
    )
    target = tmp_path / "out" / "ann.zip"
    target.parent.mkdir()
    for step in itertools.count(1):
        status = in_child(lambda: write_takeout(store, "ann", target), step=step)
        assert status in (0, -signal.SIGKILL)
        assert {place.name for place in target.parent.iterdir()} <= {"ann.zip"}
        if target.exists():
            with zipfile.ZipFile(target) as archive:
                assert "sessions/s2/video.mp4" in archive.namelist()
        if status == 0:
            break
    assert step > 2


COMMANDS = {
    "sessions delete": ["sessions", "delete", "s1"],
    "prune by number": ["prune", "--keep", "0", "--user-id", ANN, "--yes"],
    "prune by age": ["prune", "--older-than", "1h", "--yes"],
    "participants delete": ["participants", "delete", ANN, "--yes"],
}
FUNCTIONS = {
    "Store.delete": lambda store: store.delete("s1"),
    "erase": lambda store: erase(store, ANN),
}


@pytest.fixture
def made(tmp_path, stand_ins):
    """Give a function that gives a new store of two people, with all that can name one."""
    importlib.import_module("mobility.serve.jobs")  # once, and not in each copy
    store = Store(tmp_path / "first" / "sessions", reports=tmp_path / "first" / "reports")
    store.set_participant(ANN, height_m=1.7)
    for number, user_id in enumerate((ANN, ANN, BOB), start=1):
        text = VIDEO % number if user_id == ANN else b"video of bob"
        video = stand_ins.video(tmp_path / "in", name=FILE, content=text)
        session = store.create(
            video, user_id=user_id, exercise_name="Overhead Squat", session_id=f"s{number}"
        )
        record = session.record
        record.created_at -= datetime.timedelta(days=1)
        write_json(session.folder / "session.json", record.model_dump(mode="json"))
    store.session("s1").set_camera_side("left", by=ANN)
    log = f"{LINE}row 1, {FILE} of {ANN}: done\n{LINE}a fault\nTraceback\n  {ANN}\n{LINE}of bob\n"
    reports, private = store.reports, store.path / ".server"
    files = {
        **{
            reports / name / "report.html": ANN
            for name in ("s1", "s1.validation", ".s1.unfinished", ".s1.earlier")
        },
        reports / "s1" / "images" / "a.png": (VIDEO % 1).decode(),
        # A batch that has ended, and one that has not; a watch.
        **{reports / f"batch-20260102-03040{n}" / "batch.log": log for n in (5, 6)},
        store.path / ".watch" / "batch.log": f"{LINE}{ANN}/{FILE}\n{LINE}of bob\n",
        reports / "watch-0123.log": f"{LINE}{ANN}/{FILE}\n{LINE}of bob\n",
        **{
            reports / name / "cohort.csv": f"session_id,user_id\ns0,{user_id}\n"
            for name, user_id in (("cohort", ANN), ("cohort-of-bob", BOB))
        },
        **{
            reports / name / f"cohort.{ending}": f"report of {user_id}"
            for name, user_id in (("cohort", ANN), ("cohort-of-bob", BOB))
            for ending in ("html", "ipynb", "parquet")
        },
        reports / "study-a" / "study.json": (
            '{"trials": [{"session_id": "s1", "participant": "A"}], "failed": []}'
        ),
        **{
            reports / "study-a" / name: f"report of {ANN}"
            for name in ("lab-validation.html", "lab-validation.ipynb", "tables/values.csv")
        },
        private / "queue" / "1-s1.json": f'{{"session_id": "s1", "user_id": "{ANN}"}}',
        private / "queue" / "2-s3.json": f'{{"session_id": "s3", "user_id": "{BOB}"}}',
        **{private / left / "1" / FILE: (VIDEO % 1).decode() for left in ("uploads", "exports")},
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    rows = done_rows((FILE, ANN), (FILE, ANN), ("b.mp4", BOB))
    write_ended(reports / "batch-20260102-030405", rows)
    write_begun(reports / "batch-20260102-030406", rows)
    Keys(store).create("participant", user_id=ANN)
    copies = (tmp_path / str(number) for number in itertools.count())

    def copy() -> Store:
        place = shutil.copytree(tmp_path / "first", next(copies))
        return Store(place / "sessions", reports=place / "reports")

    return copy


def left_of(store, kind: str) -> list[str]:
    """Files and folders that hold, in name or bytes, what must not be left after a deletion."""
    words = [VIDEO % 1]
    if kind.startswith("prune"):
        words += [VIDEO % 2]
    elif kind in ("participants delete", "erase"):
        words += [ANN.encode(), VIDEO % 2, FILE.encode(), b"s1", b"s2"]
    leftovers = []
    for root in (store.path, store.reports):
        for place in root.rglob("*"):
            text = place.read_bytes() if place.is_file() else b""
            name = place.relative_to(root.parent).as_posix()
            # Bob's video has the same name, which stays in his record. What the server keeps is
            # known to the command that deletes a participant, not to the store.
            is_anns = not name.startswith("sessions/s3/") and (
                "/.server/" not in name or kind == "participants delete"
            )
            if is_anns and any(word in text or word in os.fsencode(name) for word in words):
                leftovers.append(name)
    return leftovers


def check_at(step, kind, number, made, tmp_path) -> bool:
    """Interrupt one deletion and do it again; False where it came to its end before."""
    store = made()

    def typed(*words, step=None):
        """How a command ended in a copy of this process, and what it said."""
        with (tmp_path / "said").open("w", buffering=1) as output:

            def act():
                sys.argv = ["mobility", *words, "--store", str(store.path)]
                sys.argv += ["--reports", str(store.reports)]
                with redirect_stdout(output), redirect_stderr(output):
                    cli.main() if words else FUNCTIONS[kind](store)

            status = in_child(act, step=step, number=number)
        return status, (tmp_path / "said").read_text()

    words = COMMANDS.get(kind, ())
    status, output = typed(*words, step=step)
    if status == 0:
        assert left_of(store, kind) == [], output
    elif status >= 0:
        assert status == 130, output
        assert "interrupted before everything was deleted" in output
    # What is only read must not say that all is well.
    if any(VIDEO % n in file.read_bytes() for n in (1, 2) for file in store.path.glob(".del*/v*")):
        assert "is still being created or deleted" in typed("sessions", "list")[1]
        assert "nothing is stored" not in typed("participants", "delete", ANN)[1]
    again, output = typed(*words)
    gone = "not in the store" in output or "nothing is stored about this participant" in output
    assert kind in FUNCTIONS or again == 0 or (again == 2 and gone), output
    assert left_of(store, kind) == [], (step, output)
    # The others have lost nothing.
    if kind != "prune by age":
        assert [session.id for session in store.sessions()][-1:] == ["s3"]
        assert (store.reports / "cohort-of-bob" / "cohort.html").is_file()
        assert "of bob" in (store.path / ".watch" / "batch.log").read_text()
    return status != 0


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *((kind, number) for kind in COMMANDS for number in (signal.SIGKILL, signal.SIGTERM)),
        # Of a function a SIGTERM is as a SIGKILL.
        *((kind, signal.SIGKILL) for kind in FUNCTIONS),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
@pytest.mark.slow
def test_interrupted_anywhere_the_next_deletion_leaves_nothing(kind, number, made, tmp_path):
    # SIGKILL stops each command at every other step; the rest at every fourth, each at others.
    every = 2 if kind in COMMANDS and number == signal.SIGKILL else 4
    first = 1 + [*COMMANDS, *FUNCTIONS].index(kind) % every
    points = 0
    while check_at(first + points * every, kind, number, made, tmp_path):
        points += 1
    sys.stdout.write(f"{kind:<20} {number.name:<8} {points:>4} points, nothing left\n")
    assert points > 5 / every


@pytest.mark.parametrize("kind", ["sessions delete", "participants delete"])
def test_interrupted_at_some_steps_the_next_deletion_leaves_nothing(kind, made, tmp_path):
    for number, step in ((signal.SIGKILL, 12), (signal.SIGTERM, 9)):
        check_at(step, kind, number, made, tmp_path)
