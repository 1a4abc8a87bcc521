"""Pages of visits: what is on them, when they are made anew, and that nothing is left of them."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from demo_sessions import change_record, copy_of, put_result, taken_as_current
from other_processes import wait_for
from read_pages import text_of

import mobility as mb
from mobility.assessment.number import Number
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.errors import NotFoundError, ReportError
from mobility.pipeline import analysis
from mobility.reports.html import to_pdf
from mobility.serve.privacy import erase, write_takeout
from mobility.sessions.files import read_json, write_json
from mobility.studies import stored_visits
from mobility.studies.visit import Visit
from mobility.studies.visit_page import VisitPage

FIRST, SECOND = "2026-03-02T09:00:00+01:00", "2026-05-04T09:00:00+02:00"
FILMED = ("overhead-squat", "sit-to-stand", "single-leg-squat", "joint-angle-mobility")


pytestmark = pytest.mark.usefixtures("one_server")


def filmed(demos: Path, store: mb.Store, slug: str, name: str, when: str, **more: object) -> None:
    """Add the demo of an exercise as a session of a day."""
    store.path.mkdir(exist_ok=True)
    session = copy_of(demos / slug, store, name, user_id="p01", created_at=when, **more)
    digest = hashlib.sha256(name.encode()).hexdigest()  # equal videos would count once
    change_record(session, video={**session.record.video.model_dump(), "sha256": digest})
    taken_as_current(session)


def small_store(folder: Path, demos: Path) -> mb.Store:
    """A store with a visit of one film, and an earlier one."""
    store = mb.Store(folder / "sessions", reports=folder / "reports")
    filmed(demos, store, "overhead-squat", "before", FIRST)
    filmed(demos, store, "overhead-squat", "squat", SECOND)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> mb.Store:
    """Two visits: of one film, and of four that have results, one of them twice, and one not."""
    folder = tmp_path_factory.mktemp("visits")
    store = small_store(folder, demo.parent)
    store.set_participant("p01", sex="male", age=30, height_m=1.78)
    for slug in FILMED[1:]:
        filmed(demo.parent, store, slug, slug, SECOND)
    filmed(demo.parent, store, "sit-to-stand", "rises-again", SECOND)
    waiting = copy_of(demo, store, "waiting", user_id="p01", created_at=SECOND, state="analyzing")
    change_record(waiting, stages={})
    return store


@pytest.fixture(scope="module")
def files(store: mb.Store) -> dict[str, Path]:
    """The page of the second visit."""
    return store.render_visit("p01")


def words_of(page: Path) -> str:
    """What a page says, without its pictures."""
    html = page.read_text("utf-8")
    return text_of(re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", html, flags=re.S))


def test_the_page_has_who_films_checks_joints_changes_and_advice_once(
    store: mb.Store, files: dict[str, Path]
) -> None:
    page, text = files["html"].read_text("utf-8"), words_of(files["html"])
    assert files["html"].parent == store.reports.absolute() / "visits" / "p01" / "2026-05-04"
    assert "Visit of 4 May 2026" in text
    assert "male, 30 years, 1.78 m" in text
    assert page.count("<img") == len(FILMED) + 1
    assert all(f"<h2>{name}</h2>" in page for name in ("Overhead Squat", "Sit-to-Stand"))
    assert "Overhead Squat (video" in text
    assert "its analysis was interrupted" in text
    assert "Since 2 Mar 2026" in text
    assert page.count("<h2>What to do</h2>") == 1
    advised = re.findall(r"<li>([^<:]+): \d+ sets", page)
    assert advised
    assert len(advised) == len({*advised})
    assert "Single-joint range of motion" in text
    assert "Shoulder flexion" in text


def test_the_times_of_chair_rises_are_those_of_each_film(files: dict[str, Path]) -> None:
    document = read_json(files["json"])
    times = [row for row in document["checks"] if row["rule"] == "five_times_slow"]
    assert [row["sessions"] for row in times] == [["rises-again"], ["sit-to-stand"]]
    numbers = {row["session_id"]: 1 + k for k, row in enumerate(document["films"])}
    text = words_of(files["html"])
    assert all(f"video {numbers[row['sessions'][0]]}" in text for row in times)


def test_the_first_part_stands_alone_too_and_says_you(files: dict[str, Path]) -> None:
    client, page = words_of(files["client"]), files["client"].read_text("utf-8")
    assert "Your visit on 4 May 2026" in client
    assert "What to work on: in the overhead squat, your" in client
    assert "Since 2 Mar 2026" in client
    # It refers to nothing that is not on it, and shows no error, view or verdict.
    for word in ("row", "film ", "Film ", "recording", "Borderline", "±", "(", "href="):
        assert word not in re.sub("<style>.*?</style>", "", client if word != "href=" else page)
    assert 1 <= page.count('class="drill"') <= 3
    assert page.count('class="drill"') == page.count("<svg")
    assert "Exercises for you" not in words_of(files["html"])
    assert "Dashed line: target" not in client
    assert "Dashed line: target" in words_of(files["html"])


def test_faces_are_shown_where_they_are_asked_for_and_else_blurred(
    tmp_path: Path, demo: Path
) -> None:
    store = small_store(tmp_path, demo.parent)
    blurred = store.render_visit("p01", on="2026-03-02")["html"].read_bytes()
    shown = store.render_visit("p01", on="2026-03-02", faces=True)["html"].read_bytes()
    assert blurred != shown
    assert store.render_visit("p01", on="2026-03-02")["html"].read_bytes() == shown
    again = store.render_visit("p01", on="2026-03-02", faces=False)["html"].read_bytes()
    assert again == blurred


def test_links_lead_to_the_reports_that_are_there(tmp_path: Path, demo: Path) -> None:
    store = small_store(tmp_path, demo.parent)
    files = store.render_visit("p01")
    assert 'href="' not in files["html"].read_text("utf-8")
    report = store.session("squat").report_folder / "overhead-squat.html"
    report.parent.mkdir(parents=True)
    report.write_text("the report")
    page = store.render_visit("p01")["html"]
    (link,) = re.findall(r'href="([^"]+)"', page.read_text("utf-8"))
    assert (page.parent / link).read_text() == "the report"


def to_do(store: mb.Store) -> str:
    """What the page of the visit of p01 says of what to do."""
    return VisitPage(store.visit("p01")).front().partition("What to do")[2]


@pytest.mark.parametrize("code", ["hands_not_overhead", "no_squat"])
def test_what_to_do_is_from_films_whose_verdict_allows_exercises(
    tmp_path: Path, demo: Path, code: str
) -> None:
    store = small_store(tmp_path, demo.parent)
    advice = to_do(store)
    assert "sets" in advice
    session = store.session("squat")
    values = {"exercise": "squat", "joints": "left elbow"}
    warning = {"code": code, "message": "It was seen.", "values": values}
    change_record(session, warnings=[warning])
    (why,) = [session.verdict().absent("exercises")]
    assert why
    alone = to_do(store)
    assert why in alone
    assert "sets" not in alone
    filmed(demo.parent, store, "overhead-squat", "again", SECOND)
    assert to_do(store) == advice


def test_films_of_which_one_has_a_fault_and_another_not_are_named_with_their_values(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = mb.Store(tmp_path / "sessions", reports=tmp_path / "reports")
    for name, seconds in (("slow", 25.0), ("quick", 6.0)):
        filmed(demo.parent, store, "sit-to-stand", name, SECOND)
        session = store.session(name)
        metrics = session.metrics().load()
        for metric in (each for each in metrics if each.startswith("five_times")):
            if metrics[metric].dtype.kind == "f" and not metric.endswith("_sd"):
                metrics[metric] = metrics[metric] * 0 + seconds
                metrics[metric].attrs.pop("no_norm", None)
                metrics[metric].attrs |= {"norm_limit": 11.4, "norm": "the average at this age"}
        put_result(session, "metrics", metrics)
    page = VisitPage(store.visit("p01"))
    number = page.number_of
    text = text_of(page.front())
    (line,) = re.findall(
        r"The videos disagree about time for five [^:]*: ([^.]*\.\d[^.]*\.\d[^.]*)\.", text
    )
    assert f"video {number['slow']} 25.0 s (outside target)" in line
    assert f"video {number['quick']} 6.0 s (met)" in line
    findings = Visit.findings

    def without_value_in_quick(visit: Visit, exercise: str) -> list[Any]:
        return [
            (
                replace(finding, number=Number()) if "quick" in {f.id for f in films} else finding,
                films,
            )
            for finding, films in findings(visit, exercise)
        ]

    # A finding without a value must not read as 0 s.
    monkeypatch.setattr(Visit, "findings", without_value_in_quick)
    assert "The videos disagree" not in text_of(VisitPage(store.visit("p01")).front())


def of_other_code(store: mb.Store, name: str) -> None:
    """Let other code have analysed a session, whose video is gone since."""
    file = store.path / name / "session.json"
    record = read_json(file)
    for stage in record["stages"].values():
        stage["key"] = "0" * len(stage["key"])
    write_json(file, record)
    (store.path / name / "video.mp4").unlink()


def test_a_film_of_other_code_is_named_not_merged_and_not_tried_at_each_request(
    tmp_path: Path, demo: Path
) -> None:
    store = small_store(tmp_path, demo.parent)
    filmed(demo.parent, store, "overhead-squat", "again", SECOND)
    of_other_code(store, "squat")
    page = store.render_visit("p01")
    document = read_json(page["json"])
    reasons = {row["session_id"]: row["reason"] for row in document["films"]}
    assert reasons["again"] == ""
    assert "a different version" in reasons["squat"]
    assert "its video no longer exists" in reasons["squat"]
    assert {name for row in document["checks"] for name in row["sessions"]} == {"again"}
    assert reasons["squat"] in words_of(page["html"])
    assert stored_visits.page_is_current(store.visit("p01"))
    store.delete("again")
    assert store.visit("p01").films_of("Overhead Squat") == []
    assert "a different version" in words_of(store.render_visit("p01")["html"])


def test_a_visit_before_of_other_code_is_brought_up_to_date_or_not_compared(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_store(tmp_path, demo.parent)
    assert store.visit("p01").changes()
    tried = []
    monkeypatch.setattr(analysis, "bring_up_to_date", lambda session: tried.append(session.id))
    monkeypatch.setattr(
        stored_visits, "render_visit", lambda visit, folder, *_, **__: folder.mkdir(exist_ok=True)
    )
    of_other_code(store, "before")
    store.render_visit("p01")
    assert tried == ["squat", "before"]
    assert store.visit("p01").changes() == []
    front = VisitPage(store.visit("p01")).front()
    assert "Overhead Squat is not compared with 2 Mar 2026" in front


def test_a_page_is_private_and_made_again_only_when_a_session_of_it_changes(
    tmp_path: Path, demo: Path
) -> None:
    store = small_store(tmp_path, demo.parent)

    def made() -> int:
        return store.render_visit("p01")["html"].stat().st_ino

    first = made()
    folder = store.reports / "visits" / "p01" / "2026-05-04"
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))} == {0}
    assert made() == first
    store.set_participant("p01", height_m=1.8)
    second = made()
    assert second != first
    change_record(store.session("squat"), session_name="of the morning")
    third = made()
    assert third != second
    filmed(demo.parent, store, "sit-to-stand", "rises", SECOND)
    assert made() != third


def test_a_page_is_out_of_date_where_an_exercise_shows_itself_in_another_way(
    store: mb.Store, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stills and sections are of the modules ``page`` of the exercises."""
    digest = registry.digest

    def of_another_page(exercise: Exercise, *, pages: bool = False, **parts: bool) -> str:
        return "of another page" if pages else digest(exercise, **parts)

    assert stored_visits.page_is_current(store.visit("p01"))
    monkeypatch.setattr(registry, "digest", of_another_page)
    assert store.session("squat").is_current()
    assert not stored_visits.page_is_current(store.visit("p01"))


