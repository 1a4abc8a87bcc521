"""Motion-BIDS: what is written, what is not, and that it comes back equal."""

from __future__ import annotations

import datetime
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from demo_sessions import change_record, copy_of
from extras import require
from other_processes import command, in_child, refused

import mobility as mb
from mobility.errors import BadInputError, MobilityError, NotFoundError, StorageError
from mobility.lab import bids
from mobility.lab.bids import _write_recording, ids_of, recording_of
from mobility.lab.bids_reading import _read_recording
from mobility.serve.privacy import erase
from mobility.store import Session, Store

DEMOS = ("overhead-squat", "joint-angle-mobility", "squat", "sit-to-stand", "single-leg-squat")


@pytest.fixture
def add(store: Store, demo: Path) -> Any:
    """Add a session of a participant: a copy of a demo, by default of the squat with arms up."""

    def add(
        name: str, user_id: str, *, of: str = DEMOS[0], day: int = 1, **changed: Any
    ) -> Session:
        when = datetime.datetime(2026, 5, day, 10, 30, tzinfo=datetime.UTC)
        changed |= {"user_id": user_id, "created_at": when.isoformat()}
        return copy_of(demo.parent / of, store, name, **changed)

    return add


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*_motion.tsv")}


def texts(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}


# What is written comes back.


@pytest.mark.parametrize("name", DEMOS)
def test_a_session_comes_back(store: Store, add: Any, tmp_path: Path, name: str) -> None:
    session = add("s1", "ann", of=name)
    (back,) = mb.read_bids(store.to_bids(["ann"], tmp_path / "bids")).values()
    written = recording_of(session)
    assert {*written.variables} == {*back.variables}
    for variable, values in written.variables.items():
        if values.dtype.kind == "f":
            atol, rtol = (2e-6, 1e-8) if "s" not in values.attrs.get("units", "") else (2e-6, 0)
            read = back[variable].transpose(*values.dims)
            np.testing.assert_allclose(read, values, atol=atol, rtol=rtol, err_msg=str(variable))
        else:
            np.testing.assert_array_equal(back[variable], values, err_msg=str(variable))
    for angle, values in session.angles().items():
        if "refused" in values.attrs and values.isnull().all():
            assert back[angle].attrs["refused"] == values.attrs["refused"]
        assert back[angle].attrs["units"] == "degree"
    assert back.attrs["exercise"] == session.record.exercise
    assert back.attrs["participant"] == "ann"
    assert back.attrs["verdict"] == session.record.verdict
    assert json.loads(back.attrs["history"])[-1]["operation"] == "read_bids"


def test_what_comes_back_can_be_analysed(store: Store, add: Any, tmp_path: Path) -> None:
    """Our formulas give the angles of the session; a repetition of the squat flexes the knees."""
    session = add("s1", "ann")
    (back,) = mb.read_bids(store.to_bids("ann", tmp_path / "bids")).values()
    knee = mb.joint_angles(back[["position"]].expand_dims(individual=["ann"]))["knee_flexion"]
    apart = knee - session.measured_angles()["knee_flexion"]
    assert float(np.abs(apart).max()) < 0.01
    curves = mb.normalise(back, back)["knee_flexion"]
    assert curves.sizes["rep"] == 3
    assert (curves.max("percent") - curves.isel(percent=0) > 60).all()


@pytest.fixture
def uneven() -> xr.Dataset:
    """Known numbers: frames of a phone, a gap, an angle on one side, and two repetitions."""
    time = np.array([0.5, 0.533, 0.6, 0.633, 0.7])
    angle = np.array([[10.0, 0], [np.nan, 0], [90.125, 0], [45, 0], [-3, 0]])
    position = np.arange(30.0).reshape(5, 3, 2) / 7
    of_time = {"units": "s", "long_name": "the knees turn"}
    variables = {
        "position": (
            ("time", "space", "keypoint"),
            position,
            {"axes": "x right"},
        ),
        "knee_flexion": (
            ("time", "side"),
            angle,
            {"zero": "straight"},
        ),
        "knee_flexion_sd": (("time", "side"), angle * 0 + 5),
        "trunk_lean": ("time", time * np.nan, {"refused": "the trunk was hidden"}),
        **{"start": ("rep", [0.51, 0.6]), "end": ("rep", [0.6, 0.7])},
        "bottom": ("rep", [0.55, np.nan], of_time),
        "depth": ("rep", [50.0, np.nan], {"units": "percent"}),
        **{"accepted": ("rep", [True, False]), "reason": ("rep", ["", "too\tshort"])},
    }
    sides = {"space": list("xyz"), "keypoint": ["left_knee", "nose"], "side": ["left", "right"]}
    given = xr.Dataset(variables, {"time": time, "rep": [1, 3], **sides})
    attrs = {"exercise": "Squat", "movement": None, "view": "front", "verdict": "limited"}
    return given.assign_attrs(**attrs, source_software="RTMPose")


