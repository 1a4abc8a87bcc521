"""Poses of movement: commanded angles come back through it, names of other models, refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from extras import movement_python
from other_processes import ended

import mobility as mb
from mobility import tables
from mobility.base.provenance import warnings_of
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import KEYPOINTS
from tests.limbs import limb_pose, there_and_back

TIME, BEND = there_and_back(low=8.0, high=100.0, times=1)
COCO = [*KEYPOINTS[:1], "left_eye", "right_eye", "left_ear", "right_ear"]
COCO += [
    f"{s}_{p}"
    for p in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for s in ("left", "right")
]


def in_movement(heading: float = 90.0, **how: object) -> xr.Dataset:
    """A person who bends a knee or leans, as movement has the picture of them."""
    pose = limb_pose(TIME, heading=heading, **how)
    return mb.to_movement(pose, of="picture").assign_attrs(source_software="DeepLabCut")


def named(poses: xr.Dataset, names: dict[str, str]) -> xr.Dataset:
    """The keypoints of `names` only, called so."""
    return poses.sel(keypoint=list(names)).assign_coords(keypoint=list(names.values()))


def test_the_picture_comes_back() -> None:
    pose = limb_pose(TIME, joints={"knee": BEND})
    poses = mb.to_movement(pose, of="picture")
    assert poses["position"].dims == ("time", "space", "keypoint", "individual")
    assert poses["confidence"].dims == ("time", "keypoint", "individual")
    assert set(poses.data_vars) == {"position", "confidence"}
    back = mb.from_movement(poses, image_size=(640, 480))
    np.testing.assert_array_equal(
        back["image_position"].transpose(*pose["image_position"].dims), pose["image_position"]
    )
    np.testing.assert_array_equal(
        back["confidence"].transpose(*pose["confidence"].dims), pose["confidence"]
    )
    assert (back.attrs["image_width"], back.attrs["image_height"]) == (640, 480)
    in_space = mb.to_movement(pose)
    assert in_space["space"].values.tolist() == ["x", "y", "z"]
    np.testing.assert_array_equal(
        in_space["position"], pose["position"].transpose(*poses["position"].dims)
    )


@pytest.mark.parametrize("of", ["space", "picture"])
def test_dimensions_have_the_names_of_the_version_of_movement(of: str) -> None:
    pose = limb_pose(TIME, joints={"knee": BEND})
    singular = mb.to_movement(pose, of=of)
    plural = mb.to_movement(pose, of=of, names="plural")
    assert plural["position"].dims == ("time", "space", "keypoints", "individuals")
    assert plural["confidence"].dims == ("time", "keypoints", "individuals")
    assert set(plural.coords) == {"time", "space", "keypoints", "individuals"}
    assert mb.to_movement(pose, of=of, names="singular").identical(singular)
    assert plural.rename(keypoints="keypoint", individuals="individual").identical(singular)
    with pytest.raises(BadInputError, match="names: input should be 'singular' or 'plural'"):
        mb.to_movement(pose, names="plurals")


@pytest.mark.parametrize(("heading", "view"), [(90.0, "right"), (-90.0, "left")])
def test_angles_in_the_picture_are_those_commanded(heading: float, view: str) -> None:
    cleaned = mb.clean_pose(
        mb.from_movement(in_movement(heading, joints={"knee": BEND, "hip": BEND}))
    )
    angles = mb.picture_angles(cleaned, view=view).sel(side=view)
    for name in ("knee_flexion", "hip_flexion"):
        np.testing.assert_allclose(angles[name], BEND, atol=2.0)
        assert float(angles[f"{name}_sd"].max()) < 10
    assert [w["code"] for w in warnings_of(cleaned)] == ["errors_of_another_model"]


@pytest.mark.parametrize(("heading", "view"), [(0.0, "front"), (180.0, "back")])
def test_a_lean_has_its_side(heading: float, view: str) -> None:
    pose = mb.from_movement(in_movement(heading, lean=15.0))
    lean = mb.picture_angles(pose, view=view)["trunk_lateral_flexion"].median("time")
    np.testing.assert_allclose(lean.sel(side="right"), 15.0, atol=3.0)
    np.testing.assert_allclose(lean.sel(side="left"), -15.0, atol=3.0)


def test_what_cannot_be_known_is_refused_in_one_line() -> None:
    pose = mb.clean_pose(mb.from_movement(named(in_movement(), {name: name for name in COCO})))
    with pytest.raises(BadInputError, match="is unknown; pass view") as error:
        mb.picture_angles(pose)
    assert "\n" not in str(error.value)
    lacks = "the pose has no size of the picture (attributes image_width, image_height); "
    lacks += "pass image_size=(width, height) to from_movement, or use angles in the image plane"
    with pytest.raises(BadInputError, match=re.escape(lacks)) as error:
        mb.fit_body(pose)
    assert "\n" not in str(error.value)
    with pytest.raises(
        BadInputError, match="joint_angles: the pose has only points in the picture"
    ):
        mb.joint_angles(pose)
    silent = pose.assign(confidence=pose["confidence"] * np.nan)
    with pytest.raises(BadInputError, match="visibility"):
        mb.fit_body(silent)


def test_repetitions_are_found_in_the_picture(squat_pose) -> None:
    squat = squat_pose(fps=30, reps=2).pose
    other = mb.clean_pose(mb.from_movement(mb.to_movement(squat, of="picture")))
    truth = mb.find_repetitions(squat)
    repetitions = mb.find_repetitions(other)
    assert repetitions["accepted"].values.tolist() == [True, True]
    np.testing.assert_allclose(repetitions["bottom"], truth["bottom"], atol=0.1)


def test_names_of_other_models() -> None:
    """As their makers write them, and as people do; confidence of a person, former dimensions."""
    poses = in_movement()
    tables_of = {name: entry["names"] for name, entry in tables.load("keypoint_names").items()}
    for written in (
        {name: name for name in COCO},
        {name: name.upper().replace("_", " ") for name in KEYPOINTS},
        {name: name.title().replace("_", "") for name in KEYPOINTS},
        {our: theirs for theirs, our in tables_of["body_25"].items() if our},
        {our: theirs for theirs, our in tables_of["halpe_26"].items() if our},
    ):
        back = mb.from_movement(named(poses, written))
        seen = back["image_position"].notnull().all(["time", "pixel", "individual"])
        assert set(back["keypoint"].values[seen]) == set(written)
        for name in written:
            np.testing.assert_array_equal(
                back["image_position"].sel(keypoint=name).transpose("time", "pixel", "individual"),
                poses["position"].sel(keypoint=name),
            )
    extra = {
        "left_hip": "left_hip",
        "nose": "MidHip",
        "left_eye": "barbell",
        "left_knee": "kneecap",
    }
    chosen = mb.from_movement(
        named(poses, extra), keypoints={"barbell": None, "kneecap": "left_knee"}
    )
    seen = chosen["image_position"].notnull().all(["time", "pixel", "individual"])
    assert set(chosen["keypoint"].values[seen]) == {"left_hip", "left_knee"}
    of_person = poses.assign(confidence=0.5 + 0 * poses["confidence"].isel(keypoint=0, drop=True))
    former = of_person.rename(keypoint="keypoints", individual="individuals")
    assert set(np.unique(mb.from_movement(former)["confidence"])) == {0.5}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: d.drop_vars("position"), {}, "has no 'position' with the dimensions"),
        (
            lambda d: d.assign_attrs(time_unit="frames"),
            {},
            "times are frame numbers; load it with fps=",
        ),
        (lambda d: named(d, {"left_hip": "left_hipp"}), {}, "left_hipp; did you mean 'left_hip'?"),
        (lambda d: named(d, {"left_hip": "snout"}), {}, "known for snout. Use keypoints"),
        (lambda d: named(d, {"left_hip": "Neck"}), {}, "none of its keypoints is a landmark"),
        (
            lambda d: named(d, {"left_hip": "LHip", "nose": "left_hip"}),
            {},
            "several keypoints are left_hip",
        ),
        (lambda d: d, {"keypoints": {"nose": "noze"}}, "no landmark 'noze'; did you mean 'nose'?"),
        (lambda d: d, {"keypoints": {"noze": "nose"}}, "no keypoint 'noze'; did you mean 'nose'?"),
        (lambda d: d, {"individual": "subjekt"}, "did you mean 'subject'?"),
        (lambda d: d, {"image_size": (0, 5)}, "image_size"),
        (lambda _: mb.to_movement(limb_pose(TIME)), {}, "are in space, and movement stores"),
        (
            lambda d: xr.concat([d, d.assign_coords(individual=["b"])], "individual"),
            {},
            r"has 2 individuals (subject, b); choose one with individual",
        ),
    ],
)
def test_bad_input_is_named(change, options, message) -> None:
    with pytest.raises(BadInputError, match=re.escape(message)):
        mb.from_movement(change(in_movement()), **options)


def test_a_person_of_several_is_chosen() -> None:
    poses = in_movement()
    other = poses.copy(deep=True).assign_coords(individual=["b"])
    other["position"] += 7
    both = xr.concat([poses, other], "individual")
    chosen = mb.from_movement(both, individual="b")["image_position"]
    alone = mb.from_movement(poses)["image_position"]
    np.testing.assert_allclose(chosen, alone + 7)


_LOADERS = """
import sys, xarray
from movement.validators.datasets import ValidPosesInputs
ours = xarray.load_dataset(sys.argv[1], engine="h5netcdf")
ValidPosesInputs.validate(ours)
names = [name.title().replace("_", "") for name in ours.keypoint.values]
loaded = ValidPosesInputs(  # to which every loader hands what it read
    position_array=ours.position.values, confidence_array=ours.confidence.values,
    keypoint_names=names, fps=ours.attrs["fps"], source_software="SLEAP",
).to_dataset()
loaded.to_netcdf(sys.argv[2], engine="h5netcdf")
"""


@pytest.mark.slow
def test_with_movement_itself(project, tmp_path) -> None:
    ours, theirs = tmp_path / "ours.nc", tmp_path / "theirs.nc"
    in_movement(joints={"knee": BEND}).to_netcdf(ours, engine="h5netcdf")
    done = ended([movement_python(project), "-W", "ignore", "-c", _LOADERS, ours, theirs])
    assert done.returncode == 0, done.stderr
    pose = mb.clean_pose(mb.from_movement(xr.load_dataset(theirs, engine="h5netcdf")))
    knee = mb.picture_angles(pose, view="right")["knee_flexion"].sel(side="right")
    np.testing.assert_allclose(knee, BEND, atol=2.0)
    assert pose.attrs["source_software"] == "SLEAP"


def test_attributes_of_others_may_say_anything() -> None:
    """CF's `references` is a text, of which ours is an object; only what is read must fit."""
    poses = in_movement(joints={"knee": BEND})
    noted = poses.assign_attrs(references="Smith et al. 2020", notes=3, group=["a"], score=None)
    assert mb.from_movement(noted).equals(mb.from_movement(poses))
    with pytest.raises(BadInputError, match="fps"):
        mb.from_movement(poses.assign_attrs(fps="many"))
