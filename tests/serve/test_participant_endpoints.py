"""Visits over HTTP: the document, the page and its links, and what no longer is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import serving
from demo_sessions import taken_as_current

from mobility.errors import BadInputError, NotFoundError, NotPermittedError
from mobility.serve.api_keys import PHONE, Keys
from mobility.serve.client import Client
from mobility.sessions.files import read_json, write_json
from mobility.sessions.record import SessionRecord
from mobility.store import Store
from mobility.studies import stored_visits


def add(server, demo: Path, session_id: str, user_id: str, **more: object) -> None:
    """Add an analysed session of 11 March, to which a page has a link."""
    server.store.mkdir(exist_ok=True)
    shutil.copytree(demo, server.store / session_id)
    file = server.store / session_id / "session.json"
    when = "2026-03-11T09:05:00+01:00"
    named = {"session_id": session_id, "user_id": user_id, "created_at": when, **more}
    record = SessionRecord.model_validate({**read_json(file), **named})
    write_json(file, record.model_dump(mode="json"))
    taken_as_current(Store(server.store).session(session_id))


def page_of(server, user_id: str) -> Path:
    """Make the page of a visit, of which no more is drawn than a link."""

    def drawn(visit, folder: Path, named, **_) -> None:
        folder.mkdir()
        link = f'<a href="../../../{visit.sessions[0].id}/overhead-squat.html">report</a>'
        for name in ("visit.html", "visit.client.html", "visit.ipynb"):
            (folder / name).write_text(link)
        write_json(folder / "visit.json", visit.document())
        write_json(folder / ".sessions.json", named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stored_visits, "render_visit", drawn)
        page = Store(server.store, reports=server.reports).render_visit(user_id)
    return page["html"].parent


def test_a_visit_is_a_document_and_a_page_whose_links_lead_to_the_reports(server, demo):
    add(server, demo, "v-squat", "v-p")
    page_of(server, "v-p")
    key = server.key("participant", "v-p")
    with Client(server.url, key.removeprefix("API-KEY ")) as client:
        visit = client.visit("v-p", "2026-03-11")
    assert [film.session_id for film in visit.films] == ["v-squat"]
    assert visit.checks
    page = server.ask("GET", visit.page_url)  # without a key: its address is signed
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("sandbox")
    (link,) = [part for part in page.text.split('"') if "media" in part]
    assert "/sessions/v-squat/media/overhead-squat.html?media_key=" in link
    report = server.reports / "v-squat" / "overhead-squat.html"
    report.parent.mkdir(parents=True)
    report.write_text("the report")
    assert server.ask("GET", link).text == "the report"
    # The signature is of this page alone.
    other = visit.page_url.replace("visit.html", "visit.client.html")
    assert server.ask("GET", other).status_code == 401
    # It ends with the key for which it was signed: else the page would sign its links anew.
    Keys(Store(server.store)).revoke(key.split("_")[1])
    for url in (visit.page_url, link):
        assert server.ask("GET", url).status_code == 401


def test_a_deleted_session_takes_the_page_of_its_visit_along(server, demo, admin):
    add(server, demo, "v-gone", "v-q")
    folder = page_of(server, "v-q")
    url = "/participants/v-q/visits/2026-03-11/"
    assert server.ask("GET", url, admin).status_code == 200
    assert server.ask("DELETE", "/sessions/v-gone/", admin).status_code == 204
    assert not folder.exists()
    assert server.ask("GET", url, admin).status_code == 404
    assert not (server.reports / "visits" / "v-q").exists()


def test_a_phone_reads_no_page_though_all_films_are_its_own(server, demo):
    phone = server.key(PHONE, "v-r")
    add(server, demo, "v-mine", "v-r", phone_key=phone.split("_")[1])
    page_of(server, "v-r")
    for name in ("", "visit.html"):
        url = f"/participants/v-r/visits/2026-03-11/{name}"
        assert server.ask("GET", url, phone).status_code == 403
        assert server.ask("GET", url, server.key("participant", "v-r")).status_code == 200


@pytest.mark.parametrize(
    ("user_id", "date", "error", "words"),
    [
        ("v-none", "2026-03-11", NotFoundError, "has no session on 2026-03-11"),
        ("v-s", "2026-03-12", NotFoundError, "has no session on 2026-03-12"),
        ("v-s", "yesterday", BadInputError, "date: must be a day such as 2026-11-30"),
        ("v s", "2026-03-11", BadInputError, "user_id"),
    ],
)
def test_what_is_no_visit_is_one_line(server, record_of, admin, user_id, date, error, words):
    record_of("v-there", "v-s")
    with (
        Client(server.url, admin.removeprefix("API-KEY ")) as client,
        pytest.raises(error, match=words),
    ):
        client.visit(user_id, date)


def test_a_visit_of_somebody_else_is_refused_whether_it_is_there_or_not(server, record_of):
    record_of("v-else", "v-t")
    key = server.key("participant", "v-u").removeprefix("API-KEY ")
    with Client(server.url, key) as client:
        for user_id in ("v-t", "v-nobody"):
            with pytest.raises(NotPermittedError, match="visits of this participant"):
                client.visit(user_id, "2026-03-11")


@pytest.mark.slow
def test_a_worker_makes_the_page(tmp_path, demo):
    with serving.serving(tmp_path, kind="real") as server:
        add(server, demo, "v-squat", "v-p")
        key = server.key("professional").removeprefix("API-KEY ")
        with Client(server.url, key) as client:
            visit = client.visit("v-p", "2026-03-11")
        assert "Overhead Squat" in server.ask("GET", visit.page_url).text
