"""What names a participant in what is of several people: it goes, and nothing else does."""

from __future__ import annotations

import json

import pytest
from batches import done_rows, write_begun, write_ended

from mobility.batch.run import LOG, WORKING
from mobility.batch.summary import read_summary
from mobility.errors import InUseError
from mobility.privacy.retention import erase, prune, to_prune
from mobility.sessions.files import lock
from mobility.store import Store

STAMP = "2026-01-02 03:04:05,678 INFO mobility.batch.run: "
OWN = "two years of work"
OF_STUDY = {
    "groups": ("differences.csv", "description.csv", "knee_flexion-by-group.png"),
    "reliability": ("statistics.csv", "without-value.csv", "knee_flexion-left-reliability.png"),
}


@pytest.fixture
def store(tmp_path, stand_ins):
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    for number, (user_id, name) in enumerate(
        (("01", "IMG_0001.MOV"), ("bob", "IMG_0001.MOV"), ("eve", "INFO.mp4")), start=1
    ):
        video = stand_ins.video(tmp_path / "in" / user_id, name=name, content=b"video %d" % number)
        store.create(
            video, user_id=user_id, exercise_name="Overhead Squat", session_id=f"s{number}"
        )
    store.reports.mkdir()
    return store


def report(folder, name):
    """Make a report of all three, in a folder in which somebody keeps other things too."""
    folder.mkdir()
    (folder / "manuscript.docx").write_text(OWN)
    if name == "cohort":
        written = ("csv", "parquet", "datapackage.json", "checks.csv", "checks.parquet")
        pictures = ("knee-over-time.png", "knee-by-sex.png")
        rendered = (*(f"cohort.{ending}" for ending in written), *pictures)
        (folder / "cohort.csv").write_text("session_id,user_id\ns1,01\ns2,bob\ns3,eve\n")
    elif name in ("groups", "reliability"):
        rendered = ("study.parquet", "study.datapackage.json", *OF_STUDY[name])
        (folder / "sessions.csv").write_text("line,session_id,participant\n2,s1,01\n3,s2,bob\n")
    else:
        parts = ("curves/01-s1.nc", "tables/a.tex", "tables/a.txt", "images/a.png")
        rendered = ("study.json", "study.nc", *parts)
        trials = [{"session_id": f"s{n}", "participant": f"P{n}"} for n in (1, 2, 3)]
        (folder / "study.json").write_text(json.dumps({"trials": trials, "failed": []}))
    for each in (*rendered, f"{name}.html", f"{name}.ipynb"):
        (folder / each).parent.mkdir(exist_ok=True)
        (folder / each).touch()
    for each in (f"{name}.ipynb", rendered[0], rendered[-1]):
        file = folder / each
        copy = file.parent / ".ipynb_checkpoints" / f"{file.stem}-checkpoint{file.suffix}"
        copy.parent.mkdir(exist_ok=True)
        copy.write_text("Bob")


def batch(store, name="batch-20260102-030405"):
    folder = store.reports / name
    folder.mkdir()
    rows = done_rows(("IMG_0001.MOV", "01"), ("IMG_0001.MOV", "bob"))
    write_ended(folder, rows)
    write_begun(folder, rows)
    (folder / LOG).write_text(f"{STAMP}row 1, IMG_0001.MOV of 01: done\n")
    return folder


def content(folder):
    return {
        file.relative_to(folder): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != WORKING
    }


@pytest.mark.parametrize("name", ["cohort", "lab-validation", *OF_STUDY])
@pytest.mark.parametrize("act", ["erase", "delete", "prune"])
def test_of_a_report_goes_what_was_rendered_and_nothing_of_its_neighbours(store, name, act):
    report(store.reports / "paper", name)
    if act == "erase":
        erase(store, "01")
    elif act == "delete":
        store.delete("s1")
    else:
        prune(store, to_prune(store, keep=0, user_id="01")[0])
    assert content(store.reports) == {next(iter(content(store.reports))): OWN.encode()}
    assert [place.name for place in (store.reports / "paper").iterdir()] == ["manuscript.docx"]


def test_a_folder_that_only_looks_like_a_report_stays(store):
    for name, file in (("a", "cohort.csv"), ("b", "study.json")):
        report(store.reports / name, "cohort" if file == "cohort.csv" else "lab-validation")
        for notebook in (store.reports / name).glob("*.ipynb"):
            notebook.unlink()
    before = content(store.reports)
    erase(store, "01")
    assert content(store.reports) == before


def test_a_report_of_which_the_deletion_was_begun_is_deleted_by_the_next(store):
    report(store.reports / "paper", "cohort")
    folder = store.reports / "paper"
    (folder / "cohort.ipynb").rename(folder / ".deleting-cohort.ipynb")
    (folder / "cohort.csv").unlink()
    store.delete("s2")
    assert [place.name for place in folder.iterdir()] == ["manuscript.docx"]


def test_a_batch_at_work_is_in_use_and_stays_as_it_is(store):
    folder = batch(store)
    checkpoints = folder / ".ipynb_checkpoints"
    checkpoints.mkdir()
    for name in ("summary-checkpoint.csv", "batch-checkpoint.log"):
        (checkpoints / name).write_text("01")
    before = content(folder)
    with lock(folder / WORKING, what="it"):
        with pytest.raises(InUseError, match="batch-20260102-030405 is in use"):
            erase(store, "01")
        assert content(folder) == before
    assert "traces" in erase(store, "01")
    assert [row.participant for row in read_summary(folder).rows] == ["bob"]
    assert "01" not in (folder / LOG).read_text().replace(STAMP, "").replace("0001", "")
    assert not (folder / WORKING).exists()
    assert not checkpoints.exists()
    (folder / "notes.txt").write_text(OWN)
    erase(store, "bob")
    assert list(content(store.reports).values()) == [OWN.encode()]


@pytest.mark.parametrize(
    ("user_id", "before", "after"),
    [
        ("01", "row 1, a.mp4 of bob: done 01", "row 1, a.mp4 of bob: done [deleted]"),
        ("01", "row 3, x.mp4 of 01: done", "row 3, [deleted] of [deleted]: done"),
        ("01", "x.mp4 of bob-01 on 2026-01-01, 01.5", "x.mp4 of bob-01 on 2026-01-01, 01.5"),
        ("01", "IMG_0001.MOV of bob: done", "IMG_0001.MOV of bob: done"),
        ("01", "fault in s1\nTrace\n IMG_0001.MOV", "fault in [deleted]\nTrace\n [deleted]"),
        ("eve", "x.mp4 of carl: INFO.mp4", "x.mp4 of carl: INFO.mp4"),
        ("eve", "eve/INFO.mp4 waits", "[deleted]/[deleted] waits"),
        ("deleted", "of deleted", "of [deleted]"),
    ],
)  # fmt: skip
def test_a_name_is_struck_out_of_a_log_and_other_lines_stay(store, user_id, before, after):
    log = store.path / ".watch" / LOG
    log.parent.mkdir()
    others = f"{STAMP}IMG_0001.MOV of carl: done\n"
    log.write_text(f"{others}{STAMP}{before}\n{others}")
    for _ in range(2):
        erase(store, user_id)
        assert log.read_text() == f"{others}{STAMP}{after}\n{others}"
