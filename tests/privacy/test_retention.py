"""Retention: what would go is listed first, and only that goes."""

from __future__ import annotations

import datetime
import json

import pytest
from other_processes import command

from mobility.errors import BadInputError
from mobility.privacy.retention import duration, prune, to_prune
from mobility.sessions.files import write_json
from mobility.store import Store

DAY = datetime.timedelta(days=1)


@pytest.fixture
def store(tmp_path, stand_ins):
    """Sessions of 1, 2, 3 and 4 days ago, by turns of two people, and one of tomorrow."""
    store = Store(tmp_path / "store", reports=tmp_path / "reports")
    now = datetime.datetime.now().astimezone()
    for number, days in enumerate((4, 3, 2, 1, -1)):
        session = store.create(
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
    return store


def ids(store, **rule):
    return [each.name for each in to_prune(store, **rule)]


def test_by_age_and_by_number(store):
    assert ids(store, older_than=2.5 * DAY) == ["s4", "s3"]
    assert ids(store, older_than=2.5 * DAY, user_id="p1") == ["s3"]
    # A session of tomorrow (a clock that was wrong) is not old.
    assert ids(store, older_than=datetime.timedelta(hours=1)) == ["s4", "s3", "s2", "s1"]
    assert ids(store, keep=2) == ["s4", "s3", "s2"]
    assert ids(store, keep=1, user_id="p0") == ["s4", "s2"]
    assert ids(store, keep=9) == []
    assert len(ids(store, keep=0)) == 5
    (first, *_) = to_prune(store, keep=2)
    assert (first.user_id, first.kind) == ("p0", "session")
    assert first.bytes > len("report")
    assert len(store.sessions()) == 5


def test_exactly_one_rule(store):
    for text in ("999999d", "999999w"):
        with pytest.raises(BadInputError, match=r"older_than: .* go back to before the year 1"):
            to_prune(store, older_than=duration(text))
    for rule in ({}, {"keep": 1, "older_than": DAY}, {"keep": -1}, {"keep": 1, "user_id": "../p"}):
        with pytest.raises(BadInputError):
            to_prune(store, **rule)


def test_a_damaged_session_is_never_listed(store):
    # A time without an offset is damage too.
    file = store.path / "s3" / "session.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "created_at": "2026-01-02T03:04:05"}))
    (store.path / "s4" / "session.json").write_text("{")
    assert [session.id for session in store.sessions()] == ["s2", "s1", "s-1"]
    assert ids(store, keep=0) == ["s2", "s1", "s-1"]
    assert ids(store, older_than=DAY / 24) == ["s2", "s1"]


def test_batches_go_by_age(store):
    ended = datetime.datetime.now().astimezone() - 10 * DAY
    folder = store.reports / "batch-20200101-000000"
    folder.mkdir()
    summary = {"manifest": "m.csv", "versions": {}, "rows": []}
    summary |= dict.fromkeys(("started", "ended"), ended.isoformat())
    (folder / "summary.json").write_text(json.dumps(summary))
    # One that has not ended may be resumed.
    (store.reports / "batch-20200102-000000").mkdir()
    assert ids(store, older_than=9 * DAY) == [folder.name]
    assert ids(store, older_than=9 * DAY, user_id="p0") == []
    assert folder.name not in ids(store, keep=0)
    prune(store, to_prune(store, older_than=9 * DAY)[0])
    assert not folder.exists()


@pytest.mark.parametrize("text", ["", "90", "90 days", "0d", "-1d", "1.5d", "d"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(BadInputError, match="12h, 90d or 6w"):
        duration(text)


def test_lengths_of_time():
    assert [duration(text) / DAY for text in ("12h", "90d", "6w")] == [0.5, 90, 42]


def test_nothing_goes_without_yes(store):
    def pruned(*options):
        return command("prune", "--keep", "3", *options, store=store.path)

    dry = pruned()
    assert dry.returncode == 0
    assert [line.split()[2] for line in dry.stdout.splitlines()] == ["s4", "s3"]
    assert "nothing was deleted yet: give --yes" in dry.stderr
    assert len(store.sessions()) == 5
    # One that is in use stays, and the others go.
    with store.session_locked("s4", what="s4"):
        done = pruned("--yes", "--json")
    assert done.returncode == 1
    assert "s4 is in use" in done.stderr
    assert {row["name"]: row["deleted"] for row in json.loads(done.stdout)} == {
        "s4": False,
        "s3": True,
    }
    assert [session.id for session in store.sessions()] == ["s4", "s2", "s1", "s-1"]
    assert not (store.reports / "s3").exists()
