"""The table of sessions: what it lists, and what its buttons do."""

from __future__ import annotations

import threading
import time

import pytest
from demo_sessions import change_record

from mobility.base.progress import progress_bar
from mobility.errors import BadInputError, NotFoundError, VideoError
from mobility.store import Session, Store
from mobility.widgets import SessionBrowser, UploadForm


@pytest.fixture
def browser(analysed, store):
    analysed("s1", session_name="First", user_id="ann", created_at="2025-01-01T10:00:00+00:00")
    analysed("s2", session_name="Second", created_at="2025-02-01T10:00:00+00:00", state="created")
    return SessionBrowser(store)


def test_the_newest_session_comes_first_each_with_its_verdict(browser, store):
    assert [row["name"] for row in browser.rows] == ["Second", "First"]
    row = dict(browser.rows[1])
    (warning,) = row.pop("warnings")
    assert "because their margin of error is larger than" in warning
    assert row == {
        **{"id": "s1", "name": "First", "user_id": "ann", "participant": "ann"},
        **{"exercise": "Overhead Squat", "visit": "2025-01-01", "day": "1 Jan 2025"},
        **{"state": "analyzed", "state_text": "analysed", "busy": False, "reason": ""},
        **{"verdict": "good recording", "rank": 3},
        **{"date": "1 Jan 2025, 10:00", "when": 1735725600.0},
    }
    for state, verdict, words, rank in (
        ("analyzed", "unusable", "unusable recording", 0),
        ("analyzed", "not_this_exercise", "no overhead squat found", 1),
        ("analyzed", "limited", "recording with limits", 2),
        ("analyzed", "", "", 4),
        ("edited", "good", "", 4),
    ):
        change_record(store.session("s1"), state=state, verdict=verdict)
        browser.refresh()
        assert (browser.rows[1]["verdict"], browser.rows[1]["rank"]) == (words, rank)
        assert words in repr(store.session("s1"))


def test_the_demo_is_no_participant_and_its_session_is_still_listed(analysed, store):
    analysed("s1", user_id="demo")
    (row,) = SessionBrowser(store, view="people").rows
    assert (row["id"], row["user_id"], row["visit"]) == ("s1", "", "")
    assert UploadForm(store).participants == []


def test_a_session_is_called_by_its_title_else_its_file_and_a_visit_is_a_day_of_its_own_offset(
    analysed, store
):
    late, early = "2025-03-01T23:30:00-05:00", "2025-03-02T00:30:00+14:00"
    analysed("s1", user_id="p01", created_at=late, session_name=None)
    analysed("s2", user_id="p01", created_at=early, session_name="Again")
    analysed("s3", user_id="anonymous", created_at=late)
    store.set_participant("p01", display_name="Ann Miller")
    rows = {row["id"]: row for row in SessionBrowser(store, view="people").rows}
    name = store.session("s1").record.video.original_name
    told = ("name", "user_id", "participant", "visit", "day")
    assert [[row[each] for each in told] for row in (rows["s1"], rows["s2"])] == [
        [name, "p01", "Ann Miller", "2025-03-01", "1 Mar 2025"],
        ["Again", "p01", "Ann Miller", "2025-03-02", "2 Mar 2025"],
    ]
    # Nobody named may be different people: they have no visit.
    assert (rows["s3"]["user_id"], rows["s3"]["visit"]) == ("", "")


def test_an_analysis_that_runs_elsewhere_is_no_interruption(analysed, store):
    analysed("s1", state="analyzing")
    with store.session_locked("s1", what="the test"):
        (row,) = SessionBrowser(store).rows
        assert (row["state"], row["state_text"], row["busy"]) == ("running", "being analysed", True)
    (row,) = SessionBrowser(store).rows
    assert (row["state"], row["state_text"], row["busy"]) == ("analyzing", "interrupted", False)


def test_what_was_said_outlasts_what_the_page_asks_by_itself(browser, ask, sent):
    messages = sent(browser)
    ask(browser, "delete", session="s1")
    notice = dict(browser.notice)
    assert notice == {"kind": "done", "text": "session s1 is deleted"}
    # The page asked for the picture before it knew.
    ask(browser, "still", session="s1")
    ask(browser, "refresh")
    assert browser.notice == notice
    assert messages[-1]["buffers"] == []
    ask(browser, "open", session="s1")
    assert browser.notice["kind"] == "error"


def test_a_session_without_a_readable_record_is_shown_with_the_fault_and_can_be_deleted(
    browser, store, ask
):
    (store.path / "s1" / "session.json").write_text("{")
    browser.refresh()
    whole, damaged = browser.rows
    assert (whole["id"], damaged["id"], damaged["state_text"]) == ("s2", "s1", "damaged")
    assert damaged.keys() == whole.keys()
    assert "session.json" in damaged["reason"]
    ask(browser, "still", session="s1")
    ask(browser, "delete", session="s1")
    assert [row["id"] for row in browser.rows] == ["s2"]


def test_a_session_is_opened_and_deleted_and_one_that_is_not_there_is_said(browser, store, ask):
    (store.path / "participants").mkdir()  # a damaged participant hides no session
    (store.path / "participants" / "demo.json").write_text("{")
    heard = []
    browser.on_open(heard.append)
    assert browser.session is None
    ask(browser, "open", session="s1")
    assert browser.opened == browser.session.id == "s1"
    assert [session.id for session in heard] == ["s1"]
    ask(browser, "delete", session="s1")
    assert [row["id"] for row in browser.rows] == ["s2"]
    assert browser.opened == ""
    assert not (store.path / "s1").exists()
    for what, session, words in (
        *((each, "s3", "s3: not in the store") for each in ("open", "delete", "analyze", "report")),
        ("report", "s2", "is not analysed yet"),
    ):
        ask(browser, what, session=session)
        browser.wait(20)
        assert browser.notice["kind"] == "error"
        assert words in browser.notice["text"]


