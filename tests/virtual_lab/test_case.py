from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.datasets import require_pose
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.virtual_lab.case import (
    TRUTH_KEYPOINTS,
    Case,
    case_from,
    perform_case,
    read_case,
    read_truth,
    render_case,
    true_positions,
    truth_pose,
)
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.pictures import Camera, Look, frames
from mobility.virtual_lab.squat import Squat
from mobility.virtual_lab.sweep import case_digest

DEMO = Path("data") / "demo" / "overhead-squat"

SMALL = {
    "body": {"sex": "male", "age": 28, "height_m": 1.78, "weight_kg": 76},
    "motion": {
        "repetitions": 1, "depth": 40, "descent_s": 0.4, "ascent_s": 0.3, "bottom_s": 0.0,
        "lead_s": 0.1,
    },
    "video": {"width": 96, "height": 128, "frame_rate": 10},
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"moton": {}}, "CASE.yaml: moton: unknown; did you mean 'motion'"),
        ({"motion": {"repetition": 2}}, "motion: repetition: unknown; did you mean 'repetitions'"),
        ({"camera": {"azimut": 2}}, "camera: azimut: unknown; did you mean 'azimuth'"),
        ({"body": {"height_m": 17}}, "body: height_m: input should be less than"),
        ({"body": {"height_m": float("nan")}}, "body: height_m"),
        ({"video": {"width": 101}}, "multiple of 2"),
        ({"motion": [1]}, "motion must be a mapping with any of standing_knee_flexion"),
        (
            {"motion": {"kind": "sit-to-stnd"}},
            "kind: 'sit-to-stnd' is unknown; did you mean 'sit-to-stand'",
        ),
        (
            {"motion": {"kind": "jump"}},
            "choose sit-to-stand or single-leg-squat, or leave it out for a squat",
        ),
        ({"motion": {"kind": "sit-to-stand", "depth": 40}}, "depth: unknown"),
        ({"motion": {"kind": "sit-to-stand", "arms": "bar"}}, "arms: "),
        ([], "must be a mapping with name"),
        (None, "must be a mapping"),
    ],
)
def test_faults_of_a_case_are_named(values: object, message: str) -> None:
    with pytest.raises(BadInputError) as fault:
        case_from(values, what="CASE.yaml")
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


def test_case_file_that_is_absent_or_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such case"):
        read_case(tmp_path / "absent.yaml")
    with pytest.raises(NotFoundError, match="no such truth"):
        read_truth(tmp_path / "truth.nc")
    for content in (b"motion: [", b"\xff\xfe\x00"):
        (tmp_path / "broken.yaml").write_bytes(content)
        with pytest.raises(BadInputError, match="not a readable YAML"):
            read_case(tmp_path / "broken.yaml")
    case = case_from({"motion": {"knees_in": {"left": 10, "right": 0}}})
    assert case.motion.knees_in.left == 10
    with pytest.raises(BadInputError, match="right"):
        case_from({"motion": {"knees_in": {"left": 10}}})


@pytest.mark.parametrize("kind", [None, "sit-to-stand", "single-leg-squat"])
def test_a_motion_is_chosen_by_its_kind_and_survives_being_written(tmp_path, kind):
    case = case_from({"motion": {"repetitions": 4, **({"kind": kind} if kind else {})}})
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case.model_dump(mode="json")))
    assert read_case(tmp_path / "case.yaml") == case
    assert case.stance.repetitions == 4
    others = [Case(motion=Squat(repetitions=4)), Case()]
    assert case_digest(case) not in {case_digest(other) for other in others if other != case}


def test_truth_names_the_phases_of_a_rise_and_the_leg_that_stands(body: Body) -> None:
    who, film = {"body": SMALL["body"]}, {"video": {"frame_rate": 10}}
    rise = case_from({**who, **film, "motion": {"kind": "sit-to-stand", "ends": "standing"}})
    truth = true_positions(rise, *perform_case(rise))
    for name in ("seat_off", "standing", "descent", "seated"):
        assert truth[name].dims == ("rep",)
        assert truth[name].attrs["units"] == "second"
    assert truth["standing"].notnull().all()
    assert truth["seated"].isnull().values.tolist() == [False, False, True]
    one = case_from({**who, **film, "motion": {"kind": "single-leg-squat", "side": "both"}})
    truth = true_positions(one, *perform_case(one))
    assert truth["standing_side"].values.tolist() == ["left"] * 3 + ["right"] * 3
    assert 5 < truth["depth"].min() <= truth["depth"].max() < 30


