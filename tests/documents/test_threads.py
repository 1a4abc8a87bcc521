from __future__ import annotations

import json
import multiprocessing
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from other_processes import in_child, in_children
from typer.testing import CliRunner

from mobility import tables
from mobility.assessment.findings import all_rules
from mobility.cli.main import app
from mobility.documents import threads as module
from mobility.documents.contract import Thread
from mobility.errors import BadInputError, NotFoundError, NotPermittedError, StorageError
from mobility.sessions.files import read_json
from mobility.store import Session, Store

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

SQUAT = {"user_id": "p01", "exercise_name": "Overhead Squat"}
METRICS = [
    *("hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion"),
    "final_summary",
]


@pytest.fixture
def session(store, stand_ins, tmp_path) -> Session:
    return store.create(stand_ins.video(tmp_path / "camera"), **SQUAT).analyze()


def files(session: Session) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (session.folder / "threads").iterdir()}


def change_data(session: Session, stand_ins) -> None:
    """Other metrics: the stand-in counts two accepted repetitions now instead of one."""
    session.set_repetitions(
        [{"start": i / 30, "bottom": (i + 0.4) / 30, "end": (i + 0.8) / 30} for i in (0, 1, 2)]
    )
    session.analyze()


def test_kinds_and_systems_have_threads_of_their_own_and_asking_again_writes_nothing(session):
    metric = session.create_summary_threads()
    imperial = session.create_summary_threads(system="imperial")
    advice = session.create_recommendation_threads(system="imperial")
    for ids in (metric, imperial, advice):
        assert list(ids) == METRICS
        assert all(re.fullmatch(r"thread_[A-Za-z0-9]{24}", each) for each in ids.values())
    assert len({*metric.values(), *imperial.values(), *advice.values()}) == len(files(session))
    # None supersedes those of another system or kind.
    assert {thread["superseded_by"] for thread in session.threads()} == {None}
    assert len(session.threads("summary")) == 12
    assert [thread["id"] for thread in session.threads("recommendation")] == list(advice.values())
    before = files(session)
    again = Store(session.store.path).session(session.id)
    assert again.create_summary_threads() == session.create_summary_threads() == metric
    session.analyze()
    assert session.create_summary_threads() == metric
    assert files(session) == before


def test_a_thread_fits_the_contract_and_says_what_it_rests_on(session):
    session.store.set_participant("p01", display_name="Ann")
    ids = session.create_summary_threads()
    for metric, thread_id in ids.items():
        thread = session.thread(thread_id)
        assert Thread.model_validate(thread).model_dump(mode="json") == thread
        assert (thread["kind"], thread["metric"], thread["system"]) == ("summary", metric, "metric")
        assert thread["session_id"] == session.id
        assert thread["superseded_by"] is None
        plain, expert = thread["messages"]
        assert plain["text"].startswith("Ann, this is ")
        assert expert["text"].startswith("For the professional. Ann: ")
        assert {m["role"] for m in thread["messages"]} == {"workbench"}
        # Hips have numbers and no check.
        assert bool(thread["evidence"]) is not metric.startswith("hip_")
        for each in thread["evidence"]:
            assert each["rule"]
            assert len(each["source"]) > 20
    (left, right, *_) = session.thread(ids["knee_flexion"])["evidence"]
    # The stand-ins' metrics have no errors, so that nothing can be decided.
    assert (left["metric"], left["side"], left["value"]) == ("knee_flexion", "left", 79.0)
    assert (left["status"], left["probability"], left["interval"]) == ("cannot be told", None, None)
    assert right["side"] == "right"
    everything = session.thread(ids["final_summary"])["evidence"]
    assert len(everything) == sum(
        len(session.thread(ids[metric])["evidence"]) for metric in METRICS[:-1]
    ) + sum(all_rules()[each["rule"]]["group"] == "whole_movement" for each in everything)


def test_changed_data_make_new_threads_and_keep_the_old_ones(session, stand_ins):
    old = session.create_summary_threads()
    advice = session.create_recommendation_threads()
    session.append_message(old["knee_flexion"], "Kept.", by="Bo")
    change_data(session, stand_ins)
    new = session.create_summary_threads()
    assert not set(old.values()) & set(new.values())
    for metric in METRICS:
        assert session.thread(old[metric])["superseded_by"] == new[metric]
        assert session.thread(new[metric])["superseded_by"] is None
    # The recommendations are about the old data until they are asked for.
    assert session.thread(advice["knee_flexion"])["superseded_by"] is None
    assert session.create_summary_threads() == new
    # A person may still write on the old thread.
    session.append_message(old["knee_flexion"], "Still.", by="Bo")
    assert session.thread(old["knee_flexion"])["superseded_by"] == new["knee_flexion"]
    # Data that come back bring their threads back.
    session.set_repetitions(None)
    session.analyze()
    assert session.create_summary_threads() == old
    assert session.thread(old["knee_flexion"])["superseded_by"] is None
    texts = [message["text"] for message in session.thread(old["knee_flexion"])["messages"]]
    assert texts[-2:] == ["Kept.", "Still."]
    assert session.thread(new["knee_flexion"])["superseded_by"] == old["knee_flexion"]
    # A name makes new ones too; what the texts do not name changes nothing.
    session.store.set_participant("p01", display_name="Ann")
    named = session.create_summary_threads()
    assert session.thread(named["hip_flexion"])["messages"][0]["text"].startswith("Ann, ")
    assert session.thread(old["hip_flexion"])["superseded_by"] == named["hip_flexion"]
    session.store.set_participant("p01", email="a@b.c")
    assert session.create_summary_threads() == named


