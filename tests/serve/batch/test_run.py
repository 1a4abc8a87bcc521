"""Batches: every row once, whatever is killed, full, gone or changed on the way."""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import time_machine
from batches import (
    FOLDER,
    batch,
    counts,
    done_rows,
    in_the_end,
    nothing_is_left,
    results,
    rows_of,
    start,
    surroundings,
    write_ended,
)
from distributed import Client
from other_processes import command, refused, wait_for

from mobility.base.progress import report_progress_to
from mobility.base.provenance import code_digest
from mobility.errors import BadInputError, InUseError
from mobility.serve.batch import run as module
from mobility.serve.batch.manifest import read_manifest
from mobility.store import Session, Store

ONE_WORKER = ("batch", "m.csv", "--json", "--store", FOLDER, "--workers", 1)


def test_no_cell_of_the_summary_is_a_formula(tmp_path):
    rows = done_rows(("=cmd|calc.mp4", "p01"), ("-1.5", "p02"))
    write_ended(tmp_path, [row.model_copy(update={"reason": "@x", "took_s": -2}) for row in rows])
    with (tmp_path / "summary.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["video"] for row in table] == ["'=cmd|calc.mp4", "-1.5"]
    assert {row["reason"] for row in table} == {"'@x"}
    assert {float(row["took_s"]) for row in table} == {-2}


@pytest.mark.slow
def test_done_is_skipped_and_what_changed_is_redone_from_there(place, undisturbed):
    store = place / FOLDER
    status, first, err = batch(place, "--workers", 2)
    assert (status, counts(first)) == (0, {"done": 3, "skipped": 0, "failed": 0}), err
    assert results(store) == undisturbed
    summary_is_complete(first)
    assert Store(store).participant("p01")["height_m"] == 1.7
    # A damaged result is made again with what depends on it; what is done is skipped.
    damaged = store / rows_of(first)[0]["session_id"] / "fitted.nc"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    again = batch(place, "--workers", 2)[1]
    assert counts(again) == {"done": 1, "skipped": 2, "failed": 0}
    assert rows_of(again)[0]["redone"].startswith("fitted; angles")
    assert results(store) == undisturbed
    assert batch(place, "--workers", 2)[1]["skipped"] == 3
    # Another height: the pose of its two videos stays; a blurred face: only the video is new.
    (place / "m.csv").write_text(
        "video,participant,height_m,options\n"
        "a.mp4,p01,1.8,\nb.mp4,p01,1.8,\nc.mp4,p02,,blur_face=yes\n"
    )
    status, changed, _ = batch(place, "--workers", 2)
    redone = {row["video"]: row["redone"].split("; ") for row in rows_of(changed)}
    assert (status, changed["done"]) == (0, 3)
    assert "pose" not in redone["a.mp4"]
    assert redone["a.mp4"][0] == "fitted"
    assert redone["c.mp4"] == ["annotated", "report"]
    nothing_is_left(place)


def summary_is_complete(summary):
    page = Path(summary["summary"]["html"].removeprefix("file://"))
    links = re.findall(r'href="(\.\./[^"]+)"', page.read_text())
    assert len(links) == 3
    assert all((page.parent / link).is_file() for link in links)


@pytest.mark.slow
def test_a_failure_does_not_stop_the_others(place):
    (place / "c.mp4").write_bytes((place / "c.mp4").read_bytes() + b"nobody")
    message = place / "said"
    tell = f'{sys.executable} -c \'import sys; open("{message}","w").write(sys.argv[1])\''
    status, summary, err = batch(place, "--on-end", tell)
    assert (status, counts(summary)) == (1, {"done": 2, "skipped": 0, "failed": 1})
    assert err == ""
    (failed,) = [row for row in rows_of(summary) if row["state"] == "failed"]
    assert "nobody was found" in failed["reason"]
    assert message.read_text() == summary["summary"]["json"]


def test_a_bad_file_of_a_folder_fails_alone(place, worked, monkeypatch):
    (place / "b.mp4").write_bytes(b"")
    (place / "c.mp4").write_bytes((place / "c.mp4").read_bytes()[:200])
    (place / "d.mp4").write_bytes((place / "a.mp4").read_bytes())
    (place / "p02").mkdir()
    (place / "p02" / "a.mp4").write_bytes((place / "a.mp4").read_bytes())
    # A name that is no UTF-8, as an old camera gives it.
    shutil.copy(place / "p02" / "a.mp4", os.fsencode(place / "p02") + b"/\xff.mp4")
    monkeypatch.chdir(place)
    status, out, _ = command("batch", ".", "--json")
    summary = json.loads(out)
    assert (status, counts(summary)) == (1, {"done": 2, "skipped": 0, "failed": 4})
    rows = {row["video"]: row for row in rows_of(summary)}
    assert {name for name, row in rows.items() if row["state"] == "done"} == {"a.mp4"}
    words = {"b.mp4": "empty", "c.mp4": "incomplete", "d.mp4": "row 1, a.mp4", "\\xff.mp4": "UTF-8"}
    for name, word in words.items():
        assert rows[name]["state"] == "failed"
        assert word in rows[name]["reason"], rows[name]
    # A folder of bad files only starts no worker.
    monkeypatch.delattr(module, "cluster_client")
    for file in place.rglob("*.mp4"):
        file.write_bytes(b"")
    assert command("batch", ".", "--json")[0] == 1
    assert len(worked.done) == 2


def test_a_batch_at_work_holds_its_lock_and_is_not_resumed(tmp_path, monkeypatch):
    store = Store(tmp_path / "store", reports=tmp_path / "reports")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "outcomes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        module.run_batch([], store, manifest="m")
    (folder,) = store.reports.glob("batch-*")

    def working(*_):
        with pytest.raises(InUseError, match=f"{folder.name} is in use"):
            module.run_batch([], store, manifest="m", resume=True)
        assert sorted(folder.iterdir()) == [folder / name for name in names]
        return []

    names = sorted((module.JOURNAL, module.WORKING, module.LOG))
    monkeypatch.setattr(module, "outcomes", working)
    summary = module.run_batch([], store, manifest="m", resume=True)
    assert summary.folder == folder.absolute()
    assert not (folder / module.WORKING).exists()


def test_what_cannot_be_run_is_told_in_full_before_anything_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    (place / "m.csv").write_text("video,exercise\na.mp4,Lunge\nabsent.mp4,\n")
    status, out, err = command("batch", "m.csv", "--json")
    assert (status, out) == (2, "")
    first, second, last = err.splitlines()
    assert last == "mobility: m.csv: 2 problems; nothing was run"
    assert "row 2, column exercise" in first
    assert "row 3, column video" in second
    (place / "m.csv").write_text("video\na.mp4\n")
    for typed, words in (
        ("--scheduler nonsense", "--scheduler: write it as tcp://host:8786 (got nonsense)"),
        ("--scheduler tcp://a:1 --workers 2", "cannot be combined"),
        ("--on-end=", "--on-end: must not be empty"),
        ("--reports s3://bucket/reports", "is a URL"),
        ("--store s3://bucket/prefix", "--store: is a URL; copy or mount the file"),
        ("--workers 0", "--workers: Input should be greater than or equal to 1"),
    ):
        refused(command("batch", "m.csv", "--json", *typed.split()), words)
    assert not (place / "data").exists()
    assert not (place / "reports").exists()


@pytest.mark.slow
def test_a_scheduler_that_is_not_there(place):
    status, summary, err = batch(place, "--scheduler", "tcp://127.0.0.1:1")
    assert (status, summary, len(err.splitlines())) == (2, {}, 1)
    assert "--scheduler: tcp://127.0.0.1:1 cannot be reached" in err


@pytest.mark.slow
# What a stage writes is written by the same lines: one with a file, and the last.
@pytest.mark.parametrize("stage", ["fitted", "report"])
def test_a_worker_that_is_killed_loses_nothing(place, undisturbed, stage):
    status, summary, err = batch(place, "--workers", 2, fault=f"{stage}:kill:1")
    assert (place / "fault-0").exists()
    assert (status, summary["failed"]) == (0, 0), err
    # But how far it is, where that takes long.
    assert [line for line in err.splitlines() if " batch: " not in line] == []
    in_the_end(place, undisturbed)


@pytest.mark.slow
def test_a_row_that_kills_every_worker_is_given_up(place, undisturbed, monkeypatch):
    """And those that wait on the same worker are not blamed for it."""
    monkeypatch.setenv("FAULT_VIDEO", str(place / "b.mp4"))
    status, summary, err = batch(place, "--workers", 1, fault="pose:kill:99")
    monkeypatch.delenv("FAULT_VIDEO")
    # A row that was done when its worker was lost may be found done.
    assert (status, summary["failed"], summary["done"] + summary["skipped"]) == (1, 1, 2), err
    (failed,) = [row for row in rows_of(summary) if row["state"] == "failed"]
    assert failed["video"] == "b.mp4"
    assert "its worker was lost 3 times" in failed["reason"]
    in_the_end(place, undisturbed)


@pytest.mark.slow
def test_a_worker_that_does_not_come_back_is_replaced(place, undisturbed, monkeypatch):
    monkeypatch.setenv("START_FAULT", "1")
    status, summary, err = batch(place, "--workers", 1, fault="metrics:kill:1")
    assert (place / "start-fault").exists()
    assert (status, summary["done"]) == (0, 3), err
    in_the_end(place, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_that_was_ended_is_resumed(place, undisturbed, number):
    process = start(place, *ONE_WORKER, fault="metrics:wait:1")
    wait_for(lambda: (place / "fault-0").exists())
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=300)
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert "--resume" in err
        assert len(err.strip().splitlines()) == 1
    _, alive = psutil.wait_procs(family, timeout=300)
    assert alive == []
    (folder,) = (place / "reports").glob("batch-*")
    assert not (folder / "summary.json").exists()
    status, summary, _ = batch(place, "--workers", 2, "--resume")
    assert (status, summary["failed"]) == (0, 0)
    # In the folder of the batch that was interrupted, and of all its rows.
    assert Path(summary["summary"]["json"]) == folder / "summary.json"
    assert len(rows_of(summary)) == 3
    assert list(folder.glob(".*")) == []
    in_the_end(place, undisturbed)


@pytest.mark.slow
def test_two_batches_on_one_store(place, undisturbed):
    both = [start(place, *ONE_WORKER, fault="metrics:slow:9") for _ in range(2)]
    summaries = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(each["done"] for each in summaries) == 3
    assert sum(each["skipped"] for each in summaries) == 3
    assert results(place / FOLDER) == undisturbed
    nothing_is_left(place)


@pytest.mark.slow
def test_two_workers_that_share_only_a_folder(place, undisturbed, tmp_path_factory):
    """A dask cluster as of two machines: each worker has its own working and temporary folder."""
    own = [tmp_path_factory.mktemp("worker") for _ in range(2)]
    file = tmp_path_factory.mktemp("scheduler") / "address.json"

    def dask(folder, *words):
        places = {"HOME": str(folder), "TMPDIR": str(folder)}
        environment = {**surroundings(folder, "metrics:touch=worked:9"), **places}
        words = [sys.executable, "-m", *words, "--scheduler-file", str(file)]
        return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.DEVNULL)

    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    worker = ("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard")
    processes = [dask(file.parent, *scheduler, "--dashboard-address", "127.0.0.1:0")]
    try:
        processes += [dask(folder, *worker) for folder in own]
        wait_for(file.is_file)
        address = json.loads(file.read_text())["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        status, summary, err = batch(place, "--scheduler", address)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert (status, counts(summary)) == (0, {"done": 3, "skipped": 0, "failed": 0}), err
    assert [(folder / "worked").is_file() for folder in own] == [True, True]
    assert results(place / FOLDER) == undisturbed
    summary_is_complete(summary)
    nothing_is_left(place)


@pytest.mark.slow
def test_a_video_that_changes_during_the_run(place, undisturbed):
    whole = (place / "c.mp4").read_bytes()
    fault = f"pose:change={place / 'c.mp4'}:1"
    status, summary, err = batch(place, "--workers", 1, fault=fault)
    assert (status, counts(summary)) == (1, {"done": 2, "skipped": 0, "failed": 1}), err
    (failed,) = [row for row in rows_of(summary) if row["state"] == "failed"]
    assert failed["video"] == "c.mp4"
    assert "has changed since the manifest was checked" in failed["reason"]
    assert len(Store(place / FOLDER).sessions()) == 2
    (place / "c.mp4").write_bytes(whole)
    in_the_end(place, undisturbed)


@pytest.mark.slow
def test_a_full_disk(place, undisturbed):
    """As the system says it in one stage."""
    status, summary, _ = batch(place, "--workers", 1, fault="annotated:full:1")
    assert (status, counts(summary)) == (1, {"done": 2, "skipped": 0, "failed": 1})
    (failed,) = [row for row in rows_of(summary) if row["state"] == "failed"]
    assert "the disk is full" in failed["reason"]
    in_the_end(place, undisturbed)


def outcome_of_first(place, *, code):
    """Outcome of the first row of the manifest in a worker for that code."""
    (row, *_) = read_manifest(place / "m.csv")
    task = {name: str(place / name) for name in ("store", "reports", "folder")}
    return module.work_on(row, task | {"code": code, "pose_workers": 1})


@pytest.mark.parametrize(("retryable", "times"), [(True, module.TRIES), (False, 1)])
def test_only_retryable_errors_are_tried_again(place, monkeypatch, retryable, times):
    tries = []

    def killed(*_, **__):
        tries.append(1)
        error = BadInputError("killed")
        error.retryable = retryable
        raise error

    monkeypatch.setattr(Session, "analyze", killed)
    monkeypatch.setattr(module, "use_warm_kernels", lambda: None)
    outcome = outcome_of_first(place, code=code_digest(None))
    assert (outcome["state"], outcome["reason"]) == ("failed", "killed")
    assert (len(tries), outcome["may_pass"]) == (times, retryable)


def test_each_row_that_ends_moves_the_progress_on(place, monkeypatch):
    class Done:
        def __init__(self, work, row, *_, **__):
            self.result = lambda: module._outcome(row, state="done").model_dump(mode="json")

        def release(self):
            pass

    client = SimpleNamespace(
        loop=None, submit=Done, subscribe_topic=lambda *_: None, unsubscribe_topic=lambda *_: None
    )
    monkeypatch.setattr("distributed.as_completed", lambda tasks, **_: tasks)
    rows, told = read_manifest(place / "m.csv"), []
    with report_progress_to(lambda _, done, total: told.append((done, total))):
        ended = list(module.outcomes(client, rows, Store(place / "store"), place, 1, None))
    assert [each.row for each in ended] == [row.number for row in rows]
    assert told[-1] == (len(rows), len(rows))


def test_a_worker_with_other_code_is_refused(place):
    outcome = outcome_of_first(place, code="0" * 64)
    assert outcome["state"] == "failed"
    assert "the worker has another version" in outcome["reason"]
    assert not (place / "store").exists()


def test_batches_of_the_same_second_have_folders_of_their_own(tmp_path):
    store = Store(tmp_path / "store", reports=tmp_path / "reports")
    noon = datetime.datetime(2026, 1, 1, 12).astimezone()
    with time_machine.travel(noon, tick=False):
        done = [module.run_batch([], store, manifest="m") for _ in range(3)]
    first = "batch-20260101-120000"
    assert [summary.folder.name for summary in done] == [first, f"{first}-2", f"{first}-3"]
