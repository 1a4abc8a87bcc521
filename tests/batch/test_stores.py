"""Batches and commands on a store behind a URL, with a real S3 server and its faults."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import re
import shlex
import shutil
import sys
import time
import zipfile
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from batches import batch, in_netcdf, in_the_end, nothing_is_left, results, rows_of, run, start
from demo_sessions import with_current_keys
from processes import wait_for

from mobility.store import Store


@pytest.mark.slow
def test_the_server_stops_for_a_while(s3, place, undisturbed):
    """In the middle of a row: it waits, and all is done in the same run."""
    url = s3.url()
    process = start(
        *(place, "batch", "m.csv", "--store", url, "--json", "--workers", 2),
        fault=f"metrics:touch={s3.away}:1",
    )
    wait_for(s3.away.exists)
    wait_for(lambda: not s3.answers())
    time.sleep(1)
    s3.away.unlink()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads(out)["done"] == 3
    assert results(url) == undisturbed
    nothing_is_left(place, url, s3)


@pytest.mark.slow
def test_the_server_stops_for_longer(s3, place, undisturbed, monkeypatch):
    """The rows that need it fail, each with that reason; the next run finishes them."""
    url = s3.url()
    monkeypatch.setenv("PATIENCE", "1")
    try:
        status, found, _ = batch(place, store=url, fault=f"metrics:touch={s3.away}:1")
    finally:
        s3.away.unlink(missing_ok=True)
    wait_for(s3.answers)
    assert (status, found["failed"] > 0) == (1, True)
    for row in rows_of(found):
        assert row["state"] != "failed" or "is its server running" in row["reason"]
    monkeypatch.delenv("PATIENCE")
    in_the_end(place, undisturbed, url, s3)


@pytest.mark.slow
def test_a_watch_with_a_bucket(s3, place):
    url = s3.url()
    uploads = place / "uploads"
    uploads.mkdir()
    shutil.copy(place / "a.mp4", uploads / "a.mp4")
    command = ("watch", "uploads", "--store", url, "--once", "--settle", 0, "--every", 0.1)
    status, out, err = run(place, *command, "--workers", 1)
    assert (status, err) == (0, "")
    assert out.startswith("done     a.mp4")
    # It is known in the store that it was processed.
    assert run(place, *command, "--workers", 1)[1] == ""
    nothing = {name.partition("/")[0] for name in s3.files(url)} - {".watch"}
    assert {name for name in nothing if name.startswith(".")} == set()


TABLE = """
    demo --json
    analyze a.mp4 --user-id p01 --name One
    ! analyze absent.mp4
    sessions list
    sessions list --json
    sessions show ID2
    ! sessions show absent
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
    ! participants show p02
    participants list
    participants export p01 --out takeout.zip
    ! participants export p02 --out takeout.zip
    ! config get moves
    config set moves --file config.json
    config get moves
    export-lab squat --out angles.mot
    validate squat
    validate squat angles.mot --no-report
    validate squat
    ! cohort --metrics nonsense
    cohort --metrics knee_flexion
    batch one.csv --workers 1
    watch uploads --once --settle 0 --every 0.1 --workers 1
    ! open --port 99999
    keys create --role participant --user-id p01
    keys create --role administrator
    keys list
    ! keys revoke nope
    keys revoke KEY2
    sessions delete ID1
    ! sessions delete absent
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
    *("capture.video", "assessment.joint_mobility", "validation.trial", "validation.export"),
    *("reports.render", "reports.first_page", "reports.cohort_sections"),
    "pipeline.lab_comparison",
)

FILES = {
    "reps.json": '[{"start": 0.0, "bottom": 0.05, "end": 0.1}]',
    "person.json": '{"height_m": 1.7, "display_name": "Ann"}',
    "twice.json": '{"height_m": 1.7, "height_m": 1.9}',
    "one.csv": "video,participant,height_m\nb.mp4,p01,1.7\n",
    "config.json": '{"comments": {"left_elbow_angle": "Good."}}',
}


