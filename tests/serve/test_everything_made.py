"""After everything was made of a participant, a deletion leaves nothing that names them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from batches import done_rows, write_begun, write_ended
from cohort_cases import add_study
from demo_sessions import change_record, copy_of, taken_as_current
from lab_trials import write_truth
from serving import serving

from mobility.documents.lab_references import RetestErrors
from mobility.lab.lab_comparison import run_study
from mobility.lab.validation_report import render_study, render_validation
from mobility.serve.batch.run import LOG
from mobility.serve.batch.study import read_study
from mobility.serve.privacy import erase, prune, to_prune
from mobility.sessions.record import now
from mobility.store import Store
from mobility.studies.report_files import GROUPS, RELIABILITY
from mobility.studies.study_reports import render_cohort, render_statistics

pytestmark = pytest.mark.usefixtures("one_server")

ANN, SESSIONS = "ann-3f9", ("one-7c1", "two-7c1")
OF_SEVERAL = ("cohort", "groups-a", "reliability-a", "study-a")


def make_everything(folder: Path, demo: Path) -> Store:
    """Make all that names somebody, of Ann and of six others."""
    store = Store(folder / "sessions", reports=folder / "reports")
    listed = add_study(store, demo, 6)
    store.set_participant(ANN, sex="female", display_name="Ann")
    lab = write_truth(demo, folder / "lab.trc")
    for name, day in zip(SESSIONS, ("2026-01-01", "2026-02-01"), strict=True):
        session = copy_of(demo, store, name, user_id=ANN, created_at=f"{day}T10:00:00+01:00")
        digest = hashlib.sha256(name.encode()).hexdigest()  # equal videos would count once
        change_record(session, video={**session.record.video.model_dump(), "sha256": digest})
        session = taken_as_current(session)
        render_validation(session, session.validate(lab))
        session.render_report()
        session.still()
        session.create_summary_threads()
        for place in (session.folder, session.report_folder):
            session.export_lab(place / f"{name}.trc")
        store.render_visit(ANN, on=day)
        store.course(ANN).set_note(day, f"a note on {ANN}")
    store.render_course(ANN)
    with listed.open("a") as file:
        file.writelines(f"{name},{ANN},{n},patients\n" for n, name in enumerate(SESSIONS, 1))
    study = read_study(listed, store=store, curves=True)
    store.save_reference(RetestErrors(name="ours", made=now(), errors=[]))
    reports = store.reports
    render_cohort(store, reports / "cohort", parameters={"exercise": ""})
    by = {"by": "group", "within": "visit"}
    render_statistics(GROUPS, study, reports / "groups-a", title="a", parameters=by)
    render_statistics(RELIABILITY, study, reports / "reliability-a", title="a", parameters={})
    of_lab = folder / "with-lab.csv"
    rows = [f"{name},{lab},{way}" for name, way in zip(SESSIONS, ("shod", "bare"), strict=True)]
    of_lab.write_text("\n".join(["session,lab_file,condition", *rows]) + "\n")
    render_study(run_study(store, of_lab), reports / "study-a")
    rows = done_rows(("a.mp4", ANN), ("b.mp4", "p1"))
    for row, name in zip(rows, (SESSIONS[0], "s1v1"), strict=True):
        row.session_id = name
    for write, name in ((write_ended, "batch-20260102-030405"), (write_begun, "batch-20260102-1")):
        (reports / name).mkdir()
        write(reports / name, rows)
        (reports / name / LOG).write_text(f"2026-01-02 03:04:05,678 INFO a.b: x of {ANN}: done\n")
    return store


def by_http(store: Store) -> None:
    """Ask a server, from which the document of a visit was read before."""
    with serving(store.path.parent, kind="quick") as server:
        key = server.key()
        for path in (f"/participants/{ANN}/visits/2026-01-01/", f"/sessions/{SESSIONS[0]}/"):
            assert server.ask("GET", path, key).status_code == 200
        assert server.ask("DELETE", f"/participants/{ANN}/", key).status_code == 204


def one_by_one(store: Store) -> None:
    for name in SESSIONS:
        store.delete(name)


def pruned(store: Store) -> None:
    for item in to_prune(store, keep=0, user_id=ANN):
        prune(store, item)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    folder = tmp_path_factory.mktemp("made")
    store = make_everything(folder, demo)
    for place in (store.path, *map(store.reports.joinpath, OF_SEVERAL)):
        assert named(place), place
    return folder


def named(folder: Path) -> list[str]:
    """Files and folders with an id in name or content; what a log of requests is for, it keeps."""
    words = [word.encode() for word in (ANN, *SESSIONS)]
    return [
        place.relative_to(folder).as_posix()
        for place in sorted(folder.rglob("*"))
        if place.name != "audit.jsonl"
        and any(
            word in os.fsencode(place.name) + (place.read_bytes() if place.is_file() else b"")
            for word in words
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize("act", [lambda store: erase(store, ANN), by_http, one_by_one, pruned])
def test_a_deletion_leaves_nothing_that_was_made(
    act: Callable[[Store], object], made: Path, tmp_path: Path
) -> None:
    for name in ("sessions", "reports"):
        shutil.copytree(made / name, tmp_path / name)
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    act(store)
    # Who deletes a session keeps its participant, and what batches did.
    of_person = act in (one_by_one, pruned)
    left = [
        name
        for place in (store.path, store.reports)
        for name in named(place)
        if not (of_person and name.startswith(("batch-", "participants/")))
    ]
    assert left == []
    # Each folder is free for the next report.
    assert [name for name in OF_SEVERAL if (store.reports / name).exists()] == []
    assert len(store.sessions()) == 12
    assert (store.path / "references" / "ours.json").is_file()
