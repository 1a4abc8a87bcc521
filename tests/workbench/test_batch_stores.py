"""Batches and commands on a store behind a URL, with a real S3 server and its faults."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mobility.workbench.files import read_dataset
from mobility.workbench.store import Store

FAULTY = Path(__file__).with_name("faulty_worker.py")
MANIFEST = "video,participant,height_m\na.mp4,p01,1.7\nb.mp4,p01,1.7\nc.mp4,p02,\n"
RESULTS = (
    *("pose.nc", "fitted.nc", "angles.nc", "repetitions.nc", "metrics.nc"),
    *("metrics.parquet", "capture_quality.json", "analyzed.mp4", "video.mp4"),
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory, clips):
    """Three short videos and a manifest of them."""
    folder = tmp_path_factory.mktemp("originals")
    for number, name in enumerate(("a", "b", "c")):
        clips.make_clip(folder / f"{name}.mp4", 3 + number)
    (folder / "m.csv").write_text(MANIFEST)
    return folder


@pytest.fixture
def place(tmp_path, originals):
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    return tmp_path


def start(place, *arguments, fault="none:none:0"):
    """Start a command in `place`, with stand-ins in it and in its workers."""
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(FAULTY)!r})\n"
        "sys.argv[0] = 'mobility'\n"
        "from mobility.cli import main\nmain()"
    )
    environment = {
        **os.environ,
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(FAULTY),
        "STAND_INS": str(FAULTY.with_name("stand_ins.py")),
        "FAULT": fault,
        "FAULT_FOLDER": str(place),
        "TMPDIR": str(place / "tmp"),
    }
    (place / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(place, *arguments, **more):
    """Status, standard output and standard error."""
    process = start(place, *arguments, **more)
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def batch(place, url, *options, **more):
    """Status, what the summary counts, and its rows."""
    command = ("batch", "m.csv", "--store", url, "--json", "--workers", 2)
    status, out, err = run(place, *command, *options, **more)
    assert out, err
    found = json.loads(out)
    with Path(found["summary"]["csv"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return status, {state: found[state] for state in ("done", "skipped", "failed")}, rows


def results(url):
    """Content of all results, by video and file; of NetCDF, all that it says."""
    found = {}
    store = Store(url)
    for session in store.sessions():
        assert session.record.state == "analyzed"
        names = set(store._remote._base[session.id]) if store.is_remote else set(RESULTS)
        assert names - {"session.json"} == set(RESULTS)
        for name in RESULTS:
            store._fetch(session.id, name)
            path = session.folder / name
            content = path.read_bytes()
            if path.suffix == ".nc":
                data = read_dataset(path)
                variables = [
                    (key, v.dims, str(v.dtype), v.values.tobytes(), str(v.attrs))
                    for key, v in data.variables.items()
                ]
                content = (variables, str(data.attrs), dict(data.sizes))
            found[session.record.video.original_name, name] = content
    store.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, originals):
    """What the three videos give in a folder, when nothing happens."""
    place = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(originals, place, dirs_exist_ok=True)
    status, counts, _ = batch(place, place / "sessions")
    assert (status, counts["done"]) == (0, 3)
    return results(place / "sessions")


def nothing_is_left(s3, url, place):
    """Only sessions and participants, and no lock; and no working copy on this machine."""
    left = {name.partition("/")[0] for name in s3.files(url)}
    assert {name for name in left if name.startswith(".")} == set()
    assert list((place / "tmp").glob("mobility-store-*")) == []


def in_the_end(s3, place, url, undisturbed):
    """After one more run all is there, with the bytes of a run in a folder without a fault."""
    status, counts, rows = batch(place, url)
    assert (status, counts["failed"]) == (0, 0), rows
    assert results(url) == undisturbed
    nothing_is_left(s3, url, place)


@pytest.mark.slow
def test_a_batch_in_a_bucket(s3, place, undisturbed):
    url = s3.url()
    status, counts, rows = batch(place, url)
    assert (status, counts) == (0, {"done": 3, "skipped": 0, "failed": 0}), rows
    assert results(url) == undisturbed
    assert batch(place, url)[1] == {"done": 0, "skipped": 3, "failed": 0}
    assert Store(url).participant("p01")["height_m"] == 1.7
    nothing_is_left(s3, url, place)


@pytest.mark.slow
def test_two_batches_on_one_bucket(s3, place, undisturbed):
    url = s3.url()
    command = ("batch", "m.csv", "--store", url, "--json", "--workers", 1)
    both = [start(place, *command, fault="metrics:slow:9") for _ in range(2)]
    said = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(each["done"] for each in said) == 3
    assert sum(each["skipped"] for each in said) == 3
    assert results(url) == undisturbed
    nothing_is_left(s3, url, place)


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
    nothing_is_left(s3, url, place)


@pytest.mark.slow
def test_the_server_stops_for_longer(s3, place, undisturbed, monkeypatch):
    """The rows that need it fail, each with that reason; the next run finishes them."""
    url = s3.url()
    monkeypatch.setenv("PATIENCE", "1")
    try:
        status, counts, rows = batch(place, url, fault=f"metrics:touch={s3.away}:1")
    finally:
        s3.away.unlink(missing_ok=True)
    wait_for(s3.answers)
    assert (status, counts["failed"] > 0) == (1, True)
    for row in rows:
        assert row["state"] != "failed" or "is its server running" in row["reason"]
    monkeypatch.delenv("PATIENCE")
    in_the_end(s3, place, url, undisturbed)


@pytest.mark.slow
def test_a_worker_is_killed(s3, place, undisturbed):
    url = s3.url()
    status, counts, rows = batch(place, url, fault="annotated:kill:1")
    assert (place / "fault-0").exists()
    assert (status, counts["failed"]) == (0, 0), rows
    in_the_end(s3, place, url, undisturbed)


@pytest.mark.slow
def test_a_batch_that_was_killed_is_resumed_at_once(s3, place, undisturbed):
    """And its locks hold nobody up: on this machine it is seen that their holders are dead."""
    url = s3.url()
    process = start(
        *(place, "batch", "m.csv", "--store", url, "--json", "--workers", 2),
        fault="metrics:wait:1",
    )
    wait_for((place / "fault-0").exists)
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    status, counts, rows = batch(place, url, "--resume")
    assert (status, counts["failed"]) == (0, 0), rows
    in_the_end(s3, place, url, undisturbed)


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


@pytest.mark.slow
def test_the_commands(s3, place, stand_ins, monkeypatch, capsys):
    """Each as on a folder; what a command prints of places is in the bucket."""
    from mobility import cli

    monkeypatch.delitem(sys.modules, "mobility.capture.video")
    monkeypatch.chdir(place)
    # What ends a command from outside is no concern of this process.
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    url = s3.url()
    monkeypatch.setenv("MOBILITY_STORE", url)

    def said(*arguments):
        monkeypatch.setattr(sys, "argv", ["mobility", *map(str, arguments)])
        with suppress(SystemExit):
            cli.main()
        said = capsys.readouterr()
        assert not said.err.startswith("mobility: "), said.err
        return said.out

    one = json.loads(said("analyze", "a.mp4", "--user-id", "p01", "--json"))["session_id"]
    (row,) = json.loads(said("sessions", "list", "--json"))
    assert (row["session_id"], row["state"]) == (one, "analyzed")
    shown = json.loads(said("sessions", "show", one))
    assert shown["video_url"].startswith(f"{url}/{one}/objects/")
    assert shown["analyzed_video_url"].removeprefix(f"{url}/") in s3.files(url)
    assert json.loads(said("sessions", "export", one))
    assert json.loads(said("report", one))["exercise"] == "Overhead Squat"
    assert json.loads(said("summary", one))["exercise"] == "Overhead Squat"
    assert "final_summary" in json.loads(said("threads", one, "--kind", "summary", "--json"))
    assert len(json.loads(said("repetitions", one, "--json"))) == 2
    Path("reps.json").write_text('[{"start": 0.0, "bottom": 0.05, "end": 0.1}]')
    assert len(json.loads(said("repetitions", one, "--set", "reps.json", "--json"))) == 1
    said("edit", one, "--camera-side", "left")
    Path("person.json").write_text('{"height_m": 1.7}')
    said("participants", "set", "p01", "--file", "person.json")
    assert said("participants", "list") == "p01\n"
    assert json.loads(said("participants", "show", "p01"))["height_m"] == 1.7
    doomed = json.loads(said("prune", "--keep", "0", "--json"))
    assert doomed[0]["bytes"] > 0
    said("sessions", "delete", one)
    exercise = "Joint Angle Mobility"
    two = Store(url).create("b.mp4", user_id="p01", exercise_name=exercise).id
    Path("config.json").write_text('{"comments": {"left_knee_angle": "Good."}}')
    said("config", "set", two, "--file", "config.json")
    assert json.loads(said("config", "get", two, "--json"))["comments"]
    said("prune", "--keep", "0", "--yes")
    assert set(s3.files(url)) == {"participants/p01.json"}


def test_a_command_needs_a_store_that_outlives_it(place):
    for command in (("sessions", "list"), ("batch", "m.csv")):
        status, out, err = run(place, *command, "--store", "memory://a")
        assert (status, out) == (2, "")
        assert err.startswith("mobility: store memory://a: is in the memory of one process")
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


@pytest.mark.slow
def test_a_real_report_from_a_bucket(s3, tmp_path):
    """By a kernel that opens the store itself; the same page as from a folder."""
    demo = Store(tmp_path / "unused").demo("Overhead Squat")
    pages = {}
    for place in (str(tmp_path / "sessions"), s3.url()):
        store = Store(place, reports=tmp_path / f"reports-{place.partition(':')[0][-2:]}")
        session = store.create(
            demo.video, user_id="demo", exercise_name="Overhead Squat", session_id="one"
        )
        with store._locked("one", what="session one"):
            for stage in demo.record.stages.values():
                shutil.copy(demo.folder / stage.file, session.folder / stage.file)
            kept = {"session_id": "one", "video": session.record.video, "session_name": "Demo"}
            record = demo.record.model_copy(update=kept)
            (session.folder / "session.json").write_text(record.model_dump_json())
        made = store.session("one").render_report()
        pages[place] = made["html"].read_bytes()
        assert store.session("one").report_is_current()
        text = made["notebook"].read_text()
        assert (place in text) == place.startswith("s3")
    first, second = pages.values()
    assert first == second


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