def commands(group, words=()):
    """Names of the commands that open a store."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        elif any(option.name == "store" for option in command.params):
            yield " ".join((*words, name))


def test_the_table_has_every_command():
    import typer

    from mobility.cli.main import app

    rows = [row.strip(" !") for row in TABLE.strip().splitlines()]
    for command in commands(typer.main.get_command(app)):
        assert any(row.startswith(command) for row in rows), f"no row for {command}"


FORMS = {
    "ID": r"\d{8}-\d{6}-[0-9a-f]{8}",
    "KEY": r"\b[0-9a-f]{12}\b",
    "THREAD": r"thread_\w{24}",
}


class Plain:
    """Makes what two runs say alike: places, and what is of the time or of chance."""

    def __init__(self, places):
        self.places = places
        self.names = {}

    def __call__(self, text):
        for place, name in self.places.items():
            text = text.replace(place, name)
        text = re.sub(r"mob_([0-9a-f]{12})_\w{43}", r"\1", text)
        for kind, form in FORMS.items():
            for each in re.findall(form, text):
                known = [n for n in self.names.values() if n.startswith(kind)]
                self.names.setdefault(each, f"{kind}{len(known) + 1}")
        for each, name in self.names.items():
            text = text.replace(each, name)
        text = re.sub(r"(\w+://|STORE)[^\s\"]+\.(mp4|mov)", "ADDRESS", text)
        text = re.sub(r"\d\d:\d\d(:\d\d\S*| [AP]M)", "TIME", text)
        return re.sub(r'\d{8}-\d{6}|"(salt|hash|sha256)": "\w+"|"seconds": [\d.]+', "", text)

    def meant(self, words):
        """Put what ID1 and KEY1 stand for into a row of the table."""
        for each, name in self.names.items():
            words = [each if word == name else word for word in words]
        return words


def stored(store, s3):
    """All that is stored, by its name in a folder; locks and logs left out."""
    if not store.startswith("s3"):
        found = {
            path.relative_to(store).as_posix(): path.read_bytes()
            for path in Path(store).rglob("*")
            if path.is_file() and path.suffix not in (".lock", ".log")
        }
    else:
        found = s3.files(store)
        for name in [name for name in found if name.endswith("/files.json")]:
            session_id = name.partition("/")[0]
            for file, entry in json.loads(found.pop(name))["files"].items():
                key = f"{session_id}/objects/{entry['sha256']}{Path(file).suffix}"
                text = entry.get("text")
                content = found.pop(key) if text is None else text.encode()
                found[f"{session_id}/{file}"] = content
    return found


@pytest.mark.slow
def test_the_table_of_commands_on_both_stores(s3, originals, tmp_path, request, monkeypatch):
    """Status, output and what is stored are the same in a folder and in a bucket."""
    from mobility.cli import main as cli

    # What is real imports what is real, before there are stand-ins for what takes long.
    real = [importlib.import_module(f"mobility.{name}") for name in REAL]
    stand_ins = request.getfixturevalue("stand_ins")
    for module in real:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    from mobility.reports.stored import report_files

    reports = sys.modules["mobility.reports.render"]

    def rendered(session, *, faces):
        if session.record.exercise == "Overhead Squat":
            return stand_ins.render_report(session, faces=faces)
        paths, _ = report_files(session)
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        return paths

    monkeypatch.setattr(reports, "render_report", rendered)
    # What ends a command from outside is no concern of this process.
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)

    def said(place, words):
        if words[0] in ("batch", "watch"):  # with stand-ins in their workers
            return run(place, *words)
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["mobility", *words])
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main()
                status = 0
            except SystemExit as ended:
                status = ended.code or 0
        return status, out.getvalue(), err.getvalue()

    digests = {}

    def alike(name, content, plain):
        if name.endswith(".json"):
            return plain(content.decode())
        if content not in digests and name.endswith(".nc"):
            (tmp_path / "a.nc").write_bytes(content)
            digests[content] = hashlib.sha256(repr(in_netcdf(tmp_path / "a.nc")).encode())
        return digests.setdefault(content, hashlib.sha256(content)).hexdigest()

    runs = []
    for store in (str(tmp_path / "folder" / "store"), s3.url()):
        place = tmp_path / ("bucket" if store.startswith("s3") else "folder")
        shutil.copytree(originals, place)
        (place / "uploads").mkdir()
        shutil.copy2(place / "c.mp4", place / "uploads")
        for name, content in FILES.items():
            (place / name).write_text(content)
        monkeypatch.chdir(place)
        monkeypatch.setenv("MOBILITY_STORE", store)
        with closing(Store(store)) as opened:
            # As the commands do later: who is changed is measured anew, here by stand-ins.
            opened.set_participant("p01", **json.loads(FILES["person.json"]))
            put_demo(opened, "moves", "Joint Angle Mobility", "p01")
            put_demo(opened, "squat", "Overhead Squat", "p01")
        plain = Plain({store: "STORE", place.as_uri(): "PLACE", str(place): "PLACE"})
        rows = []
        for row in TABLE.strip().splitlines():
            status, out, err = said(place, plain.meant(shlex.split(row.strip(" !"))))
            out, err = plain(out), plain(err)
            kept = {
                re.sub(r"\w{16}", "DIGEST", plain(name)): alike(name, content, plain)
                for name, content in stored(store, s3).items()
            }
            rows.append((row.strip(), status, out, err, kept))
        with zipfile.ZipFile(place / "takeout.zip") as archive:
            names = sorted(plain(name) for name in archive.namelist())
        runs.append((rows, names))
    for folder, bucket in zip(runs[0][0], runs[1][0], strict=True):
        assert folder[:4] == bucket[:4]
        differ = {name for name, content in (folder[4].items() ^ bucket[4].items())}
        assert (folder[0], differ) == (bucket[0], set())
    assert runs[0][1] == runs[1][1]
    for row, status, _, err, _ in runs[0][0]:
        assert status == (2 if row.startswith("!") else 0), (row, err)
    # Of whoever was deleted nothing is left, and no lock or working copy of anybody.
    assert not any("p01" in text for text in runs[0][0][-1][4].values())
    assert not any(".locks" in name for name in s3.files(store))


def test_a_command_needs_a_store_that_outlives_it(place):
    for command in (("sessions", "list"), ("batch", "m.csv")):
        status, out, err = run(place, *command, "--store", "memory://a")
        assert (status, out) == (2, "")
        assert err.startswith("mobility: --store memory://a: exists in the memory of this process")
        assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_an_analysis_whose_server_goes_is_kept(s3, place, monkeypatch, undisturbed):
    url = s3.url()
    monkeypatch.setenv("PATIENCE", "1")
    command = ("analyze", "a.mp4", "--user-id", "p01", "--store", url, "--no-report")
    try:
        status, _, err = run(place, *command, fault=f"fitted:touch={s3.away}:1")
    finally:
        s3.away.unlink(missing_ok=True)
    wait_for(s3.answers)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "is its server running" in err
    (session,) = Store(url).sessions()
    assert err.rstrip().endswith(f"finish it with: mobility edit {session.id}")
    status, _, err = run(place, "edit", session.id, "--store", url)
    assert status == 0, err
    found = results(url)
    assert found[("a.mp4", "metrics.nc")] == undisturbed[("a.mp4", "metrics.nc")]


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


@pytest.mark.slow
def test_a_real_report_from_a_bucket(s3, tmp_path):
    """By a kernel that opens the store itself; the same page as from a folder."""
    pages = {}
    for place in (str(tmp_path / "sessions"), s3.url()):
        store = Store(place, reports=tmp_path / f"reports-{place.partition(':')[0][-2:]}")
        put_demo(store, "one", "Overhead Squat")
        made = store.session("one").render_report()
        pages[place] = made["html"].read_bytes()
        assert store.session("one").report_is_current()
        text = made["notebook"].read_text()
        assert (place in text) == place.startswith("s3")
    first, second = pages.values()
    assert first == second
