"""A table of kill points and deletions: wherever one is interrupted, the next leaves nothing.

Each row of the table is a kind of deletion and a signal; ``pytest -rP`` prints at how many points
it was interrupted. A deletion runs in a copy of this process, which is stopped at its n-th step in
the file system.
"""

from __future__ import annotations

import datetime
import importlib
import itertools
import os
import shutil
import signal
import sys
from contextlib import suppress

import pytest
from batches import done_rows, write_begun, write_ended

from mobility.cli import main as cli
from mobility.privacy.retention import erase
from mobility.server.keys import Keys
from mobility.sessions.files import write_json
from mobility.store import Store

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

STEPS = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.chmod"})
ANN, BOB = "ann-3f9", "bob-7c1"
VIDEO = b"video of ann, number %d"
FILE = "squat by Ann.mp4"
LINE = "2026-01-02 03:04:05,678 INFO mobility.batch.run: "

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
    importlib.import_module("mobility.server.jobs")  # once, and not in each copy

    def make() -> Store:
        store = Store(tmp_path / "first" / "sessions", reports=tmp_path / "first" / "reports")
        store.set_participant(ANN, height_m=1.7)
        for number, user_id in enumerate((ANN, ANN, BOB), start=1):
            content = VIDEO % number if user_id == ANN else b"video of bob"
            video = stand_ins.video(tmp_path / "in", name=FILE, content=content)
            session = store.create(
                video, user_id=user_id, exercise_name="Overhead Squat", session_id=f"s{number}"
            )
            record = session.record
            record.created_at -= datetime.timedelta(days=1)
            write_json(session.folder / "session.json", record.model_dump(mode="json"))
        store.session("s1").set_camera_side("left", by=ANN)
        for name in ("s1", "s1.validation", ".s1.unfinished", ".s1.earlier"):
            (store.reports / name / "images").mkdir(parents=True)
            (store.reports / name / "report.html").write_text(ANN)
            (store.reports / name / "images" / "a.png").write_bytes(VIDEO % 1)
        batch(store)
        watched(store)
        cohort(store)
        Keys(store).create("participant", user_id=ANN)
        private = store.path / ".server"
        write_json_in(private / "queue" / "1-s1.json", {"session_id": "s1", "user_id": ANN})
        write_json_in(private / "queue" / "2-s3.json", {"session_id": "s3", "user_id": BOB})
        for left in ("uploads", "exports"):
            (private / left / "1").mkdir(parents=True)
            (private / left / "1" / FILE).write_bytes(VIDEO % 1)
        return store

    make()
    copies = (tmp_path / str(number) for number in itertools.count())

    def copy() -> Store:
        place = shutil.copytree(tmp_path / "first", next(copies))
        return Store(place / "sessions", reports=place / "reports")

    return copy


def write_json_in(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, document)


def batch(store):
    """One that has ended, and one that has not."""
    log = f"{LINE}row 1, {FILE} of {ANN}: done\n{LINE}a fault\nTraceback\n  {ANN}\n{LINE}of bob\n"
    for name in ("batch-20260102-030405", "batch-20260102-030406"):
        (store.reports / name).mkdir()
        (store.reports / name / "batch.log").write_text(log)
    rows = done_rows((FILE, ANN), (FILE, ANN), ("b.mp4", BOB))
    write_ended(store.reports / "batch-20260102-030405", rows)
    write_begun(store.reports / "batch-20260102-030406", rows)


def watched(store):
    (store.path / ".watch").mkdir(exist_ok=True)
    (store.path / ".watch" / "batch.log").write_text(f"{LINE}{ANN}/{FILE}\n{LINE}of bob\n")
    (store.reports / "watch-0123.log").write_text(f"{LINE}{ANN}/{FILE}\n{LINE}of bob\n")


def cohort(store):
    for name, user_id in (("cohort", ANN), ("cohort-of-bob", BOB)):
        (store.reports / name).mkdir()
        (store.reports / name / "cohort.csv").write_text(f"session_id,user_id\ns0,{user_id}\n")
        for ending in ("html", "ipynb", "parquet"):
            (store.reports / name / f"cohort.{ending}").write_text(f"report of {user_id}")
    trials = {"trials": [{"session_id": "s1", "participant": "A"}], "failed": []}
    write_json_in(store.reports / "study-a" / "study.json", trials)
    for name in ("lab-validation.html", "lab-validation.ipynb", "tables/values.csv"):
        (store.reports / "study-a" / name).parent.mkdir(exist_ok=True)
        (store.reports / "study-a" / name).write_text(f"report of {ANN}")