def test_the_analysis_runs_beside_the_notebook_and_tells_its_progress(
    browser, store, ask, monkeypatch
):
    here, go, shown = threading.current_thread(), threading.Event(), []

    def analyze(session, **options):
        assert threading.current_thread() is not here
        assert options == {"workers": 1}
        with progress_bar("pose", total=4) as bar:
            bar.update(4)
        go.wait(20)

    browser = SessionBrowser(store, analysis={"workers": 1})
    monkeypatch.setattr(Session, "analyze", analyze)
    browser.observe(lambda change: shown.append(change["new"]), names="progress")
    ask(browser, "analyze", session="s2")
    assert browser.progress
    # One at a time of the same session.
    ask(browser, "report", session="s2")
    assert browser.notice["text"].endswith("is still running; wait")
    with pytest.raises(BadInputError):
        browser.analyze("s2")
    go.set()
    browser.wait(20)
    assert {"text": "analysing: pose", "part": 1.0} in shown
    assert browser.progress == {}
    assert browser.notice["kind"] == "done"

    def fail(session, **options):
        raise VideoError("squat.mp4: nobody was found in it")

    monkeypatch.setattr(Session, "analyze", fail)
    ask(browser, "analyze", session="s2")
    browser.wait(20)
    assert browser.notice == {"kind": "error", "text": "squat.mp4: nobody was found in it"}


def test_only_the_session_that_is_analysed_is_locked(browser, ask, analysed, monkeypatch, store):
    """All others are opened, reported, deleted meanwhile; what is to be analysed waits its turn."""
    analysed("s3", created_at="2025-03-01T10:00:00+00:00", state="created")
    analysed("s4", created_at="2025-04-01T10:00:00+00:00", state="created")
    begun, go, ended = threading.Event(), threading.Event(), []

    def analyze(session, **_):
        begun.set()
        go.wait(20)
        ended.append(session.id)

    monkeypatch.setattr(Session, "analyze", analyze)
    monkeypatch.setattr(Session, "render_report", lambda session: ended.append("report") or {})

    def rows():
        return {row["id"]: (row["state_text"], row["busy"]) for row in browser.rows}

    ask(browser, "analyze", session="s2")
    begun.wait(20)
    ask(browser, "analyze", session="s3")
    until(lambda: rows()["s3"] == ("waiting", False))
    assert rows()["s2"] == ("being analysed", True)
    assert rows()["s1"] == ("analysed", False)
    ask(browser, "open", session="s1")
    assert browser.opened == "s1"
    ask(browser, "report", session="s1")
    until(lambda: ended == ["report"])
    ask(browser, "delete", session="s4")
    assert not store.has("s4")
    assert browser.notice["kind"] == "done"
    # A page that looks again sees the same, and hears that it was looked for.
    ask(browser, "look")
    assert rows()["s2"] == ("being analysed", True)
    go.set()
    browser.wait(20)
    assert ended == ["report", "s2", "s3"]
    assert {busy for _, busy in rows().values()} == {False}


def until(condition):
    """Wait until something holds that another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_saved_notebook_shows_the_table_and_an_empty_store_is_no_fault(still, store, analysed):
    browser = SessionBrowser(store)
    assert browser.rows == []
    with pytest.raises(NotFoundError):
        browser.open_session("s1")
    analysed("s4", session_name="<script>")
    browser.refresh()
    html = still(browser)
    assert "<td>&lt;script&gt;</td>" in html
    assert "<script>" not in html


def test_the_page_of_a_visit_is_made_and_its_address_sent(browser, store, ask, sent, monkeypatch):
    messages = sent(browser)
    file = store.reports / "visits" / "p01" / "2025-03-01" / "visit.html"
    file.parent.mkdir(parents=True)
    file.write_text("the page")
    asked = []

    def made(_, user_id, *, on):
        asked.append((user_id, on))
        if user_id == "p09":
            raise NotFoundError("participant p09: not in the store")
        return {"html": file}

    monkeypatch.setattr(Store, "render_visit", made)
    ask(browser, "visit", participant="p01", date="2025-03-01", page={})
    browser.wait()
    assert asked == [("p01", "2025-03-01")]
    (told,) = [each for each in messages if each.get("kind") == "visit"]
    assert (told["participant"], told["date"]) == ("p01", "2025-03-01")
    assert told["path"] == str(file)
    ask(browser, "visit", participant="p09", date="2025-03-01", page={})
    browser.wait()
    assert browser.notice == {"kind": "error", "text": "participant p09: not in the store"}


def test_a_report_that_cannot_be_made_again_is_shown_as_it_was_and_said_to_be(
    analysed, store, ask, sent
):
    session = analysed("s1")
    page = session.report_folder / "overhead-squat.html"
    page.parent.mkdir(parents=True)
    page.write_text("of then")
    session.video.unlink()
    browser = SessionBrowser(store)
    messages = sent(browser)
    ask(browser, "report", session="s1")
    browser.wait(20)
    assert "comes from an older version; it is shown unchanged" in browser.notice["text"]
    ask(browser, "address", session="s1", page={})
    assert messages[-1]["path"] == str(page)
    assert page.read_text() == "of then"
