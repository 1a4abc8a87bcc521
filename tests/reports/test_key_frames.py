"""Pictures of the video: which moments, what is drawn in them, and whose face is not seen."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import xarray as xr

from mobility.assessment.findings import find
from mobility.capture.video import presentation_times, write_video
from mobility.kinematics.clean import on_own_sides
from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.reports import key_frames as kf
from mobility.reports.first_page import largest
from mobility.store import Store

STANDING = "Standing, assumed straight"


@pytest.fixture(scope="module")
def demo() -> Store:
    return Store("absent").demo("Overhead Squat")


def moments_of(demo, main=(), **changed) -> list[kf.Moment]:
    """The moments of the demo, some of whose results are others."""
    given = {name: getattr(demo, name)() for name in ("pose", "angles", "repetitions", "metrics")}
    return kf.squat_moments(*(given | changed).values(), main)


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
        return abs(kf.turn_of(points, angle, side)[1])

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
    def drawn(points: np.ndarray, moment: kf.Moment) -> np.ndarray:
        picture = np.zeros((560, 360, 3), np.uint8)
        kf._draw(picture, points, moment)
        return picture

    moment = kf.Moment("Bottom", 1.0, "knee_flexion", "left", 90.0)
    points = leg(90)
    points[INDEX["left_ankle"]] = np.nan
    assert not drawn(points, moment).any()
    assert not drawn(leg(90), replace(moment, value=math.nan)).any()
    assert not drawn(body(), replace(moment, angle="knees")).any()
    for value, half, written in ((32, 24, False), (32, 14, True), (70, 24, True)):
        unsure = replace(moment, value=value, sd=half / 1.96)
        place = leg(value) + np.array([180, 380])
        exact = drawn(place, replace(moment, value=value, sd=0.0))
        assert exact.any()
        assert np.array_equal(exact, drawn(place, unsure)) == written
        assert f"± {half}" in unsure.caption


def test_three_moments_of_a_squat_with_what_was_measured(demo) -> None:
    metrics, repetitions = demo.metrics(), demo.repetitions()
    moments = moments_of(demo)
    assert [moment.title for moment in moments] == [STANDING, "Bottom", "On the way up"]
    standing, bottom, up = moments
    assert standing.time < bottom.time < up.time
    assert bottom.time in repetitions["bottom"].values
    assert standing.value < 15 < 60 < up.value < bottom.value
    # What the page reports, so that no two numbers stand for one angle.
    for name, value in (("knee_flexion", bottom.value), ("knee_flexion_sd", bottom.sd)):
        assert value == float(metrics[name].sel(side=bottom.side))
    assert bottom.caption.startswith(f"Bottom: {bottom.side} knee flexion {bottom.value:.0f}° ± ")
    none = repetitions.assign(accepted=("rep", [False] * repetitions.sizes["rep"]))
    assert moments_of(demo, repetitions=none) == []


def test_a_recording_that_begins_on_the_way_down_shows_standing_where_it_is(demo) -> None:
    angles, repetitions = demo.angles(), demo.repetitions().isel(rep=[0])
    repetitions["start_seen"] = ("rep", [False])
    time = repetitions["time"]
    end = float(repetitions["end"][0])
    after = repetitions.assign(standing=(time > end) & (angles["knee_flexion"] < 15).all("side"))
    standing, bottom, _ = moments_of(demo, repetitions=after)
    assert standing.title == STANDING
    assert standing.time > end > bottom.time
    assert standing.value < 15
    never = after.assign(standing=xr.zeros_like(after["standing"]))
    assert moments_of(demo, repetitions=never)[0].title == "Start"


def test_the_third_picture_is_of_the_main_finding(demo) -> None:
    metrics = demo.metrics()
    metrics["trunk_tibia_difference"] = metrics["trunk_tibia_difference"] + 60
    main = largest(find(metrics))
    assert {each.rule for each in main} == {"trunk_leans_forward"}
    *_, third = moments_of(demo, main, metrics=metrics)
    assert (third.title, third.angle) == ("Main finding", "trunk_tibia_difference")
    assert third.value == pytest.approx(main[0].value)
    # One of the knee's bend at the bottom leaves the second picture to the depth.
    metrics = demo.metrics()
    metrics["knee_flexion"] = metrics["knee_flexion"] - 50
    main = [each for each in find(metrics) if each.rule == "knee_flexion_limited"]
    _, bottom, third = moments_of(demo, main, metrics=metrics)
    assert (bottom.angle, third.angle) == ("thigh_elevation", "knee_flexion")
    assert third.side in {each.side for each in main}
    for finding in find(demo.metrics()):  # every one has a picture
        drawn = moments_of(demo, [finding])[-1].angle
        assert drawn in {*kf.DRAWN, "knees", "dowel", ""}, finding.rule


@pytest.mark.parametrize(("near", "far"), [("left", "right"), ("right", "left")])
def test_pictures_are_of_the_leg_that_the_camera_sees_or_that_is_surer(demo, near, far) -> None:
    """Whatever the main finding is, and though the other leg's angle may fit the picture."""
    metrics = demo.metrics()
    sided = {name for name, each in metrics.data_vars.items() if "side" in each.dims}
    low = metrics.assign(knee_flexion=metrics["knee_flexion"] - 50)
    hidden = low.assign({name: low[name].where(low["side"] == near) for name in sided})
    hidden = hidden.assign_attrs(hidden_side=far)
    main = largest(find(hidden))
    assert {each.side for each in main} == {near}
    for findings in ([], main):
        assert {each.side for each in moments_of(demo, findings, metrics=hidden)} == {near}
    for name in ("knee_flexion_sd", "thigh_elevation_sd"):
        low[name] = xr.where(low["side"] == near, 3.0, 6.0)
    main = [each for each in find(low) if each.rule == "knee_flexion_limited"]
    assert len(main) == 2
    for findings in ([], main, main[::-1]):
        assert {each.side for each in moments_of(demo, findings, metrics=low)} == {near}