def test_sessions_that_are_chosen_have_a_page_of_their_own(store: mb.Store) -> None:
    """Before and after a treatment on one day."""
    chosen = VisitPage(store.visit("p01", only=["squat"]))
    whole = stored_visits.folder_of(store.visit("p01"))
    assert [session.id for session in chosen.visit.sessions] == ["squat"]
    assert stored_visits.folder_of(chosen.visit) != whole
    everything = [session.id for session in store.visit("p01").sessions]
    assert stored_visits.folder_of(store.visit("p01", only=everything)) == whole


def test_every_answer_has_a_row_or_stands_in_a_line(store: mb.Store) -> None:
    visit = store.visit("p01", only=["squat"])
    numbers = unescape(VisitPage(visit).numbers()).lower()
    assert {each["name"] for each in visit.checks() if each["name"].lower() not in numbers} == set()


@pytest.mark.parametrize("gone", ["squat", "before"])
def test_deleting_a_session_takes_it_off_the_page_at_once(
    tmp_path: Path, demo: Path, gone: str
) -> None:
    """A session of it, and one with which it is compared."""
    store = small_store(tmp_path, demo.parent)
    filmed(demo.parent, store, "sit-to-stand", "rises", SECOND)
    page = store.render_visit("p01")["html"]
    store.delete(gone)
    assert not page.exists()
    page = store.render_visit("p01")["html"]
    assert ("Overhead Squat" in words_of(page)) == (gone != "squat")
    assert "Since" not in words_of(page)
    named = read_json(page.parent / ".sessions.json")
    assert gone not in named


