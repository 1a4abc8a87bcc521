"""What names a participant in what is of several people: it goes, and nothing else does.

Retention: what would go is listed first, and only that goes.

Everything of a participant: handed over, and deleted.
"""

from __future__ import annotations

import csv
import datetime
import json
import zipfile

import pytest
import small_results
from batches import done_rows, write_begun, write_ended
from cohort_cases import add_session
from demo_sessions import taken_as_current
from other_processes import command

from mobility.errors import BadInputError, InUseError, NotFoundError, StorageError
from mobility.serve.api_keys import Keys
from mobility.serve.batch.run import LOG, WORKING
from mobility.serve.batch.summary import read_summary
from mobility.serve.privacy import (
    duration,
    erase,
    files_of_participant,
    prune,
    to_prune,
    unassigned,
    write_takeout,
)
from mobility.sessions.files import lock, write_json
from mobility.store import Store

STAMP = "2026-01-02 03:04:05,678 INFO mobility.serve.batch.run: "
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


DAY = datetime.timedelta(days=1)


@pytest.fixture
def aged_store(tmp_path, stand_ins):
    """Sessions of 1, 2, 3 and 4 days ago, by turns of two people, and one of tomorrow."""
    aged_store = Store(tmp_path / "store", reports=tmp_path / "reports")
    now = datetime.datetime.now().astimezone()
    for number, days in enumerate((4, 3, 2, 1, -1)):
        session = aged_store.create(
            stand_ins.video(tmp_path),
            user_id=f"p{number % 2}",
            exercise_name="Overhead Squat",
            session_id=f"s{days}",
        )
        record = session.record
        record.created_at = now - days * DAY
        write_json(session.folder / "session.json", record.model_dump(mode="json"))
        session.report_folder.mkdir(parents=True)
        (session.report_folder / "a.html").write_text("report")
    return aged_store


def ids(aged_store, **rule):
    return [each.name for each in to_prune(aged_store, **rule)]


def test_by_age_and_by_number(aged_store):
    assert ids(aged_store, older_than=2.5 * DAY) == ["s4", "s3"]
    assert ids(aged_store, older_than=2.5 * DAY, user_id="p1") == ["s3"]
    # A session of tomorrow (a clock that was wrong) is not old.
    assert ids(aged_store, older_than=datetime.timedelta(hours=1)) == [
        "s4",
        "s3",
        "s2",
        "s1",
    ]
    assert ids(aged_store, keep=2) == ["s4", "s3", "s2"]
    assert ids(aged_store, keep=1, user_id="p0") == ["s4", "s2"]
    assert ids(aged_store, keep=9) == []
    assert len(ids(aged_store, keep=0)) == 5
    (first, *_) = to_prune(aged_store, keep=2)
    assert (first.user_id, first.kind) == ("p0", "session")
    assert first.bytes > len("report")
    assert len(aged_store.sessions()) == 5


def test_exactly_one_rule(aged_store):
    for text in ("999999d", "999999w"):
        with pytest.raises(BadInputError, match=r"older_than: .* go back to before the year 1"):
            to_prune(aged_store, older_than=duration(text))
    for rule in ({}, {"keep": 1, "older_than": DAY}, {"keep": -1}, {"keep": 1, "user_id": "../p"}):
        with pytest.raises(BadInputError):
            to_prune(aged_store, **rule)


def test_a_damaged_session_is_never_listed(aged_store):
    # A time without an offset is damage too.
    file = aged_store.path / "s3" / "session.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "created_at": "2026-01-02T03:04:05"}))
    (aged_store.path / "s4" / "session.json").write_text("{")
    assert [session.id for session in aged_store.sessions()] == ["s2", "s1", "s-1"]
    assert ids(aged_store, keep=0) == ["s2", "s1", "s-1"]
    assert ids(aged_store, older_than=DAY / 24) == ["s2", "s1"]