def test_uneven_frames_and_gaps(uneven: xr.Dataset, tmp_path: Path) -> None:
    _write_recording(uneven, tmp_path / "sub-a_task-Squat_tracksys-phone")
    (motion,) = tmp_path.glob("*_motion.tsv")
    channels = pd.read_csv(next(tmp_path.glob("*_channels.tsv")), sep="\t", na_values=["n/a"])
    rows = [line.split("\t") for line in motion.read_text().splitlines()]
    assert [row[0] for row in rows] == ["0.000000", "0.033000", "0.100000", "0.133000", "0.200000"]
    assert {len(row) for row in rows} == {len(channels)}
    counts = channels["type"].value_counts().to_dict()
    assert counts == {"LATENCY": 1, "POS": 6, "JNTANG": 3, "MISC": 2}
    column = channels["name"].tolist().index("left_knee_flexion")
    assert [row[column] for row in rows][:3] == ["10.000000", "n/a", "90.125000"]
    assert channels["status"].tolist().count("bad") == 1
    lean = channels.set_index("name").loc["trunk_lean"]
    assert (lean["status"], lean["status_description"]) == ("bad", "the trunk was hidden")
    document = json.loads(next(tmp_path.glob("*_motion.json")).read_text())
    assert document["SamplingFrequency"] == pytest.approx(4 / 0.2)
    assert document["SamplingFrequencyEffective"] == pytest.approx(20)
    assert (document["RecordingDuration"], document["TaskName"]) == (pytest.approx(0.2), "Squat")
    assert (document["POSChannelCount"], document["TrackedPointsCount"]) == (6, 2)
    described = json.loads(next(tmp_path.glob("*_channels.json")).read_text())
    assert {*channels.columns} == {*described}
    assert described["quantity"]["Levels"]["knee_flexion"] == "knee_flexion; zero: straight"
    assert "x right" in described["reference_frame"]["Levels"]["camera"]["Description"]
    events = pd.read_csv(next(tmp_path.glob("*_events.tsv")), sep="\t", na_values=["n/a"])
    assert events["trial_type"].tolist() == ["repetition", "bottom", "repetition"]
    assert events["onset"].tolist() == pytest.approx([0.01, 0.05, 0.1])
    assert events["duration"].tolist() == pytest.approx([0.09, 0, 0.1])
    assert events["repetition"].tolist() == [1, 1, 3]
    back = _read_recording(motion)
    np.testing.assert_allclose(back["time"], uneven["time"], atol=1e-6)
    for name in ("position", "knee_flexion", "trunk_lean", "bottom", "end", "depth", "rep"):
        np.testing.assert_allclose(back[name], uneven[name], atol=1e-6)
    assert back["accepted"].values.tolist() == [True, False]
    assert back["reason"].values.tolist() == ["", "too short"]  # a cell is one line


# What is in a data set, and what is not.


