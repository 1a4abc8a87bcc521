"""The command `visit`: the page, its document, and one line for what is no visit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import other_processes
import pytest
from demo_sessions import change_record, copy_of, taken_as_current
from other_processes import command

from mobility.store import Store

WHEN = "2026-05-04T09:00:00+02:00"


pytestmark = pytest.mark.usefixtures("one_server")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path) -> Store:
    """A store in the present folder, with a session of p01 and two of nobody in particular."""
    monkeypatch.chdir(tmp_path)
    store = Store("data/sessions")
    store.path.mkdir(parents=True)
    for name, user_id in (("squat", "p01"), ("of-somebody", "anonymous")):
        taken_as_current(copy_of(demo, store, name, user_id=user_id, created_at=WHEN))
    return store


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("p02", "participant p02: not in the store"),
        ("p0l", "did you mean 'p01'"),
        ("anonymous", "may be of different people"),
        ("p01 --on 2026-05-05", "has no session on 2026-05-05; there are 2026-05-04"),
        ("p01 --on yesterday", "--on: is a day as 2026-11-30"),
        ("p01 --only squad", "--only: 'squad' is no session of p01 on 2026-05-04"),
        ("p01 --without of-somebody", "--without: 'of-somebody' is no session of p01"),
        ("p01 --without squat", "--without: leaves no session"),
        ("p01 --only squat --without squat", "--without: give sessions to leave out, or only"),
        ("p/1", "ID: use 1 to 64 letters"),
    ],
)
def test_what_is_no_visit_is_one_line(store, typed, words):
    done = command("visit", *typed.split())
    other_processes.refused(done, words)
    assert not Path("reports").exists()


def test_one_film_has_a_page_and_a_document(store):
    done = command("visit", "p01")
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.removeprefix("report").strip())
    assert page == Path("reports/visits/p01/2026-05-04/visit.html").resolve()
    assert "Overhead Squat" in page.read_text("utf-8")
    document = json.loads(command("visit", "p01", "--on", "2026-05-04", "--json").stdout)
    assert document["user_id"] == "p01"
    assert [film["session_id"] for film in document["films"]] == ["squat"]
    assert {check["result"] for check in document["checks"]} >= {"outside", "met"}
    client = command("visit", "p01", "--client").stdout
    assert client.strip().endswith("visit.client.html")


def test_unusable_and_unfinished_sessions_are_said_and_the_rest_is_shown(store, demo):
    for name, state in (("failed", "failed"), ("begun", "created")):
        session = copy_of(demo, store, name, user_id="p01", created_at=WHEN, state=state)
        reason = {"reason": "nobody is in the picture"} if state == "failed" else {}
        change_record(session, stages={}, **reason)
    done = command("visit", "p01")
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.removeprefix("report").strip()).read_text("utf-8")
    assert "the analysis failed: nobody is in the picture" in text
    assert "not analysed yet" in text
    assert "Knee flexion" in text
    for name in ("squat",):
        shutil.rmtree(store.path / name)
    done = command("visit", "p01")
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.removeprefix("report").strip()).read_text("utf-8")
    assert "None of the films has results yet." in text