def test_batches_go_by_age(aged_store):
    ended = datetime.datetime.now().astimezone() - 10 * DAY
    folder = aged_store.reports / "batch-20200101-000000"
    folder.mkdir()
    summary = {"manifest": "m.csv", "versions": {}, "rows": []}
    summary |= dict.fromkeys(("started", "ended"), ended.isoformat())
    (folder / "summary.json").write_text(json.dumps(summary))
    # One that has not ended may be resumed.
    (aged_store.reports / "batch-20200102-000000").mkdir()
    assert ids(aged_store, older_than=9 * DAY) == [folder.name]
    assert ids(aged_store, older_than=9 * DAY, user_id="p0") == []
    assert folder.name not in ids(aged_store, keep=0)
    prune(aged_store, to_prune(aged_store, older_than=9 * DAY)[0])
    assert not folder.exists()


@pytest.mark.parametrize("text", ["", "90", "90 days", "0d", "-1d", "1.5d", "d"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(BadInputError, match="12h, 90d or 6w"):
        duration(text)


def test_lengths_of_time():
    assert [duration(text) / DAY for text in ("12h", "90d", "6w")] == [0.5, 90, 42]


def test_nothing_goes_without_yes(aged_store):
    def pruned(*options):
        return command("prune", "--keep", "3", *options, store=aged_store.path)

    dry = pruned()
    assert dry.returncode == 0
    assert [line.split()[2] for line in dry.stdout.splitlines()] == ["s4", "s3"]
    assert "Nothing has been deleted yet; add --yes" in dry.stderr
    assert len(aged_store.sessions()) == 5
    # One that is in use stays, and the others go.
    with aged_store.session_locked("s4", what="s4"):
        done = pruned("--yes", "--json")
    assert done.returncode == 1
    assert "s4 is in use" in done.stderr
    assert {row["name"]: row["deleted"] for row in json.loads(done.stdout)} == {
        "s4": False,
        "s3": True,
    }
    assert [session.id for session in aged_store.sessions()] == ["s4", "s2", "s1", "s-1"]
    assert not (aged_store.reports / "s3").exists()


@pytest.fixture
def store_of_two(tmp_path, stand_ins):
    store_of_two = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    store_of_two.set_participant("ann", height_m=1.7)
    store_of_two.set_participant("bob", height_m=1.8)
    for user_id, number in (("ann", 1), ("ann", 2), ("bob", 3)):
        video = small_results.video(tmp_path, content=b"video %d" % number)
        store_of_two.create(
            video, user_id=user_id, exercise_name="Overhead Squat", session_id=f"s{number}"
        )
    store_of_two.session("s1").analyze()
    store_of_two.session("s1").render_report()
    (store_of_two.reports / "s1.validation").mkdir()
    (store_of_two.reports / "s1.validation" / "lab.html").write_text("lab")
    return store_of_two


def test_all_files_of_one_and_of_no_other_are_handed_over(store_of_two, tmp_path):
    write_takeout(store_of_two, "ann", tmp_path / "ann.zip")
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
        assert archive.read("sessions/s2/video.mp4") == b"video 2"
    assert {
        *("sessions/participants/ann.json", "sessions/s1/session.json", "sessions/s1/angles.nc"),
        *("reports/s1/overhead-squat.html", "reports/s1/images/left.png"),
        "reports/s1.validation/lab.html",
    } <= names
    assert not [name for name in names if "s3" in name or "bob" in name]
    for nobody, error in (("eve", NotFoundError), ("../ann", BadInputError)):
        with pytest.raises(error):
            write_takeout(store_of_two, nobody, tmp_path / "eve.zip")
    assert not (tmp_path / "eve.zip").exists()


def test_all_of_one_and_of_no_other_is_deleted(store_of_two):
    copy = store_of_two.path / "participants" / ".ipynb_checkpoints" / "ann-checkpoint.json"
    copy.parent.mkdir()
    copy.write_text("Ann")  # JupyterLab makes it when somebody saves the record there
    # A session with a damaged record goes too.
    (store_of_two.path / "s2" / "session.json").write_text('{"user_id": "ann", "exercise": 7}')
    assert [session.id for session in store_of_two.sessions()] == ["s1", "s3"]
    assert erase(store_of_two, "ann") == ["s1", "s2", "participant"]
    assert files_of_participant(store_of_two, "ann") == []
    assert not copy.exists()
    assert not (store_of_two.path / "s2").exists()
    assert [session.id for session in store_of_two.sessions()] == ["s3"]
    assert store_of_two.participants() == ["bob"]
    assert not [place for place in store_of_two.reports.rglob("*") if "s1" in place.name]
    assert erase(store_of_two, "ann") == []


@pytest.mark.parametrize("damage", ["{", '{"user_id": 7}', None])
def test_a_session_of_nobody_knows_whom_is_told(store_of_two, damage):
    record = store_of_two.path / "s2" / "session.json"
    record.unlink() if damage is None else record.write_text(damage)
    typed = ("participants", "delete", "ann", "--yes", "--reports", store_of_two.reports)
    for _ in range(2):
        done = command(*typed, store=store_of_two.path)
        assert done.returncode == 1
        assert "session s2: the record is damaged" in done.stderr
        assert "deleted everything known to belong to ann" in done.stderr
        assert "deleted everything that belongs to" not in done.stderr
        assert "nothing is stored" not in done.stderr
    assert unassigned(store_of_two) == ["s2"]
    assert not (store_of_two.path / "s1").exists()
    assert [session.id for session in store_of_two.sessions()] == ["s3"]
    # As the message advises, whatever its record is like.
    store_of_two.delete("s2")
    assert not (store_of_two.path / "s2").exists()
    assert unassigned(store_of_two) == []


def test_what_is_in_use_is_told_and_the_rest_is_gone(store_of_two):
    with (
        store_of_two.session_locked("s1", what="s1"),
        pytest.raises(StorageError, match="not everything was deleted"),
    ):
        erase(store_of_two, "ann")
    assert [session.id for session in store_of_two.sessions()] == ["s1", "s3"]
    assert erase(store_of_two, "ann") == ["s1"]


def test_what_is_left_of_another_does_not_count_against_one(store_of_two, caplog):
    (store_of_two.path / "s3").rename(store_of_two.path / ".deleting-s3")
    with store_of_two.session_locked("s3", what="s3"):
        assert erase(store_of_two, "ann") == ["s1", "s2", "participant"]
        assert "another participant is still there: session s3" in caplog.text
        with pytest.raises(InUseError, match=r"participant bob: not everything.*session s3"):
            erase(store_of_two, "bob")


def test_keys_that_cannot_be_revoked_keep_nothing_else_from_going(store_of_two, monkeypatch):
    keys = Keys(store_of_two)
    keys.create("participant", user_id="ann")

    def full(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(Store, "write_document", full)
    typed = ("participants", "delete", "ann", "--yes", "--reports", store_of_two.reports)
    done = command(*typed, store=store_of_two.path)
    assert (done.returncode, "the disk is full" in done.stderr) == (2, True)
    assert files_of_participant(store_of_two, "ann") == []
    assert [key.user_id for key in keys.all()] == ["ann"]


def test_one_who_is_called_session_is_not_taken_for_everybody(store_of_two, tmp_path):
    # Their record has the name of that of a session, in the folder of all records.
    store_of_two.set_participant("session", height_m=1.9)
    write_takeout(store_of_two, "session", tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["sessions/participants/session.json"]
    assert [session.id for session in store_of_two.sessions()] == ["s1", "s2", "s3"]
    with pytest.raises(NotFoundError):
        store_of_two.delete("participants")
    assert erase(store_of_two, "session") == ["participant"]
    assert store_of_two.participants() == ["ann", "bob"]
    with pytest.raises(BadInputError, match="folder of the store"):
        store_of_two.create(
            store_of_two.session("s1").video,
            user_id="ann",
            exercise_name="Overhead Squat",
            session_id="participants",
        )


def test_the_numbers_of_visits_are_handed_over_as_a_table(tmp_path, demo):
    store_of_two = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    for name, user_id in (("a", "ann"), ("b", "ann"), ("c", "bob")):
        add_session(store_of_two, demo, name, user_id=user_id, date="2026-03-01")
        taken_as_current(store_of_two.session(name))
    write_takeout(store_of_two, "ann", tmp_path / "ann.zip")
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        rows = list(csv.DictReader(archive.read("visits.csv").decode().splitlines()))
        assert "visits.datapackage.json" in archive.namelist()
    assert {row["user_id"] for row in rows} == {"ann"}
    assert {row["level"] for row in rows} == {"visit"}
    assert any(row["films"] == "a b" and row["value"] for row in rows)