def test_nothing_names_a_person_or_a_day(store: Store, add: Any, tmp_path: Path) -> None:
    store.set_participant("ann", display_name="Ann Miller", email="ann@miller.org", sex="female")
    store.set_participant("bob", display_name="Ann Miller", birth_year=1931, height_m=1.71)
    for name, user_id, day in (("s1", "ann", 3), ("s2", "bob", 4), ("s3", "cem", 5)):
        session = add(name, user_id, day=day)
        document = json.loads((session.folder / "session.json").read_text())
        change_record(session, video=document["video"] | {"original_name": "VID_20260503.mp4"})
    folder = store.to_bids(["ann", "bob", "cem"], tmp_path / "bids")
    of_files = texts(folder)
    for words in ("Miller", "@", "2026-05", "VID_", "s1\n", "session_id", str(tmp_path)):
        found = [name for name, text in of_files.items() if words in text]
        assert found == [], words
    assert not [name for name in of_files if not name.endswith((".tsv", ".json", "README"))]
    people = pd.read_csv(folder / "participants.tsv", sep="\t", keep_default_na=False, dtype=str)
    assert people.to_numpy().tolist() == [
        ["sub-ann", "F", "n/a", "n/a", "n/a"],
        ["sub-bob", "n/a", "89", "1.71", "n/a"],  # 95 years would identify him
        ["sub-cem", "n/a", "n/a", "n/a", "n/a"],
    ]
    assert {*people.columns} == {*json.loads(of_files["participants.json"])}
    description = json.loads(of_files["dataset_description.json"])
    assert description["License"] == "not stated"
    assert description["Purpose"] == "For research and training, not for diagnosis."
    assert "not for diagnosis" in of_files["README"]
    key = pd.read_csv(ids_of(folder), sep="\t")
    assert key["participant"].tolist() == ["ann", "bob", "cem"]
    assert key["session_id"].tolist() == ["s1", "s2", "s3"]
    assert all((folder / file).is_file() for file in key["file"])
    for path in (folder, *folder.rglob("*"), ids_of(folder)):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_store_stays_as_it_is_and_a_deletion_keeps_the_export(store, add, tmp_path) -> None:
    add("s1", "ann", of="squat")
    before = sorted(store.path.rglob("*"))
    folder = store.to_bids(["ann"], tmp_path / "bids")
    assert sorted(store.path.rglob("*")) == before
    erase(store, "ann")
    assert len(mb.read_bids(folder)) == 1  # docs/privacy.md: it is deleted by hand


def test_dates_and_a_licence_if_asked_for(store: Store, add: Any, tmp_path: Path) -> None:
    add("s1", "ann", day=7)
    typed = ("ann", tmp_path / "bids", "--dates", "--license", "CC0")
    done = command("export-bids", *typed, store=store.path)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'bids'}-ids.tsv" in done.stdout
    of_files = texts(tmp_path / "bids")
    scans = of_files["sub-ann/sub-ann_scans.tsv"].splitlines()
    assert scans[0] == "filename\tacq_time"
    assert scans[1].endswith("_motion.tsv\t2026-05-07T10:30:00")
    assert json.loads(of_files["dataset_description.json"])["License"] == "CC0"
    assert "License: CC0" in of_files["README"]


def test_visits_and_runs(store: Store, add: Any, tmp_path: Path) -> None:
    """Two squats on one day, another exercise, and a later visit of one of two people."""
    for name, user_id, day, of in (
        *(("a", "ann", 1, "squat"), ("b", "ann", 1, "squat"), ("c", "ann", 1, "sit-to-stand")),
        *(("d", "ann", 9, "squat"), ("e", "bob", 20, "squat")),
    ):
        add(name, user_id, day=day, of=of)
    folder = store.to_bids({"bob", "ann"}, tmp_path / "bids")
    assert names(folder) == {
        "sub-ann_ses-1_task-Squat_tracksys-phone_run-1_motion.tsv",
        "sub-ann_ses-1_task-Squat_tracksys-phone_run-2_motion.tsv",
        "sub-ann_ses-1_task-SittoStand_tracksys-phone_motion.tsv",
        "sub-ann_ses-2_task-Squat_tracksys-phone_motion.tsv",
        "sub-bob_ses-1_task-Squat_tracksys-phone_motion.tsv",
    }
    scans = (folder / "sub-ann" / "ses-1" / "sub-ann_ses-1_scans.tsv").read_text().splitlines()
    assert scans[0] == "filename"
    assert len(scans) == 4
    back = mb.read_bids(folder)
    assert [each.attrs["session"] for each in back.values()] == ["1", "1", "1", "2", "1"]


