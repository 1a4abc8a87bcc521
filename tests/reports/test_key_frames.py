"""Pictures of the video: which moments, what is drawn in them, and whose face is not seen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from demo_sessions import copy_of, moments_of

from mobility.assessment.findings import find
from mobility.assessment.number import Number
from mobility.capture.video import presentation_times, write_video
from mobility.kinematics.clean import with_sides_exchanged_as_in
from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.reports import key_frames as kf
from mobility.reports import trial_player
from mobility.reports.drawn_angles import draw, turn_of
from mobility.reports.moments import Moment
from mobility.sessions.files import write_json
from mobility.store import Store


def body(**places: tuple[float, float]) -> np.ndarray:
    """Landmarks of one picture; y downwards, as in a picture."""
    points = np.full((len(KEYPOINTS), 2), np.nan)
    for name, place in places.items():
        points[INDEX[name]] = place
    return points


def leg(knee: float, shank: float = 0.0) -> np.ndarray:
    """Left leg seen from its left, the foot on the floor to the left: knee bent, shank leaning."""
    lean, thigh = math.radians(shank), math.radians(shank - knee)
    ankle = np.array([0.0, 0.0])
    at = ankle + 100 * np.array([-math.sin(lean), -math.cos(lean)])
    hip = at + 100 * np.array([-math.sin(thigh), -math.cos(thigh)])
    return body(
        left_hip=tuple(hip), left_knee=tuple(at), left_ankle=(0, 0), left_heel=(10, 8),
        left_foot_index=(-40, 8),
    )  # fmt: skip


def test_the_arc_in_the_plane_is_the_angle() -> None:
    def arc(points: np.ndarray, angle: str, side: str = "left") -> float:
        return abs(turn_of(points, angle, side)[1])

    for degrees in (0, 30, 135):
        assert arc(leg(degrees), "knee_flexion") == pytest.approx(degrees, abs=1e-6)
    for degrees in (0, 35):
        assert arc(leg(0, degrees), "ankle_dorsiflexion") == pytest.approx(degrees, abs=1e-6)
    # Thigh and trunk are against level and upright.
    points = leg(90)
    assert arc(points, "thigh_elevation") == pytest.approx(0, abs=1e-6)
    for side in ("left", "right"):
        points[INDEX[f"{side}_hip"]] = (0, 0)
        points[INDEX[f"{side}_shoulder"]] = (-50, -50 * math.sqrt(3))
    assert arc(points, "trunk_lean", "") == pytest.approx(30, abs=1e-6)


def test_what_is_not_seen_or_hardly_known_is_not_drawn() -> None:
    def drawn(points: np.ndarray, moment: Moment) -> np.ndarray:
        picture = np.zeros((560, 360, 3), np.uint8)
        draw(picture, points, moment)
        return picture

    moment = Moment("Bottom", 1.0, "knee_flexion", Number(90.0, units="degree", side="left"))
    points = leg(90)
    points[INDEX["left_ankle"]] = np.nan
    assert not drawn(points, moment).any()
    assert not drawn(leg(90), replace(moment, number=Number())).any()
    assert not drawn(body(), replace(moment, angle="knees")).any()
    for value, half, written in ((32, 24, False), (32, 14, True), (70, 24, True)):
        number = replace(moment.number, value=value, sd=half / 1.96)
        unsure = replace(moment, number=number)
        place = leg(value) + np.array([180, 380])
        exact = drawn(place, replace(moment, number=replace(number, sd=0.0)))
        assert exact.any()
        assert np.array_equal(exact, drawn(place, unsure)) == written
        assert f"± {half}" in unsure.caption
    # What may be no angle at all would be a blob on a line.
    almost_straight = replace(moment, number=replace(number, value=5.0, sd=17 / 1.96))
    assert not drawn(leg(5) + np.array([180, 380]), almost_straight).any()


def test_the_picture_is_that_of_the_moment(session, tmp_path) -> None:
    """The pose is estimated in every second frame: the one before is no nearer match."""
    pose = session.pose()
    times = presentation_times(session.video)
    level = 20 + 5 * (np.arange(len(times)) % 40)
    shape = (pose.attrs["image_height"], pose.attrs["image_width"], 3)
    film = tmp_path / "grey.mp4"
    write_video(
        film, ((t, np.full(shape, g, np.uint8)) for t, g in zip(times, level, strict=True)), crf=10
    )
    moments = moments_of(session)
    for moment, made in zip(moments, kf.key_frames(film, pose, moments, faces=True), strict=True):
        row = pose["time"].values[np.abs(pose["time"].values - moment.time).argmin()]
        shown = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert np.median(shown) == pytest.approx(level[np.searchsorted(times, row - 1e-6)], abs=2)


def test_face_and_room_are_blurred_unless_asked_otherwise(session) -> None:
    moments = moments_of(session)
    hidden, shown = (
        cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
        for faces in (False, True)
        for made in kf.key_frames(session.video, session.pose(), moments, faces=faces)[:1]
    )
    assert hidden.shape[0] == kf.HEIGHT
    changed = np.abs(hidden.astype(int) - shown).max(axis=-1) > 24
    assert not changed[290:350, 175:220].any()  # the hips
    assert changed[150:190, 185:215].mean() > 0.2  # the face
    room = np.s_[170:270, 20:120]
    one, other = (cv2.Laplacian(image[room], cv2.CV_64F).var() for image in (hidden, shown))
    assert one < 0.05 * other


def test_pictures_have_the_sides_of_the_numbers(session, monkeypatch) -> None:
    """The pose model exchanged left and right of the whole body, and cleaning put them back."""
    exchanged = Store("absent").demo("Overhead Squat")
    whole = json.dumps({group: [[0.0, 1e3]] for group in ("trunk", "legs", "arms")})
    fitted = session.fitted().assign_attrs(sides_exchanged=whole)
    detected = with_sides_exchanged_as_in(session.pose(), fitted)
    assert not detected["image_position"].equals(session.pose()["image_position"])
    monkeypatch.setattr(exchanged, "pose", lambda: detected)
    monkeypatch.setattr(exchanged, "fitted", lambda: fitted)
    findings = find(session.metrics())
    mended, expected = (kf.of_session(each, findings) for each in (exchanged, session))
    assert [frame.jpeg for frame in mended] == [frame.jpeg for frame in expected]


def test_faces_are_blurred_where_they_were_detected(demo, tmp_path, monkeypatch) -> None:
    """A point of the head that somebody moves must not uncover the face."""
    session = copy_of(demo, Store(tmp_path), "s1")
    detected = session.pose()
    nose = {"kind": "point", "start": 2.0, "landmark": "nose", "u": 3.0, "v": 3.0}
    stages = session.record.stages
    session.edit_points(pd.DataFrame([nose]))
    record = session.record.model_copy(update={"stages": stages, "state": "analyzed"})
    write_json(session.folder / "session.json", record.model_dump(mode="json"))
    assert not session.pose().equals(detected)
    blurred = []

    def hide(pose: xr.Dataset, **_: float) -> Callable[..., None]:
        blurred.append(pose)
        return lambda image, time: None

    for module in (kf, trial_player):
        monkeypatch.setattr(module, "only_the_body", hide)
    assert kf.stills(session)
    assert kf.of_session(session)
    assert trial_player.small_video(session)
    assert len(blurred) == 3
    assert all(pose.equals(detected) for pose in blurred)