def test_a_thread_with_the_former_words_of_results_reads_with_those_of_now(session):
    thread_id = session.create_summary_threads()["knee_flexion"]
    (file,) = (file for file in session.folder.rglob("*.json") if thread_id in file.name)
    thread = session.thread(thread_id)
    was = {result: entry["was"] for result, entry in tables.load("sentences_results").items()}
    stored = json.loads(file.read_text())
    for each in stored["evidence"]:
        each["answer"] = was[each.pop("result")]
    assert {each["answer"] for each in stored["evidence"]} <= {"open", "refused"}
    file.write_text(json.dumps(stored))
    assert session.thread(thread_id) == thread
    assert session.create_summary_threads()["knee_flexion"] == thread_id


def test_a_thread_from_before_there_were_results_reads_as_before(session):
    thread_id = session.create_summary_threads()["knee_flexion"]
    session.append_message(thread_id, "Kept.", by="Bo")
    (file,) = (file for file in session.folder.rglob("*.json") if thread_id in file.name)
    thread = json.loads(file.read_text())
    assert {each.pop("result") for each in thread["evidence"]} <= {"inconclusive", "not_reported"}
    file.write_text(json.dumps(thread))
    read = session.thread(thread_id)
    assert Thread.model_validate(read).model_dump(mode="json") == read
    assert {each.pop("result") for each in read["evidence"]} == {None}
    assert read["evidence"] == thread["evidence"]
    assert session.append_message(thread_id, "Still.", by="Bo")
    assert [m["text"] for m in session.thread(thread_id)["messages"]][-2:] == ["Kept.", "Still."]


def test_processes_that_ask_at_once_get_the_same_threads(session):
    start = multiprocessing.get_context("fork").Barrier(4)

    def ask(number: int) -> None:
        start.wait(10)
        ids = session.create_summary_threads()
        session.append_message(ids["knee_flexion"], f"From {number}.", by="Bo")

    in_children(4, ask)
    ids = session.create_summary_threads()
    assert len(files(session)) == 6
    texts = [m["text"] for m in session.thread(ids["knee_flexion"])["messages"]]
    # No message of one is lost to another.
    assert sorted(texts[2:]) == [f"From {number}." for number in range(4)]


def test_killed_at_any_write_the_next_ask_completes_the_threads(session, stand_ins):
    """Six new files, then six old ones that are marked: killed at each of some of them."""
    old = session.create_summary_threads()
    session.append_message(old["knee_flexion"], "Kept.", by="Bo")
    change_data(session, stand_ins)
    kept = files(session)
    for point, before in ((1, True), (1, False), (6, False), (7, True), (12, True), (12, False)):
        shutil.rmtree(session.folder / "threads")
        (session.folder / "threads").mkdir()
        for name, content in kept.items():
            (session.folder / "threads" / name).write_bytes(content)

        def die(point: int = point, before: bool = before) -> None:
            stand_ins.die_at(point, before=before)
            session.create_summary_threads()

        assert in_child(die) == -signal.SIGKILL, (point, before)
        for thread in session.threads():  # none is half written
            assert len(thread["messages"]) >= 2
        new = session.create_summary_threads()
        assert set(files(session)) == {f"{each}.json" for each in [*old.values(), *new.values()]}
        for metric in METRICS:
            assert session.thread(old[metric])["superseded_by"] == new[metric], (point, before)
        assert session.thread(old["knee_flexion"])["messages"][-1]["text"] == "Kept."


