"""From HRNet's keypoints of a real film to a report: from each format the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
import written_keypoints as files
import xarray as xr
from other_processes import command

import mobility as mb
from mobility.capture.video import read_frames, write_video
from mobility.keypoints.sources import landmark_of, points_of
from mobility.sessions.files import read_dataset
from mobility.store import Store

FIRST, LAST = 300, 660
"""Frames of the film in which the man squats three times."""

SIZE = (360, 640)


@pytest.fixture(scope="module")
def film(shared_data, tmp_path_factory):
    """A cut of the film, and its keypoints."""
    path = tmp_path_factory.mktemp("cmbbe") / "squats.mp4"
    pictures = []
    for number, frame in enumerate(read_frames(shared_data / "videos" / "cmbbe_squats_cam0.mp4")):
        if FIRST <= number < LAST:
            pictures.append(((number - FIRST) / 60, frame.image))
        if number == LAST:
            break
    write_video(path, pictures, crf=20)
    return path, files.hrnet(shared_data)[FIRST:LAST]


@pytest.fixture(scope="module")
def reported(film, tmp_path_factory):
    """The session of a folder of OpenPose, by the command line, with its report."""
    path, frames = film
    store = tmp_path_factory.mktemp("work") / "store"
    folder = files.openpose(path.parent / "openpose", frames)
    given = ("--keypoints", folder, "--keypoints-model", "HRNet")
    done = command("analyze", path, *given, "--exercise", "squat", store=store)
    assert done.returncode == 0, done.stderr
    (session,) = Store(store, reports=store.parent / "reports").sessions()
    return session, done


def of_halpe(frames: np.ndarray) -> np.ndarray:
    """The keypoints as AlphaPose orders them."""
    where = {landmark_of(name): place for place, name in enumerate(files.BODY_25)}
    alike = {"Head": "Neck", "Neck": "Neck", "Hip": "MidHip"}
    alike |= {"left_small_toe": "LSmallToe", "right_small_toe": "RSmallToe"}
    places = [
        files.BODY_25.index(alike[name]) if name in alike else where[landmark_of(name)]
        for name in points_of("halpe_26")
    ]
    return frames[:, places]


def test_a_report_says_whose_keypoints_it_is_of(reported):
    session, done = reported
    assert "HRNet" in done.stderr
    assert session.record.verdict in ("good", "limited")
    page = session.render_report()["html"].read_text(encoding="utf-8")
    assert "HRNet" in page
    assert session.record.keypoints.sha256 in page
    pose = session.pose()
    assert "position" not in pose
    assert pose.attrs["source_software"] == "HRNet"
    assert session.record.provenance.model_sha256 is None
    quality = session.capture_quality()
    assert quality["other_people"] is None
    assert quality["camera"]["verdict"] is None


def test_the_angles_are_those_of_the_squats(reported):
    """OpenCap's kinematics of the same keypoints bend the knees by 127 and 130 degrees."""
    session, _ = reported
    repetitions = session.repetitions()
    assert int(repetitions["accepted"].sum()) == 3
    knee = session.angles()["knee_flexion"]
    assert 115 < float(knee.max()) < 140
    assert float(np.nanpercentile(knee, 5)) < 20


def test_what_follows_the_analysis_takes_it(reported):
    session, _ = reported
    assert session.checks()
    document = session.details()
    assert json.dumps(document)
    again = session.analyze().record
    assert again.stages == session.record.stages


FORMATS = ("csv", "movement", "alphapose", "deeplabcut", "sleap", "own")


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_same_pose_of_the_film(name, film, reported, tmp_path):
    path, frames = film
    session, _ = reported
    if name == "csv":
        given = files.long_csv(tmp_path / "p.csv", frames)
    elif name == "movement":
        given = files.movement(tmp_path / "p.nc", {"he": frames}, rate=60)
    elif name == "alphapose":
        given = files.alphapose(tmp_path / "p.json", of_halpe(frames))
    elif name == "deeplabcut":
        given = files.deeplabcut(tmp_path / "p.csv", {"he": frames})
    elif name == "sleap":
        given = files.sleap(tmp_path / "p.h5", frames)
    else:
        folder = files.openpose(tmp_path / "openpose", frames)
        mb.read_keypoints(folder, rate=60, size=SIZE).to_netcdf(tmp_path / "pose.nc")
        given = tmp_path / "pose.nc"
    store = Store(tmp_path / "store", reports=tmp_path / "reports")
    other = store.create(path, keypoints=given, user_id="p01", exercise_name="Squat")
    stored = (read_dataset(each.keypoints(1)) for each in (session, other))
    expected, pose = (each.drop_attrs() for each in stored)
    xr.testing.assert_allclose(pose, expected)
