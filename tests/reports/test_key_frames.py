"""Pictures of the video: which moments, what is drawn in them, and whose face is not seen."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import xarray as xr

from mobility.assessment.findings import Finding, find
from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.reports import key_frames as kf
from mobility.reports.first_page import largest
from mobility.store import Store


@pytest.fixture(scope="module")
def demo() -> Store:
    return Store("absent").demo("Overhead Squat")


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


@pytest.mark.parametrize("bend", [0, 30, 90, 135])
def test_the_arc_of_a_knee_in_the_plane_is_its_flexion(bend: float) -> None:
    assert abs(kf._turn(leg(bend), "knee_flexion", "left")[1]) == pytest.approx(bend, abs=1e-6)


@pytest.mark.parametrize("lean", [0, 12, 35])
def test_the_arc_of_an_ankle_is_how_far_the_shank_leans_over_the_foot(lean: float) -> None:
    turn = kf._turn(leg(0, lean), "ankle_dorsiflexion", "left")[1]
    assert abs(turn) == pytest.approx(lean, abs=1e-6)


def test_thigh_and_trunk_are_against_level_and_upright() -> None:
    points = leg(90)
    assert abs(kf._turn(points, "thigh_elevation", "left")[1]) == pytest.approx(0, abs=1e-6)
    for side in ("left", "right"):
        points[INDEX[f"{side}_hip"]] = (0, 0)
        points[INDEX[f"{side}_shoulder"]] = (-50, -50 * math.sqrt(3))
    assert abs(kf._turn(points, "trunk_lean", "")[1]) == pytest.approx(30, abs=1e-6)


def test_what_is_not_seen_is_not_drawn() -> None:
    picture = np.full((560, 360, 3), 128, np.uint8)
    moment = kf.Moment("Bottom", 1.0, "knee_flexion", "left", 90.0)
    points = leg(90)
    points[INDEX["left_ankle"]] = np.nan
    kf._draw(picture, points, moment)
    kf._draw(picture, leg(90), replace(moment, value=math.nan))
    kf._draw(picture, body(), replace(moment, angle="knees"))
    assert (picture == 128).all()
    kf._draw(picture, leg(90) + (180, 280), moment)
    assert (picture != 128).any()


def test_three_moments_of_a_squat_with_what_was_measured(demo) -> None:
    angles, repetitions = demo.angles(), demo.repetitions()
    moments = kf.squat_moments(demo.pose(), angles, repetitions, demo.metrics())
    assert [moment.title for moment in moments] == ["Standing", "Bottom", "On the way up"]
    standing, bottom, up = moments
    assert standing.time < bottom.time < up.time
    assert bottom.time in repetitions["bottom"].values
    assert standing.value < 15 < 60 < up.value < bottom.value
    # What the page reports, so that no two numbers stand for one angle.
    assert bottom.value == float(demo.metrics()["knee_flexion"].sel(side=bottom.side))
    assert bottom.sd == float(demo.metrics()["knee_flexion_sd"].sel(side=bottom.side))
    assert bottom.caption.startswith(f"Bottom: {bottom.side} knee flexion {bottom.value:.0f}° ± ")
    none = repetitions.assign(accepted=("rep", [False] * repetitions.sizes["rep"]))
    assert kf.squat_moments(demo.pose(), angles, none, demo.metrics()) == []


def test_a_recording_that_begins_on_the_way_down_shows_standing_where_it_is(demo) -> None:
    angles, repetitions = demo.angles(), demo.repetitions().isel(rep=[0])
    repetitions["start_seen"] = ("rep", [False])
    time = repetitions["time"]
    end = float(repetitions["end"][0])
    after = repetitions.assign(standing=(time > end) & (angles["knee_flexion"] < 15).all("side"))
    args = demo.pose(), angles, after, demo.metrics()
    standing, bottom, _ = kf.squat_moments(*args)
    assert standing.title == "Standing"
    assert standing.time > end > bottom.time
    assert standing.value < 15
    never = after.assign(standing=xr.zeros_like(after["standing"]))
    start = kf.squat_moments(demo.pose(), angles, never, demo.metrics())[0]
    assert start.title == "Start"


def test_the_third_picture_is_of_the_main_finding(demo) -> None:
    metrics = demo.metrics()
    metrics["trunk_tibia_difference"] = metrics["trunk_tibia_difference"] + 60
    main = largest(find(metrics))
    assert {each.rule for each in main} == {"trunk_leans_forward"}
    *_, third = kf.squat_moments(
        demo.pose(), demo.angles(), demo.repetitions(), metrics, main
    )
    assert third.title == "Main finding"
    assert third.angle == "trunk_tibia_difference"
    assert third.value == pytest.approx(main[0].value)
    # One of the knee's bend at the bottom leaves the second picture to the depth.
    metrics = demo.metrics()
    metrics["knee_flexion"] = metrics["knee_flexion"] - 50
    main = [each for each in find(metrics) if each.rule == "knee_flexion_limited"]
    _, bottom, third = kf.squat_moments(
        demo.pose(), demo.angles(), demo.repetitions(), metrics, main
    )
    assert (bottom.angle, third.angle) == ("thigh_elevation", "knee_flexion")
    assert third.side in {each.side for each in main}


def test_every_finding_has_a_picture(demo) -> None:
    args = demo.pose(), demo.angles(), demo.repetitions(), demo.metrics()
    for finding in find(demo.metrics()):
        assert isinstance(finding, Finding)
        drawn = kf.squat_moments(*args, [finding])[-1].angle
        assert drawn in {*kf.DRAWN, "knees", "dowel", ""}, finding.rule


def test_faces_are_blurred_unless_asked_otherwise(demo) -> None:
    moment = kf.squat_moments(
        demo.pose(), demo.angles(), demo.repetitions(), demo.metrics()
    )[:1]
    hidden, shown = (
        cv2.imdecode(
            np.frombuffer(kf.key_frames(demo.video, demo.pose(), moment, faces=faces)[0].jpeg, np.uint8),
            cv2.IMREAD_COLOR,
        )
        for faces in (False, True)
    )  # fmt: skip
    assert hidden.shape[0] == kf.HEIGHT
    changed = np.abs(hidden.astype(int) - shown).max(axis=-1) > 24
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed.sum() > 500
    assert rows.max() < 0.5 * kf.HEIGHT  # of the body below the head nothing is

    def edges(picture: np.ndarray) -> float:
        ys, xs = np.nonzero(changed)
        head = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[ys.min() : ys.max(), xs.min() : xs.max()]
        return float(cv2.Laplacian(head, cv2.CV_64F).var())

    assert edges(hidden) < 0.85 * edges(shown)  # the skeleton has edges, too


def test_the_joint_that_went_farthest_is_shown() -> None:
    demo = Store("absent").demo("Joint Angle Mobility")
    metrics = demo.metrics()
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


def test_the_part_around_the_subject_stays_inside_the_picture() -> None:
    near_edge = np.array([[5.0, 10.0], [60.0, 470.0]])
    left, top, right, bottom = kf._around([near_edge], width=640, height=480)
    assert (left, top) == (0, 0)
    assert bottom == 480
    assert (right - left) / (bottom - top) == pytest.approx(0.62, abs=0.01)
    assert kf._around([np.full((3, 2), np.nan)], width=640, height=480) == (0, 0, 640, 480)