def test_bad_input_is_refused_with_the_likely_spelling(session):
    with pytest.raises(
        BadInputError, match=r"system: there is no 'imperal'; did you mean 'imperial'"
    ):
        session.create_summary_threads(system="imperal")
    with pytest.raises(BadInputError, match="choose 'metric' or 'imperial'"):
        session.create_recommendation_threads(system="")
    with pytest.raises(BadInputError, match=r"kind: there is no 'sumary'; did you mean 'summary'"):
        session.threads("sumary")
    for bad in ("../session", "thread_", "thread_" + "a" * 23 + "/", "", None):
        with pytest.raises(BadInputError, match=r"thread[ _](id|ID)"):
            session.thread(bad)
    with pytest.raises(NotFoundError, match="does not belong to session"):
        session.thread("thread_" + "a" * 24)
    assert not (session.folder / "threads").exists()
    ids = session.create_summary_threads()
    for text, words in (
        ("  ", "non-empty"),
        ("a\x07b", r"U\+0007"),
        ("a" * 10_001, "at most 10000"),
        ("a\udcff", "not decodable"),
        (None, "valid string"),
    ):
        with pytest.raises(BadInputError, match=words):
            session.append_message(ids["hip_flexion"], text)
    with pytest.raises(BadInputError, match="by"):
        session.append_message(ids["hip_flexion"], "x", by="")
    with pytest.raises(NotFoundError, match="does not belong to session"):
        session.append_message("thread_" + "a" * 24, "x")


def test_what_is_not_analysed_and_other_exercises_have_no_threads(store, stand_ins, tmp_path):
    session = store.create(stand_ins.video(tmp_path / "camera"), **SQUAT)
    assert session.threads() == []
    with pytest.raises(NotFoundError, match="is not analysed yet"):
        session.create_summary_threads()
    assert not (session.folder / "threads").exists()
    session.analyze()
    file = session.folder / "session.json"
    file.write_text(
        json.dumps({**json.loads(file.read_text()), "exercise": "Joint Angle Mobility"})
    )
    for kind in ("recommendation", "summary"):
        with pytest.raises(BadInputError, match=f"only 'Overhead Squat' or .* has {kind} threads"):
            getattr(session, f"create_{kind}_threads")()


def test_a_session_out_of_date_is_analysed_before_its_threads(session, store):
    store.set_participant(session.record.user_id, height_m=1.9)
    with pytest.raises(BadInputError, match="system: there is no 'bogus'"):
        session.create_summary_threads(system="bogus")
    assert not session.is_current()
    session.create_summary_threads()
    assert session.is_current()
    store.set_participant(session.record.user_id, height_m=1.8)
    where = ["--store", str(store.path), "--reports", str(store.reports)]
    done = CliRunner().invoke(app, ["threads", session.id, "--kind", "summary", *where])
    assert done.exit_code == 0, done.output
    assert session.is_current()


def test_a_damaged_thread_is_named_and_deleting_takes_all_with_their_lock(session):
    ids = session.create_summary_threads()
    session.append_message(ids["knee_flexion"], "Gone.", by="Bo")
    file = session.folder / "threads" / f"{ids['hip_flexion']}.json"
    file.write_text("{}")
    with pytest.raises(StorageError, match=f"{ids['hip_flexion']}: its file is damaged"):
        session.thread(ids["hip_flexion"])
    session.delete()
    assert not session.folder.exists()
    assert not list((session.store.path / ".locks").glob(f"{session.id}*"))


def test_a_session_that_is_deleted_meanwhile_is_not_found_and_not_made_again(session, monkeypatch):
    ids = session.create_summary_threads()

    def read_and_delete(file: Path) -> Any:
        content = read_json(file)
        shutil.rmtree(session.folder)
        return content

    monkeypatch.setattr(module, "read_json", read_and_delete)
    with pytest.raises(NotFoundError, match="was deleted in the meantime"):
        session.append_message(ids["hip_flexion"], "Gone.", by="Bo")
    assert not session.folder.exists()


def test_threads_are_made_anew_by_other_code(session, monkeypatch):
    first = session.create_summary_threads()
    monkeypatch.setattr(module, "code_digest", lambda: "of other code")
    second = session.create_summary_threads()
    assert set(first.values()).isdisjoint(second.values())
    assert session.thread(first["knee_flexion"])["superseded_by"] == second["knee_flexion"]


def test_the_threads_of_the_demo_are_made_without_writing_and_outlast_the_code(
    project, monkeypatch
):
    def there() -> list[Path]:
        return sorted((project / "data" / "demo").rglob("*"))

    before = there()
    demo = Store("unused").demo("Overhead Squat")
    ids = demo.create_recommendation_threads(system="imperial")
    monkeypatch.setattr(module, "code_digest", lambda: "of other code")
    assert demo.create_recommendation_threads(system="imperial") == ids
    thread = demo.thread(ids["final_summary"])
    assert demo.thread(ids["final_summary"]) == thread
    assert "Stop if it hurts" in thread["messages"][0]["text"]
    assert (len(demo.threads("summary")), len(demo.threads())) == (12, 24)
    with pytest.raises(NotFoundError):
        demo.thread("thread_" + "a" * 24)
    with pytest.raises(NotPermittedError, match="demo cannot be changed"):
        demo.append_message(ids["final_summary"], "No.")
    assert there() == before
