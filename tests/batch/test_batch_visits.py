"""Pages of the visits of a batch and of a watch: each once, and a fault stops no other."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from demo_sessions import copy_of
from other_processes import command

from mobility.batch import watch as watch_module
from mobility.batch.batch_record import BatchRow
from mobility.batch.batch_visits import MadeVisit, render_visits
from mobility.errors import ReportError
from mobility.store import Store

DAY = datetime.date(2026, 5, 4)


def row_of(session_id: str, participant: str, state: str = "done") -> BatchRow:
    fields = {"row": 2, "video": "a.mp4", "exercise": "Overhead Squat", "state": state}
    return BatchRow(**fields, session_id=session_id, participant=participant)


@pytest.fixture
def store(tmp_path, demo, monkeypatch) -> Store:
    """Sessions of two people and of nobody named on two days; pages that are named, not made."""
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    store.path.mkdir()
    for name, user_id, day in (
        *(("a", "p01", "04"), ("b", "p01", "04"), ("c", "p01", "05"), ("d", "p02", "04")),
        ("e", "anonymous", "04"),
    ):
        when = f"2026-05-{day}T09:00:00+02:00"
        copy_of(demo, store, name, user_id=user_id, created_at=when)

    def rendered(self, user_id, *, on):
        if user_id == "p02":
            raise ReportError("visit.ipynb: a cell failed")
        return {"html": Path(f"{user_id}-{on}.html")}

    monkeypatch.setattr(Store, "render_visit", rendered)
    return store


def test_each_visit_of_the_rows_has_its_page_once_and_a_fault_is_its_own(store):
    rows = [row_of(name, "p01") for name in "abc"]
    rows += [row_of("d", "p02"), row_of("e", "anonymous"), row_of("gone", "p01", "failed")]
    later = DAY.replace(day=5)
    assert list(render_visits(store, rows)) == [
        MadeVisit("p01", DAY, Path(f"p01-{DAY}.html")),
        MadeVisit("p01", later, Path(f"p01-{later}.html")),
        MadeVisit("p02", DAY, None, "visit.ipynb: a cell failed"),
    ]


def test_a_watch_makes_pages_where_it_is_asked_to(store, worked, tmp_path, clips, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    clips.make_clip(folder / "a.mp4", 3)
    seen = []

    def made(_, rows):
        seen.append([row.video for row in rows])
        return [MadeVisit("p01", DAY, None, "no page")]

    monkeypatch.setattr(watch_module, "render_visits", made)
    told = ["--once", "--settle", "0", "--store", str(store.path), "--reports", "reports"]
    monkeypatch.chdir(tmp_path)
    done = command("watch", "in", "--visits", *told)
    assert seen == [["a.mp4"]]
    assert "visit    p01  2026-05-04  no page" in done.stdout
    assert done.returncode == 1  # one has none
    clips.make_clip(folder / "b.mp4", 4)
    assert command("watch", "in", *told).returncode == 0
    assert len(seen) == 1


def test_a_batch_names_the_pages_that_it_made(worked, tmp_path, clips, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips.make_clip(tmp_path / "a.mp4", 3)
    (tmp_path / "m.csv").write_text("video,participant\na.mp4,p01\n")
    page = tmp_path / "visit.html"
    monkeypatch.setattr(
        "mobility.batch.batch_visits.render_visits", lambda *_: [MadeVisit("p01", DAY, page)]
    )
    done = command("batch", "m.csv", "--visits", "--json")
    assert done.returncode == 0, done.stderr
    (visit,) = json.loads(done.stdout)["visits"]
    assert visit == {
        **{"user_id": "p01", "date": "2026-05-04", "html": page.as_uri(), "reason": ""},
    }
    assert f"visit    p01  2026-05-04  {page}" in command("batch", "m.csv", "--visits").stdout
    assert "visits" not in json.loads(command("batch", "m.csv", "--json").stdout)
