"""The page of `mobility open`: what one widget tells the other, and the codes for phones."""

from __future__ import annotations

import datetime
import sys
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from mobility.base.progress import first_page_listener
from mobility.errors import BadInputError, VideoError
from mobility.serve import local
from mobility.serve.api_keys import Keys
from mobility.serve.open_page import PhoneCodes
from mobility.store import Session
from mobility.widgets.front import Front
from mobility.widgets.upload_form import UploadForm

CHECK = {
    "good": True,
    "film_again": False,
    "view_hides": "",
    "headline": "Good.",
    "reasons": [],
    "first_look": "A first look.",
}


@pytest.fixture
def rendered(monkeypatch, tmp_path):
    """A report that is rendered at once."""
    page = tmp_path / "page.html"
    page.write_text("a report")
    monkeypatch.setattr(Session, "render_report", lambda *_: {"html": page})
    return page


def test_a_video_that_is_taken_in_is_analysed_and_shown(analysed, store, monkeypatch, rendered):
    ran = []
    monkeypatch.setattr(Session, "check_recording", lambda _: ran.append("check") or CHECK)
    monkeypatch.setattr(Session, "analyze", lambda session, **_: ran.append(session.id))
    heard = []
    monkeypatch.setattr(UploadForm, "on_created", lambda _, callback: heard.append(callback))
    front = Front(store)
    assert [w.place for w in (front.form, front.check, front.browser, front.report)] == [
        "upload",
        "check",
        "sessions",
        "report",
    ]
    assert front.report.title == ""
    assert front.browser.view == "people"
    session = analysed("s1", session_name="First")
    notices = []

    def render(*_):
        notices.append((front.browser.progress["text"], dict(front.browser.notice)))
        return {"html": rendered}

    monkeypatch.setattr(Session, "render_report", render)
    heard[0](session)
    front.check.wait(20)
    front.browser.wait(20)
    # Not that it is being analysed, and not yet that all is done.
    assert notices[0] == ("making the report", {})
    assert front.browser.notice["text"] == "First is analysed"
    assert ran == ["check", "s1"]
    assert front.check.checks == [{**CHECK, "session": "s1", "title": "First"}]
    assert front.trials["trial"].title == front.report.title == "First"
    assert front.trials["trial"].place == "trial"
    assert [row["id"] for row in front.browser.rows] == ["s1"]


def test_the_report_has_an_address_only_where_there_is_one(
    analysed, store, ask, sent, rendered, monkeypatch
):
    front = Front(store)
    messages = sent(front.report)
    ask(front.report, "address")
    assert front.report.notice["text"] == "there is no report yet; choose Report of a session"
    front.report.show(analysed("s1", session_name="First"))
    ask(front.report, "address", page={})
    assert urlsplit(messages[0]["url"]).hostname == "127.0.0.1"
    assert messages[0]["url"].endswith("/page.html")

    def render(*_):
        first_page_listener()("<p>first</p>")
        return {}

    # The first page is shown while the rest is drawn.
    monkeypatch.setattr(Session, "render_report", render)
    ask(front.browser, "report", session="s1")
    front.browser.wait(20)
    first = {"kind": "first page", "title": "First", "page": "<p>first</p>", "buffers": []}
    assert [message for message in messages if message["kind"] == "first page"][:2] == [first] * 2


@pytest.mark.parametrize("elsewhere", [False, True])
def test_report_and_trials_of_a_deleted_session_leave_the_page(
    analysed, store, ask, sent, rendered, elsewhere
):
    front = Front(store)
    messages = sent(front.report)
    first, second = (analysed(name, session_name=name) for name in ("s1", "s2"))
    front.browser.refresh()
    ask(front.browser, "open", session="s1")
    ask(front.browser, "compare", session="s2")
    front.report.show(first)
    if elsewhere:
        store.delete("s1")
        ask(front.browser, "look")
    else:
        ask(front.browser, "delete", session="s1")
    assert list(front.trials) == ["beside"]
    assert (front.report.title, front.report.session_id, front.browser.opened) == ("", "", "")
    assert messages[-1]["kind"] == "left"
    # Those of the others stay.
    front.report.show(second)
    ask(front.browser, "refresh")
    assert front.report.title == front.trials["beside"].title == "s2"


def test_the_check_of_a_film_is_gone_with_its_session_and_when_it_is_put_away(
    analysed, store, ask, monkeypatch, rendered
):
    monkeypatch.setattr(Session, "check_recording", lambda _: CHECK)
    front = Front(store)
    for name in ("s1", "s2", "s3"):
        front.check.check(analysed(name), lambda _: None)
        front.check.wait(20)
    front.browser.refresh()
    assert [each["session"] for each in front.check.checks] == ["s3", "s2", "s1"]
    ask(front.browser, "delete", session="s2")
    assert [each["session"] for each in front.check.checks] == ["s3", "s1"]
    ask(front.check, "put away", session="s3")
    assert [each["session"] for each in front.check.checks] == ["s1"]


def test_a_film_that_cannot_be_checked_is_analysed_all_the_same(analysed, store, monkeypatch):
    def fails(_):
        raise VideoError("squat.mp4: cannot be looked at")

    monkeypatch.setattr(Session, "check_recording", fails)
    front, then = Front(store), []
    front.check.check(analysed("s1"), then.append)
    front.check.wait(20)
    assert [session.id for session in then] == ["s1"]
    assert front.check.notice["text"] == "squat.mp4: cannot be looked at"
    assert front.check.checks == []


def test_a_code_is_a_key_of_a_phone_that_expires(store, ask, sent):
    codes = PhoneCodes(store, "http://192.168.1.5:8891")
    messages = sent(codes)
    ask(codes, "code", user_id="p01")
    ask(codes, "code", user_id="")
    keys = Keys(store)
    first, second = keys.all()
    assert (first.role, first.user_id) == ("phone", "p01")
    assert second.user_id.startswith("phone-")
    assert first.expires_at - first.created_at == datetime.timedelta(hours=local.HOURS)
    for message, stored in zip(messages, (first, second), strict=True):
        address = urlsplit(message["address"])
        assert address.netloc == "192.168.1.5:8891"
        assert address.path == f"/mobility/phone/{stored.id}"
        assert keys.find(address.fragment).id == stored.id
        assert message["picture"].startswith("<svg")
    ask(codes, "code", user_id="p 1")
    assert list(codes.errors) == ["user_id"]
    assert len(keys.all()) == 2


def test_a_code_reads_as_what_it_says_and_without_the_extra_one_line_says_so(monkeypatch):
    address = "http://192.168.1.5:8891/mobility/phone/0123456789ab#mob_0123456789ab_" + "x" * 43
    lines = local.text(address).splitlines()
    light = [[half in letters for half in line] for line in lines for letters in ("█▀", "█▄")]
    picture = 255 * np.kron(np.array(light), np.ones((6, 6))).astype(np.uint8)
    content, *_ = cv2.QRCodeDetector().detectAndDecode(picture)
    assert content == address
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(
        BadInputError,
        match=r"need the extra open; install it with: pip install 'mobility-workbench\[open\]'",
    ):
        local.text("http://192.168.1.5")