def test_a_session_that_is_deleted_while_the_page_is_made_is_not_on_it(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_store(tmp_path, demo.parent)
    filmed(demo.parent, store, "sit-to-stand", "rises", SECOND)
    rendered = stored_visits.render_visit

    def made(visit, *given, **more):
        files = rendered(visit, *given, **more)
        if store.has("squat"):
            store.delete("squat")
        return files

    monkeypatch.setattr(stored_visits, "render_visit", made)
    page = store.render_visit("p01")["html"]
    assert "Overhead Squat" not in words_of(page)
    assert "squat" not in read_json(page.parent / ".sessions.json")


@pytest.mark.slow
def test_a_session_that_comes_and_goes_while_the_page_is_made_is_not_on_it(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier film is there only while the cells run; later ones make the page anew."""
    store = small_store(tmp_path, demo.parent)
    rendered, made = stored_visits.render_visit, []

    def make(visit, *given, **more):
        made.append([session.id for session in visit.sessions])
        name = f"late{len(made)}"
        if len(made) < 3:
            when = FIRST.replace("02T09", "10T09") if len(made) == 1 else SECOND
            filmed(demo.parent, store, "overhead-squat", name, when)
        files = rendered(visit, *given, **more)
        if name == "late1":
            store.delete(name)
            assert "Since 2 Mar 2026" in words_of(files["html"])
        return files

    monkeypatch.setattr(stored_visits, "render_visit", make)
    store.render_visit("p01")
    assert made == [["squat"]]
    store.set_participant("p01", height_m=1.8)
    for each in ("before", "squat"):
        taken_as_current(store.session(each))
    page = store.render_visit("p01")["html"]
    assert made[1:] == [["squat"], ["late2", "squat"]]
    assert read_json(page.parent / ".sessions.json") == ["late2", "squat", "before"]
    assert stored_visits.page_is_current(store.visit("p01"))


def test_of_a_visit_whose_sessions_are_all_deleted_meanwhile_nothing_is_left(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_store(tmp_path, demo.parent)

    def made(*_: object, **__: object) -> None:
        erase(store, "p01")
        raise ReportError("its folder is gone")

    monkeypatch.setattr(stored_visits, "render_visit", made)
    with pytest.raises(NotFoundError, match="p01"):
        store.render_visit("p01")
    assert not (store.reports / "visits").exists()


def test_a_deleted_participant_leaves_nothing_and_others_keep_their_pages(
    tmp_path: Path, demo: Path
) -> None:
    store = small_store(tmp_path, demo.parent)
    other = copy_of(demo, store, "other", user_id="p02", created_at=SECOND)
    taken_as_current(other)
    pages = [store.render_visit(user_id)["html"] for user_id in ("p01", "p02")]
    unfinished = store.reports / "visits" / "p01" / ".2026-05-04.unfinished"
    unfinished.mkdir()
    (unfinished / "still.jpg").write_bytes(b"of a killed process")
    write_takeout(store, "p01", tmp_path / "p01.zip")
    import zipfile

    names = zipfile.ZipFile(tmp_path / "p01.zip").namelist()
    assert "reports/visits/p01/2026-05-04/visit.html" in names
    assert not any("p02" in name for name in names)
    erase(store, "p01")
    assert not pages[0].exists()
    assert pages[1].is_file()
    assert [path.name for path in (store.reports / "visits").iterdir()] == ["p02"]
    assert not [path for path in store.reports.rglob("*") if "p01" in path.name]


@pytest.mark.slow
def test_a_page_whose_maker_is_killed_is_the_old_one_and_goes_with_its_session(
    tmp_path: Path, demo: Path
) -> None:
    store = small_store(tmp_path, demo.parent)
    page = store.render_visit("p01")["html"]
    before = page.read_bytes()
    script = (
        "import sys, time, mobility as mb\nfrom pathlib import Path\n"
        "from mobility.studies import study_reports as render\n"
        "def stop(place, document):\n    Path(sys.argv[3]).touch(); time.sleep(600)\n"
        "write = render.write_json\n"
        "render.write_json = lambda p, d: (stop if p.name == 'visit.json' else write)(p, d)\n"
        "mb.Store(sys.argv[1], reports=sys.argv[2]).render_visit('p01', faces=True)"
    )
    places = [str(store.path), str(store.reports), str(tmp_path / "here")]
    child = subprocess.Popen([sys.executable, "-c", script, *places])
    wait_for((tmp_path / "here").exists)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert page.read_bytes() == before
    hidden = page.parent.with_name(f".{page.parent.name}.unfinished")
    assert hidden.is_dir()
    store.delete("squat")
    assert not page.exists()
    assert not hidden.exists()


@pytest.mark.slow
def test_a_page_prints_on_two_sides_and_fits_narrow_screens(
    files: dict[str, Path], tmp_path: Path, browse
) -> None:
    url = files["html"].as_uri()
    seen = browse("report", url)
    assert seen["said"] == []
    assert seen["asked"] == [url]
    assert all(width <= int(allowed) for allowed, width in seen["widths"].items())
    sides = {}
    for kind in ("client", "html"):
        copy = tmp_path / files[kind].name
        copy.write_bytes(files[kind].read_bytes())
        sides[kind] = len(re.findall(rb"/Type /Page\b", to_pdf(copy).read_bytes()))
    assert sides == {"client": 1, "html": 2}