@pytest.mark.parametrize("slug", ["squat", "sit-to-stand", "single-leg-squat"])
def test_cases_of_the_demos_can_be_done(project: Path, extra: None, slug: str) -> None:
    case = read_case(project / "data" / "demo" / slug / "case.yaml")
    assert case.name == slug
    assert case.motion.phases.duration_s < 30
    perform_case(case, np.linspace(0, case.motion.phases.duration_s, 40))


def test_truth_in_the_layout_of_a_pose(body: Body) -> None:
    case = case_from(SMALL)
    truth = true_positions(case, *perform_case(case))
    pose = truth_pose(truth)
    require_pose(pose, what="test")
    assert tuple(pose.keypoint.values) == KEYPOINTS
    absent = [name for name in KEYPOINTS if name not in TRUTH_KEYPOINTS]
    assert pose.position.sel(keypoint=absent).isnull().all()
    assert (pose.confidence.sel(keypoint=absent) == 0).all()
    kept = pose.position.isel(individual=0, drop=True).sel(keypoint=list(TRUTH_KEYPOINTS))
    np.testing.assert_array_equal(kept.values, truth.position.values.astype(float))
    assert pose.position.dtype == np.float64
    assert truth.position.dtype == np.float32


def test_the_committed_truth_is_that_of_the_committed_case(project: Path, body: Body) -> None:
    truth = read_truth(project / DEMO / "truth.nc")
    case = read_case(project / DEMO / "case.yaml")
    again = true_positions(case, *perform_case(case))
    # float32, and torch may round differently on another machine.
    again = again.sel(keypoint=truth.keypoint)  # the truth of today has the eyes too
    np.testing.assert_allclose(truth.position, again.position, atol=2e-5)
    assert truth.sizes["rep"] == truth.attrs["repetitions"] == 3
    for name in ("start", "bottom", "end", "depth"):
        np.testing.assert_allclose(truth[name], again[name])


@pytest.mark.slow
def test_a_rendered_case_shows_a_person_and_is_the_same_each_time(tmp_path, body):
    import av

    case: Case = case_from(SMALL)
    video, truth = render_case(case, tmp_path / "one")
    assert (video, truth) == (tmp_path / "one" / "video.mp4", tmp_path / "one" / "truth.nc")
    _, other_truth = render_case(case, tmp_path / "two.mp4")
    assert other_truth == tmp_path / "two.truth.nc"
    assert read_truth(truth).identical(read_truth(other_truth))
    film = {"camera": case.camera, "look": case.look, "width": 96, "height": 128}
    first, second = (list(frames(body, perform_case(case)[1], **film)) for _ in range(2))
    for (time, image), (same_time, same_image) in zip(first, second, strict=True):
        assert time == same_time
        np.testing.assert_array_equal(image, same_image)

    with av.open(str(video)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == read_truth(truth).sizes["time"] == 9
    assert pictures[0].shape == (128, 96, 3)
    # The shirt is the only blue thing; it goes down and up with the squat.
    rows = []
    for picture in pictures:
        red, _, blue = np.moveaxis(picture.astype(int), -1, 0)
        rows.append(np.argwhere(blue - red > 40)[:, 0].mean())
    assert 4 <= int(np.argmax(rows)) <= 6
    assert max(rows) - rows[0] > 10
    assert abs(rows[-1] - rows[0]) < 3
    assert not list(tmp_path.glob("**/.*"))


@pytest.mark.slow
def test_a_chair_hides_what_is_behind_it(body: Body) -> None:
    case = case_from({"body": SMALL["body"], "motion": {"kind": "sit-to-stand"}})
    _, trial = perform_case(case, np.zeros(1))
    look = Look(shirt=(0, 255, 0))
    seen = []
    for furniture in (trial.furniture, ()):
        camera = Camera(azimuth=180, height_m=0.8, distance_m=2.5)
        shown = replace(trial, furniture=furniture)
        (_, image), *_ = frames(body, shown, camera=camera, look=look, width=192, height=256)
        red, green, _ = np.moveaxis(image.astype(int), -1, 0)
        seen.append(int((green - red > 40).sum()))
    assert 0 < seen[0] < 0.8 * seen[1]


@pytest.mark.slow
def test_camera_on_the_left_sees_the_subject_face_left(tmp_path: Path, body: Body) -> None:
    case = case_from(SMALL)
    _, trial = perform_case(case)
    look = Look(shoes=(0, 255, 0))
    for azimuth, sign in ((90.0, -1), (-90.0, 1)):
        camera = Camera(azimuth=azimuth)
        images = frames(body, trial, camera=camera, look=look, width=192, height=256)
        _, image = next(images)
        images.close()
        red, green, _ = np.moveaxis(image.astype(int), -1, 0)
        # Toes are farther from the ankle, at the middle of the picture, than the heel is.
        middle = np.argwhere(green - red > 60)[:, 1].mean() - 96
        assert np.sign(middle) == sign