def test_ids_that_are_no_labels(store: Store, add: Any, tmp_path: Path) -> None:
    ids = ["p-1", "p_1", "p1", "P1", "a.b"]
    for number, user_id in enumerate(ids):
        add(f"s{number}", user_id, of="squat")
    folder = store.to_bids(ids, tmp_path / "bids")
    key = pd.read_csv(ids_of(folder), sep="\t").set_index("participant")["file"]
    labels = {user_id: key[user_id].split("/")[0] for user_id in ids}
    assert labels["a.b"] == "sub-ab"
    assert labels["p1"] == "sub-p1"
    assert len({label.lower() for label in labels.values()}) == 5  # also on a disk without case
    assert {path.name for path in folder.glob("sub-*")} == {*labels.values()}
    assert all(label.removeprefix("sub-").isalnum() for label in labels.values())


# Bad input, and faults.


def test_what_cannot_be_exported(store: Store, add: Any, tmp_path: Path) -> None:
    add("s1", "ann")
    add("s2", "anonymous")
    store.set_participant("bob", height_m=1.8)
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset_description.json").write_text('{"Name": "of somebody else"}')
    (tmp_path / "file").touch()
    (tmp_path / "taken-ids.tsv").write_text("my own table")
    for words, ids, folder in (
        ("is not empty (dataset_description.json)", ["ann"], other),
        ("is a file", ["ann"], tmp_path / "file"),
        ("was not made by this command", ["ann"], tmp_path / "taken"),
        ("part of a store", ["ann"], store.path / "bids"),
        ("did you mean 'ann'", ["an"], tmp_path / "new"),
        ("bob: has no session with results", ["ann", "bob"], tmp_path / "new"),
        ("may belong to different people", ["anonymous"], tmp_path / "new"),
        ("use 1 to 64 letters", ["../ann"], tmp_path / "new"),
    ):
        refused(command("export-bids", *ids, folder, store=store.path), words)
    typed = ("ann", tmp_path / "new", "--license", " ")
    refused(command("export-bids", *typed, store=store.path), "--license: must be non-empty text")
    with pytest.raises(BadInputError, match="at least one"):
        store.to_bids([], tmp_path / "new")
    assert [path.name for path in other.iterdir()] == ["dataset_description.json"]
    assert (tmp_path / "taken-ids.tsv").read_text() == "my own table"
    assert not list(tmp_path.glob("*new*"))


def test_what_is_written_meanwhile_stays(store, add, tmp_path, monkeypatch) -> None:
    add("s1", "ann")
    plan = bids._plan

    def slow_plan(*given):
        (tmp_path / "bids").mkdir()
        (tmp_path / "bids" / "README").write_text("of another process")
        return plan(*given)

    monkeypatch.setattr(bids, "_plan", slow_plan)
    with pytest.raises(BadInputError, match=r"is not empty \(README\)"):
        store.to_bids(["ann"], tmp_path / "bids")
    assert texts(tmp_path / "bids") == {"README": "of another process"}


def test_a_link_to_a_folder_stays_a_link(store, add, tmp_path) -> None:
    add("s1", "ann", of="squat")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(mb.read_bids(store.to_bids(["ann"], tmp_path / "link"))) == 1
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real-ids.tsv").is_file()