def interrupted(tmp_path, act, *, step: int = 10**9, number: int = signal.SIGKILL):
    """How `act` ended in a copy of this process that got a signal at a step, and what it said."""
    said = tmp_path / "said"
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            for name in ("SIGTERM", "SIGHUP"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.stdout = sys.stderr = said.open("w", buffering=1)
            left = step

            def count(event, arguments):
                nonlocal left
                writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 0o101
                if event in STEPS or writes:
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), number)

            sys.addaudithook(count)
            try:
                act()
                status = 0
            except SystemExit as ended:
                status = ended.code or 0
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, said.read_text()


def command(store, *words):
    def act() -> None:
        places = ["--store", str(store.path), "--reports", str(store.reports)]
        sys.argv = ["mobility", *words, *places]
        cli.main()

    return act


def left_of(store, *words: bytes) -> list[str]:
    """Files and folders that hold one of the words, in their name or their bytes."""
    found = []
    for root in (store.path, store.reports):
        for place in root.rglob("*"):
            content = place.read_bytes() if place.is_file() else b""
            name = os.fsencode(place.relative_to(root))
            if any(word in content or word in name for word in words):
                found.append(str(place.relative_to(root.parent)))
    return found


def words_of(kind: str) -> list[bytes]:
    """What must not be left after a deletion of a kind."""
    if kind in ("participants delete", "erase"):
        return [ANN.encode(), VIDEO % 1, VIDEO % 2, FILE.encode(), b"s1", b"s2"]
    if kind.startswith("prune"):
        return [VIDEO % 1, VIDEO % 2]
    return [VIDEO % 1]


def is_of_server(place: str) -> bool:
    # What the server keeps is known to the command that deletes a participant, not to the store.
    return "/.server/" in place


def check_at(step, kind, number, made, tmp_path) -> bool:
    """Interrupt one deletion and do it again; False where it came to its end before."""
    store = made()
    act = command(store, *COMMANDS[kind]) if kind in COMMANDS else lambda: FUNCTIONS[kind](store)
    status, said = interrupted(tmp_path, act, step=step, number=number)
    words = words_of(kind)
    only_in_store = kind != "participants delete"

    def left() -> list[str]:
        found = left_of(store, *words)
        # Bob's video has the same name, which stays in his record.
        found = [each for each in found if not (each.startswith("sessions/s3/"))]
        return [each for each in found if not (only_in_store and is_of_server(each))]

    if status == 0:
        assert left() == [], said
    elif status >= 0:
        assert status == 130, said
        assert "interrupted; not everything is deleted" in said
    # What is only read must not say that all is well.
    if any(VIDEO % n in file.read_bytes() for n in (1, 2) for file in store.path.glob(".del*/v*")):
        _, told = interrupted(tmp_path, command(store, "sessions", "list"))
        assert "is only partly created or deleted" in told
        _, told = interrupted(tmp_path, command(store, "participants", "delete", ANN))
        assert "nothing is stored" not in told
    again, said = interrupted(tmp_path, act)
    if kind in COMMANDS:
        gone = "not in the store" in said or "nothing is stored about them" in said
        assert again == 0 or (again == 2 and gone), said
    assert left() == [], (step, said)
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
    # SIGKILL stops each command at every step; the rest at every third, each kind at others.
    every = 1 if kind in COMMANDS and number == signal.SIGKILL else 3
    first = 1 + [*COMMANDS, *FUNCTIONS].index(kind) % every
    points = 0
    while check_at(first + points * every, kind, number, made, tmp_path):
        points += 1
    sys.stdout.write(f"{kind:<20} {number.name:<8} {points:>4} points, nothing left\n")
    assert points > 5 / every


@pytest.mark.parametrize(("number", "step"), [(signal.SIGKILL, 12), (signal.SIGTERM, 9)])
@pytest.mark.parametrize("kind", ["sessions delete", "participants delete"])
def test_interrupted_at_some_steps_the_next_deletion_leaves_nothing(
    step, kind, number, made, tmp_path
):
    check_at(step, kind, number, made, tmp_path)
