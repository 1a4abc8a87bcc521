"""Poses of movement (neuroinformatics-unit), and through it DeepLabCut, SLEAP, LightningPose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.options import checked, likely, quoted
from mobility.base.provenance import with_history
from mobility.errors import BadInputError
from mobility.keypoints.sources import OTHER, landmarks_of, pose_source
from mobility.kinematics.datasets import Pose, check_attributes, check_times, require_positions
from mobility.kinematics.skeleton import KEYPOINTS

_DIMS = ("time", "space", "keypoint", "individual")
_READ = ("fps", "time_unit", "source_software", "source_file")

_FORMERLY = {"keypoints": "keypoint", "individuals": "individual"}
"""Dimensions of movement before its version 0.16."""

_Pixels = Annotated[int, Field(gt=0)]


def with_read_attributes(dataset: xr.Dataset) -> xr.Dataset:
    """Keep only those attributes of another program that are read here."""
    attrs = {name: dataset.attrs[name] for name in _READ if dataset.attrs.get(name) is not None}
    if "source_file" in attrs:
        attrs["source_file"] = str(attrs["source_file"])
    return dataset.drop_attrs().assign_attrs(attrs)


@checked
def from_movement(
    poses: xr.Dataset,
    *,
    individual: str | None = None,
    keypoints: Mapping[str, str | None] | None = None,
    image_size: tuple[_Pixels, _Pixels] | None = None,
) -> xr.Dataset:
    """Make a pose of one person from a Dataset of movement, a package that loads many formats.

    The pose has no positions in space. :func:`~mobility.kinematics.clean.clean_pose` and
    :func:`~mobility.kinematics.fit.entry.fit_body` accept it, and so does
    :func:`~mobility.kinematics.in_picture.picture_angles`, which needs the view.

    Parameters
    ----------
    poses
        ``position`` (time, space, keypoint, individual) in pixels, x to the right and y downwards;
        ``confidence``, if it exists. The Dataset must have been loaded with ``fps``.
    individual
        Name of the person, if there are several.
    keypoints
        Landmark for each keypoint whose name is not in the table ``keypoint_names`` (COCO, Halpe,
        OpenPose's BODY_25, MediaPipe); None leaves the keypoint out.
    image_size
        Width and height of the picture, pixels.

    Returns
    -------
    xarray.Dataset
        A pose with ``image_position`` in pixels, ``confidence`` from the model, and no
        ``position``. Absent landmarks are NaN.

    Raises
    ------
    BadInputError
        If it is not such a Dataset, has times in frames or positions in space, or has unknown
        keypoints.
    """
    dataset = poses.rename({old: new for old, new in _FORMERLY.items() if old in poses.dims})
    if "position" not in dataset or not {"time", "space", "keypoint"} <= set(
        dataset["position"].dims
    ):
        raise BadInputError(
            "from_movement: this is not a poses Dataset from movement, because it has no "
            "'position' with the dimensions (time, space, keypoint). Load one with movement"
        )
    if "x" not in dataset.get_index("space") or "y" not in dataset.get_index("space"):
        raise BadInputError("from_movement: its coordinate 'space' does not name x and y")
    for name in ("space", "keypoint", "individual"):
        if name in dataset.dims and not dataset.get_index(name).is_unique:
            raise BadInputError(f"from_movement: its coordinate '{name}' contains a name twice")
    for name in ("position", "confidence"):
        if name in dataset and dataset[name].dtype.kind not in "fiu":
            raise BadInputError(
                f"from_movement: '{name}' must hold numbers (got {dataset[name].dtype})"
            )
    dataset = with_read_attributes(dataset)
    try:
        check_attributes(dataset)
    except BadInputError as error:
        raise BadInputError(f"from_movement: {error}") from None
    for name in ("position", "confidence"):
        if name in dataset and not set(dataset[name].dims) <= set(_DIMS):
            raise BadInputError(
                f"from_movement: '{name}' has too many dimensions; select one entry"
            )
    if dataset.attrs.get("time_unit", "seconds") != "seconds":
        raise BadInputError(
            "from_movement: its times are frame numbers; load it with fps=, the frame rate of "
            "the video"
        )
    if "time" not in dataset.coords or not dataset["time"].size:
        raise BadInputError(
            "from_movement: it has no times in seconds, or no frame. Load it with fps="
        )
    try:
        check_times(dataset["time"])
    except BadInputError as error:
        raise BadInputError(f"from_movement: {error}") from None
    if "z" in dataset["space"].values:
        raise BadInputError(
            "from_movement: its positions are in space, and movement stores neither their unit "
            "nor which axis is vertical; write them as CSV and read that with mb.read_lab"
        )
    person = _one_individual(dataset, individual)
    landmark_of = landmarks_of(
        list(map(str, person["keypoint"].values)), keypoints, what="from_movement"
    )
    names = [name for name, landmark in landmark_of.items() if landmark]
    subject_poses = person.sel(keypoint=names).assign_coords(
        keypoint=[landmark_of[n] for n in names]
    )
    subject_poses = subject_poses.reindex(keypoint=list(KEYPOINTS)).expand_dims(
        individual=np.array(["subject"])
    )
    pixels = subject_poses["position"].sel(space=["x", "y"]).transpose(*_DIMS).astype(np.float64)
    pixels = pixels.rename(space="pixel").assign_coords(pixel=["u", "v"])
    variables = {
        "image_position": pixels.assign_attrs(units="pixel"),
    }
    if "confidence" in subject_poses:
        # Some models have only one confidence for the entire person.
        confidence = subject_poses["confidence"].broadcast_like(
            subject_poses["position"].isel(space=0, drop=True)
        )
        variables["confidence"] = confidence.transpose("time", "keypoint", "individual").astype(
            float
        )
    software = str(dataset.attrs.get("source_software") or pose_source(OTHER).name)
    attrs: dict[str, Any] = {
        **{name: dataset.attrs[name] for name in ("fps",) if name in dataset.attrs},
        "source_file": Path(str(dataset.attrs.get("source_file") or "")).name,
        "source_software": software,
        "ds_type": "poses",
        "time_unit": "seconds",
        "pose_source": OTHER,
    }
    if image_size is not None:
        attrs |= dict(zip(("image_width", "image_height"), image_size, strict=True))
    return with_history(
        xr.Dataset(variables, attrs=attrs),
        "from_movement",
        {"individual": individual, "keypoints": keypoints and dict(keypoints)},
        landmarks={landmark_of[name]: name for name in names},
        warnings=[tables.warning("warnings.errors_of_another_model.source", software=software)],
    )


@checked
def to_movement(
    pose: Pose,
    *,
    of: Literal["space", "picture"] = "space",
    names: Literal["singular", "plural"] = "singular",
) -> xr.Dataset:
    """Make a poses Dataset that the functions of movement can filter, plot and save.

    ``position`` is in space (metres, y up) or in the picture (pixels, y downwards). A pose from
    ``estimate_pose`` is already such a Dataset, but has more variables; the new Dataset leaves them
    out. The dimensions are called ``keypoint`` and ``individual`` (singular), or, as before version
    0.16 of movement, ``keypoints`` and ``individuals`` (plural).
    """
    if of == "space":
        require_positions(pose, what="to_movement")
    if of == "picture":
        if "image_position" not in pose:
            raise BadInputError("to_movement: the pose has no 'image_position'")
        position = pose["image_position"].sel(pixel=["u", "v"]).rename(pixel="space")
        position = position.assign_coords(space=["x", "y"])
    else:
        position = pose["position"].sel(space=["x", "y", "z"])
    nowhere = xr.full_like(position.isel(space=0, drop=True), np.nan)
    variables = {"position": position, "confidence": pose.get("confidence", nowhere)}
    dataset = xr.Dataset({name: values.drop_attrs() for name, values in variables.items()})
    if "individual" not in dataset.dims:
        dataset = dataset.expand_dims(individual=["subject"])
    dataset = dataset.transpose(*_DIMS)
    if names == "plural":
        dataset = dataset.rename({new: old for old, new in _FORMERLY.items()})
    attr_names = ("fps", "source_software", "source_file")
    return dataset.assign_attrs(
        {name: pose.attrs[name] for name in attr_names if name in pose.attrs},
        ds_type="poses",
        time_unit="seconds",
    )


def _one_individual(poses: xr.Dataset, individual: str | None) -> xr.Dataset:
    if "individual" not in poses.dims:
        return poses
    names = list(map(str, poses["individual"].values))
    if not names:
        raise BadInputError("from_movement: it has no individual")
    if individual is None and len(names) > 1:
        raise BadInputError(
            f"from_movement: it has {len(names)} individuals ({shortened(names)}); choose one "
            "with individual"
        )
    if individual is not None and individual not in names:
        raise BadInputError(
            f"from_movement: no individual {quoted(individual)}{likely(individual, names)}"
        )
    place = 0 if individual is None else names.index(individual)
    return poses.isel(individual=place, drop=True)
