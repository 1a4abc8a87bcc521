"""Every command once, on one store; then nothing is left of a participant who was deleted."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import sys
import zipfile

import pytest
import typer
from batches import FOLDER, run
from demo_sessions import with_current_keys
from other_processes import command

from mobility.cli.main import app
from mobility.reports.stored_reports import report_files
from mobility.store import Store

TABLE = """
    demo --json
    analyze a.mp4 --user-id p01 --name One
    sessions list
    sessions show ID2
    sessions export ID2
    report ID2
    summary ID2
    joint-mobility moves
    threads ID2 --kind summary
    repetitions ID2
    repetitions ID2 --set reps.json
    edit ID2 --camera-side left
    participants set p01 --file person.json
    ! participants set p01 --file twice.json
    participants show p01
    participants list
    visit p02
    course p02
    participants export p01 --out takeout.zip
    ! config get moves
    config set moves --file config.json
    config get moves
    export-lab squat --out angles.mot
    export-bids p02 bids
    validate squat
    validate squat angles.mot --no-report
    validate squat
    cohort --metrics knee_flexion
    ! reliability study.csv
    ! groups study.csv --by team
    references list
    ! references show ours
    ! references delete ours
    batch one.csv --workers 1
    watch uploads --once --settle 0 --every 0.1 --workers 1
    ! open --port 99999
    keys create --role participant --user-id p01
    keys create --role administrator
    keys list
    keys revoke KEY2
    sessions delete ID1
    prune --keep 3
    prune --keep 3 --yes
    participants delete p01
    participants delete p01 --yes
    ! participants delete p01 --yes
    keys list
    sessions list
"""
"""Commands in the order in which they are run, with "!" those that end with status 2; ID1 and KEY1
stand for the session and the key that were made first."""

REAL = (
    *(
        "capture.video",
        "exercises.joint_angle_mobility.joint_mobility",
        "lab.lab_trial",
        "lab.lab_export",
    ),
    *("reports.render", "reports.first_page", "studies.cohort_sections"),
    "lab.lab_comparison",
)

FILES = {
    "reps.json": '[{"start": 0.0, "bottom": 0.05, "end": 0.1}]',
    "person.json": '{"height_m": 1.7, "display_name": "Ann"}',
    "twice.json": '{"height_m": 1.7, "height_m": 1.9}',
    "one.csv": "video,participant,height_m\nb.mp4,p01,1.7\n",
    "study.csv": "session,participant,visit,team\nsquat,p01,1,a\n",
    "config.json": '{"comments": {"left_elbow_angle": "Good."}}',
}


def names_of(group, words=()):
    """Names of the commands that open a store."""
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from names_of(each, (*words, name))
        elif any(option.name == "store" for option in each.params):
            yield " ".join((*words, name))


def test_the_table_has_every_command():
    rows = [row.strip(" !") for row in TABLE.strip().splitlines()]
    for name in names_of(typer.main.get_command(app)):
        assert any(row.startswith(name) for row in rows), f"no row for {name}"


@pytest.mark.slow
def test_the_table_of_commands(place, request, monkeypatch):
    """Each ends as it is meant to, and in the end nothing is left."""
    # What is real imports what is real, before there are stand-ins for what takes long.
    real = [importlib.import_module(f"mobility.{name}") for name in REAL]
    stand_ins = request.getfixturevalue("stand_ins")
    for module in real:
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def rendered(session, *, faces):
        if session.record.exercise == "Overhead Squat":
            return stand_ins.render_report(session, faces=faces)
        paths, _ = report_files(session)
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        return paths

    monkeypatch.setattr(sys.modules["mobility.reports.render"], "render_report", rendered)
    store = place / FOLDER
    (place / "uploads").mkdir()
    shutil.copy2(place / "c.mp4", place / "uploads")
    for name, content in FILES.items():
        (place / name).write_text(content)
    monkeypatch.chdir(place)
    monkeypatch.setenv("MOBILITY_STORE", str(store))
    opened = Store(store)
    # As the commands do later: who is changed is measured anew, here by stand-ins.
    opened.set_participant("p01", **json.loads(FILES["person.json"]))
    put_demo(opened, "moves", "Joint Angle Mobility", "p01")
    put_demo(opened, "squat", "Overhead Squat", "p01")
    put_demo(opened, "visited", "Overhead Squat", "p02")
    meant = {}
    for row in TABLE.strip().splitlines():
        words = [meant.get(word, word) for word in shlex.split(row.strip(" !"))]
        # With stand-ins in their workers.
        in_process = words[0] not in ("batch", "watch")
        status, out, err = command(*words) if in_process else run(place, *words)
        assert status == (2 if "!" in row else 0), (row, err)
        assert "Traceback" not in err
        for kind, form in (("ID", r"\d{8}-\d{6}-[0-9a-f]{8}"), ("KEY", r"\b[0-9a-f]{12}\b")):
            for each in re.findall(form, out):
                if each not in meant.values():
                    number = 1 + len([name for name in meant if name.startswith(kind)])
                    meant[f"{kind}{number}"] = each
    with zipfile.ZipFile(place / "takeout.zip") as archive:
        assert {"moves/metrics.nc", "squat/video.mp4"} <= {
            name.removeprefix("sessions/") for name in archive.namelist()
        }
    # Of whoever was deleted nothing is left.
    for path in store.rglob("*"):
        assert "p01" not in path.name
        assert path.is_dir() or b"p01" not in path.read_bytes(), path


def put_demo(store, session_id, exercise, user_id="demo"):
    """Put a demo session into a store, with all its results."""
    demo = store.demo(exercise)
    session = store.create(
        demo.video, user_id=user_id, exercise_name=exercise, session_id=session_id
    )
    with store.session_locked(session_id, what="session"):
        for stage in demo.record.stages.values():
            shutil.copy(demo.folder / stage.file, session.folder / stage.file)
        kept = {"session_id": session_id, "user_id": user_id, "video": session.record.video}
        record = demo.record.model_copy(update={**kept, "session_name": "Demo"})
        record = with_current_keys(session, record)
        (session.folder / "session.json").write_text(record.model_dump_json())
