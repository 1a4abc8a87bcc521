"""A film is checked before it is analysed: of poses of the demos, with few frames, and of films."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import xarray as xr

import mobility as mb
from mobility import tables
from mobility.assessment.verdict import each_once
from mobility.capture import pose as pose_module
from mobility.capture import quality
from mobility.capture.video import read_frames
from mobility.catalogue import registry
from mobility.errors import BadInputError, NobodyFoundError, NotFoundError, VideoError
from mobility.keypoints.view import view_name

OK = {"verdict": "ok", "advice": None}


@pytest.fixture
def check(demo, monkeypatch):
    """``check(slug, spoil, **options)``: check the demo of an exercise, its pose `spoil`-ed."""

    def checked(slug="squat", spoil=lambda pose: pose, **options):
        folder = demo.parent / slug
        pose = xr.load_dataset(folder / "pose.nc").isel(time=slice(None, None, 3))
        spoilt = spoil(pose.assign_attrs(fps=pose.attrs["fps"] / 3))
        monkeypatch.setattr(pose_module, "estimate_pose", lambda *_, **__: spoilt)
        monkeypatch.setattr(quality, "pictures", lambda *_: {"light": OK, "sharpness": OK})
        return mb.check_recording(folder / "video.mp4", **{"exercise": slug, **options})

    return checked


def codes(document):
    return [each["code"] for each in document["reasons"]]


def within(pose, *, start=-np.inf, end=np.inf):
    return pose.sel(time=slice(start, end))


@pytest.mark.parametrize("slug", [each.slug for each in registry.exercises()])
def test_the_demos_are_good_films(check, demo, slug):
    document = check(slug)
    assert document["good"], document["headline"]
    assert document["verdict"] == "good"
    assert document["reasons"] == []
    record = json.loads((demo.parent / slug / "session.json").read_text())
    assert document["seen"]["exercise"] == record["exercise"]
    assert document["seen"]["frame_rate"] == pytest.approx(30, abs=0.1)
    assert json.loads(json.dumps(document)) == document


def test_what_was_seen_is_told_and_said_to_be_a_first_look(check):
    document = check()
    seen = document["seen"]
    assert seen["repetitions"] == 3
    assert seen["view"] == "front-oblique right"
    assert seen["duration_s"] == pytest.approx(12.8, abs=0.1)
    said = "First look: good recording, 3 repetitions, from the front right."
    assert document["headline"] == said
    assert "The analysis checks the recording again and decides" in document["first_look"]


@pytest.mark.parametrize(
    ("part", "keypoints"),
    [
        ("feet", ("left_ankle", "left_heel", "left_foot_index")),
        ("head", ("nose",)),
        ("hands", ("right_wrist",)),
    ],
)
def test_a_part_that_leaves_the_picture_is_a_reason_in_the_words_of_the_verdict(
    check, part, keypoints
):
    def out(pose):
        pose = pose.copy(deep=True)
        below = {"pixel": "v", "keypoint": list(keypoints)}
        pose["image_position"].loc[below] = pose.attrs["image_height"] + 5.0
        return pose

    document = check(spoil=out)
    reason = next(e for e in document["reasons"] if e["code"] == f"{part}_out_of_picture")
    assert not document["good"]
    assert part in reason["why"]
    said = tables.load("capture_quality")["framing"]["advice"][part]
    own = registry.exercise("squat").table.get("advice_on", {})
    assert reason["what_to_do"] == own.get(f"{part}_out_of_picture", said)
    assert reason["why"] in document["headline"]


def test_who_does_not_stand_before_the_first_repetition_is_asked_to(check):
    document = check(spoil=lambda pose: within(pose, start=1.6))
    assert codes(document) == ["no_standing_before"]
    assert not document["film_again"]
    assert document["reasons"][0]["what_to_do"].startswith("Stand tall and still for a second")
    # A chair rise begins on a seat.
    assert check("sit-to-stand")["good"]


@pytest.mark.parametrize("code", ["other_people", "moving_camera"])
def test_what_the_search_of_the_film_warns_of_is_a_reason(check, code):
    def warned(pose):
        entries = json.loads(pose.attrs["history"])
        found = {"code": code, "message": "", "values": {"shift": 0.02}}
        entries[-1]["warnings"] = [found]
        return pose.assign_attrs(history=json.dumps(entries))

    document = check(spoil=warned)
    assert codes(document) == [code]
    entry = tables.load("verdict")["warnings"][code]
    assert document["reasons"][0]["why"] == entry["is"]
    assert document["reasons"][0]["what_to_do"] == entry["do"]


@pytest.mark.parametrize(
    ("filmed", "asked", "code", "seen"),
    [
        ("squat", "overhead-squat", "hands_not_overhead", "Squat"),
        ("sit-to-stand", "squat", "chair_rise", "Sit-to-Stand"),
        ("squat", "sit-to-stand", "no_seat", "Squat"),
        ("squat", "single-leg-squat", "no_repetition", None),
        ("joint-angle-mobility", "squat", "no_squat", "Joint Angle Mobility"),
    ],
)
def test_another_exercise_is_named(check, filmed, asked, code, seen):
    document = check(filmed, exercise=asked)
    assert not document["good"]
    assert codes(document)[0] == code
    assert document["seen"]["exercise"] == seen


def test_another_view_counts_where_one_was_asked_for(check):
    assert codes(check(view="side")) == ["other_view"]
    reason = check(view="front")["reasons"][0]
    assert reason["why"] == "the camera sees the person from the front right, not from the front"
    assert reason["what_to_do"] == "Film from the front."
    for right in ("front-oblique", "front oblique right"):
        assert check(view=right)["good"]
    assert codes(check(view="front-oblique left")) == ["other_view"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("front left", "front-oblique left"),
        ("from the front right", "front-oblique right"),
        ("back left", "back-oblique left"),
        ("from behind on the right", "back-oblique right"),
        ("From the front left or right", "front-oblique"),
        ("right side", "right"),
        ("from behind", "back"),
    ],
)
def test_a_view_is_asked_for_in_the_words_of_pages_too(asked, name):
    assert view_name(asked) == name


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("front lefft", "front-oblique left|front"), ("left right", ""), ("frnt", "front"), ("", "")],
)
def test_a_view_that_is_none_is_refused_with_the_likely_one(asked, meant):
    with pytest.raises(BadInputError, match=f"no view.*({meant})"):
        view_name(asked)


@pytest.fixture
def landmarks(demo, monkeypatch, shared_data):
    """``landmarks(name, exercise, **options)``: check landmarks of a real film."""

    def checked(name, exercise, **options):
        pose = xr.load_dataset(shared_data / "lab" / "landmarks" / f"{name}_pose.nc")
        step = max(round(pose.attrs["fps"] / 5), 1)
        few = pose.isel(time=slice(None, None, step))
        few = few.assign_attrs(fps=pose.attrs["fps"] / step)
        monkeypatch.setattr(pose_module, "estimate_pose", lambda *_, **__: few)
        monkeypatch.setattr(quality, "pictures", lambda *_: {"light": OK, "sharpness": OK})
        video = demo.parent / "squat" / "video.mp4"
        return mb.check_recording(video, exercise=exercise, **options)

    return checked


def test_no_view_is_a_fault_and_what_it_hides_is_said(landmarks):
    document = landmarks("side_squats_arms_forward", "squat")
    assert (document["good"], document["seen"]["view"]) == (True, "right")
    assert "the left leg" in document["view_hides"]
    for meant in ("side", "right"):
        assert landmarks("side_squats_arms_forward", "squat", view=meant)["good"]
    other = landmarks("side_squats_arms_forward", "squat", view="front")
    assert codes(other) == ["other_view"]
    assert not other["film_again"]


@pytest.mark.parametrize(
    ("name", "exercise", "code"),
    [
        ("chair_rises_oblique", "sit-to-stand", ""),
        ("chair_rises_oblique", "squat", "chair_rise"),
        ("front_squats_arms_hanging", "squat", ""),
        ("front_squats_arms_hanging", "sit-to-stand", "no_seat"),
        ("front_squats_weights_at_shoulders", "sit-to-stand", "no_seat"),
        ("front_squats_arms_out", "squat", ""),
        ("side_squats_arms_forward", "sit-to-stand", "no_seat"),
    ],
)
def test_rises_and_squats_of_real_people_are_told_apart(landmarks, name, exercise, code):
    document = landmarks(name, exercise)
    of_exercise = [each for each in codes(document) if each != "no_standing_before"]
    assert of_exercise == ([code] if code else [])
    assert document["film_again"] == (code == "chair_rise")


def test_a_sentence_is_said_once():
    texts = ["Film in more light.", "Clean the lens. Film in more light.", "Film in more light."]
    assert each_once(texts) == ["Film in more light.", "Clean the lens.", ""]
    # One that says more comes first.
    longer = ["Stand still for two seconds, feet flat.", "Stand still for two seconds."]
    assert each_once(longer) == [longer[0], ""]


def test_fewer_repetitions_count_where_some_were_asked_for(check):
    assert check(repetitions=3)["good"]
    document = check(repetitions=5)
    assert codes(document) == ["fewer_repetitions"]
    assert document["reasons"][0]["why"] == "only 3 of 5 repetitions are visible"
    movements = check("joint-angle-mobility", repetitions=9)
    assert movements["reasons"][0]["why"] == "only 3 of 9 movements are visible"


def test_nobody_in_a_dark_film_is_no_error(demo, tmp_path, monkeypatch):
    film = tmp_path / "dark.mp4"
    write(film, (frame // 20 for frame in frames_of(demo.parent / "squat" / "video.mp4", 30)))

    def find(*_, **__):
        raise NobodyFoundError("nobody")

    monkeypatch.setattr(pose_module, "estimate_pose", find)
    document = mb.check_recording(film, exercise="squat")
    assert codes(document) == ["person_absent", "light"]
    assert document["verdict"] == "unusable"
    assert document["seen"] | {"duration_s": 0, "frame_rate": 0} == {
        **{"exercise": None, "view": "unknown", "azimuth_deg": None, "repetitions": 0},
        **{"duration_s": 0, "frame_rate": 0},
    }


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"exercise": "sqat"}, BadInputError, "did you mean 'Squat'"),
        ({"view": "frnt"}, BadInputError, "did you mean 'front'"),
        ({"view": "two-cameras"}, BadInputError, "Check each video separately"),
        ({"repetitions": 0}, BadInputError, "repetitions"),
        ({"movement": "elbow_flexin"}, BadInputError, "did you mean 'elbow_flexion'"),
        ({"video": "absent.mp4"}, NotFoundError, "no such file"),
        ({"video": __file__}, VideoError, "test_recording_check.py"),
    ],
)
def test_bad_input_is_refused_in_one_line(demo, options, error, said):
    given = {"video": demo.parent / "squat" / "video.mp4", "exercise": "squat", **options}
    if "movement" in given:
        del given["exercise"]
    with pytest.raises(error, match=said) as raised:
        mb.check_recording(given.pop("video"), **given)
    assert "\n" not in str(raised.value)


def frames_of(film, count):
    return [frame.image for frame, _ in zip(read_frames(film), range(count), strict=False)]


def write(film, images):
    images = list(images)
    height, width = images[0].shape[:2]
    out = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*"mp4v"), 30, (width, height))
    for image in images:
        out.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    out.release()


@pytest.mark.slow
def test_the_command_checks_a_film_whose_feet_are_cut_off_and_stores_nothing(demo, tmp_path):
    film = tmp_path / "feet.mp4"
    film_frames = frames_of(demo.parent / "squat" / "video.mp4", 200)
    write(film, (frame[: int(0.8 * frame.shape[0])] for frame in film_frames))
    store, reports = tmp_path / "store", tmp_path / "reports"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mobility.cli", "analyze", "--check", film, "--json"),
            *("--exercise", "squat", "--store", store, "--reports", reports),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["good"] is False
    assert "feet_out_of_picture" in codes(document)
    assert not store.exists()
    assert not reports.exists()
