"""Pages of the visits of a batch and of a watch: each once, and a fault stops no other."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from demo_sessions import copy_of
from other_processes import command

from mobility.errors import ReportError
from mobility.serve.batch import watch as watch_module
from mobility.serve.batch.summary import BatchRow, MadeVisit, render_visits
from mobility.serve.privacy import erase
from mobility.store import Store

DAY = datetime.date(2026, 5, 4)


def row_of(session_id: str, participant: str) -> BatchRow:
    fields = {"row": 2, "video": "a.mp4", "exercise": "Overhead Squat", "state": "done"}
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
    later = DAY.replace(day=5)
    (store.path / "damaged").mkdir()
    (store.path / "damaged" / "session.json").write_text("{")
    assert list(render_visits(store, ["damaged", *"abcde", "gone", ""])) == [
        MadeVisit("p01", DAY, Path(f"p01-{DAY}.html")),
        MadeVisit("p01", later, Path(f"p01-{later}.html")),
        MadeVisit("p02", DAY, None, "visit.ipynb: a cell failed"),
    ]


@pytest.fixture
def folder(tmp_path, clips, worked, monkeypatch) -> Path:
    """A watched folder with a video, of which the session "c" is."""
    folder = tmp_path / "in"
    folder.mkdir()
    clips.make_clip(folder / "a.mp4", 3)

    def outcomes(client, rows, *_):
        return [row_of("c", "p01").model_copy(update={"row": row.number}) for row in rows]

    monkeypatch.setattr(watch_module, "outcomes", outcomes)
    return folder


@pytest.mark.parametrize("is_erased", [False, True])
def test_a_page_that_is_due_is_made_by_the_next_watch(store, folder, monkeypatch, is_erased):
    """Of somebody who was deleted meanwhile nothing is made, and the ledger names nobody."""

    def watched(on_visit=None):
        watch_module.watch(
            folder, store, on_outcome=str, on_visit=on_visit, once=True, every_s=0.01, settle_s=0
        )

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Store, "render_visit", killed)
        with pytest.raises(KeyboardInterrupt):
            watched(str)
    (ledger,) = (store.path / ".watch").glob("*.json")
    assert "p01" not in ledger.read_text()
    assert '"c"' not in ledger.read_text()
    if is_erased:
        erase(store, "p01")
    watched()  # which makes no pages
    pages = []
    watched(pages.append)
    later = DAY.replace(day=5)
    made = MadeVisit("p01", later, Path(f"p01-{later}.html"))
    assert pages == ([] if is_erased else [made])
    assert store.has("c") != is_erased
    watched(pages.append)
    assert len(pages) == (not is_erased)


def test_a_watch_makes_pages_where_it_is_asked_to(store, folder, tmp_path, clips, monkeypatch):
    seen = []

    def made(_, session_ids):
        seen.append(session_ids)
        return [MadeVisit("p01", DAY, None, "no page")]

    monkeypatch.setattr(watch_module, "render_visits", made)
    told = ["--once", "--settle", "0", "--store", str(store.path), "--reports", "reports"]
    monkeypatch.chdir(tmp_path)
    done = command("watch", "in", "--visits", *told)
    assert seen == [["c"]]
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
        "mobility.serve.batch.summary.render_visits", lambda *_: [MadeVisit("p01", DAY, page)]
    )
    done = command("batch", "m.csv", "--visits", "--json")
    assert done.returncode == 0, done.stderr
    (visit,) = json.loads(done.stdout)["visits"]
    assert visit == {
        **{"user_id": "p01", "date": "2026-05-04", "html": page.as_uri(), "reason": ""},
    }
    assert f"visit    p01  2026-05-04  {page}" in command("batch", "m.csv", "--visits").stdout
    assert "visits" not in json.loads(command("batch", "m.csv", "--json").stdout)