def test_a_full_disk_leaves_nothing(store, add, tmp_path, monkeypatch) -> None:
    add("s1", "ann", of="squat")

    def full(source, target):
        if str(target).endswith("participants.tsv"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Path(source).rename(target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="the disk is full"):
        store.to_bids(["ann"], tmp_path / "bids")
    assert [path for path in tmp_path.rglob("*") if "sub-" in path.name] == []
    assert not ids_of(tmp_path / "bids").exists()


def test_sessions_without_results_are_left_out(store, add, tmp_path, caplog) -> None:
    add("s1", "ann")
    add("s2", "ann", state="created", stages={})
    add("s3", "ann", exercise="Cartwheel")
    add("s4", "ann", state="failed", reason="nobody was found")
    folder = store.to_bids(["ann"], tmp_path / "bids")
    assert names(folder) == {"sub-ann_task-OverheadSquat_tracksys-phone_motion.tsv"}
    first, second, third = (record.getMessage() for record in caplog.records)
    assert "s2 is not analysed yet" in first
    assert "'Cartwheel', which is not installed" in second
    assert "s4 could not be analysed: nobody was found" in third


def test_damaged_results_leave_nothing(store: Store, add: Any, tmp_path: Path) -> None:
    add("s1", "ann")
    (add("s2", "bob").folder / "fitted.nc").write_bytes(b"cut")
    with pytest.raises(MobilityError, match="s2"):
        store.to_bids(["ann", "bob"], tmp_path / "bids")
    assert [path.name for path in tmp_path.glob("bids*")] == []


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_nothing_that_looks_complete(store, add, tmp_path) -> None:
    """At every seventh step; the next export sweeps what is left."""
    add("s1", "ann", of="joint-angle-mobility")
    folder = tmp_path / "out" / "bids"
    for step in count(1, 7):
        status = in_child(lambda: store.to_bids(["ann"], folder), step=step)
        assert status in (0, -signal.SIGKILL)
        assert [path.name for path in folder.parent.glob("bids*") if path.is_dir()] in (
            [],
            ["bids"],
        )
        if status == 0:
            break
        if folder.exists():  # killed after the last rename
            assert len(mb.read_bids(folder)) == 1
            break
    else:
        pytest.fail("never ended")
    assert step > 20
    assert len(mb.read_bids(folder)) == 1
    assert not (folder.parent / ".bids.unfinished").exists()


@pytest.mark.parametrize("name", ["no", "a file", "no data set", "no motion"])
def test_what_is_no_data_set(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    if name == "a file":
        folder.touch()
    elif name != "no":
        folder.mkdir()
    if name == "no motion":
        (folder / "dataset_description.json").write_text("{}")
    with pytest.raises((BadInputError, NotFoundError), match=r"Name .* data set"):
        mb.read_bids(folder)


# The official validator.


def validator_issues(folder: Path, cache: Path) -> list[dict[str, Any]]:
    """Return what the official validator finds wrong."""
    require("cross-checks", "bids_validator_deno", "deno")
    code = "from bids_validator_deno import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), "--format", "json", "--max-rows", "-1"],
        capture_output=True,
        text=True,
        check=False,
        env={"DENO_DIR": str(cache), "PYTHONPATH": ":".join(sys.path), "DENO_NO_UPDATE_CHECK": "1"},
    )
    assert done.stdout, done.stderr
    issues: list[dict[str, Any]] = json.loads(done.stdout)["issues"]["issues"]
    assert done.returncode == 0 or issues
    return issues


EXPECTED_WARNINGS = {"NO_AUTHORS", "TOO_FEW_AUTHORS", "JSON_KEY_RECOMMENDED"}
"""Warnings about authors, and about keys that only the owner of the data can fill in."""


@pytest.mark.slow
def test_the_official_validator_finds_no_error(store: Store, add: Any, tmp_path: Path) -> None:
    """In the five demos, and in 20 participants with visits, runs, and ids that are no labels."""
    for name in DEMOS:
        add(name, name, of=name)
    demos = store.to_bids(DEMOS, tmp_path / "demos")
    people = [f"p-{number}" for number in range(20)]
    for number, user_id in enumerate(people):
        if number % 3:
            store.set_participant(user_id, sex=["female", "male"][number % 2], age=20 + 4 * number)
        for visit in range(1 + number % 2):
            add(f"s{number}-{visit}", user_id, of=DEMOS[number % 5], day=1 + visit)
        if number % 4 == 0:
            add(f"s{number}-again", user_id, of=DEMOS[number % 5])
    both = (demos, store.to_bids(people, tmp_path / "people", dates=True, license="CC0"))
    for folder, subjects in zip(both, (5, 20), strict=True):
        assert len(list(folder.glob("sub-*"))) == subjects
        issues = validator_issues(folder, tmp_path / "cache")
        assert [issue for issue in issues if issue["severity"] == "error"] == []
        codes = {issue["code"] for issue in issues}
        assert codes <= EXPECTED_WARNINGS | {"SIDECAR_KEY_RECOMMENDED"}
    # It does find what is wrong.
    (demos / "sub-squat" / "sub-squat_scans.tsv").write_text("filename\nmotion/absent.tsv\n")
    next((demos / "sub-sittostand").rglob("*_motion.json")).unlink()
    wrong = {issue["code"] for issue in validator_issues(demos, tmp_path / "cache")}
    assert wrong - codes, "the validator finds nothing"