def test_the_picture_is_that_of_the_moment(demo, tmp_path) -> None:
    """The pose is estimated in every second frame: the one before is no nearer match."""
    pose = demo.pose()
    times = presentation_times(demo.video)
    level = 20 + 5 * (np.arange(len(times)) % 40)
    shape = (pose.attrs["image_height"], pose.attrs["image_width"], 3)
    film = tmp_path / "grey.mp4"
    write_video(
        film, ((t, np.full(shape, g, np.uint8)) for t, g in zip(times, level, strict=True)), crf=10
    )
    moments = moments_of(demo)
    for moment, made in zip(moments, kf.key_frames(film, pose, moments, faces=True), strict=True):
        row = pose["time"].values[np.abs(pose["time"].values - moment.time).argmin()]
        shown = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert np.median(shown) == pytest.approx(level[np.searchsorted(times, row - 1e-6)], abs=2)


def test_face_and_room_are_blurred_unless_asked_otherwise(demo) -> None:
    moments = moments_of(demo)
    hidden, shown = (
        cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
        for faces in (False, True)
        for made in kf.key_frames(demo.video, demo.pose(), moments, faces=faces)[:1]
    )
    assert hidden.shape[0] == kf.HEIGHT
    changed = np.abs(hidden.astype(int) - shown).max(axis=-1) > 24
    assert not changed[290:350, 175:220].any()  # the hips
    assert changed[150:190, 185:215].mean() > 0.2  # the face
    room = np.s_[170:270, 20:120]
    one, other = (cv2.Laplacian(image[room], cv2.CV_64F).var() for image in (hidden, shown))
    assert one < 0.05 * other


def test_pictures_have_the_sides_of_the_numbers(demo, monkeypatch) -> None:
    """The pose model exchanged left and right of the whole body, and cleaning put them back."""
    session = Store("absent").demo("Overhead Squat")
    whole = json.dumps({group: [[0.0, 1e3]] for group in ("trunk", "legs", "arms")})
    fitted = demo.fitted().assign_attrs(sides_exchanged=whole)
    detected = on_own_sides(demo.pose(), fitted)
    assert not detected["image_position"].equals(demo.pose()["image_position"])
    monkeypatch.setattr(session, "pose", lambda: detected)
    monkeypatch.setattr(session, "fitted", lambda: fitted)
    findings = find(demo.metrics())
    mended, known = (kf.of_session(each, findings) for each in (session, demo))
    assert [frame.jpeg for frame in mended] == [frame.jpeg for frame in known]


def test_the_joint_that_went_farthest_is_shown() -> None:
    demo = Store("absent").demo("Joint Angle Mobility")
    known = demo.metrics()
    known["end_of_range_sd"][:] = 17.4  # a half of 34 degrees does not tell how far
    assert kf.joint_moments(demo.angles(), known) == []
    metrics = known.assign(end_of_range_sd=known["end_of_range_sd"] / 4)
    start, turn, other = kf.joint_moments(demo.angles(), metrics)
    assert start.angle == turn.angle
    assert {turn.angle, other.angle} == {"shoulder_flexion", "elbow_flexion"}
    of_shoulder = metrics["movement_joint"] == "shoulder"
    one = metrics.assign(movement_accepted=metrics["movement_accepted"].astype(bool) & of_shoulder)
    start, way, turn = kf.joint_moments(demo.angles(), one)
    assert start.angle == way.angle == turn.angle == "shoulder_flexion"
    assert start.value < way.value < turn.value
    # What is no movement that has a name tells nothing of how far it goes.
    nameless = metrics.assign(
        end_of_range=metrics["end_of_range"].where(metrics["joint"] != "shoulder")
    )
    angles = {each.angle for each in kf.joint_moments(demo.angles(), nameless)}
    assert angles == {"elbow_flexion"}
    still = demo.metrics()
    still["movement_accepted"] = xr.zeros_like(still["movement_accepted"])
    assert kf.joint_moments(demo.angles(), still) == []
